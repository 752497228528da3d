import { gradientsOf } from '../../autograd/backward.ts'
import { variableOf } from '../../autograd/grad.ts'
import type { GradientRule } from '../../autograd/tape.ts'
import { type DType, isFloat } from '../../dtype.ts'
import type { ControlOperand } from '../../engine/control.ts'
import { CotangentError } from '../../errors.ts'
import { type Shape, type Spec, spec as specOf } from '../../layout.ts'
import { bind } from '../../tensor/bind.ts'
import { modes, noGrad, withModes } from '../../tensor/modes.ts'
import type { Primitive } from '../../tensor/primitive.ts'
import type { Tensor } from '../../tensor/tensor.ts'
import { leavesOf, mapTree } from '../../tree.ts'
import { lower } from '../lower.ts'
import { isTensor, type Packs, type Past, Recorder, traceWithin } from '../trace.ts'
import { Body, type Flow, type Wiring } from './flow.ts'

export const tensorsOf = (tree: unknown): Tensor[] => leavesOf(tree, isTensor)

/** The tree with other tensors in the places of its own. */
export function withTensors<T>(tree: T, tensors: readonly Tensor[]): T {
  let next = 0
  return mapTree(tree, isTensor, () => tensors[next++]!) as T
}

/** The trace that control flow called here belongs to; null where it runs at once, or is transformed. */
export const recording = (): Recorder | null => (modes.tracer instanceof Recorder ? modes.tracer : null)

/** Control flow works on dense memory. */
export const dense = (tensors: readonly Tensor[]): Tensor[] => tensors.map((x) => x.contiguous())

/** Of one item along the first axis. */
export const rowOf = ({ dtype, shape }: Spec): Spec => specOf(dtype, shape.slice(1))

/** Of `length` of them. */
export const rowsOf = ({ dtype, shape }: Spec, length: number): Spec => specOf(dtype, [length, ...shape])

/** A branch, or the body of a loop, as it was traced. */
export class Subgraph {
  /** What it returned, with tensors that stand for it. */
  readonly result: unknown
  /** Its tensors' specs, in order. */
  readonly specs: readonly Spec[]
  /** What it uses from outside: inputs of the body, behind its arguments. */
  readonly captured: readonly Tensor[]
  readonly sources: readonly Tensor[]
  /** Those of `captured` that it writes. What they are in the end are the body's last outputs. */
  readonly written: readonly Tensor[]
  /** Whether running it does more than computing its results. */
  readonly effect: boolean
  readonly body: Body
  readonly #packs: Packs

  /**
   * @param given Dense arguments for `f`; with `packs`, it runs again with those numbers, which come behind the arguments.
   * @param specOfPack How one run sees the packs.
   */
  constructor(
    op: string,
    around: Recorder,
    f: (...args: Tensor[]) => unknown,
    given: readonly Spec[],
    packs: Packs | null = null,
    specOfPack: (spec: Spec) => Spec = (spec) => spec,
  ) {
    const specs = [...given, ...tensorsOf(packs).map((x) => specOfPack(x.spec))]
    const traced = traceWithin(
      op,
      around,
      (...args) => {
        const own = args.slice(0, given.length)
        return packs ? recording()!.replay(withTensors(packs, args.slice(given.length)), [], () => f(...own)) : f(...own)
      },
      specs,
    )
    const { host, nodes } = traced.graph
    this.body = new Body(lower(traced.graph))
    this.#packs = traced.packs
    this.result = traced.result
    this.specs = tensorsOf(traced.result).map((x) => x.spec)
    this.captured = traced.captured
    this.sources = traced.sources
    this.written = traced.written
    this.effect =
      host.some(({ kind }) => kind !== 'given') || nodes.some(({ plan }) => plan.program?.kind === 'control' && plan.program.effect)
  }

