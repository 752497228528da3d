import { type DType, promoteScalar } from '../dtype.ts'
import { type Spec, scalarSpec } from '../layout.ts'

/** A JavaScript number at the door: an argument of the program, so that changing it compiles nothing anew. */
export class Scalar {
  readonly spec: Spec
  readonly value: number
  /** A scalar never changes; see `Tensor.version`. */
  readonly version = 0

  constructor(value: number | bigint | boolean, dtype: DType) {
    this.value = Number(value)
    this.spec = scalarSpec(dtype)
  }

  /** A scalar that takes its dtype from the array it meets (NEP 50). */
  static beside(value: number | bigint | boolean, dtype: DType): Scalar {
    return new Scalar(value, promoteScalar(dtype, value))
  }
}
