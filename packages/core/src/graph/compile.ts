import { currentEngine } from '../engine/registry.ts'
import { CotangentError } from '../errors.ts'
import { modes } from '../tensor/modes.ts'
import { Tensor } from '../tensor/tensor.ts'
import { mapTree } from '../tree.ts'
import { readArguments } from './arguments.ts'
import { ProgramExecutable } from './executor.ts'
import type { Guard } from './graph.ts'
import { lower } from './lower.ts'
import { optimize } from './passes.ts'
import { isTensor, trace } from './trace.ts'

export interface CompileOptions {
  /** Runs the function as it is, op by op, so that a debugger can step through it. */
  readonly debug?: boolean
  /** Programs that are kept, one for each combination of shapes, dtypes and other arguments. Default 64. */
  readonly cacheSize?: number
}

/** One way that a function was called, as a program. */
export interface Specialization {
  readonly key: string
  readonly guards: readonly Guard[]
  readonly executable: ProgramExecutable
  /** What it returns, with its tensors as they were traced, one an output. */
  readonly result: unknown
}

export type Compiled<F> = F & {
  /** The programs so far. */
  readonly specializations: readonly Specialization[]
  /** Forgets all programs, for instance after a layer was replaced by another one. */
  clear(): void
}

type Callable = (...args: never[]) => unknown

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
 */
export function compile<F extends Callable>(f: F, options: CompileOptions = {}): Compiled<F> {
  const cache = new Cache(f, options)
  const call = options.debug ? f : (...args: never[]) => cache.call(args)
  return Object.defineProperties(call === f ? (...args: never[]) => f(...args) : call, {
    name: { value: f.name },
    specializations: { get: () => cache.specializations },
    clear: { value: () => cache.clear() },
  }) as Compiled<F>
}

class Cache {
  readonly #f: Callable
  readonly #size: number
  #known = new Map<string, Specialization[]>()

  constructor(f: Callable, { cacheSize = 64 }: CompileOptions) {
    this.#f = f
    this.#size = cacheSize
  }

  get specializations(): Specialization[] {
    return [...this.#known.values()].flat()
  }

  clear(): void {
    this.#known = new Map()
  }

  call(args: readonly unknown[]): unknown {
    // Within another program that is being traced, it is part of that program.
    if (modes.tracer) return (this.#f as (...args: unknown[]) => unknown)(...args)
    const { key, tensors } = readArguments(args)
    const fullKey = `${modes.grad ? 'g' : ''}${currentEngine().name}|${key}`
    const known = this.#known.get(fullKey)
    const found = known?.find(({ guards }) => guards.every(({ check }) => check())) ?? this.#specialize(fullKey, args, tensors)
    const outputs = found.executable.run(tensors)
    if (outputs.length === 1 && found.result instanceof Tensor) return outputs[0]
    let next = 0
    return mapTree(found.result, isTensor, () => outputs[next++]!)
  }

  #specialize(key: string, args: readonly unknown[], tensors: readonly Tensor[]): Specialization {
    const engine = tensors[0]?.engine ?? currentEngine()
    const strange = tensors.find((x) => x.engine !== engine)
    if (strange) {
      throw new CotangentError('invalid-argument', {
        op: 'compile',
        message: `the arguments live on different engines, ${engine.name} and ${strange.engine.name}`,
        hint: 'Copy one of them to the other engine.',
      })
    }
    const { graph, result } = trace(
      (...placeholders) => {
        let next = 0
        return (this.#f as (...args: unknown[]) => unknown)(...(mapTree(args, isTensor, () => placeholders[next++]!) as unknown[]))
      },
      tensors.map(({ spec, requiresGrad }) => ({ spec, requiresGrad })),
    )
    const executable = new ProgramExecutable(engine, optimize(lower(graph)))
    const made: Specialization = { key, guards: graph.guards, executable, result }
    const known = this.#known.get(key)
    if (known) known.push(made)
    else this.#known.set(key, [made])
    return made
  }
}
