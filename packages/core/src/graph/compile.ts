import type { Engine } from '../engine/engine.ts'
import { currentEngine } from '../engine/registry.ts'
import { CotangentError } from '../errors.ts'
import type { Spec } from '../layout.ts'
import { matmulPrecision } from '../tensor/matmul-precision.ts'
import { modes } from '../tensor/modes.ts'
import { Tensor } from '../tensor/tensor.ts'
import { mapTree } from '../tree.ts'
import { Aliases } from './aliases.ts'
import { readArguments, readSizes, withSizes } from './arguments.ts'
import { optimizeProgram, refuseEngines, type Result, traceProgram } from './built-program.ts'
import { CompileLog } from './debug.ts'
import { type Maker, SizeFamily } from './dynamic/size-family.ts'
import { ProgramExecutable } from './executor.ts'
import type { Guard } from './graph.ts'
import type { Joint } from './joint.ts'
import { LastCall } from './last-call.ts'
import { Recompiles } from './recompiles.ts'
import { isTensor } from './trace.ts'

/** What `compile` takes besides the function. */
export interface CompileOptions {
  /**
   * For inference: takes parameters and other tensors that the function captures and does not change for constants, so that what
   * follows from them alone is computed once, and batch normalisation becomes part of the weights before it. Later changes of
   * them go unnoticed; `clear()` takes them up. Default false.
   */
  readonly freeze?: boolean
  /** Runs the function as it is, op by op, so that a debugger can step through it. */
  readonly debug?: boolean
  /**
   * Whether programs for further sizes of an axis (a last, smaller batch) follow from those that there are, without tracing `f`
   * again. `'auto'`: from the third size on, and only if `f` itself has not looked at that size, that is, read `x.shape[axis]`
   * or `x.size`; `true`: also then, which promises that `f` computes the same way at all sizes; `false`: `f` is traced
   * for each. Default `'auto'`.
   */
  readonly dynamic?: 'auto' | boolean
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

/** The function as a program, called as before. */
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
  readonly #dynamic: NonNullable<CompileOptions['dynamic']>
  readonly #recompiles: Recompiles
  readonly #known = new Map<string, Specialization[]>()
  /** Programs that differ in sizes. */
  readonly #families = new Map<string, SizeFamily>()
  /** Longest unused first. */
  readonly #used = new Set<Specialization>()
  #last: Specialization | undefined
  /** The call that ran `#last`. */
  #lastCall: LastCall | null = null

  constructor(f: Callable, { cacheSize = 64, freeze = false, dynamic = 'auto' }: CompileOptions) {
    if (!(Number.isInteger(cacheSize) && cacheSize > 0)) {
      throw new CotangentError('invalid-argument', {
        op: 'compile',
        message: `there is no cache of ${cacheSize} programs`,
        hint: 'cacheSize is an integer of at least 1.',
      })
    }
    if (dynamic !== 'auto' && typeof dynamic !== 'boolean') {
      throw new CotangentError('invalid-argument', {
        op: 'compile',
        message: `dynamic is ${String(dynamic)}`,
        hint: "It is 'auto', true or false.",
      })
    }
    this.#f = f as Loose
    this.#size = cacheSize
    this.#freeze = freeze
    this.#dynamic = dynamic
    this.#recompiles = new Recompiles(f.name)
  }

  get specializations(): Specialization[] {
    return [...this.#known.values()].flat()
  }

  clear(): void {
    this.#known.clear()
    this.#families.clear()
    this.#used.clear()
    this.#last = undefined
    this.#lastCall = null
  }

  call(args: readonly unknown[]): unknown {
    // Within another program that is being traced, it is part of that program.
    if (modes.tracer) return this.#f(...args)
    const same = this.#lastCall?.tensorsOf(args)
    if (same) return this.#run(this.#last!, same)
    const { found, tensors } = this.specialize(args)
    this.#lastCall = new LastCall(args, found.guards, engineOf(tensors))
    return this.#run(found, tensors)
  }

  #run(found: Specialization, tensors: readonly Tensor[]): unknown {
    const { executable, joint, results, result } = found
    found.aliases.check(tensors)
    const outputs = modes.watcher ? this.#runWatched(executable, tensors) : executable.run(tensors)
    if (joint) joint.attach(executable.engine, outputs, tensors)
    return results.length === 1 && result instanceof Tensor ? resultOf(results[0]!, outputs, tensors) : resultTree(found, outputs, tensors)
  }

  #runWatched(executable: ProgramExecutable, tensors: readonly Tensor[]): Tensor[] {
    return modes.watcher!('compiled', this.#f.name || 'function', () => executable.run(tensors))
  }

