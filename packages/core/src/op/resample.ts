import { type DType, dtypeInfo, toFloat } from '../dtype.ts'
import { KernelBuilder, type Value } from '../engine/kernel.ts'
import { scalarTypeOf } from '../engine/scalar.ts'
import type { Spec } from '../layout.ts'
import { bind1 } from '../tensor/bind.ts'
import type { Primitive } from '../tensor/primitive.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { tensor } from './creation.ts'
import { putTaken } from './gather-scatter.ts'

/** Where each of `count` samples of an axis comes from: as many places for each, in range, with their weights; all samples of a tap together. */
export interface Taps {
  readonly count: number
  readonly positions: Int32Array
  readonly weights: Float64Array
}

interface Attrs {
  readonly axis: number
  /** What integers are rounded to, and cut off at its ends. */
  readonly dtype: DType | undefined
}

/** The axes of `x` from `begin` to `end`; those with one stride between neighbours are one. */
function joined({ shape, strides }: Spec, begin: number, end: number): { size: number; stride: number }[] {
  const axes: { size: number; stride: number }[] = []
  for (let axis = begin; axis < end; axis++) {
    const [size, stride] = [shape[axis]!, strides[axis]!]
    const last = axes.at(-1)
    if (last && last.stride === size * stride) axes[axes.length - 1] = { size: last.size * size, stride }
    else if (size !== 1) axes.push({ size, stride })
  }
  return axes
}

/** Weighted sums of samples of one axis, computed as floats: x, weights [taps, count] and positions [taps, count] (int32, in range). */
const resamplePrimitive: Primitive<Attrs> = {
  name: 'resample',
  infer: ([x, weights], { axis, dtype }) => [{ dtype: dtype ?? weights!.dtype, shape: x!.shape.with(axis, weights!.shape[1]!) }],
  lower([x, weights, positions], [y], { axis, dtype }) {
    const [taps, count] = weights!.shape as [number, number]
    const [before, after] = [joined(x!, 0, axis), joined(x!, axis + 1, x!.shape.length)]
    const own = before.length
    const k = new KernelBuilder('resample', [...before.map(({ size }) => size), count, ...after.map(({ size }) => size)])
    const [image, factors, from] = [k.input(x!.dtype), k.input(weights!.dtype), k.input('int32')]
    const ofTap = (table: Spec, input: number, tap: number) =>
      k.load(
        input,
        k.parallel.map((_, i) => (i === own ? table.strides[1]! : 0)),
        tap * table.strides[0]!,
      )
    const scaled = (value: Value, by: number) => (by === 1 ? value : k.mul(value, k.like(value, by)))
    // What runs fastest comes last, where the emitter looks for it.
    const others = [...before, ...after].map(({ stride }, i) => scaled(k.index(i < own ? i : i + 1), stride))
    const type = scalarTypeOf[weights!.dtype]
    let sum: Value | undefined
    for (let tap = 0; tap < taps; tap++) {
      const at = scaled(ofTap(positions!, from, tap), x!.strides[axis]!)
      const address = [at, ...others].reduce((a, b) => k.add(a, b))
      const term = k.mul(k.cast(k.gather(image, address), type), ofTap(weights!, factors, tap))
      sum = sum === undefined ? term : k.add(sum, term)
    }
    k.output(y!.dtype, dtype ? rounded(k, sum!, dtype) : sum!)
    return k.build()
  },
  gradient([g], { attrs: { axis }, inputs, inputSpecs }) {
    const [, weights, positions] = inputs as readonly Tensor[]
    const [taps, count] = weights!.shape as [number, number]
    const along = inputSpecs[0]!.shape.map((_, a) => (a === axis ? count : 1))
    let sum = g!.newFull(inputSpecs[0]!.shape, 0)
    for (let tap = 0; tap < taps; tap++) {
      const part = g!.mul(weights!.select(0, tap).reshape(along))
      sum = putTaken(sum, [positions!.select(0, tap)], { axes: [axis], at: axis }, part, 'add')
    }
    return [sum, null, null]
  },
  saves: () => ({ inputs: [false, true, true], outputs: [false] }),
}

function rounded(k: KernelBuilder, x: Value, dtype: DType): Value {
  const { min, max } = dtypeInfo[dtype]
  return k.min(k.max(k.round(x), k.like(x, min)), k.like(x, max))
}

/** The samples of `axis` weighted and added up, `count` sums, as floats or rounded to an integer dtype. */
export function resample(x: Tensor, axis: number, { count, positions, weights }: Taps, dtype?: DType): Tensor {
  const shape = [positions.length / count, count] as const
  const factors = tensor(weights, { shape, dtype: toFloat(x.dtype) })
  return bind1(resamplePrimitive, [x, factors, tensor(positions, { shape })] as Tensor[], { axis, dtype })
}
