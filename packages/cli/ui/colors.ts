import { computed } from '@preact/signals'
import type { RunSummary } from '../src/board/protocol.ts'
import { groupBy, groupOf, placeOfGroup, type RunGroup } from './groups.ts'
import { markOf, marks } from './marks.ts'
import { paletteColor, paletteDash } from './palette.ts'
import { isRecord, setting } from './setting.ts'
import { isDark } from './theme.ts'

/** Colours that the user chose for groups, by title. */
export const groupColors = setting<Readonly<Record<string, string>>>('group-colors', {}, isRecord, { isLinked: false })

/** Another one whenever names or colours of lines may have changed. */
export const lineLooks = computed(() => [marks.value, groupBy.value, groupColors.value, isDark.value])

type Titled = Pick<RunGroup, 'id' | 'title'>

export const colorOfGroup = (group: Titled): string => groupColors.value[group.title] ?? paletteColor(placeOfGroup(group), isDark.value)
export const dashOfGroup = (group: Titled): readonly number[] => (group.title in groupColors.value ? [] : paletteDash(placeOfGroup(group)))

/** Its own, where somebody chose one; else that of its group, if it is in any. */
export function colorOf(run: RunSummary): string {
  const group = groupOf(run)
  return markOf(run).color || (group ? colorOfGroup(group) : paletteColor(run.id, isDark.value))
}

export function dashOf(run: RunSummary): readonly number[] {
  const group = groupOf(run)
  return markOf(run).color ? [] : group ? dashOfGroup(group) : paletteDash(run.id)
}

/** What a colour input takes; marks that others wrote are checked to be such. */
export const hexOf = (color: string): string => (/^#[0-9a-f]{6}$/i.test(color) ? color : '#808080')
