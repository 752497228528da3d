import { Graph as DagreGraph, layout } from '@dagrejs/dagre'
import type { Graph, GraphNode } from '../../src/board/run-event.ts'

/** A node as it is drawn: an op, or a closed scope that stands for all that is in it. */
export interface Box {
  name: string
  /** Last part of the name. */
  title: string
  /** Of an op. */
  node: GraphNode | undefined
  /** Of a scope: how many ops it holds. */
  ops: number
  x: number
  y: number
  width: number
  height: number
}

/** The frame of an open scope. */
type Frame = Omit<Box, 'node' | 'ops'>

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

  const known = new Map(graph.nodes.map((node) => [node.name, node]))
  const shown = new Map<string, GraphNode | undefined>()
  for (const node of graph.nodes) {
    const name = shownAs(node.name)
    // An op may have the name of a scope: closed, they are one box.
    shown.set(name, name === node.name && (open.has(name) || !scopes.has(name)) ? node : undefined)
  }
  const frames = new Set<string>()
  for (const [name, node] of shown) {
    const words = Math.max(titleOf(name).length, node ? node.op.length : 8)
    drawing.setNode(name, { width: Math.min(220, words * letter + 34), height: boxHeight + (node && node.op !== titleOf(name) ? 12 : 0) })
    for (let slash = name.lastIndexOf('/'), child = name; slash > 0; slash = name.lastIndexOf('/', slash - 1)) {
      const scope = name.slice(0, slash)
      // A frame of the same name as an op would be the same node of the drawing.
      const frame = `${scope}/`
      if (!frames.has(frame)) drawing.setNode(frame, {})
      frames.add(frame)
      drawing.setParent(child, frame)
      child = frame
    }
  }
  const counts = new Map<string, { from: string; to: string; count: number }>()
  for (const node of graph.nodes) {
    const to = shownAs(node.name)
    for (const input of node.inputs) {
      if (!known.has(input)) continue
      const from = shownAs(input)
      if (from === to) continue
      const key = JSON.stringify([from, to])
      const edge = counts.get(key)
      if (edge) edge.count++
      else counts.set(key, { from, to, count: 1 })
    }
  }
  for (const { from, to } of counts.values()) drawing.setEdge(from, to)
  layout(drawing)

  const at = (name: string) => drawing.node(name) as { x: number; y: number; width: number; height: number }
  return {
    boxes: [...shown].map(([name, node]) => ({ ...at(name), name, title: titleOf(name), node, ops: scopes.get(name) ?? 0 })),
    // Outer ones first: inner ones are drawn over them.
    frames: [...frames]
      .sort((a, b) => a.length - b.length)
      .map((frame) => ({ ...at(frame), name: frame.slice(0, -1), title: titleOf(frame.slice(0, -1)) })),
    edges: [...counts.values()].map(({ from, to, count }) => ({
      from,
      to,
      count,
      points: (drawing.edge(from, to) as { points: { x: number; y: number }[] }).points,
    })),
    width: drawing.graph().width ?? 0,
    height: drawing.graph().height ?? 0,
  }
}
