import { Graph as DagreGraph, layout } from '@dagrejs/dagre'
import type { Graph, GraphNode } from '../../src/board/run-event.ts'
import { layerQuickly } from './quick-layers.ts'

/** A node as it is drawn: an op, or a closed scope that stands for all that is in it. */
export interface Box {
  name: string
  /** Last part of the name. */
  title: string
  /** Of an op. */
  node: GraphNode | undefined
  /** Of a scope: how many ops it holds. */
  ops: number
  /** How many boxes it is joined to, where these are so many that the lines are left out; else 0. */
  aside: number
  x: number
  y: number
  width: number
  height: number
}

/** The frame of an open scope. */
type Frame = Omit<Box, 'node' | 'ops' | 'aside'>

interface Edge {
  from: string
  to: string
  /** How many edges of the graph it stands for. */
  count: number
  points: readonly { x: number; y: number }[]
}

export interface GraphDrawing {
  boxes: Box[]
  frames: Frame[]
  edges: Edge[]
  width: number
  height: number
}

/** A box that is joined to so many others, as all gradients are or the optimiser, would cover everything with its lines. */
const manyLinks = 8
/** With more boxes than this a good order of them takes seconds to find. */
const mostOrdered = 200

const boxHeight = 30
const letter = 6.7

const titleOf = (name: string): string => name.slice(name.lastIndexOf('/') + 1)

/** Scopes that hold something, by name, with the number of ops in each. */
export function scopesOf({ nodes }: Graph): Map<string, number> {
  const scopes = new Map<string, number>()
  for (const { name } of nodes) {
    for (let slash = name.indexOf('/'); slash >= 0; slash = name.indexOf('/', slash + 1)) {
      const scope = name.slice(0, slash)
      scopes.set(scope, (scopes.get(scope) ?? 0) + 1)
    }
  }
  return scopes
}

/** Lays out the ops and scopes that are to be seen: closed scopes are boxes, open ones frames around what is in them. */
export function layOutGraph(graph: Graph, scopes: ReadonlyMap<string, number>, open: ReadonlySet<string>): GraphDrawing {
  /** The outermost closed scope around a node, or the node itself. */
  const shownAs = (name: string): string => {
    for (let slash = name.indexOf('/'); slash >= 0; slash = name.indexOf('/', slash + 1)) {
      const scope = name.slice(0, slash)
      if (!open.has(scope)) return scope
    }
    return name
  }
  const known = new Map(graph.nodes.map((node) => [node.name, node]))
  const shown = new Map<string, GraphNode | undefined>()
  for (const node of graph.nodes) {
    const name = shownAs(node.name)
    // An op may have the name of a scope: closed, they are one box.
    shown.set(name, name === node.name && (open.has(name) || !scopes.has(name)) ? node : undefined)
  }
  const counts = new Map<string, Link>()
  for (const node of graph.nodes) {
    const to = shownAs(node.name)
    for (const input of node.inputs) {
      if (!known.has(input)) continue
      const from = shownAs(input)
      if (from === to) continue
      const key = JSON.stringify([from, to])
      const link = counts.get(key)
      if (link) link.count++
      else counts.set(key, { from, to, count: 1 })
    }
  }
  const asides = hubs(counts.values())
  const links = [...counts.values()].filter(({ from, to }) => !asides.has(from) && !asides.has(to))
  const sized = [...shown].map(([name, node]): Sized => {
    const words = Math.max(titleOf(name).length, node ? node.op.length : 8)
    const hasSubtitle = node !== undefined && node.op !== titleOf(name)
    return { name, width: Math.min(220, words * letter + 34), height: boxHeight + (hasSubtitle ? 12 : 0) }
  })
  const { places, frames, points, width, height } = sized.length > mostOrdered ? placeQuickly(sized, links) : placeWell(sized, links)
  return {
    boxes: [...shown].map(([name, node]) => ({
      ...places.get(name)!,
      name,
      title: titleOf(name),
      node,
      ops: scopes.get(name) ?? 0,
      aside: asides.get(name) ?? 0,
    })),
    // Outer ones first: inner ones are drawn over them.
    frames: [...frames].sort(([a], [b]) => a.length - b.length).map(([name, place]) => ({ ...place, name, title: titleOf(name) })),
    edges: links.map((link) => ({ ...link, points: points(link) })),
    width,
    height,
  }
}

