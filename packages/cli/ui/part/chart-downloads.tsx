import type { RefObject } from 'preact'
import { chartCsv } from '../plot/chart-csv.ts'
import { chartSvg } from '../plot/chart-svg.ts'
import type { LinePlot } from '../plot/line-plot.ts'
import { pngOf } from '../plot/png-of.ts'
import { fileName, saveFile } from '../plot/save-file.ts'
import { axis, failure } from '../state.ts'
import { styleOf } from '../theme.ts'
import { Menu } from './menu.tsx'

interface ChartDownloadsProps {
  title: string
  /** Where the server has all points as CSV. */
  points: string
  plot: RefObject<LinePlot | null>
}

/** What can be taken away of a chart. */
export function ChartDownloads({ title, points, plot }: ChartDownloadsProps) {
  const svg = (): string => {
    const ink = {
      page: styleOf('--panel'),
      grid: styleOf('--grid'),
      text: styleOf('--text'),
      faint: styleOf('--text-faint'),
      font: styleOf('--font'),
    }
    return chartSvg(plot.current!.drawing(), title, ink)
  }
  const saves: readonly [words: string, save: () => void | Promise<void>][] = [
    ['Picture, PNG', async () => saveFile(fileName(title, 'png'), await pngOf(svg()))],
    ['Picture, SVG', () => saveFile(fileName(title, 'svg'), new Blob([svg()], { type: 'image/svg+xml' }))],
    [
      'What is drawn, CSV',
      () =>
        saveFile(fileName(`${title}-drawn`, 'csv'), new Blob([chartCsv(plot.current!.drawing().lines, axis.value)], { type: 'text/csv' })),
    ],
  ]
  return (
    <Menu isQuiet align="right" summary="↓" title="Download" label={`Download ${title}`}>
      {(close) => (
        <ul class="menu-list">
          {plot.current &&
            saves.map(([words, save]) => (
              <li key={words}>
                <button
                  type="button"
                  class="quiet"
                  onClick={() => {
                    close()
                    Promise.resolve(save()).catch((error: unknown) => (failure.value = `${title}: ${(error as Error).message}`))
                  }}
                >
                  {words}
                </button>
              </li>
            ))}
          <li>
            <a class="quiet" href={points} download onClick={close}>
              All points, CSV
            </a>
          </li>
        </ul>
      )}
    </Menu>
  )
}
