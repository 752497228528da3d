import { KernelBuilder, type Value } from '../engine/kernel.ts'
import type { ScatterMode } from '../engine/routine.ts'
import { broadcastShapes, broadcastStrides, inverseOrder, rowMajor, type Shape, sizeOf } from '../layout.ts'
import * as routines from '../routines.ts'
import { bind1 } from '../tensor/bind.ts'
import type { Primitive } from '../tensor/primitive.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { kernelPrimitive } from './kernel-op.ts'
import { permute, reshape } from './movement.ts'

// Reading and writing at int32 indices that are in range already: each is the other's gradient.

/** Sum of `positions[i]·strides[i]`; those with stride 1 come last, so that a dense inner axis is easy to see. */
function address(k: KernelBuilder, positions: readonly Value[], strides: readonly number[]): Value {
  const terms = positions
    .flatMap((p, i) => (strides[i] === 0 ? [] : [{ p, stride: strides[i]! }]))
    .sort((a, b) => Math.abs(b.stride) - Math.abs(a.stride))
  const values = terms.map(({ p, stride }) => (stride === 1 ? p : k.mul(p, k.like(p, stride))))
  return values.length === 0 ? k.constant('int32', 0) : values.reduce((a, b) => k.add(a, b))
}

/** Integer indexing: the indexed axes go away, and the index's own axes stand at place `at` of the result. */
export interface TakeAttrs {
  /** Ascending; one for each index. */
  readonly axes: readonly number[]
  readonly at: number
}

export const takePrimitive: Primitive<TakeAttrs> = {
  name: 'take',
  tangent: 'linear',
  infer([x, ...indices], { axes, at }) {
    const rest = x!.shape.filter((_, axis) => !axes.includes(axis))
    return [
      { dtype: x!.dtype, shape: [...rest.slice(0, at), ...broadcastShapes('take', ...indices.map((i) => i.shape)), ...rest.slice(at)] },
    ]
  },
  lower([x, ...indices], [y], { axes, at }) {
    const k = new KernelBuilder('take', y!.shape)
    const from = k.input(x!.dtype)
    const rank = y!.shape.length - (x!.shape.length - axes.length)
    const looked = indices.map((i) => {
      const strides = y!.shape.map(() => 0)
      broadcastStrides(i.shape, i.strides, y!.shape.slice(at, at + rank)).forEach((s, axis) => (strides[at + axis] = s))
      return k.load(k.input(i.dtype), strides)
    })
    let next = 0
    const positions = x!.shape.map((_, axis) => {
      const which = axes.indexOf(axis)
      if (which >= 0) return looked[which]!
      const own = next++
      return k.index(own < at ? own : own + rank)
    })
    k.output(y!.dtype, k.gather(from, address(k, positions, x!.strides)), y!.strides)
    return k.build()
  },
  gradient([g], { attrs, inputs, inputSpecs }) {
    const [x, ...others] = inputSpecs
    return [putTaken(g!.newFull(x!.shape, 0), inputs.slice(1) as Tensor[], attrs, g!, 'add'), ...others.map(() => null)]
  },
  saves: (inputs) => ({ inputs: inputs.map((_, i) => i > 0), outputs: [false] }),
}

/** The elements of `x` at int32 indices that are in range already. */
export function takeAt(x: Tensor, indices: readonly Tensor[], attrs: TakeAttrs): Tensor {
  return bind1(takePrimitive, [x, ...indices], attrs)
}

const linearPrimitive = kernelPrimitive<{ sizes: Shape }>({
  name: 'linearIndex',
  code: (k, indices, { sizes }) => [address(k, indices, rowMajor(sizes))],
  differentiable: false,
})

/** `base` with `values` combined into the places that `takeAt` would read; where a place is named twice, `set` keeps the last. */
export function putTaken(base: Tensor, indices: readonly Tensor[], { axes, at }: TakeAttrs, values: Tensor, mode: 'set' | 'add'): Tensor {
  const sizes = axes.map((axis) => base.shape[axis]!)
  const rest = base.shape.map((_, axis) => axis).filter((axis) => !axes.includes(axis))
  const order = [...axes, ...rest]
  const restShape = rest.map((axis) => base.shape[axis]!)
  const width = sizeOf(restShape)
  const linear = indices.length === 1 ? indices[0]! : bind1(linearPrimitive, indices, { sizes })
  const count = linear.size
  const own = linear.rank
  const front = values.shape.map((_, axis) => axis)
  const sourceOrder = [...front.slice(at, at + own), ...front.slice(0, at), ...front.slice(at + own)]
  const put = scatterInto(
    reshape(permute(base, order), [sizeOf(sizes), width]),
    reshape(linear, [count, 1]).expand([count, width]),
    reshape(permute(values, sourceOrder), [count, width]),
    0,
    mode,
  )
  return permute(reshape(put, [...sizes, ...restShape]), inverseOrder(order))
}

