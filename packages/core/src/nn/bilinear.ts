import { CotangentError } from '../errors.ts'
import type { Shape } from '../layout.ts'
import { einsum } from '../op/index.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { checkCounts, drawBounded } from './draw.ts'
import type { LinearOptions } from './linear.ts'
import { Module } from './module.ts'
import type { Parameter } from './parameter.ts'

/** y[o] = sum of a[i] * b[j] * weight[o, i, j], plus bias[o]. `weight` is `[out, in1, in2]`, as PyTorch's. */
export class Bilinear extends Module {
  readonly inFeatures: readonly [number, number]
  readonly outFeatures: number
  weight: Parameter<[number, number, number]>
  bias: Parameter<[number]> | null

  constructor(in1: number, in2: number, out: number, { bias = true, dtype = 'float32' }: LinearOptions = {}) {
    super()
    checkCounts('Bilinear', { in1, in2, out })
    this.inFeatures = [in1, in2]
    this.outFeatures = out
    const bound = 1 / Math.sqrt(in1)
    this.weight = drawBounded([out, in1, in2], bound, dtype)
    this.bias = bias ? drawBounded([out], bound, dtype) : null
  }

  /** `[..., in1]` and `[..., in2]` to `[..., out]`. */
  forward(a: Tensor, b: Tensor): Tensor {
    if (
      a.shape.at(-1) !== this.inFeatures[0] ||
      b.shape.at(-1) !== this.inFeatures[1] ||
      String(a.shape.slice(0, -1)) !== String(b.shape.slice(0, -1))
    ) {
      throw new CotangentError('shape-mismatch', {
        op: 'Bilinear',
        message: `expected [..., ${this.inFeatures[0]}] and [..., ${this.inFeatures[1]}]`,
        shapes: [a.shape, b.shape],
        hint: 'The last axes hold the features.',
      })
    }
    const rows: Tensor = einsum('ni,oij,nj->no', a.reshape([-1, this.inFeatures[0]]), this.weight, b.reshape([-1, this.inFeatures[1]]))
    const y: Tensor = rows.reshape([...a.shape.slice(0, -1), this.outFeatures])
    return this.bias ? (y.add(this.bias as Tensor) as Tensor) : y
  }

  override describe(): string {
    return `${this.inFeatures.join(', ')}, ${this.outFeatures}${this.bias ? '' : ', bias: false'}`
  }

  override macs(_: readonly Shape[], output: Shape): number {
    return output.reduce((a, b) => a * b, 1) * this.inFeatures[0] * (this.inFeatures[1] + 1)
  }
}
