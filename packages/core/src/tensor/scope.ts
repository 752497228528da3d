import { CotangentError } from '../errors.ts'
import { leavesOf } from '../tree.ts'
import { modes } from './modes.ts'
import { adoptStorages, collectStorages, type Storage } from './storage.ts'
import { Tensor } from './tensor.ts'

const isTensor = (x: unknown): x is Tensor => x instanceof Tensor

/**
 * Runs `body` and at once gives back the memory of every tensor made in it, except those that it returns (in any nesting of
 * arrays and objects), gave to `keep`, or left in a `.grad`. Never needed; for those who want memory back at a known moment.
 */
export function tidy<T>(body: () => T): T {
  // Of values that are traced or transformed nothing is known to be over.
  if (modes.tracer) return body()
  const { result, made } = collectStorages(body)
  if (result instanceof Promise) {
    throw new CotangentError('invalid-argument', {
      op: 'tidy',
      message: 'the function is async, so its tensors cannot be told from others',
      hint: 'Use `using` for tensors of async code, or leave them to be reclaimed.',
    })
  }
  giveBack(made, leavesOf(result, isTensor))
  return result
}

/** `tidy` for code that may be differentiated: where gradients of the result may need what was made on the way, all of it stays. */
export function tidyForward(body: () => Tensor): Tensor {
  if (modes.tracer) return body()
  const { result, made } = collectStorages(body)
  if (result.requiresGrad) adoptStorages(made)
  else giveBack(made, [result])
  return result
}

function giveBack(made: readonly Storage[], results: readonly Tensor[]): void {
  const returned = new Set(results.map((t) => t.storage))
  const surviving = made.filter((s) => returned.has(s) || s.kept)
  for (const storage of made) if (!returned.has(storage) && !storage.kept) storage.release()
  adoptStorages(surviving)
}

/** Makes a tensor outlive every `tidy` around it. Returns it. */
export function keep<T extends Tensor>(x: T): T {
  if (!x.isTracer) x.storage.kept = true
  return x
}
