import { useEffect, useMemo, useRef, useState } from 'preact/hooks'
import type { Graph, GraphNode } from '../../src/board/run-event.ts'
import { fetchGraph } from '../api.ts'
import { versionOf } from '../live.ts'
import { nameOf } from '../marks.ts'
import { Empty } from '../part/empty.tsx'
import { useWidth } from '../part/use-element.ts'
import { useFetched } from '../part/use-fetched.ts'
import { type Box, type GraphDrawing, layOutGraph, scopesOf } from '../plot/graph-layout.ts'
import { visibleRuns } from '../shown-runs.ts'
import { count } from '../words.ts'

/** The graph of one run. */
export function GraphView() {
  const runs = visibleRuns.value.filter(({ graph }) => graph)
  const [chosen, setChosen] = useState<number>()
  const run = runs.find(({ id }) => id === chosen) ?? runs[0]
  const { value: reply, error } = useFetched(
    (signal) => fetchGraph({ run: run!.id }, signal),
    String(run?.id),
    run ? versionOf([run.id]) : 0,
    run !== undefined,
  )
  if (!run) return <Empty what="graphs" />
  return (
    <div class="graph-view">
      <div class="toolbar" role="group" aria-label="Which graph is shown">
        <label class="select">
          Run
          <select value={run.id} onChange={(event) => setChosen(Number(event.currentTarget.value))}>
            {runs.map((each) => (
              <option key={each.id} value={each.id}>
                {nameOf(each)}
              </option>
            ))}
          </select>
        </label>
        {reply && (
          <span class="faint">
            {count(reply.graph.nodes.length, 'op')}. Click a scope to open it, an op for its details. Dashed boxes are joined to so many
            others that their lines are left out.
          </span>
        )}
      </div>
      {error !== undefined && <p class="error">{error}</p>}
      {reply && <Explorer key={`${run.id} ${reply.graph.nodes.length}`} graph={reply.graph} />}
    </div>
  )
}

/** Graphs of so few ops are shown in full from the start. */
const few = 40

function Explorer({ graph }: { graph: Graph }) {
  const scopes = useMemo(() => scopesOf(graph), [graph])
  const [open, setOpen] = useState<ReadonlySet<string>>(() => new Set(graph.nodes.length <= few ? scopes.keys() : []))
  const [selected, setSelected] = useState<string>()
  const drawing = useMemo(() => layOutGraph(graph, scopes, open), [graph, open])
  const toggle = (scope: string): void => {
    const next = new Set(open)
    if (next.has(scope)) for (const other of open) if (other === scope || other.startsWith(`${scope}/`)) next.delete(other)
    if (!open.has(scope)) next.add(scope)
    setOpen(next)
  }
  const node = graph.nodes.find(({ name }) => name === selected)
  return (
    <div class="explorer">
      <Canvas drawing={drawing} scopes={scopes} selected={selected} onToggle={toggle} onSelect={setSelected} />
      {node && <Details node={node} graph={graph} onSelect={setSelected} onClose={() => setSelected(undefined)} />}
    </div>
  )
}

/** What the buttons at the foot of the drawing cover, in CSS pixels. */
const buttonsHeight = 52
/** A drawing that is longer than the window is not made smaller than this, but begins at its top. */
const leastScale = 0.7

interface CanvasProps {
  drawing: GraphDrawing
  scopes: ReadonlyMap<string, number>
  selected: string | undefined
  onToggle: (scope: string) => void
  onSelect: (name: string) => void
}

