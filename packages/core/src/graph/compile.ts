import type { Engine } from '../engine/engine.ts'
import { currentEngine } from '../engine/registry.ts'
import { CotangentError } from '../errors.ts'
import { matmulPrecision } from '../tensor/matmul-precision.ts'
import { modes } from '../tensor/modes.ts'
import { Tensor } from '../tensor/tensor.ts'
import { leavesOf, mapTree } from '../tree.ts'
import { Aliases } from './aliases.ts'
import { readArguments } from './arguments.ts'
import { CompileLog } from './debug.ts'
import { ProgramExecutable } from './executor.ts'
import { type Graph, type Guard, isRead } from './graph.ts'
import { Joint } from './joint.ts'
import { lower } from './lower.ts'
import { optimize } from './passes.ts'
import { rootOf } from './program.ts'
import { Recompiles } from './recompiles.ts'
import { isTensor, trace } from './trace.ts'

export interface CompileOptions {
  /**
   * For inference: takes parameters and other tensors that the function captures and does not change for constants, so that what
   * follows from them alone is computed once, and batch normalisation becomes part of the weights before it. Later changes of
   * them go unnoticed; `clear()` takes them up. Default false.
   */
  readonly freeze?: boolean
  /** Runs the function as it is, op by op, so that a debugger can step through it. */
  readonly debug?: boolean
  /** Programs that are kept, one for each combination of shapes, dtypes and other arguments; the longest unused one goes first. Default 64. */
  readonly cacheSize?: number
}

/** One way that a function was called, as a program. */
export interface Specialization {
  readonly key: string
  readonly guards: readonly Guard[]
  readonly executable: ProgramExecutable
  /** What it returns, with its tensors as they were traced, one an output. */
  readonly result: unknown
  /** What depends on tensors that require gradients, if anything does. */
  readonly joint: Joint | null
  readonly aliases: Aliases
  /** What results are: outputs by their position, or the very tensors that came in. */
  readonly results: readonly Result[]
}

type Result = { readonly output: number } | { readonly argument: number } | { readonly captured: Tensor }

export type Compiled<F> = F & {
  /** The programs so far. */
  readonly specializations: readonly Specialization[]
  /** The program for such arguments, made if need be, without running it. */
  specialize(...args: F extends (...args: infer A) => unknown ? A : never): Specialization
  /** Forgets all programs, for instance after a layer was replaced by another one. */
  clear(): void
}

type Callable = (...args: never[]) => unknown
type Loose = (...args: unknown[]) => unknown

/**
 * Makes one program of a function of tensors: traced when it is first called with arguments of these shapes and dtypes, fused,
 * and run as a whole from then on. What it does to parameters, buffers, optimisers, `.grad`s and random generators is part of
 * the program, so a whole training step can be compiled:
 *
 *     const step = compile((x: Tensor, y: Tensor) => {
 *       const loss = crossEntropy(model.forward(x), y)
 *       optimizer.zeroGrad()
 *       loss.backward()
 *       optimizer.step()
 *       return loss
 *     })
 *
 * Arguments may be tensors, trees of them, modules, and plain values; what is no tensor is taken as constant. JavaScript runs
 * only while the function is traced: its branches and loops are decided there, and `console.log` prints once. After a compiled
 * step a parameter's `.grad` is the program's own memory, which its next run overwrites.
 *
 * `backward()` and `grad` go on through a compiled function to its arguments and parameters, as through any op; only gradients
 * of that gradient have to be compiled with it. Inside another compiled function it is part of that one's program.
 *
 * @throws {CotangentError} `tracer-read` where JavaScript looks at numbers while it is traced; `invalid-argument` for tensors of
 *   several engines, and for memory that comes in twice and is written.
 */
export function compile<F extends Callable>(f: F, options: CompileOptions = {}): Compiled<F> {
  const cache = new Cache(f, options)
  const call = options.debug ? f : (...args: never[]) => cache.call(args)
  return Object.defineProperties(call === f ? (...args: never[]) => f(...args) : call, {
    name: { value: f.name },
    specializations: { get: () => cache.specializations },
    specialize: { value: (...args: never[]) => cache.specialize(args).found },
    clear: { value: () => cache.clear() },
  }) as Compiled<F>
}

class Cache {
  readonly #f: Loose
  readonly #size: number
  readonly #freeze: boolean
  readonly #recompiles: Recompiles
  readonly #known = new Map<string, Specialization[]>()
  /** Longest unused first. */
  readonly #used = new Set<Specialization>()
  #last: Specialization | undefined

  constructor(f: Callable, { cacheSize = 64, freeze = false }: CompileOptions) {
    if (!(Number.isInteger(cacheSize) && cacheSize > 0)) {
      throw new CotangentError('invalid-argument', {
        op: 'compile',
        message: `there is no cache of ${cacheSize} programs`,
        hint: 'cacheSize is an integer of at least 1.',
      })
    }
    this.#f = f as Loose
    this.#size = cacheSize
    this.#freeze = freeze
    this.#recompiles = new Recompiles(f.name)
  }

