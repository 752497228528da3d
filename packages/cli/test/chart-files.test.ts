import { expect, test } from 'vitest'
import { chartCsv } from '../ui/plot/chart-csv.ts'
import { type ChartDrawing, chartSvg } from '../ui/plot/chart-svg.ts'
import type { Line } from '../ui/plot/line.ts'
import { fileName } from '../ui/plot/save-file.ts'

const line = (more: Partial<Line>): Line => ({ id: 0, name: 'a', color: '#0072b2', dash: [], x: [0, 1], y: [2, 3], ...more })

test('the points of a chart as CSV, with the columns that there are', () => {
  expect(chartCsv([line({}), line({ name: 'b,"c"' })], 'Step')).toBe('run,step,value\na,0,2\na,1,3\n"b,""c""",0,2\n"b,""c""",1,3\n')
  expect(chartCsv([line({ raw: [1, NaN] })], 'Step')).toBe('run,step,value,unsmoothed\na,0,2,1\na,1,3,NaN\n')
  const band = { low: [1, 2], high: [3, 4], count: [2, 1] }
  expect(chartCsv([line({ band })], 'Step')).toBe('group,step,mean,low,high,runs\na,0,2,1,3,2\na,1,3,2,4,1\n')
})

const drawing = (lines: readonly Line[], more: Partial<ChartDrawing> = {}): ChartDrawing => ({
  width: 300,
  height: 200,
  box: { left: 40, top: 10, width: 250, height: 160 },
  x: (value) => 40 + 10 * value,
  y: (value) => 170 - 10 * value,
  logY: false,
  ticks: { x: [{ at: 40, words: '0\nnoon' }], y: [{ at: 170, words: '0' }] },
  labels: { x: 'Step', y: undefined },
  lines,
  ...more,
})
const ink = { page: '#ffffff', grid: '#eeeeee', text: '#000000', faint: '#666666', font: 'sans-serif' }

test('a chart as SVG has its lines, gaps, bands, ticks and names, and no markup of names', () => {
  const svg = chartSvg(drawing([line({ name: '<b> & "c"', x: [0, 1, 2, 3], y: [2, 3, NaN, 1], dash: [6, 3] })]), 'loss <train>', ink)
  expect(svg).toContain('d="M40 150L50 140M70 160" stroke="#0072b2" stroke-width="1.5" stroke-dasharray="6 3"')
  expect(svg).toContain('<title>loss &lt;train&gt;</title>')
  expect(svg).toContain('&lt;b&gt; &amp; &quot;c&quot;')
  expect(svg.match(/>(0|noon|Step)<\/text>/g)).toEqual(['>0</text>', '>noon</text>', '>0</text>', '>Step</text>'])
  const banded = chartSvg(
    drawing([line({ x: [0, 1], y: [2, 2], band: { low: [1, -1], high: [3, 4], count: [1, 1] } })], { logY: true }),
    't',
    ink,
  )
  // Below zero, a log axis has its foot.
  expect(banded).toContain('d="M40 140L50 130L50 170L40 160Z" fill="#0072b2" fill-opacity="0.16"')
})

test('names of files are plain', () => {
  expect(fileName('train/loss (mean)', 'svg')).toBe('train_loss_mean.svg')
  expect(fileName('損失', 'png')).toBe('chart.png')
})