/** The drawing in a window that is moved by dragging and scaled by the wheel. */
function Canvas({ drawing, scopes, selected, onToggle, onSelect }: CanvasProps) {
  const root = useRef<SVGSVGElement>(null)
  const [view, setView] = useState({ x: 0, y: 0, scale: 1 })
  const drag = useRef<{ x: number; y: number } | undefined>(undefined)
  const frame = useRef<HTMLDivElement>(null)
  const width = useWidth(frame)
  // Whoever has moved the drawing keeps it where it is when the window changes.
  const isMoved = useRef(false)
  const fit = (): void => {
    isMoved.current = false
    const { clientWidth, clientHeight } = root.current!
    const room = clientHeight - buttonsHeight
    const scale = Math.min(1.25, clientWidth / Math.max(1, drawing.width), Math.max(leastScale, room / Math.max(1, drawing.height)))
    setView({ scale, x: (clientWidth - drawing.width * scale) / 2, y: Math.max(0, (room - drawing.height * scale) / 2) })
  }
  useEffect(fit, [drawing])
  useEffect(() => {
    if (!isMoved.current) fit()
  }, [width])
  const zoom = (factor: number, x: number, y: number): void => {
    isMoved.current = true
    const scale = Math.min(4, Math.max(0.05, view.scale * factor))
    const ratio = scale / view.scale
    setView({ scale, x: x - (x - view.x) * ratio, y: y - (y - view.y) * ratio })
  }
  const middle = (): [number, number] => [root.current!.clientWidth / 2, root.current!.clientHeight / 2]
  // Of an op that is read by the selected one, or reads it.
  const touches = ({ from, to }: { from: string; to: string }): boolean => selected !== undefined && (from === selected || to === selected)
  return (
    <div class="graph-canvas" ref={frame}>
      <svg
        ref={root}
        role="group"
        aria-label="Graph: scopes and ops in the order of the data"
        onWheel={(event) => {
          event.preventDefault()
          const box = event.currentTarget.getBoundingClientRect()
          zoom(Math.exp(-event.deltaY / 400), event.clientX - box.left, event.clientY - box.top)
        }}
        onPointerDown={(event) => (drag.current = { x: event.clientX - view.x, y: event.clientY - view.y })}
        onPointerMove={(event) => {
          if (!drag.current || !event.buttons) return
          isMoved.current = true
          setView({ ...view, x: event.clientX - drag.current.x, y: event.clientY - drag.current.y })
        }}
        onPointerUp={() => (drag.current = undefined)}
      >
        <defs>
          <marker
            id="arrow"
            viewBox="0 0 8 8"
            refX="7"
            refY="4"
            markerWidth="9"
            markerHeight="9"
            markerUnits="userSpaceOnUse"
            orient="auto-start-reverse"
          >
            <path d="M0 0L8 4L0 8z" class="arrow-head" />
          </marker>
        </defs>
        <g transform={`translate(${view.x} ${view.y}) scale(${view.scale})`}>
          {drawing.frames.map((frame) => (
            <g key={frame.name} class="frame" transform={`translate(${frame.x - frame.width / 2} ${frame.y - frame.height / 2})`}>
              <rect width={frame.width} height={frame.height} rx={8} />
              <g
                role="button"
                tabIndex={0}
                aria-expanded={true}
                aria-label={`Scope ${frame.name}`}
                {...pressed(() => onToggle(frame.name))}
              >
                <text x={10} y={16}>
                  {frame.title} −
                </text>
              </g>
            </g>
          ))}
          {drawing.edges.map((edge) => (
            <path
              key={`${edge.from} ${edge.to}`}
              class={touches(edge) ? 'edge strong' : 'edge'}
              d={curve(edge.points)}
              stroke-width={Math.min(4, 1 + Math.log2(edge.count))}
              marker-end="url(#arrow)"
            />
          ))}
          {drawing.boxes.map((box) => (
            <BoxDrawing
              key={box.name}
              box={box}
              isScope={!box.node && scopes.has(box.name)}
              isSelected={box.name === selected}
              onPress={() => (box.node ? onSelect(box.name) : onToggle(box.name))}
            />
          ))}
        </g>
      </svg>
      <div class="graph-buttons">
        <button type="button" aria-label="Closer" onClick={() => zoom(1.4, ...middle())}>
          +
        </button>
        <button type="button" aria-label="Farther" onClick={() => zoom(1 / 1.4, ...middle())}>
          −
        </button>
        <button type="button" onClick={fit}>
          Fit
        </button>
      </div>
    </div>
  )
}

