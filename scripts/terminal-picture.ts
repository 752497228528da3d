/**
 * Draws terminal output as an SVG, as the README shows it: `FORCE_COLOR=1 npm run -s demo | grep -v ETA | npx tsx scripts/terminal-picture.ts > docs/demo.svg`.
 * Knows the colours that this project prints: bold, dim, the 16 basic ones and 24-bit ones, in front and behind.
 */
import { readFileSync } from 'node:fs'

interface Style {
  color?: string
  background?: string
  bold?: boolean
  dim?: boolean
}

interface Run extends Style {
  column: number
  text: string
}

const basic = ['#45475a', '#f38ba8', '#a6e3a1', '#f9e2af', '#89b4fa', '#f5c2e7', '#94e2d5', '#bac2de']
const [cellWidth, cellHeight, margin] = [8.4, 18, 16]

/** Applies the codes of one `ESC [ ... m`. */
function restyle(style: Style, codes: number[]): Style {
  const next = { ...style }
  for (let i = 0; i < codes.length; i++) {
    const code = codes[i]!
    if (code === 0) for (const key of Object.keys(next) as (keyof Style)[]) delete next[key]
    else if (code === 1) next.bold = true
    else if (code === 2) next.dim = true
    else if (code === 22) next.bold = next.dim = false
    else if (code >= 30 && code <= 37) next.color = basic[code - 30]!
    else if (code >= 90 && code <= 97) next.color = basic[code - 90]!
    else if (code >= 40 && code <= 47) next.background = basic[code - 40]!
    else if (code === 39) delete next.color
    else if (code === 49) delete next.background
    else if ((code === 38 || code === 48) && codes[i + 1] === 2) {
      next[code === 38 ? 'color' : 'background'] = `rgb(${codes.slice(i + 2, i + 5).join(',')})`
      i += 4
    }
  }
  return next
}

function runsOf(line: string): Run[] {
  const runs: Run[] = []
  let style: Style = {}
  let column = 0
  for (const part of line.split(/(\x1b\[[\d;]*m)/)) {
    const codes = /^\x1b\[([\d;]*)m$/.exec(part)
    if (codes) style = restyle(style, codes[1]!.split(';').map(Number))
    else if (part) {
      runs.push({ ...style, column, text: part })
      column += [...part].length
    }
  }
  return runs
}

const escape = (text: string): string => text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;')
const x = (column: number): string => (margin + column * cellWidth).toFixed(1)

function draw({ column, text, color, background, bold, dim }: Run, row: number): string {
  const width = [...text].length * cellWidth
  const top = margin + row * cellHeight
  const behind = background
    ? `<rect x="${x(column)}" y="${top}" width="${(width + 0.3).toFixed(1)}" height="${cellHeight}" fill="${background}"/>`
    : ''
  if (!text.trim()) return behind
  const look = `${color ? ` fill="${color}"` : ''}${bold ? ' font-weight="bold"' : ''}${dim ? ' opacity="0.6"' : ''}`
  return `${behind}<text x="${x(column)}" y="${top + 14}" textLength="${width.toFixed(1)}" lengthAdjust="spacingAndGlyphs" xml:space="preserve"${look}>${escape(text)}</text>`
}

const lines = readFileSync(0, 'utf8').trimEnd().split('\n').map(runsOf)
const columns = Math.max(...lines.flat().map((run) => run.column + [...run.text].length))
const [width, height] = [2 * margin + columns * cellWidth, 2 * margin + lines.length * cellHeight]
console.log(`<svg xmlns="http://www.w3.org/2000/svg" width="${width.toFixed(0)}" height="${height}" viewBox="0 0 ${width.toFixed(0)} ${height}">
<rect width="100%" height="100%" rx="8" fill="#1e1e2e"/>
<g font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace" font-size="14" fill="#cdd6f4">
${lines.flatMap((runs, row) => runs.map((run) => draw(run, row))).join('\n')}
</g>
</svg>`)
