import type { GradientRule } from '../autograd/tape.ts'
import { type DType, toFloat } from '../dtype.ts'
import type { RoutineAttrs } from '../engine/routine.ts'
import { CotangentError } from '../errors.ts'
import { normalizeAxis, type Shape } from '../layout.ts'
import * as routines from '../routines.ts'
import type { Precision } from '../tensor/autocast.ts'
import { bind1 } from '../tensor/bind.ts'
import type { Primitive } from '../tensor/primitive.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { logAddExp } from './binary.ts'
import { concat } from './join.ts'
import { accumulator } from './rows.ts'
import { define, defineFunction, type Documented, sampleTensor } from './table.ts'
import { where } from './where.ts'

/** The direction of a cumulative op. */
export interface CumulativeOptions {
  /** Whether to start at the end of the axis. Default false. */
  readonly reverse?: boolean
}

interface Attrs {
  readonly axis: number
  readonly reverse: boolean
}

type Combine = RoutineAttrs['cumulative']['combine']

function cumulativePrimitive(
  name: string,
  combine: Combine,
  result: (d: DType) => DType,
  gradient: GradientRule<Attrs>,
  saves?: Primitive<Attrs>['saves'],
): Primitive<Attrs> {
  return {
    name,
    infer: ([x]) => [{ dtype: result(x!.dtype), shape: x!.shape }],
    lower: ([x], [y], attrs) => routines.cumulative({ ...attrs, combine }, [x!], [y!]),
    gradient,
    ...(saves && { saves }),
  }
}

const sumPrimitive = cumulativePrimitive(
  'cumSum',
  'sum',
  accumulator,
  ([g], { attrs }) => [bind1(sumPrimitive, [g!], backwards(attrs))],
  () => ({ inputs: [false], outputs: [false] }),
)

const backwards = ({ axis, reverse }: Attrs): Attrs => ({ axis, reverse: !reverse })

const running = (x: Tensor, attrs: Attrs): Tensor => bind1(sumPrimitive, [x], attrs)

/**
 * Element i of the gradient is the sum over j >= i of g[j] times the product up to j without x[i]. Up to the first zero that
 * product is y[j] / x[i]; for the first zero itself it is the product with the zero replaced by 1; and after it 0.
 */
const prodPrimitive = cumulativePrimitive('cumProd', 'prod', accumulator, ([g], { inputs, outputs, attrs }) => {
  const x = inputs[0]!
  const isZero = x.eq(0)
  const isFirstZero = isZero.logicalAnd(running(isZero, attrs).eq(1))
  const withoutZero = where(isFirstZero, 1, x)
  const before = running(g!.mul(outputs[0]!), backwards(attrs)).div(where(isZero, 1, x))
  const at = running(g!.mul(bind1(prodPrimitive, [withoutZero], attrs)), backwards(attrs))
  return [where(isFirstZero, at, where(isZero, 0, before))]
})

/** An extremum's gradient goes to the last position that set the record. */
const extremum = (name: string, combine: 'max' | 'min'): Primitive<Attrs> =>
  cumulativePrimitive(
    name,
    combine,
    (d) => d,
    ([g], { inputs, outputs, attrs }) => {
      const x = inputs[0]!.detach()
      const y = outputs[0]!.detach()
      const { axis, reverse } = attrs
      const n = x.shape[axis]!
      const place = running(x.newFull(x.shape, 1, { dtype: 'int32' }), { axis, reverse: false }).sub(1)
      const isRecord = x.eq(y).logicalOr(x.isNaN())
      const candidates = where(isRecord, place, reverse ? n - 1 : 0)
      const last = bind1(reverse ? lowest : highest, [candidates], attrs)
      return [x.newFull(x.shape, 0, { dtype: g!.dtype }).scatter(axis, last, g!, { mode: 'add' })]
    },
  )

const highest = extremum('cumMax', 'max')
const lowest = extremum('cumMin', 'min')

