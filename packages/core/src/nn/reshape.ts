import type { Shape } from '../layout.ts'
import type { Flatten as FlattenOut, InputOf, Result } from '../shape-types.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { Module } from './module.ts'

/** The axes from `start` (default 1: all but the batch) to `end` (inclusive, default the last) as one. */
export class Flatten<const Start extends number = 1, const End extends number = -1> extends Module {
  declare readonly $out: FlattenOut<InputOf<this>, Start, End>
  readonly start: Start
  readonly end: End

  constructor(start: Start = 1 as Start, end: End = -1 as End) {
    super()
    this.start = start
    this.end = end
  }

  forward<S extends Shape>(x: Tensor<S>): Tensor<Result<FlattenOut<S, Start, End>>>
  forward(x: Tensor): Tensor {
    return x.flatten(this.start as number, this.end as number)
  }

  override describe(): string {
    return (this.start as number) === 1 && (this.end as number) === -1 ? '' : `${this.start}, ${this.end}`
  }
}

/** Splits `axis` into axes of the given sizes, one of which may be -1. */
export class Unflatten extends Module {
  readonly axis: number
  readonly sizes: Shape

  constructor(axis: number, sizes: Shape) {
    super()
    this.axis = axis
    this.sizes = sizes
  }

  forward(x: Tensor): Tensor {
    return x.unflatten(this.axis, this.sizes)
  }

  override describe(): string {
    return `${this.axis}, [${this.sizes.join(', ')}]`
  }
}

/** Gives its input back; a stand-in for a layer. */
export class Identity extends Module {
  declare readonly $out: InputOf<this>

  forward<S extends Shape>(x: Tensor<S>): Tensor<S> {
    return x
  }
}
