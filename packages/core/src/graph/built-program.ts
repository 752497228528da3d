import type { Engine } from '../engine/engine.ts'
import { CotangentError } from '../errors.ts'
import type { Spec } from '../layout.ts'
import { modes, withModes } from '../tensor/modes.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { leavesOf, mapTree } from '../tree.ts'
import type { CompileLog } from './debug.ts'
import { SizeReads, tellsUsers } from './dynamic/size-reads.ts'
import { type Graph, isRead } from './graph.ts'
import { Joint } from './joint.ts'
import { lower } from './lower.ts'
import { optimize } from './passes.ts'
import { type Program, rootOf } from './program.ts'
import { isTensor, trace } from './trace.ts'

/** What a result is: an output by its position, or the very tensor that came in. */
export type Result = { readonly output: number } | { readonly argument: number } | { readonly captured: Tensor }

/** A function as a program for some arguments, before it is made ready to run. */
export interface BuiltProgram {
  /** Where it is going to run. */
  readonly engine: Engine
  readonly program: Program
  /** What depends on tensors that require gradients, if anything does. */
  readonly joint: Joint | null
  /** What it returns, with its tensors as they were traced, one an output. */
  readonly result: unknown
  readonly results: readonly Result[]
  /** The sizes that JavaScript outside of this library looked at; null where that cannot be told, undefined where nobody watched. */
  readonly reads: readonly number[] | null | undefined
}

interface TraceOptions {
  readonly engine: Engine
  readonly log: CompileLog | null
  /** Whether to watch which sizes the function looks at. */
  readonly watch: boolean
}

/**
 * Traces a function: the program has a graph, but no operations yet.
 *
 * @param tensors Those among `args`, in order.
 * @param specs What it is traced with in place of theirs.
 */
export function traceProgram(
  f: (...args: unknown[]) => unknown,
  args: readonly unknown[],
  tensors: readonly Tensor[],
  specs: readonly Spec[],
  { engine, log, watch }: TraceOptions,
): BuiltProgram {
  const reads = watch ? new SizeReads() : null
  const traced = trace(
    (...placeholders) => {
      let next = 0
      const given = mapTree(args, isTensor, () => placeholders[next++]!) as unknown[]
      return withModes({ shapeWatcher: reads }, () => f(...given), 'compile')
    },
    tensors.map((x, i) => ({ spec: specs[i]!, requiresGrad: x.requiresGrad, grad: x.grad?.spec ?? null })),
  )
  reads?.close()
  log?.traced(traced.graph)
  const joint = modes.grad ? Joint.of(f.name || 'compiled function', traced) : null
  const graph = joint?.forward ?? traced.graph
  const { result } = traced
  return {
    engine: programEngine(graph, tensors, engine),
    program: { graph, operations: [] },
    joint,
    result,
    results: leavesOf(result, isTensor).map((x, output) => describeResult(x, output, graph)),
    reads: reads ? (tellsUsers(graph) ? reads.seen : null) : undefined,
  }
}

/** The same with operations. */
export function optimizeProgram(
  traced: BuiltProgram,
  options: { readonly freeze: boolean; readonly log: CompileLog | null },
): BuiltProgram {
  const context = { engine: traced.engine, frozen: options.freeze }
  return { ...traced, program: optimize(lower(traced.program.graph), context, options.log?.stage) }
}

function describeResult(x: Tensor, output: number, graph: Graph): Result {
  const argument = graph.arguments.indexOf(x)
  if (argument >= 0) return { argument }
  // A view that the function has made of a parameter has an offset or shape of its own, and is an output.
  return x.isTracer || !x.isLeaf ? { output } : { captured: x }
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

export function refuseEngines(what: string, a: Engine, b: Engine): never {
  throw new CotangentError('invalid-argument', {
    op: 'compile',
    message: `${what} live on different engines, ${a.name} and ${b.name}`,
    hint: `Copy one of them: setEngine('${a.name}'), then tensor(x.dataSync(), { shape: x.shape }).`,
  })
}
