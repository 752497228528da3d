import { isDrawn, type Line } from './line.ts'

/** A chart as it is drawn on the page, in CSS pixels. */
export interface ChartDrawing {
  width: number
  height: number
  /** Where the lines are. */
  box: { left: number; top: number; width: number; height: number }
  x: (value: number) => number
  y: (value: number) => number
  logY: boolean
  ticks: { x: readonly Tick[]; y: readonly Tick[] }
  labels: { x: string | undefined; y: string | undefined }
  lines: readonly Line[]
}

interface Tick {
  at: number
  /** May have two lines. */
  words: string
}

interface ChartInk {
  page: string
  grid: string
  text: string
  faint: string
  font: string
}

const head = 34
const legendRow = 18
/** More lines are not named. */
const mostNamed = 40
/** Of a letter of a name, roughly: there is nothing to measure with. */
const letter = 6.4

/** The chart with its title and the names of its lines as a picture in SVG. */
export function chartSvg(chart: ChartDrawing, title: string, ink: ChartInk): string {
  const { width, height, box, lines, ticks, labels } = chart
  const legend = lines.length <= mostNamed ? legendOf(lines, width, ink) : { text: '', height: 0 }
  const total = Math.ceil(head + height + legend.height)
  const [right, foot] = [box.left + box.width, box.top + box.height]
  const text = (x: number, y: number, words: string, more = ''): string => `<text x="${r(x)}" y="${r(y)}" ${more}>${escaped(words)}</text>`
  const grid = [
    ...ticks.x.map(({ at }) => `M${r(at)} ${r(box.top)}V${r(foot)}`),
    ...ticks.y.map(({ at }) => `M${r(box.left)} ${r(at)}H${r(right)}`),
  ].join('')
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${total}" viewBox="0 0 ${width} ${total}" font-family="${escaped(ink.font)}" font-size="11">`,
    `<title>${escaped(title)}</title><rect width="100%" height="100%" fill="${ink.page}"/>`,
    text(box.left, 22, title, `font-size="14" font-weight="600" fill="${ink.text}"`),
    `<defs><clipPath id="box"><rect x="${r(box.left - 2)}" y="${r(box.top - 2)}" width="${r(box.width + 4)}" height="${r(box.height + 4)}"/></clipPath></defs>`,
    `<g transform="translate(0 ${head})"><path d="${grid}" stroke="${ink.grid}" fill="none"/><g fill="${ink.faint}">`,
    ...ticks.x.flatMap(({ at, words }) => words.split('\n').map((line, i) => text(at, foot + 16 + 13 * i, line, 'text-anchor="middle"'))),
    ...ticks.y.map(({ at, words }) => text(box.left - 6, at + 4, words, 'text-anchor="end"')),
    labels.x === undefined ? '' : text(box.left + box.width / 2, height - 3, labels.x, 'text-anchor="middle"'),
    labels.y === undefined
      ? ''
      : text(0, 0, labels.y, `text-anchor="middle" transform="translate(12 ${r(box.top + box.height / 2)}) rotate(-90)"`),
    `</g><g clip-path="url(#box)" fill="none" stroke-linejoin="round">`,
    ...lines.map((line) => bandOf(line, chart)),
    ...lines.map((line) => strokesOf(line, chart)),
    `</g></g><g transform="translate(0 ${head + height})">${legend.text}</g></svg>`,
  ].join('\n')
}

function strokesOf(line: Line, chart: ChartDrawing): string {
  const dash = line.dash.length > 0 ? ` stroke-dasharray="${line.dash.join(' ')}"` : ''
  const raw = line.raw ? `<path d="${pathOf(line.x, line.raw, chart)}" stroke="${line.color}" stroke-opacity="0.26"/>` : ''
  return `${raw}<path d="${pathOf(line.x, line.y, chart)}" stroke="${line.color}" stroke-width="1.5"${dash}/>`
}

function pathOf(x: ArrayLike<number>, y: ArrayLike<number>, chart: ChartDrawing): string {
  let path = ''
  let isDown = false
  for (let i = 0; i < x.length; i++) {
    if (isDrawn(y[i]!, chart.logY)) {
      path += `${isDown ? 'L' : 'M'}${r(chart.x(x[i]!))} ${r(chart.y(y[i]!))}`
      isDown = true
    } else {
      isDown = false
    }
  }
  return path
}

function bandOf({ x, band, color }: Line, chart: ChartDrawing): string {
  if (!band) return ''
  const foot = chart.box.top + chart.box.height
  let path = ''
  for (let begin = 0; begin < x.length; begin++) {
    let end = begin
    while (end < x.length && isDrawn(band.high[end]!, chart.logY)) end++
    if (end === begin) continue
    const at = Array.from({ length: end - begin }, (_, i) => begin + i)
    const low = (i: number): number => (isDrawn(band.low[i]!, chart.logY) ? chart.y(band.low[i]!) : foot)
    const there = at.map((i) => `${r(chart.x(x[i]!))} ${r(chart.y(band.high[i]!))}`)
    const back = at.reverse().map((i) => `${r(chart.x(x[i]!))} ${r(low(i))}`)
    path += `M${[...there, ...back].join('L')}Z`
    begin = end
  }
  return `<path d="${path}" fill="${color}" fill-opacity="0.16"/>`
}

/** Names in rows, each as long as the chart is wide. */
function legendOf(lines: readonly Line[], width: number, ink: ChartInk): { text: string; height: number } {
  let [x, y] = [14, 12]
  const parts = lines.map(({ name, color }) => {
    const words = name.length > 60 ? `${name.slice(0, 59)}…` : name
    const room = 18 + words.length * letter
    if (x > 14 && x + room > width - 8) [x, y] = [14, y + legendRow]
    const part = `<rect x="${r(x)}" y="${y - 9}" width="10" height="10" rx="2.5" fill="${color}"/><text x="${r(x + 15)}" y="${y}" fill="${ink.text}">${escaped(words)}</text>`
    x += room + 10
    return part
  })
  return { text: parts.join('\n'), height: y + 10 }
}

/** A hundredth of a pixel is enough. */
const r = (value: number): string => String(Math.round(value * 100) / 100)

const entities: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' }
const escaped = (text: string): string => text.replace(/[&<>"]/g, (character) => entities[character]!)
