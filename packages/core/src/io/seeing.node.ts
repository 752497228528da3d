import { drawGraph } from '../graph/draw.ts'
import type { Profile } from '../graph/profile.ts'
import { writeWhole } from './whole-file.node.ts'

/** Saves a profile as a trace file (`.json`) that ui.perfetto.dev and chrome://tracing open; see `Profile.toChromeTrace`. */
export async function saveTrace(path: string, profile: Profile): Promise<void> {
  await writeWhole(path, new TextEncoder().encode(profile.toChromeTrace()))
}

/** Saves a drawing of a compiled function as a page (`.html`); see `drawGraph`. */
export async function saveDrawing(path: string, of: Parameters<typeof drawGraph>[0]): Promise<void> {
  await writeWhole(path, new TextEncoder().encode(drawGraph(of)))
}