const gatherPrimitive: Primitive<{ axis: number }> = {
  name: 'gather',
  tangent: 'linear',
  infer: ([x, index]) => [{ dtype: x!.dtype, shape: index!.shape }],
  lower([x, index], [y], { axis }) {
    const k = new KernelBuilder('gather', y!.shape)
    const from = k.input(x!.dtype)
    const at = k.load(k.input(index!.dtype), index!.strides)
    const positions = x!.shape.map((_, a) => (a === axis ? at : k.index(a)))
    k.output(y!.dtype, k.gather(from, address(k, positions, x!.strides)), y!.strides)
    return k.build()
  },
  gradient([g], { attrs: { axis }, inputs, inputSpecs }) {
    return [scatterInto(g!.newFull(inputSpecs[0]!.shape, 0), inputs[1]!, g!, axis, 'add'), null]
  },
  saves: () => ({ inputs: [false, true], outputs: [false] }),
}

/** `gather` with int32 indices that are in range already. */
export function gatherAt(x: Tensor, index: Tensor, axis: number): Tensor {
  return bind1(gatherPrimitive, [x, index], { axis })
}

interface ScatterAttrs {
  readonly axis: number
  readonly mode: ScatterMode
}

const scatterPrimitive: Primitive<ScatterAttrs> = {
  name: 'scatter',
  infer: ([base]) => [{ dtype: base!.dtype, shape: base!.shape }],
  lower: (inputs, outputs, attrs) => routines.scatter(attrs, inputs, outputs),
  gradient([g], { attrs: { axis, mode }, inputs, outputs }) {
    const [base, index, source] = inputs as readonly [Tensor, Tensor, Tensor]
    switch (mode) {
      case 'set':
        return [scatterInto(g!, index, g!.newFull(index.shape, 0), axis, 'set'), null, gatherAt(g!, index, axis)]
      case 'add':
        return [g!, null, gatherAt(g!, index, axis)]
      case 'mul': {
        // The product of a place's nonzero factors and the number of its zeros tell what the others multiply to.
        const isZero = source.eq(0)
        const product = scatterInto(onesForZeros(base), index, onesForZeros(source), axis, 'mul')
        const zeroCount = scatterInto(base.eq(0).cast(base.dtype), index, isZero.cast(base.dtype), axis, 'add')
        return [
          g!.mul(othersProduct(base, product, zeroCount)),
          null,
          gatherAt(g!, index, axis).mul(othersProduct(source, gatherAt(product, index, axis), gatherAt(zeroCount, index, axis))),
        ]
      }
      default: {
        // Shared evenly by all that reached the extremum.
        const [y] = outputs as readonly [Tensor]
        const own = base.eq(y).cast(base.dtype)
        const theirs = source.eq(gatherAt(y, index, axis)).cast(base.dtype)
        const share = g!.div(scatterInto(own, index, theirs, axis, 'add'))
        return [share.mul(own), null, gatherAt(share, index, axis).mul(theirs)]
      }
    }
  },
  saves(_, __, { mode }) {
    const all = mode !== 'set' && mode !== 'add'
    return { inputs: [all, true, all], outputs: [mode === 'max' || mode === 'min'] }
  },
}

const onesForZeros = (x: Tensor): Tensor => bind1(onesForZerosPrimitive, [x], undefined)

const onesForZerosPrimitive = kernelPrimitive<undefined>({
  name: 'onesForZeros',
  code: (k, [x]) => [k.select(k.eq(x!, k.like(x!, 0)), k.like(x!, 1), x!)],
})

/** The product of all factors but `x`, from the product of the nonzero ones and the number of zeros. */
const othersProduct = (x: Tensor, product: Tensor, zeroCount: Tensor): Tensor =>
  bind1(othersProductPrimitive, [x, product, zeroCount], undefined)

const othersProductPrimitive = kernelPrimitive<undefined>({
  name: 'othersProduct',
  code: (k, [x, product, zeros]) => {
    const [zero, one] = [k.like(x!, 0), k.like(x!, 1)]
    const forZero = k.select(k.eq(zeros!, one), product!, zero)
    const forOther = k.select(k.eq(zeros!, zero), k.div(product!, x!), zero)
    return [k.select(k.eq(x!, zero), forZero, forOther)]
  },
})

/** The scatter routine on indices that are in range already; `source` has the index's shape. */
export function scatterInto(base: Tensor, index: Tensor, source: Tensor, axis: number, mode: ScatterMode): Tensor {
  return bind1(scatterPrimitive, [base, index, source.cast(base.dtype)], { axis, mode })
}
