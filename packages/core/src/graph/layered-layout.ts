/**
 * Places the nodes of an acyclic graph in layers, each below all that leads to it, so that few edges cross and most run straight
 * (Sugiyama, Tagawa and Toda 1981; layers by longest path, order by barycentres, places by isotonic regression).
 */
interface Box {
  readonly width: number
  readonly height: number
}

export interface Point {
  readonly x: number
  readonly y: number
}

interface Layout {
  readonly width: number
  readonly height: number
  /** The upper left corner of each box. */
  readonly corners: readonly Point[]
  /** Through which points each edge goes, from the lower side of its first box to the upper side of its second. */
  readonly routes: readonly (readonly Point[])[]
}

interface Edge {
  readonly from: number
  readonly to: number
}

/** A box, or a place where an edge passes through a layer. */
interface Slot {
  readonly width: number
  readonly height: number
  readonly layer: number
  readonly isBox: boolean
  readonly above: Slot[]
  readonly below: Slot[]
  /** Middle. */
  x: number
}

const GAP = 26
const PASS_GAP = 10
const LAYER_GAP = 50
const PASS_WIDTH = 4
/** How much more it counts where a box is, and that boxes are below each other, than where an edge passes. */
const BOX_WEIGHT = 12
const SWEEPS = 12

/** @param edges From boxes to boxes, without cycles. */
export function layoutLayers(boxes: readonly Box[], edges: readonly Edge[]): Layout {
  const layerOf = assignLayers(boxes.length, edges)
  const slots = boxes.map(({ width, height }, i): Slot => ({ width, height, layer: layerOf[i]!, isBox: true, above: [], below: [], x: 0 }))
  const layers: Slot[][] = Array.from({ length: Math.max(-1, ...layerOf) + 1 }, () => [])
  for (const slot of slots) layers[slot.layer]!.push(slot)
  const chains = edges.map(({ from, to }) => chain(slots[from]!, slots[to]!, layers))
  orderLayers(layers)
  placeSlots(layers)

  const tops: number[] = []
  let height = 0
  for (const layer of layers) {
    tops.push(height)
    height += Math.max(...layer.map((s) => s.height)) + LAYER_GAP
  }
  const all = layers.flat()
  const leftmost = Math.min(0, ...all.map((s) => s.x - s.width / 2))
  for (const slot of all) slot.x -= leftmost
  const heights = layers.map((layer) => Math.max(...layer.map((s) => s.height)))
  const middleY = ({ layer }: Slot) => tops[layer]! + heights[layer]! / 2
  return {
    width: Math.max(0, ...all.map((s) => s.x + s.width / 2)),
    height: Math.max(0, height - LAYER_GAP),
    corners: slots.map((s) => ({ x: s.x - s.width / 2, y: middleY(s) - s.height / 2 })),
    routes: chains.map((passed) => {
      const [first, last] = [passed[0]!, passed.at(-1)!]
      return [
        { x: portX(first, first.below, passed[1]!), y: middleY(first) + first.height / 2 },
        ...passed.slice(1, -1).flatMap(({ x, layer }) => [tops[layer]!, tops[layer]! + heights[layer]!].map((y) => ({ x, y }))),
        { x: portX(last, last.above, passed.at(-2)!), y: middleY(last) - last.height / 2 },
      ]
    }),
  }
}

/** The longest path that leads to each node; what nothing leads to goes just above what it leads to. */
function assignLayers(count: number, edges: readonly Edge[]): number[] {
  const layers = new Array<number>(count).fill(0)
  const incoming = Array.from({ length: count }, () => 0)
  for (const { to } of edges) incoming[to]!++
  const waiting = [...incoming]
  const ready = waiting.flatMap((n, i) => (n === 0 ? [i] : []))
  for (let next = ready.pop(); next !== undefined; next = ready.pop()) {
    for (const { from, to } of edges) {
      if (from !== next) continue
      layers[to] = Math.max(layers[to]!, layers[next]! + 1)
      if (--waiting[to]! === 0) ready.push(to)
    }
  }
  for (let i = 0; i < count; i++) {
    const after = edges.filter(({ from }) => from === i).map(({ to }) => layers[to]!)
    if (incoming[i] === 0 && after.length > 0) layers[i] = Math.min(...after) - 1
  }
  return layers
}

/** Leads an edge through all layers between its ends. */
function chain(from: Slot, to: Slot, layers: Slot[][]): Slot[] {
  const passed = [from]
  for (let layer = from.layer + 1; layer < to.layer; layer++) {
    const slot: Slot = { width: PASS_WIDTH, height: 0, layer, isBox: false, above: [], below: [], x: 0 }
    layers[layer]!.push(slot)
    passed.push(slot)
  }
  passed.push(to)
  for (let i = 1; i < passed.length; i++) {
    passed[i - 1]!.below.push(passed[i]!)
    passed[i]!.above.push(passed[i - 1]!)
  }
  return passed
}

