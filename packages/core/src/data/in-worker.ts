import { dtypeInfo } from '../dtype.ts'
import { engineNames, setThreads } from '../engine/registry.ts'
import type { PlaceFor } from '../io/state.ts'
import { leavesOf } from '../tree.ts'
import { LazyContext } from './element-context.ts'
import type { Slot } from './result-slots.ts'
import type { MapFunction } from './stages/map.ts'
import { pack, packError, isTensor, transfersOf, unpack, type WorkerCall, type WorkerReply } from './worker-message.ts'

/** The thread's end of the line to the program that started it. */
interface Parent {
  post(reply: WorkerReply, transfer: ArrayBuffer[]): void
  listen(handle: (message: unknown) => void): void
}

let served: MapFunction<never, unknown> | undefined

/**
 * Makes a function available to `mapInWorkers`: a module of its own says
 *
 *     export const augment = inWorker((image: Tensor, { generator }) => ...)
 *
 * and is what the workers run. Elsewhere this gives the function back and does nothing, so that the module can be imported anywhere.
 * The tensors and arrays that the function returns are handed over, and are gone here: it must not go on using them. A tensor that it
 * returns more than once is one to `keep`; views of larger tensors leave those as they are.
 */
export function inWorker<F extends (value: never, context: never) => unknown>(f: F): F {
  const parent = parentOf()
  if (!parent) return f
  const first = served === undefined
  // Modules that it imports have been run before: what counts is the module itself.
  served = f as unknown as MapFunction<never, unknown>
  if (first) serve(parent)
  return f
}

function serve(parent: Parent): void {
  // The workers are what uses the cores. A module that makes no tensors may do without an engine.
  const ready = engineNames().length > 0 ? setThreads(1) : Promise.resolve()
  parent.listen((message) => {
    if ((message as WorkerCall | undefined)?.cotangent === 'call') void answer(parent, message as WorkerCall)
  })
  ready.then(
    () => parent.post({ cotangent: 'ready' }, []),
    (error: unknown) => parent.post({ cotangent: 'unusable', error: packError(error) }, []),
  )
}

/** Slots of the program's memory, each for one tensor of its kind. */
function placesIn(slots: readonly Slot[]): PlaceFor {
  const free = [...slots]
  return (dtype, size) => {
    const at = free.findIndex((slot) => slot.dtype === dtype && slot.size === size)
    if (at < 0) return undefined
    const [slot] = free.splice(at, 1)
    return new dtypeInfo[dtype].array(slot!.memory as unknown as ArrayBuffer, slot!.at, size)
  }
}

/** Gives back what has been sent: waiting for a collection would cost more than making it. Parts of larger tensors stay. */
function handOver(result: unknown): void {
  for (const { storage, size } of leavesOf(result, isTensor)) if (!storage.kept && storage.elements === size) storage.release()
}

async function answer(parent: Parent, { id, element, index, key, slots }: WorkerCall): Promise<void> {
  try {
    const result = await served!(unpack(element) as never, new LazyContext(index, key))
    const made = await pack(result, placesIn(slots))
    handOver(result)
    parent.post({ cotangent: 'done', id, element: made }, transfersOf(made, { arrays: true }))
  } catch (error) {
    parent.post({ cotangent: 'failed', id, error: packError(error) }, [])
  }
}

interface NodePort {
  postMessage(message: unknown, transfer: ArrayBuffer[]): void
  on(event: 'message', listener: (message: unknown) => void): void
}

interface WebWorkerScope {
  postMessage(message: unknown, transfer: ArrayBuffer[]): void
  addEventListener(event: 'message', listener: (event: { data: unknown }) => void): void
}

function parentOf(): Parent | undefined {
  const host = globalThis as {
    process?: { getBuiltinModule?(name: 'node:worker_threads'): { parentPort: NodePort | null } | undefined }
    WorkerGlobalScope?: new () => object
  }
  const port = host.process?.getBuiltinModule?.('node:worker_threads')?.parentPort
  if (port) return { post: (reply, transfer) => port.postMessage(reply, transfer), listen: (handle) => port.on('message', handle) }
  if (!host.WorkerGlobalScope || !(globalThis instanceof host.WorkerGlobalScope)) return undefined
  const scope = globalThis as unknown as WebWorkerScope
  return {
    post: (reply, transfer) => scope.postMessage(reply, transfer),
    listen: (handle) => scope.addEventListener('message', ({ data }) => handle(data)),
  }
}
