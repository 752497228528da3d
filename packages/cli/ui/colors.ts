import type { RunSummary } from '../src/board/protocol.ts'
import { groupPlaceOf, placeOfGroup } from './groups.ts'
import { markOf } from './marks.ts'
import { paletteColor, paletteDash } from './palette.ts'
import { isDark } from './theme.ts'

/** Place in the palette: runs of a group share one. */
const placeOf = (run: RunSummary): number => groupPlaceOf(run) ?? run.id

export const colorOf = (run: RunSummary): string => markOf(run).color || paletteColor(placeOf(run), isDark.value)
export const dashOf = (run: RunSummary): readonly number[] => (markOf(run).color ? [] : paletteDash(placeOf(run)))
export const colorOfGroup = (id: number): string => paletteColor(placeOfGroup(id), isDark.value)
export const dashOfGroup = (id: number): readonly number[] => paletteDash(placeOfGroup(id))

/** What a colour input takes; marks that others wrote are checked to be such. */
export const hexOf = (color: string): string => (/^#[0-9a-f]{6}$/i.test(color) ? color : '#808080')
