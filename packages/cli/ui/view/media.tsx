export function MediaView() {
  return <p>MediaView</p>
}