  get specializations(): Specialization[] {
    return [...this.#known.values()].flat()
  }

  clear(): void {
    this.#known.clear()
    this.#used.clear()
    this.#last = undefined
  }

  call(args: readonly unknown[]): unknown {
    // Within another program that is being traced, it is part of that program.
    if (modes.tracer) return this.#f(...args)
    const { found, tensors } = this.specialize(args)
    const { executable, joint, results, result } = found
    found.aliases.check(tensors)
    const { watcher } = modes
    const outputs = watcher ? watcher('compiled', this.#f.name || 'function', () => executable.run(tensors)) : executable.run(tensors)
    joint?.attach(executable.engine, outputs, tensors)
    if (results.length === 1 && result instanceof Tensor) return resultOf(results[0]!, outputs, tensors)
    let next = 0
    return mapTree(result, isTensor, () => resultOf(results[next++]!, outputs, tensors))
  }

  specialize(args: readonly unknown[]): { found: Specialization; tensors: readonly Tensor[] } {
    const { key, tensors } = readArguments(args)
    const engine = engineOf(tensors)
    const fullKey = `${modes.grad ? 'g' : ''}|${modes.autocast?.dtype ?? ''}|${matmulPrecision()}|${engine.name}|${key}`
    const found =
      this.#known.get(fullKey)?.find(({ guards }) => guards.every(({ check }) => check(tensors))) ??
      this.#make(fullKey, args, tensors, engine)
    if (found !== this.#last) {
      this.#used.delete(found)
      this.#used.add(found)
      this.#last = found
    }
    return { found, tensors }
  }

  #make(key: string, args: readonly unknown[], tensors: readonly Tensor[], engine: Engine): Specialization {
    const log = CompileLog.open(this.#f.name)
    const traced = trace(
      (...placeholders) => {
        let next = 0
        return this.#f(...(mapTree(args, isTensor, () => placeholders[next++]!) as unknown[]))
      },
      tensors.map((x) => ({ spec: x.spec, requiresGrad: x.requiresGrad, grad: x.grad?.spec ?? null })),
    )
    log?.traced(traced.graph)
    const joint = modes.grad ? Joint.of(this.#f.name || 'compiled function', traced) : null
    const graph = joint?.forward ?? traced.graph
    const home = programEngine(graph, tensors, engine)
    const executable = new ProgramExecutable(home, optimize(lower(graph), { engine: home, frozen: this.#freeze }, log?.stage))
    const { result } = traced
    const made: Specialization = {
      key,
      guards: graph.guards,
      executable,
      result,
      joint,
      aliases: new Aliases(graph, executable.ownStorages),
      results: leavesOf(result, isTensor).map((x, output) => describeResult(x, output, graph)),
    }
    const known = this.#known.get(key) ?? []
    log?.made(made, tensors, { same: known, count: this.specializations.length })
    this.#recompiles.traced(args, brokenGuards(known, tensors))
    this.#known.set(key, [...known, made])
    this.#used.add(made)
    for (const old of this.#used) {
      if (this.#used.size <= this.#size) break
      this.#forget(old)
    }
    return made
  }

  #forget(old: Specialization): void {
    this.#used.delete(old)
    const left = this.#known.get(old.key)!.filter((x) => x !== old)
    if (left.length > 0) this.#known.set(old.key, left)
    else this.#known.delete(old.key)
  }
}

const resultOf = (result: Result, outputs: readonly Tensor[], args: readonly Tensor[]): Tensor =>
  'output' in result ? outputs[result.output]! : 'argument' in result ? args[result.argument]! : result.captured

function describeResult(x: Tensor, output: number, graph: Graph): Result {
  const argument = graph.arguments.indexOf(x)
  if (argument >= 0) return { argument }
  // A view that the function has made of a parameter has an offset or shape of its own, and is an output.
  return x.isTracer || !x.isLeaf ? { output } : { captured: x }
}

const brokenGuards = (known: readonly Specialization[], args: readonly Tensor[]): string[] =>
  known.flatMap(({ guards }) => guards.find(({ check }) => !check(args))?.what ?? [])

/** The one engine that all arguments are on. */
function engineOf(args: readonly Tensor[]): Engine {
  if (args.length === 0) return currentEngine()
  const { engine } = args[0]!
  for (let i = 1; i < args.length; i++) if (args[i]!.engine !== engine) refuseEngines('the arguments', engine, args[i]!.engine)
  return engine
}

/** The engine that a program runs on: that of its arguments, or of what it captured if there are none. */
function programEngine(graph: Graph, args: readonly Tensor[], wanted: Engine): Engine {
  let engine = args.length > 0 ? wanted : undefined
  for (const { inputs, outputs } of graph.nodes) {
    for (const x of [...inputs, ...outputs]) {
      if (!isRead(x)) continue
      const { source } = rootOf(x.value)
      if (source.kind !== 'captured') continue
      engine ??= source.storage.engine
      if (source.storage.engine !== engine) refuseEngines('the tensors that it uses', engine, source.storage.engine)
    }
  }
  return engine ?? wanted
}

function refuseEngines(what: string, a: Engine, b: Engine): never {
  throw new CotangentError('invalid-argument', {
    op: 'compile',
    message: `${what} live on different engines, ${a.name} and ${b.name}`,
    hint: `Copy one of them: setEngine('${a.name}'), then tensor(x.dataSync(), { shape: x.shape }).`,
  })
}
