import { toFloat } from '../dtype.ts'
import type { KernelBuilder, Value } from '../engine/kernel.ts'
import type { Shape } from '../layout.ts'
import { bind, bind1 } from '../tensor/bind.ts'
import type { Primitive } from '../tensor/primitive.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { kernelPrimitive, type RowAttrs } from './kernel-op.ts'
import { momentsOf } from './moments.ts'
import type { ReduceFunction, ReduceMethod } from './reduce.ts'
import { type Axes, reduceOptions, type ReduceOptions, reduceSamples, rowAttrs, rowSize } from './rows.ts'
import { isZero, scaled, zero } from './scalar-math.ts'
import { define, defineFunction, type Documented, sampleTensor } from './table.ts'

/** What is subtracted from the number of elements before dividing by it. */
export interface VarianceOptions {
  /** What is subtracted from the number of elements: 1 (default) for an unbiased estimate, 0 for the mean square deviation. */
  readonly correction?: number
}

type Attrs = RowAttrs & { readonly correction: number }

const meanOf = (k: KernelBuilder, x: Value): Value => {
  const total = k.reduce('sum', x)
  return k.div(total, k.like(total, rowSize(k)))
}

/** Mean square deviation, and the mean. */
function moments(k: KernelBuilder, x: Value, { correction }: Attrs): [variance: Value, mean: Value] {
  const { mean, squares } = momentsOf(k, x)
  return [k.div(squares, k.like(squares, Math.max(0, rowSize(k) - correction))), mean]
}

/** d variance / dx. */
const slope = (k: KernelBuilder, x: Value, mean: Value, { correction }: Attrs): Value =>
  scaled(k, k.sub(x, mean), 2 / Math.max(0, rowSize(k) - correction))

const rows = { compute: toFloat, axes: (attrs: Attrs) => attrs.axes, levels: ['row'] as const }

const variancePrimitive = kernelPrimitive<Attrs>({
  ...rows,
  name: 'variance',
  code: (k, [x], attrs) => [moments(k, x!, attrs)[0]],
  adjoint: (k, [g], [x], _, attrs) => [k.mul(g!, slope(k, x!, meanOf(k, x!), attrs))],
})

const stdPrimitive = kernelPrimitive<Attrs>({
  ...rows,
  name: 'std',
  code: (k, [x], attrs) => [k.sqrt(moments(k, x!, attrs)[0])],
  adjoint: (k, [g], [x], [y], attrs) => {
    const share = k.div(g!, k.add(y!, y!))
    return [k.mul(k.select(isZero(k, y!), zero(k, y!), share), slope(k, x!, meanOf(k, x!), attrs))]
  },
})

const varianceMeanPrimitive = kernelPrimitive<Attrs>({
  ...rows,
  name: 'varianceMean',
  code: (k, [x], attrs) => moments(k, x!, attrs),
  adjoint: (k, [g, h], [x], [, mean], attrs) => [k.add(k.mul(g!, slope(k, x!, mean!, attrs)), k.div(h!, k.like(h!, rowSize(k))))],
})

function attrsOf(op: string, x: Tensor, axis: Axes | (ReduceOptions & VarianceOptions), options?: ReduceOptions & VarianceOptions): Attrs {
  const { correction = 1, ...rest } = reduceOptions<VarianceOptions>(axis, options)
  return { ...rowAttrs(op, x, rest), correction }
}

const deviation = (name: string, { doc }: Documented, primitive: Primitive<Attrs>): ReduceFunction<VarianceOptions> =>
  define({
    name,
    doc: `${doc}; NaN over fewer elements than the correction (default 1) and one.`,
    call: ((x: Tensor, axis?: Axes | (ReduceOptions & VarianceOptions), options?: ReduceOptions & VarianceOptions) =>
      bind1(primitive, [x], attrsOf(name, x, axis, options))) as ReduceFunction<VarianceOptions>,
    samples: () => [
      ...reduceSamples().map((s, i) => (i === 4 || i === 6 ? { ...s, gradient: 'none' as const } : s)),
      { args: [sampleTensor([3, 5]), 0, { correction: 0 }] },
    ],
  })

export const variance = deviation('variance', { doc: 'Variance over axes' }, variancePrimitive)
export const std = deviation('std', { doc: 'Standard deviation over axes' }, stdPrimitive)

export const varianceMean = defineFunction({
  name: 'varianceMean',
  doc: 'Variance and mean over axes, in one pass over memory.',
  call: (
    x: Tensor,
    axis?: Axes | (ReduceOptions & VarianceOptions),
    options?: ReduceOptions & VarianceOptions,
  ): [variance: Tensor, mean: Tensor] => bind(varianceMeanPrimitive, [x], attrsOf('varianceMean', x, axis, options)) as [Tensor, Tensor],
  samples: () => [{ args: [sampleTensor([3, 5]), 1] }, { args: [sampleTensor([2, 3, 4]), [0, 2], { correction: 0, keepDims: true }] }],
})

/** Variance and standard deviation, as methods. */
export interface VarianceMethods<_S extends Shape> {
  variance: ReduceMethod<VarianceOptions>
  std: ReduceMethod<VarianceOptions>
}