  specialize(args: readonly unknown[]): { found: Specialization; tensors: readonly Tensor[] } {
    const { key, tensors } = readArguments(args)
    const engine = engineOf(tensors)
    const fullKey = `${stateKey(engine)}${key}`
    const found =
      this.#known.get(fullKey)?.find(({ guards }) => guards.every(({ check }) => check(tensors))) ??
      this.#make(fullKey, args, tensors, engine)
    if (found !== this.#last) {
      this.#used.delete(found)
      this.#used.add(found)
      this.#last = found
      this.#lastCall = null
    }
    return { found, tensors }
  }

  #make(key: string, args: readonly unknown[], tensors: readonly Tensor[], engine: Engine): Specialization {
    const log = CompileLog.open(this.#f.name)
    const known = this.#known.get(key) ?? []
    const count = this.specializations.length
    const { built, traced, obstacle = null } = this.#build(args, tensors, engine, log)
    const { program, joint, result, results } = built
    const executable = new ProgramExecutable(built.engine, program)
    const { graph } = program
    const aliases = new Aliases(graph, executable.ownStorages)
    const made: Specialization = { key, guards: graph.guards, executable, result, joint, aliases, results }
    log?.made(made, tensors, { same: known, count, traced })
    if (traced) this.#recompiles.traced(args, brokenGuards(known, tensors), obstacle)
    this.#known.set(key, [...known, made])
    this.#used.add(made)
    for (const old of this.#used) {
      if (this.#used.size <= this.#size) break
      this.#forget(old)
    }
    return made
  }

  /** A program for arguments that there is none for: one that follows from others, or else the function is traced. */
  #build(args: readonly unknown[], tensors: readonly Tensor[], engine: Engine, log: CompileLog | null) {
    const freeze = this.#freeze
    const trace = (specs: readonly Spec[], watch: boolean, told: CompileLog | null) =>
      traceProgram(this.#f, args, tensors, specs, { engine, log: told, watch })
    const own = tensors.map((x) => x.spec)
    // A `.grad` that is there has sizes of its own.
    if (this.#dynamic === false || tensors.some((x) => x.grad)) {
      return { built: optimizeProgram(trace(own, false, log), { freeze, log }), traced: true }
    }
    const { key, sizes } = readSizes(args)
    const family = this.#familyOf(`${stateKey(engine)}${key}`)
    const { watches } = family
    const maker: Maker = {
      holds: ({ program }) => program.graph.guards.every(({ check }) => check(tensors)),
      trace: (others) => trace(withSizes(tensors, others), watches, null),
      optimize: (traced) => optimizeProgram(traced, { freeze, log: null }),
    }
    const derived = family.derive(sizes, maker)
    if (derived) return { built: derived, traced: false }
    const traced = trace(own, watches, log)
    const built = optimizeProgram(traced, { freeze, log })
    family.add({ sizes, traced, built }, maker)
    return { built, traced: true, obstacle: family.obstacle }
  }

  #familyOf(key: string): SizeFamily {
    const known = this.#families.get(key)
    if (known) return known
    const family = new SizeFamily({ trusting: this.#dynamic === true })
    this.#families.set(key, family)
    const [oldest] = this.#families.keys()
    if (this.#families.size > this.#size) this.#families.delete(oldest!)
    return family
  }

  #forget(old: Specialization): void {
    this.#used.delete(old)
    const left = this.#known.get(old.key)!.filter((x) => x !== old)
    if (left.length > 0) this.#known.set(old.key, left)
    else this.#known.delete(old.key)
  }
}

/** What a program depends on besides arguments. */
const stateKey = (engine: Engine): string => `${modes.grad ? 'g' : ''}|${modes.autocast?.dtype ?? ''}|${matmulPrecision()}|${engine.name}|`

function resultTree({ result, results }: Specialization, outputs: readonly Tensor[], args: readonly Tensor[]): unknown {
  let next = 0
  return mapTree(result, isTensor, () => resultOf(results[next++]!, outputs, args))
}

const resultOf = (result: Result, outputs: readonly Tensor[], args: readonly Tensor[]): Tensor =>
  'output' in result ? outputs[result.output]! : 'argument' in result ? args[result.argument]! : result.captured

const brokenGuards = (known: readonly Specialization[], args: readonly Tensor[]): string[] =>
  known.flatMap(({ guards }) => guards.find(({ check }) => !check(args))?.what ?? [])

/** The one engine that all arguments are on. */
function engineOf(args: readonly Tensor[]): Engine {
  if (args.length === 0) return currentEngine()
  const { engine } = args[0]!
  for (let i = 1; i < args.length; i++) if (args[i]!.engine !== engine) refuseEngines('the arguments', engine, args[i]!.engine)
  return engine
}
