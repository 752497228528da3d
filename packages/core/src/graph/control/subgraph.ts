import { gradientsOf } from '../../autograd/backward.ts'
import { variableOf } from '../../autograd/grad.ts'
import type { GradientRule } from '../../autograd/tape.ts'
import type { Control, ControlOperand, Region } from '../../engine/control.ts'
import type { Engine } from '../../engine/engine.ts'
import { CotangentError } from '../../errors.ts'
import { sizeOf, type Spec, spec as specOf } from '../../layout.ts'
import { bind } from '../../tensor/bind.ts'
import { modes, withModes } from '../../tensor/modes.ts'
import type { Primitive } from '../../tensor/primitive.ts'
import type { Tensor } from '../../tensor/tensor.ts'
import { leavesOf, mapTree } from '../../tree.ts'
import { packNumbers, ProgramExecutable } from '../executor.ts'
import { lower } from '../lower.ts'
import { optimize } from '../passes.ts'
import { isTensor, type Packs, Recorder, type TracedWithin, traceWithin } from '../trace.ts'

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

/** A branch, or the body of a loop: traced, and made ready for an engine when it first runs. */
export class Subgraph {
  /** What it returned, with tensors that stand for it. */
  readonly result: unknown
  /** Its tensors' specs, in order. */
  readonly specs: readonly Spec[]
  readonly captured: readonly Tensor[]
  readonly sources: readonly Tensor[]
  /** Whether running it does more than computing its results. */
  readonly effect: boolean
  readonly #traced: TracedWithin
  /** Numbers of its own that it asks the host for. */
  readonly #numbers: number
  #executable: ProgramExecutable | undefined

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
        return packs ? recording()!.replay(withTensors(packs, args.slice(given.length)), () => f(...own)) : f(...own)
      },
      specs,
    )
    const { host, nodes } = traced.graph
    this.#traced = traced
    this.result = traced.result
    this.specs = tensorsOf(traced.result).map((x) => x.spec)
    this.captured = traced.captured
    this.sources = traced.sources
    this.#numbers = host.reduce((sum, step) => sum + (step.kind === 'numbers' ? step.count : 0), 0)
    this.effect =
      host.some(({ kind }) => kind !== 'given') || nodes.some(({ plan }) => plan.program?.kind === 'control' && plan.program.effect)
  }

  /** What a run gives besides its results, for `packs`. */
  get packSpecs(): Spec[] {
    const inner = tensorsOf(this.#traced.packs).map((x) => x.spec)
    return this.#numbers > 0 ? [...inner, specOf('int32', [2 * this.#numbers])] : inner
  }

  /** The numbers that it was given, of tensors of `packSpecs`. */
  packs(tensors: readonly Tensor[]): Packs {
    return [this.#numbers > 0 ? tensors.at(-1)! : null, ...withTensors(this.#traced.packs, tensors)]
  }

  /** @param outputs Results, then what `packSpecs` says. */
  run(engine: Engine, inputs: readonly Region[], outputs: readonly Region[]): void {
    this.#executable ??= new ProgramExecutable(engine, optimize(lower(this.#traced.graph), { engine, frozen: false }))
    const drawn = this.#executable.runAt(inputs, outputs)
    if (this.#numbers > 0) packNumbers(engine, outputs.at(-1)!, drawn)
  }
}

/** The tensors that any of these functions takes from outside and gradients go to, each once. */
export function sourcesOf(...subgraphs: readonly Subgraph[]): Tensor[] {
  const found: Tensor[] = []
  for (const x of subgraphs.flatMap(({ sources }) => sources)) {
    if (!found.some(({ edge }) => edge!.node === x.edge!.node && edge!.index === x.edge!.index)) found.push(x)
  }
  return found
}

export interface ControlParts {
  readonly inputs: readonly Tensor[]
  readonly outputs: readonly ControlOperand[]
  readonly effect: boolean
  readonly run: Control['run']
  readonly gradient?: GradientRule<undefined>
}

/** Records control flow as one op. */
export function bindControl(name: string, { inputs, outputs, effect, run, gradient }: ControlParts): Tensor[] {
  const control: Control = {
    kind: 'control',
    name,
    inputs: inputs.map(({ dtype, shape }) => ({ dtype, shape })),
    outputs,
    effect,
    run(engine, from, to) {
      if (!engine.synchronous) {
        throw new CotangentError('async-only', {
          op: name,
          message: `the ${engine.name} engine cannot be read while a compiled function runs`,
          hint: 'Use where() for choices, and a JavaScript loop around compiled steps.',
        })
      }
      run(engine, from, to)
    },
  }
  const op: Primitive<undefined> = { name, infer: () => outputs, lower: () => control, ...(gradient && { gradient }) }
  return bind(op, inputs, undefined)
}

/** What the gradient of a branch or body is taken of and by. */
export interface Pull {
  readonly f: (...args: Tensor[]) => unknown
  readonly values: readonly Tensor[]
  /** Which values gradients are wanted of. */
  readonly wanted: readonly boolean[]
  readonly sources: readonly Tensor[]
  /** Gradients of the results; null for those that have none. */
  readonly seeds: readonly (Tensor | null)[]
  /** What it was given when it ran first. */
  readonly packs: Packs
}

/** Runs a function again, and back: gradients of the wanted values and of the sources, zeros where there is none. */
export function pullBack({ f, values, wanted, sources, seeds, packs }: Pull): { values: Tensor[]; sources: Tensor[] } {
  const createGraph = modes.grad
  const variables = values.map((x, i) => (wanted[i] ? variableOf(x) : x))
  const results = tensorsOf(withModes({ grad: true }, () => runAgain(packs, () => f(...variables))))
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

function runAgain<T>(packs: Packs, body: () => T): T {
  const recorder = recording()
  if (recorder) return recorder.replay(packs, body)
  if (tensorsOf(packs).length === 0) return body()
  throw new CotangentError('unsupported', {
    op: 'compile',
    message: 'the gradient of control flow that draws random numbers is taken within another transformation',
    hint: 'Take the gradient outside of vmap() and jvp().',
  })
}

/** Copies elements where nothing else has to be computed. */
export function copyRegion(engine: Engine, { dtype, shape }: ControlOperand, from: Region, to: Region): void {
  const size = sizeOf(shape)
  if (size > 0) engine.write(to.buffer, dtype, to.offset, engine.readSync(from.buffer, dtype, from.offset, size))
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
