import { toFloat } from '../dtype.ts'
import type { Shape } from '../layout.ts'
import { bind1 } from '../tensor/bind.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { type ScalarLike, toInputs } from './elementwise.ts'
import { type KernelOp, kernelPrimitive } from './kernel-op.ts'
import { define, type Sample, sampleTensor } from './table.ts'

export interface BinaryFunction {
  (a: Tensor | ScalarLike, b: Tensor | ScalarLike): Tensor
}

interface BinaryOptions extends Pick<KernelOp<undefined>, 'code' | 'differentiable'> {
  readonly doc: string
  readonly dtypes?: 'float' | 'same'
  readonly domain?: readonly [low: number, high: number]
  readonly gradient?: Sample['gradient']
}

const samplePairs: readonly (readonly [Shape, Shape])[] = [
  [[3, 5], [3, 5]],
  [[4, 3], [3]],
  [[2, 1, 3], [4, 1]],
  [[], [2]],
  [[0, 3], [3]],
]

/** Declares an elementwise op of two tensors or numbers, which broadcast and promote. */
function binary(name: string, { doc, dtypes, domain: [low, high] = [-2, 2], gradient, ...code }: BinaryOptions): BinaryFunction {
  const primitive = kernelPrimitive<undefined>({ name, ...(dtypes === 'float' && { compute: toFloat }), ...code })
  const note = gradient ? { gradient } : {}
  return define({
    name,
    doc,
    call: (a: Tensor | ScalarLike, b: Tensor | ScalarLike) => bind1(primitive, toInputs(name, [a, b]), undefined),
    samples: () => [
      ...samplePairs.map(([a, b]) => ({ args: [sampleTensor(a, { low, high }), sampleTensor(b, { low, high })], ...note })),
      { args: [sampleTensor([3], { low, high }), 1.5], ...note },
    ],
  })
}

export const add = binary('add', { doc: 'a + b.', code: (k, [a, b]) => [k.add(a!, b!)] })
export const sub = binary('sub', { doc: 'a - b.', code: (k, [a, b]) => [k.sub(a!, b!)] })
export const mul = binary('mul', { doc: 'a * b.', code: (k, [a, b]) => [k.mul(a!, b!)] })
export const div = binary('div', { doc: 'a / b, as real numbers.', dtypes: 'float', code: (k, [a, b]) => [k.div(a!, b!)], domain: [0.5, 3] })
export const ne = binary('ne', { doc: 'Whether a and b differ.', differentiable: false, code: (k, [a, b]) => [k.ne(a!, b!)] })

type Module = typeof import('./binary.ts')

/** Every op of this file as a method of its first operand. */
export type BinaryMethods<_S extends Shape> = {
  [K in keyof Module as Module[K] extends BinaryFunction ? K : never]: (other: Tensor | ScalarLike) => Tensor
}
