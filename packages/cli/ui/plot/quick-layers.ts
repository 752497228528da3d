import type { Sized } from './graph-layout.ts'

interface Placed {
  x: number
  y: number
  width: number
  height: number
}

const gap = 26
const layerGap = 42
const margin = 24
/** A layer has room for so many boxes at least; more than 1.5 times the root of their number go on in a row below. */
const fewest = 12
/** Sweeps that move boxes towards what they are joined to: further ones change little. */
const sweeps = 4

/**
 * Places boxes in layers, each below all that it follows from, in linear time but for sorting: within a layer they are ordered by where their
 * neighbours lie (the barycentre heuristic of Sugiyama, Tagawa and Toda, 1981). Edges that close a circle are passed over.
 */
export function layerQuickly(
  boxes: readonly Sized[],
  links: readonly { from: string; to: string }[],
): { places: Map<string, Placed>; width: number; height: number } {
  const readers = new Map<string, string[]>(boxes.map(({ name }) => [name, []]))
  const sources = new Map<string, string[]>(boxes.map(({ name }) => [name, []]))
  for (const { from, to } of links) {
    readers.get(from)!.push(to)
    sources.get(to)!.push(from)
  }
  const depth = depths(boxes, readers, sources)
  const byDepth: Sized[][] = Array.from({ length: Math.max(0, ...depth.values()) + 1 }, () => [])
  for (const box of boxes) byDepth[depth.get(box.name)!]!.push(box)
  const widest = Math.max(fewest, Math.ceil(1.5 * Math.sqrt(boxes.length)))
  const layers = byDepth.flatMap((layer) =>
    Array.from({ length: Math.ceil(layer.length / widest) }, (_, i) => layer.slice(i * widest, (i + 1) * widest)),
  )

  const places = new Map<string, Placed>()
  const spread = (layer: readonly Sized[], y: number): void => {
    const room = layer.reduce((sum, { width }) => sum + width + gap, -gap)
    let x = -room / 2
    for (const { name, width, height } of layer) {
      places.set(name, { x: x + width / 2, y, width, height })
      x += width + gap
    }
  }
  let bottom = margin
  for (const layer of layers) {
    const height = Math.max(...layer.map((box) => box.height))
    spread(layer, bottom + height / 2)
    bottom += height + layerGap
  }
  for (let sweep = 0; sweep < sweeps; sweep++) {
    const [down, joined] = sweep % 2 === 0 ? [true, sources] : [false, readers]
    for (const layer of down ? layers : layers.toReversed()) {
      const wish = new Map(layer.map(({ name }) => [name, middle(joined.get(name)!, places) ?? places.get(name)!.x]))
      layer.sort((a, b) => wish.get(a.name)! - wish.get(b.name)!)
      spread(layer, places.get(layer[0]!.name)!.y)
    }
  }
  const left = Math.min(...layers.map(([first]) => places.get(first!.name)!.x - first!.width / 2)) - margin
  for (const place of places.values()) place.x -= left
  return { places, width: -2 * left, height: bottom - layerGap + margin }
}

/** How many layers lie above each box. */
function depths(
  boxes: readonly Sized[],
  readers: ReadonlyMap<string, readonly string[]>,
  sources: ReadonlyMap<string, readonly string[]>,
): Map<string, number> {
  const depth = new Map<string, number>()
  const waitsFor = new Map(boxes.map(({ name }) => [name, sources.get(name)!.length]))
  const ready = boxes.filter(({ name }) => waitsFor.get(name) === 0).map(({ name }) => name)
  const place = (name: string): void => {
    depth.set(name, Math.max(0, ...sources.get(name)!.map((source) => (depth.get(source) ?? -1) + 1)))
    for (const reader of readers.get(name)!) {
      waitsFor.set(reader, waitsFor.get(reader)! - 1)
      if (waitsFor.get(reader) === 0) ready.push(reader)
    }
  }
  for (let next = 0; depth.size < boxes.length;) {
    for (; next < ready.length; next++) if (!depth.has(ready[next]!)) place(ready[next]!)
    // A circle, from whose first box it goes on.
    const stuck = boxes.find(({ name }) => !depth.has(name))
    if (stuck) place(stuck.name)
  }
  // What follows from nothing, such as weights, lies beside what needs it rather than all in the first layer.
  for (const [name, before] of sources) {
    const below = readers.get(name)!.map((reader) => depth.get(reader)!)
    if (before.length === 0 && below.length > 0) depth.set(name, Math.max(0, Math.min(...below) - 1))
  }
  return depth
}

function middle(names: readonly string[], places: ReadonlyMap<string, Placed>): number | undefined {
  return names.length > 0 ? names.reduce((sum, name) => sum + places.get(name)!.x, 0) / names.length : undefined
}
