export function HparamsView() {
  return <p>HparamsView</p>
}
