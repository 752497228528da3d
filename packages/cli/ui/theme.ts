import { computed, effect, signal } from '@preact/signals'
import { oneOf, setting } from './setting.ts'

const themes = ['system', 'light', 'dark'] as const

export type Theme = (typeof themes)[number]

export const theme = setting<Theme>('theme', 'system', oneOf(themes), { isLinked: false })

const query = matchMedia('(prefers-color-scheme: dark)')
const systemIsDark = signal(query.matches)
query.addEventListener('change', () => (systemIsDark.value = query.matches))

export const isDark = computed(() => (theme.value === 'system' ? systemIsDark.value : theme.value === 'dark'))

effect(() => {
  document.documentElement.dataset['theme'] = isDark.value ? 'dark' : 'light'
})

/** A custom property of the page's style, as it is now. */
export const styleOf = (name: string): string => getComputedStyle(document.documentElement).getPropertyValue(name).trim()
