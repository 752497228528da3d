import type { Callback } from './callback.ts'
export type DisplayMode = 'auto' | 'live' | 'plain' | 'json' | 'quiet'
export function displayCallback(_mode: DisplayMode = 'auto'): Callback[] {
  return []
}