  /** What a run gives besides its results, for `packs`. */
  get packSpecs(): Spec[] {
    const inner = tensorsOf(this.#packs).map((x) => x.spec)
    return this.body.numbers > 0 ? [...inner, specOf('int32', [2 * this.body.numbers])] : inner
  }

  /** The numbers that it was given, of tensors of `packSpecs`. */
  packs(tensors: readonly Tensor[]): Packs {
    return [this.body.numbers > 0 ? tensors.at(-1)! : null, ...withTensors(this.#packs, tensors)]
  }

  /**
   * Where the control flow has what the body works on.
   *
   * @param at Positions of its arguments (with packs), and of memory from outside; of its results, of its packs, and of what it
   *   writes, by that memory.
   */
  wiring(at: {
    readonly args: readonly number[]
    readonly captured: (x: Tensor) => number
    readonly results: readonly number[]
    readonly packs: readonly number[]
    readonly written: (x: Tensor) => number
  }): Wiring {
    const inner = at.packs.slice(0, tensorsOf(this.#packs).length)
    return {
      inputs: [...at.args, ...this.captured.map(at.captured)],
      // Numbers of its own come behind all that the program itself makes.
      outputs: [...at.results, ...inner, ...this.written.map(at.written), ...at.packs.slice(inner.length)],
    }
  }
}

/** What branches or bodies have to do with memory around the control flow. */
interface Outside {
  /** Those that any of them writes. */
  readonly written: readonly Tensor[]
  /** Others that they use. */
  readonly captured: readonly Tensor[]
  /** Those that gradients go to. */
  readonly sources: readonly Tensor[]
}

/**
 * What these functions use of the memory around, each once.
 *
 * @param passed Operands of the control flow, which may not lie in memory that is written.
 */
export function outsideOf(op: string, subgraphs: readonly Subgraph[], passed: readonly Tensor[]): Outside {
  const seen = new Set<object>()
  const first = ({ memory }: Tensor) => !seen.has(memory) && seen.add(memory)
  const written = subgraphs.flatMap((subgraph) => subgraph.written).filter(first)
  checkWritten(op, written, passed)
  return { written, captured: subgraphs.flatMap((subgraph) => subgraph.captured).filter(first), sources: sourcesOf(subgraphs) }
}

/** Finds the position of a tensor's memory, given that of some tensors. */
export function placesOf(tensors: readonly Tensor[], positions: readonly number[]): (x: Tensor) => number {
  const places = new Map(tensors.map(({ memory }, i) => [memory, positions[i]!]))
  return ({ memory }) => places.get(memory)!
}

/** Memory as it is before a control flow that overwrites it: a copy if a gradient may ask for it. */
export function valuesBefore(written: readonly Tensor[], isKept: boolean): Tensor[] {
  return noGrad(() => written.map((x) => (isKept ? x.clone() : x)))
}

/** Puts what a control flow has made of memory in its place. */
export function writeBack(written: readonly Tensor[], values: readonly Tensor[]): void {
  noGrad(() => written.forEach((x, i) => x.assign(values[i]!)))
}

/** Whether gradients may go through a control flow with these inputs. */
export const isDifferentiated = (inputs: readonly Tensor[]): boolean => modes.grad && inputs.some((x) => x.requiresGrad)

/** Refuses operands that lie in memory which is written. */
function checkWritten(op: string, written: readonly Tensor[], operands: readonly Tensor[]): void {
  const shared = written.find(({ memory }) => operands.some((x) => x.memory === memory))
  if (!shared) return
  throw new CotangentError('modified-in-place', {
    op,
    message: 'a branch or body writes to a tensor from outside that is also passed to it',
    dtypes: [shared.dtype],
    hint: 'Pass a copy (x.clone()), or do not pass it.',
  })
}

/** The tensors that any of these functions takes from outside and gradients go to, each once. */
function sourcesOf(subgraphs: readonly Subgraph[]): Tensor[] {
  const found: Tensor[] = []
  for (const x of subgraphs.flatMap(({ sources }) => sources)) {
    if (!found.some(({ edge }) => edge!.node === x.edge!.node && edge!.index === x.edge!.index)) found.push(x)
  }
  return found
}

/** Records control flow as one op. */
export function bindControl(flow: Flow, inputs: readonly Tensor[], gradient?: GradientRule<undefined>): Tensor[] {
  const op: Primitive<undefined> = {
    name: flow.name,
    infer: () => flow.outputs,
    lower: () => flow,
    ...(gradient && { gradient }),
  }
  return bind(op, inputs, undefined)
}

/** Of some outputs, the gradients that there are. */
export function seedsOf(
  positions: readonly number[],
  gradients: readonly Tensor[],
  unused: readonly boolean[] | undefined,
): readonly (Tensor | null)[] {
  return positions.map((i) => (isFloat(gradients[i]!.dtype) && !unused?.[i] ? gradients[i]! : null))
}

export const operandsOf = (tensors: readonly { readonly dtype: DType; readonly shape: Shape }[]): ControlOperand[] =>
  tensors.map(({ dtype, shape }) => ({ dtype, shape }))

/** What the gradient of a branch or body is taken of and by. */
interface Pull {
  readonly f: (...args: Tensor[]) => unknown
  readonly values: readonly Tensor[]
  /** Which values gradients are wanted of. */
  readonly wanted: readonly boolean[]
  readonly sources: readonly Tensor[]
  /** Gradients of the results; null for those that have none. */
  readonly seeds: readonly (Tensor | null)[]
  /** What it was given when it ran first. */
  readonly packs: Packs
  /** What it has overwritten since. */
  readonly past: readonly Past[]
}

/** Runs a function again, and back: gradients of the wanted values and of the sources, zeros where there is none. */
export function pullBack({ f, values, wanted, sources, seeds, packs, past }: Pull): { values: Tensor[]; sources: Tensor[] } {
  const createGraph = modes.grad
  const variables = values.map((x, i) => (wanted[i] ? variableOf(x) : x))
  const results = tensorsOf(withModes({ grad: true }, () => runAgain(packs, past, () => f(...variables))))
  const targets = [...variables.filter((_, i) => wanted[i]), ...sources]
  const roots = results.flatMap((root, i) => (root.edge && seeds[i] ? [{ root, seed: seeds[i] }] : []))
  const found =
    targets.length > 0 &&
    gradientsOf(
      roots.map(({ root }) => root),
      targets,
      roots.map(({ seed }) => seed),
      { createGraph, stop: true },
    )
  const filled = targets.map((x, i) => (found && found[i]) || x.newFull(x.shape, 0))
  const own = filled.length - sources.length
  return { values: filled.slice(0, own), sources: filled.slice(own) }
}

function runAgain<T>(packs: Packs, past: readonly Past[], body: () => T): T {
  const recorder = recording()
  if (recorder) return recorder.replay(packs, past, body)
  if (tensorsOf(packs).length === 0 && past.length === 0) return body()
  throw new CotangentError('unsupported', {
    op: 'compile',
    message: 'the gradient of control flow that draws random numbers, or writes, is taken within another transformation',
    hint: 'Take the gradient outside of vmap() and jvp().',
  })
}

/** How a tree looks but for the specs of its tensors. */
const skeleton = (tree: unknown): string =>
  JSON.stringify(
    mapTree(tree, isTensor, () => '*'),
    (_, x: unknown) => (typeof x === 'bigint' || typeof x === 'function' || x === undefined ? String(x) : x),
  )

/** Throws unless two trees have the same structure, and tensors of the same shapes and dtypes. */
export function checkSame(op: string, what: string, a: unknown, b: unknown): void {
  const [one, other] = [tensorsOf(a), tensorsOf(b)]
  if (skeleton(a) !== skeleton(b)) {
    throw new CotangentError('invalid-argument', {
      op,
      message: `${what} differ in structure: ${skeleton(a)} and ${skeleton(b)} (* is a tensor)`,
      hint: 'Return the same arrays and objects of tensors.',
    })
  }
  one.forEach((x, i) => {
    const y = other[i]!
    if (x.dtype === y.dtype && x.shape.length === y.shape.length && x.shape.every((n, axis) => n === y.shape[axis])) return
    throw new CotangentError(x.dtype === y.dtype ? 'shape-mismatch' : 'dtype-mismatch', {
      op,
      message: `${what} differ in tensor ${i}`,
      shapes: [x.shape, y.shape],
      dtypes: [x.dtype, y.dtype],
      hint: 'Bring both to one shape and dtype: expand(), reshape(), cast().',
    })
  })
}