type Link = Omit<Edge, 'points'>
type Place = Pick<Box, 'x' | 'y' | 'width' | 'height'>
export type Sized = Pick<Box, 'name' | 'width' | 'height'>

interface Placement {
  places: ReadonlyMap<string, Place>
  frames: ReadonlyMap<string, Place>
  points: (link: Link) => Edge['points']
  width: number
  height: number
}

/** Boxes that are joined to many others, and to how many. */
function hubs(links: Iterable<Link>): Map<string, number> {
  const neighbours = new Map<string, Set<string>>()
  const join = (one: string, other: string): void => {
    if (!neighbours.has(one)) neighbours.set(one, new Set())
    neighbours.get(one)!.add(other)
  }
  for (const { from, to } of links) {
    join(from, to)
    join(to, from)
  }
  return new Map([...neighbours].filter(([, others]) => others.size >= manyLinks).map(([name, others]) => [name, others.size]))
}

/** The scopes around a box, innermost first. */
function scopesAround(name: string): string[] {
  const found: string[] = []
  for (let slash = name.lastIndexOf('/'); slash > 0; slash = name.lastIndexOf('/', slash - 1)) found.push(name.slice(0, slash))
  return found
}

/** By dagre: few crossings, frames that hold nothing else. */
function placeWell(sized: readonly Sized[], links: readonly Link[]): Placement {
  const drawing = new DagreGraph<{
    rankdir: string
    nodesep: number
    ranksep: number
    marginx: number
    marginy: number
    width?: number
    height?: number
  }>({ compound: true })
  drawing.setGraph({ rankdir: 'TB', nodesep: 26, ranksep: 42, marginx: 24, marginy: 24 })
  drawing.setDefaultEdgeLabel(() => ({}))
  const frames = new Set<string>()
  for (const { name, width, height } of sized) {
    drawing.setNode(name, { width, height })
    let child = name
    for (const scope of scopesAround(name)) {
      // A frame of the same name as an op would be the same node of the drawing.
      const frame = `${scope}/`
      if (!frames.has(scope)) drawing.setNode(frame, {})
      frames.add(scope)
      drawing.setParent(child, frame)
      child = frame
    }
  }
  for (const { from, to } of links) drawing.setEdge(from, to)
  layout(drawing)
  const at = (name: string) => drawing.node(name) as Place
  return {
    places: new Map(sized.map(({ name }) => [name, at(name)])),
    frames: new Map([...frames].map((scope) => [scope, at(`${scope}/`)])),
    points: ({ from, to }) => (drawing.edge(from, to) as { points: { x: number; y: number }[] }).points,
    width: drawing.graph().width ?? 0,
    height: drawing.graph().height ?? 0,
  }
}

/** Layer by layer, in no time: lines are straight, and frames may hold what is not theirs. */
function placeQuickly(sized: readonly Sized[], links: readonly Link[]): Placement {
  const { places, width, height } = layerQuickly(sized, links)
  const frames = new Map<string, Place>()
  for (const [name, place] of places) for (const scope of scopesAround(name)) frames.set(scope, around(frames.get(scope), place))
  const points = ({ from, to }: Link) => {
    const [upper, lower] = [places.get(from)!, places.get(to)!]
    return [
      { x: upper.x, y: upper.y + upper.height / 2 },
      { x: lower.x, y: lower.y - lower.height / 2 },
    ]
  }
  return { places, frames, points, width, height }
}

const frameRoom = 20

/** A frame that holds a box too. */
function around(frame: Place | undefined, box: Place): Place {
  const reach = ({ x, y, width, height }: Place, room: number) =>
    [x - width / 2 - room, x + width / 2 + room, y - height / 2 - room, y + height / 2 + room] as const
  const one = reach(box, frameRoom)
  const other = frame ? reach(frame, 0) : one
  const [left, right] = [Math.min(one[0], other[0]), Math.max(one[1], other[1])]
  const [top, bottom] = [Math.min(one[2], other[2]), Math.max(one[3], other[3])]
  return { x: (left + right) / 2, y: (top + bottom) / 2, width: right - left, height: bottom - top }
}
