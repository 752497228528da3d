import { kernelPrimitive } from './kernel-op.ts'
import { rowSize } from './rows.ts'
import { one, squareOf } from './scalar-math.ts'

/** Which axes make a row, and which of the optional factor and summand there are. */
export interface NormAttrs {
  readonly axes: readonly number[]
  readonly eps: number
  readonly weight: boolean
  readonly bias: boolean
}

/** Both norms: a row is scaled to mean square 1, `centred` or not, all in one kernel. */
/* @__NO_SIDE_EFFECTS__ */
const normalization = (name: string, centred: boolean) =>
  kernelPrimitive<NormAttrs>({
    name,
    accepts: ['float'],
    axes: (attrs) => attrs.axes,
    code: (k, [x, ...affine], { eps, weight, bias }) => {
      const mean = (of: typeof x) => {
        const total = k.reduce('sum', of!)
        return k.div(total, k.like(total, rowSize(k)))
      }
      const d = centred ? k.sub(x!, mean(x)) : x!
      const variance = mean(squareOf(k, d))
      let y = k.mul(d, k.div(one(k, d), k.sqrt(k.add(variance, k.like(variance, eps)))))
      if (weight) y = k.mul(y, affine[0]!)
      if (bias) y = k.add(y, affine.at(-1)!)
      return [y]
    },
  })

export const layerNormPrimitive = normalization('layerNorm', true)
export const rmsNormPrimitive = normalization('rmsNorm', false)
