export function Curves() {
  return <p>Curves</p>
}