function weightedMean(places: readonly { x: number; weight: number }[]): number {
  const total = places.reduce((sum, { weight }) => sum + weight, 0)
  return places.reduce((sum, { x, weight }) => sum + x * weight, 0) / total
}

const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length

/** Moves slots to the mean place of their neighbours, downwards and upwards in turns; keeps the order with the fewest crossings. */
function orderLayers(layers: Slot[][]): void {
  const number = () => layers.forEach((layer) => layer.forEach((slot, i) => (slot.x = i)))
  number()
  let best = layers.map((layer) => [...layer])
  let fewest = crossings(layers)
  for (let sweep = 0; sweep < SWEEPS && fewest > 0; sweep++) {
    const down = sweep % 2 === 0
    for (const layer of down ? layers : layers.toReversed()) {
      const wish = new Map(layer.map((slot) => [slot, mean((down ? slot.above : slot.below).map((s) => s.x).concat(slot.x * 0.001))]))
      const neighbours = (slot: Slot) => (down ? slot.above : slot.below).length
      layer.sort((a, b) => (neighbours(a) && neighbours(b) ? wish.get(a)! - wish.get(b)! : a.x - b.x))
      layer.forEach((slot, i) => (slot.x = i))
    }
    const now = crossings(layers)
    if (now < fewest) {
      fewest = now
      best = layers.map((layer) => [...layer])
    }
  }
  best.forEach((layer, i) => (layers[i] = layer))
  number()
}

function crossings(layers: readonly (readonly Slot[])[]): number {
  let count = 0
  for (const layer of layers) {
    const ends = layer.flatMap((slot) => slot.below.map((s) => s.x).sort((a, b) => a - b))
    for (let i = 0; i < ends.length; i++) for (let j = i + 1; j < ends.length; j++) if (ends[j]! < ends[i]!) count++
  }
  return count
}

/** Puts each slot as near to the mean of its neighbours as its layer leaves room for, again and again. */
function placeSlots(layers: readonly (readonly Slot[])[]): void {
  for (const layer of layers)
    place(
      layer,
      layer.map(() => 0),
    )
  for (let sweep = 0; sweep < 2 * SWEEPS; sweep++) {
    const both = sweep >= SWEEPS
    for (const layer of sweep % 2 === 0 ? layers : layers.toReversed()) {
      place(
        layer,
        layer.map((slot) => {
          const near = both ? [...slot.above, ...slot.below] : sweep % 2 === 0 ? slot.above : slot.below
          return near.length > 0 ? weightedMean(near.map(({ x, isBox }) => ({ x, weight: isBox && slot.isBox ? BOX_WEIGHT : 1 }))) : slot.x
        }),
      )
    }
  }
}

/** Nearest places to what is wished for, in order and without overlap: isotonic regression by pooling neighbours. */
function place(layer: readonly Slot[], wishes: readonly number[]): void {
  const starts: number[] = []
  layer.forEach((slot, i) => {
    const previous = layer[i - 1]
    starts.push(previous ? starts[i - 1]! + (previous.width + slot.width) / 2 + (previous.isBox || slot.isBox ? GAP : PASS_GAP) : 0)
  })
  const pools: { sum: number; weight: number; count: number }[] = []
  wishes.forEach((wish, i) => {
    const weight = layer[i]!.isBox ? BOX_WEIGHT : 1
    let pool = { sum: (wish - starts[i]!) * weight, weight, count: 1 }
    for (let last = pools.at(-1); last && last.sum / last.weight > pool.sum / pool.weight; last = pools.at(-1)) {
      pools.pop()
      pool = { sum: pool.sum + last.sum, weight: pool.weight + last.weight, count: pool.count + last.count }
    }
    pools.push(pool)
  })
  const places = pools.flatMap(({ sum, weight, count }) => new Array<number>(count).fill(sum / weight))
  layer.forEach((slot, i) => (slot.x = places[i]! + starts[i]!))
}

/** Where on a box's side an edge to `other` begins: spread over the middle, in the order of the other ends. */
function portX(slot: Slot, side: readonly Slot[], other: Slot): number {
  const sorted = side.toSorted((a, b) => a.x - b.x)
  const width = Math.min(slot.width * 0.8, 64 * (sorted.length - 1))
  const share = sorted.length > 1 ? sorted.indexOf(other) / (sorted.length - 1) - 0.5 : 0
  return slot.x + share * width
}
