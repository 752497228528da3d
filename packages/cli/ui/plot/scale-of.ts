import type uPlot from 'uplot'

interface ScaleOptions {
  isLog: boolean
  /** In pixels of the canvas, from its edge, rather than in CSS pixels from the edge of the plot within the axes. */
  inCanvas: boolean
}

/** What `valToPos` does, without its looking up the scale for each of a million points. */
export function scaleOf(plot: uPlot, key: 'x' | 'y', { isLog, inCanvas }: ScaleOptions): (value: number) => number {
  const { min, max } = plot.scales[key]!
  const place = isLog ? Math.log : (value: number) => value
  const [from, to] = [plot.valToPos(min!, key, inCanvas), plot.valToPos(max!, key, inCanvas)]
  const factor = (to - from) / (place(max!) - place(min!))
  const offset = from - factor * place(min!)
  return isLog ? (value) => offset + factor * Math.log(value) : (value) => offset + factor * value
}
