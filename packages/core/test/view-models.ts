import { rowMajor, sizeOf, type Shape } from '../src/layout.ts'
import type { Tensor } from '../src/tensor/tensor.ts'

/** For tests: an array as a function of the index, without any strides. */
export interface Model {
  readonly shape: Shape
  readonly at: (index: readonly number[]) => number
}

/** Draws numbers below a bound from a list of choices, over and over. */
export function allocateFrom(choices: readonly number[]): (bound: number) => number {
  let next = 0
  return (bound) => choices[next++ % choices.length]! % Math.max(1, bound)
}

type Draw = (bound: number) => number
type ModelOp = (x: Tensor, model: Model, draw: Draw) => [Tensor, Model]

const permuted: ModelOp = (x, { shape, at }, draw) => {
  const rest = shape.map((_, axis) => axis)
  const order = shape.map(() => rest.splice(draw(rest.length), 1)[0]!)
  return [
    x.permute(order),
    {
      shape: order.map((a) => shape[a]!),
      at: (i) => at(shape.map((_, axis) => i[order.indexOf(axis)]!)),
    },
  ]
}

const sliced: ModelOp = (x, { shape, at }, draw) => {
  if (shape.length === 0) return [x, { shape, at }]
  const axis = draw(shape.length)
  const n = shape[axis]!
  const [a, b] = [draw(n + 1), draw(n + 1)].sort((p, q) => p - q) as [number, number]
  const step = 1 + draw(3)
  const backwards = draw(2) === 1 && b > a
  const count = Math.ceil((b - a) / step)
  const range = backwards ? ([b - 1, a === 0 ? null : a - 1, -step] as const) : ([a, b, step] as const)
  const first = backwards ? b - 1 : a
  return [
    x.slice(...shape.map((_, d) => (d === axis ? range : null))),
    {
      shape: shape.map((m, d) => (d === axis ? count : m)),
      at: (i) => at(i.map((p, d) => (d === axis ? first + p * (backwards ? -step : step) : p))),
    },
  ]
}

const flipped: ModelOp = (x, { shape, at }, draw) => {
  const axes = shape.map((_, axis) => axis).filter(() => draw(2) === 1)
  return [x.flip(axes), { shape, at: (i) => at(i.map((p, axis) => (axes.includes(axis) ? shape[axis]! - 1 - p : p))) }]
}

const reshaped: ModelOp = (x, { shape, at }, draw) => {
  const size = sizeOf(shape)
  const divisors = Array.from({ length: size }, (_, i) => i + 1).filter((d) => size % d === 0)
  const first = size === 0 ? 0 : divisors[draw(divisors.length)]!
  const next = size === 0 ? [2, 0] : [first, 1, size / first]
  const [from, to] = [rowMajor(shape), rowMajor(next)]
  return [
    x.reshape(next) as Tensor,
    {
      shape: next,
      at: (i) => {
        const flat = i.reduce((sum, p, axis) => sum + p * to[axis]!, 0)
        return at(shape.map((n, axis) => Math.floor(flat / from[axis]!) % n))
      },
    },
  ]
}

const expanded: ModelOp = (x, { shape, at }, draw) => {
  const next = [1 + draw(3), ...shape.map((n) => (n === 1 ? 1 + draw(3) : n))]
  return [x.expand(next) as Tensor, { shape: next, at: (i) => at(shape.map((n, axis) => (n === 1 ? 0 : i[axis + 1]!))) }]
}

/** The first three neither repeat nor move elements. */
export const modelOps: readonly ModelOp[] = [permuted, sliced, flipped, reshaped, expanded]
