export function Texts() {
  return <p>Texts</p>
}