function BoxDrawing({ box, isScope, isSelected, onPress }: { box: Box; isScope: boolean; isSelected: boolean; onPress: () => void }) {
  const { x, y, width, height, title, node, ops, aside } = box
  const twoLines = node !== undefined && node.op !== title
  const most = Math.floor((width - 16) / 6.4)
  return (
    <g
      class={`box${isScope ? ' scope' : ''}${aside > 0 ? ' aside' : ''}${isSelected ? ' selected' : ''}`}
      transform={`translate(${x - width / 2} ${y - height / 2})`}
      role="button"
      tabIndex={0}
      aria-expanded={isScope ? false : undefined}
      aria-label={isScope ? `Scope ${box.name}, ${count(ops, 'op')}` : `${node?.op ?? ''} ${box.name}`}
      {...pressed(onPress)}
    >
      <title>{aside > 0 ? `${box.name}, joined to ${aside} others` : box.name}</title>
      <rect width={width} height={height} rx={isScope ? 8 : height / 2} />
      <text x={width / 2} y={twoLines ? 18 : height / 2} dy={twoLines ? 0 : '0.35em'} text-anchor="middle">
        {title.length > most ? `${title.slice(0, most - 1)}…` : title}
        {isScope && <tspan class="tick"> {ops}</tspan>}
      </text>
      {twoLines && (
        <text class="tick" x={width / 2} y={33} text-anchor="middle">
          {node.op}
        </text>
      )}
    </g>
  )
}

/** What a button of a drawing needs to be one. */
const pressed = (action: () => void) => ({
  onClick: action,
  onKeyDown: (event: KeyboardEvent) => {
    if (event.key !== 'Enter' && event.key !== ' ') return
    event.preventDefault()
    action()
  },
})

interface DetailsProps {
  node: GraphNode
  graph: Graph
  onSelect: (name: string) => void
  onClose: () => void
}

function Details({ node, graph, onSelect, onClose }: DetailsProps) {
  const readers = graph.nodes.filter(({ inputs }) => inputs.includes(node.name)).map(({ name }) => name)
  return (
    <aside class="details" aria-label={`Details of ${node.name}`}>
      <header>
        <h3>{node.name}</h3>
        <button type="button" class="quiet" aria-label="Close details" onClick={onClose}>
          ✕
        </button>
      </header>
      <dl>
        <dt>Op</dt>
        <dd>{node.op || '–'}</dd>
        {Object.entries(node.attributes).map(([name, value]) => (
          <>
            <dt key={name}>{name}</dt>
            <dd>{value}</dd>
          </>
        ))}
      </dl>
      <Links title="Reads" names={node.inputs} onSelect={onSelect} />
      <Links title="Read by" names={readers} onSelect={onSelect} />
    </aside>
  )
}

function Links({ title, names, onSelect }: { title: string; names: readonly string[]; onSelect: (name: string) => void }) {
  if (names.length === 0) return null
  return (
    <>
      <h4>{title}</h4>
      <ul>
        {names.map((name) => (
          <li key={name}>
            <button type="button" class="quiet" onClick={() => onSelect(name)}>
              {name}
            </button>
          </li>
        ))}
      </ul>
    </>
  )
}

/** A line through the points that bends in the middle between them. */
function curve(points: readonly { x: number; y: number }[]): string {
  const [first, ...rest] = points
  if (!first || rest.length === 0) return ''
  let text = `M${first.x} ${first.y}`
  rest.slice(0, -1).forEach((point, i) => {
    const next = rest[i + 1]!
    const isLast = i === rest.length - 2
    text += `Q${point.x} ${point.y} ${isLast ? next.x : (point.x + next.x) / 2} ${isLast ? next.y : (point.y + next.y) / 2}`
  })
  return rest.length === 1 ? `${text}L${rest[0]!.x} ${rest[0]!.y}` : text
}