const cumulative = (name: string, { doc }: Documented, primitive: Primitive<Attrs>, precision?: Precision) =>
  define({
    name,
    doc: `${doc} along an axis, from its end if \`reverse\`.`,
    ...(precision && { precision }),
    call: <S extends Shape>(x: Tensor<S>, axis: number, { reverse = false }: CumulativeOptions = {}): Tensor<S> =>
      bind1(primitive, [x], { axis: normalizeAxis(name, axis, x.rank), reverse }) as Tensor<S>,
    samples: () => [
      { args: [sampleTensor([3, 5]), 1] },
      { args: [sampleTensor([2, 4, 3]), 1, { reverse: true }] },
      { args: [sampleTensor([3, 5]), -2] },
      { args: [sampleTensor([0, 3]), 0] },
      { args: [sampleTensor([1]), 0] },
    ],
  })

export const cumSum = cumulative('cumSum', { doc: 'Running sum (bool, uint8 and int8 in int32)' }, sumPrimitive, 'float32')
export const cumProd = cumulative('cumProd', { doc: 'Running product (bool, uint8 and int8 in int32)' }, prodPrimitive, 'float32')
export const cumMax = cumulative('cumMax', { doc: 'Running maximum; NaN once there was one,' }, highest)
export const cumMin = cumulative('cumMin', { doc: 'Running minimum; NaN once there was one,' }, lowest)

export const logCumSumExp = define({
  name: 'logCumSumExp',
  precision: 'float32',
  doc: 'log of the running sum of e^x along an axis, without overflow.',
  call: <S extends Shape>(x: Tensor<S>, axis: number): Tensor<S> => {
    const at = normalizeAxis('logCumSumExp', axis, x.rank)
    const n = x.shape[at]!
    // Each round doubles how many elements a result stands for: Hillis and Steele, Data parallel algorithms (1986).
    let y: Tensor = x.cast(toFloat(x.dtype))
    for (let step = 1; step < n; step *= 2) {
      const joined: Tensor = logAddExp(y.narrow(at, step, n - step), y.narrow(at, 0, n - step))
      y = concat([y.narrow(at, 0, step), joined], at)
    }
    return y as Tensor<S>
  },
  samples: () => [
    { args: [sampleTensor([3, 5]), 1] },
    { args: [sampleTensor([7, 2]), 0] },
    { args: [sampleTensor([1]), 0] },
    { args: [sampleTensor([0, 2]), 0] },
  ],
})

/** How often differences of neighbours are taken, and along which axis. */
export interface DiffOptions {
  /** How often. Default 1. */
  readonly n?: number
  /** Default the last. */
  readonly axis?: number
}

export const diff = defineFunction({
  name: 'diff',
  doc: 'Each element less the one before, along an axis (default the last), n times (default 1); of bools, whether they differ.',
  call: (x: Tensor, { n = 1, axis = -1 }: DiffOptions = {}): Tensor => {
    const at = normalizeAxis('diff', axis, x.rank)
    if (!Number.isInteger(n) || n < 0)
      throw new CotangentError('invalid-argument', { op: 'diff', message: `n is ${n}`, hint: 'It is a count of differences.' })
    let y = x
    for (let i = 0; i < n && y.shape[at]! > 0; i++) {
      const count = y.shape[at]! - 1
      const [after, before] = [y.narrow(at, 1, count), y.narrow(at, 0, count)]
      y = (x.dtype === 'bool' ? after.ne(before) : after.sub(before)) as Tensor
    }
    return y
  },
  samples: () => [
    { args: [sampleTensor([5])] },
    { args: [sampleTensor([3, 4]), { n: 2, axis: 0 }] },
    { args: [sampleTensor([2, 1])] },
    { args: [sampleTensor([0])] },
  ],
})

/** Sums, products and extrema up to each element, as methods. */
export interface CumulativeMethods<S extends Shape> {
  cumSum(axis: number, options?: CumulativeOptions): Tensor<S>
  cumProd(axis: number, options?: CumulativeOptions): Tensor<S>
  cumMax(axis: number, options?: CumulativeOptions): Tensor<S>
  cumMin(axis: number, options?: CumulativeOptions): Tensor<S>
  logCumSumExp(axis: number): Tensor<S>
}
