import { CotangentError } from '../errors.ts'
import { modes, type Saver, withModes } from '../tensor/modes.ts'
import type { Scalar } from '../tensor/scalar.ts'
import { outsideScopes } from '../tensor/storage.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { Kept, type Saved } from './tape.ts'

/**
 * Runs `f()` without keeping what its gradient needs; the backward pass runs it again for that. Memory for time (Chen et al.
 * 2016, "Training deep nets with sublinear memory cost"). `f` may use any tensors, parameters of modules too.
 *
 * `f` must do the same when it runs again: dropout inside it must take its random key from outside.
 */
export function checkpoint<R>(f: () => R): R {
  return modes.grad ? new Segment(f).run() : f()
}

/** One checkpointed stretch: numbers the values that it would have saved, and makes them again when the first is asked for. */
class Segment<R> {
  readonly #body: () => R
  readonly #autocast = modes.autocast
  #count = 0
  /** Values of the second run that are still to be fetched. */
  readonly #values = new Map<number, Tensor | Scalar>()

  constructor(body: () => R) {
    this.#body = body
  }

  run(): R {
    const saver: Saver = { save: () => this.#slot(this.#count++) }
    return withModes({ saver }, this.#body, 'checkpoint')
  }

  #slot(index: number): Saved {
    return {
      get: () => {
        if (!this.#values.has(index)) this.#runAgain()
        const value = this.#values.get(index)!
        this.#values.delete(index)
        return value
      },
    }
  }

  #runAgain(): void {
    let next = 0
    const saver: Saver = {
      save: (value) => {
        this.#values.set(next++, value)
        return new Kept(value)
      },
      again: this,
    }
    // Rules that run later fetch these values: they must outlive the one that is running.
    outsideScopes(() => withModes({ saver, grad: true, autocast: this.#autocast }, this.#body, 'checkpoint'))
    if (next !== this.#count) {
      throw new CotangentError('engine-failure', {
        op: 'checkpoint',
        message: `the function saved ${this.#count} values for its gradient at first, but ${next} when it ran again`,
        hint: 'It must do the same both times: no branches on outside state.',
      })
    }
  }
}
