export function Histograms() {
  return <p>Histograms</p>
}
