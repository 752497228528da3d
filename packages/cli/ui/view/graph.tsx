export function GraphView() {
  return <p>GraphView</p>
}
