import type { DType } from '../dtype.ts'
import type { Operand, RoutineAttrs } from '../engine/routine.ts'
import { CotangentError } from '../errors.ts'
import { broadcastShapes, broadcastStrides, type Shape, type Spec } from '../layout.ts'
import * as routines from '../routines.ts'
import type { Checked, LinearWith, MatMul, Result } from '../shape-types.ts'
import { bind1 } from '../tensor/bind.ts'
import { precisionAttrs } from '../tensor/matmul-precision.ts'
import type { Primitive } from '../tensor/primitive.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { narrowSamples, productDType, type ProductOptions, productOperands } from './product-dtype.ts'
import { define, type Sample, sampleTensor } from './table.ts'

/** `dtype` is the result's, where it is not the operands'. */
type Attrs = RoutineAttrs['matmul'] & { readonly dtype?: DType }

/** `a [...batch, M, K]`, `b [...batch, K, N]`, optional `bias [N]`; batch axes broadcast. */
const matmulPrimitive: Primitive<Attrs | undefined> = {
  name: 'matmul',
  tangent: 'bilinear',
  infer([a, b], attrs) {
    const batch = broadcastShapes('matmul', a!.shape.slice(0, -2), b!.shape.slice(0, -2))
    return [{ dtype: attrs?.dtype ?? a!.dtype, shape: [...batch, a!.shape.at(-2)!, b!.shape.at(-1)!] }]
  },
  lower([a, b, bias], [y], attrs) {
    const batch = y!.shape.slice(0, -2)
    const inputs = [batched(a!, batch), batched(b!, batch), ...(bias ? [bias] : [])]
    return routines.matmul(attrs?.precision ? { precision: attrs.precision } : {}, inputs, [y!])
  },
  gradient([g], { inputs: [a, b], inputSpecs: [sa, sb, bias], wanted, attrs }) {
    // In the result's dtype: products of half floats may have a float32 result.
    const { dtype, ...rest } = attrs ?? {}
    const own = attrs && (dtype ? rest : attrs)
    const wide = g!.dtype
    return [
      wanted[0]
        ? laidOutAs(sa!, g!, swapLast(b!.cast(wide)), own)
            .fitTo(sa!.shape)
            .cast(sa!.dtype)
        : null,
      wanted[1] ? weightGradient(a!.cast(wide), g!, sb!, own).cast(sb!.dtype) : null,
      ...(bias ? [wanted[2] ? g!.fitTo(bias.shape) : null] : []),
    ]
  },
  saves: (inputs) => ({ inputs: inputs.map((_, i) => i < 2), outputs: [false] }),
}

function batched(s: Spec, batch: Shape): Operand {
  const shape = [...batch, ...s.shape.slice(-2)]
  return { dtype: s.dtype, shape, strides: broadcastStrides(s.shape, s.strides, shape) }
}

const multiply = (a: Tensor, b: Tensor, attrs: Attrs | undefined): Tensor => bind1(matmulPrimitive, [a, b], attrs)

const swapLast = (x: Tensor): Tensor => x.transpose(-2, -1)

/** The product `a b`, with rows or columns next to each other in memory as `like` has them: a transposed operand's gradient is that of what it is a view of. */
function laidOutAs(like: Spec, a: Tensor, b: Tensor, attrs: Attrs | undefined): Tensor {
  const transposed = like.shape.at(-1)! > 1 && like.strides.at(-1) !== 1 && like.strides.at(-2) === 1
  return transposed ? swapLast(multiply(swapLast(b), swapLast(a), attrs)) : multiply(a, b, attrs)
}

/** A weight shared by the whole batch collects its gradient in one product over batch and rows together. */
function weightGradient(a: Tensor, g: Tensor, weight: Spec, attrs: Attrs | undefined): Tensor {
  if (weight.shape.length > 2 || a.rank === 2) return laidOutAs(weight, swapLast(a), g, attrs).fitTo(weight.shape)
  return laidOutAs(weight, swapLast(a.reshape([-1, a.shape.at(-1)!])), g.reshape([-1, g.shape.at(-1)!]), attrs)
}

function product(op: string, a: Tensor, b: Tensor, bias: Tensor | undefined, options: ProductOptions = {}): Tensor {
  if (a.rank === 0 || b.rank === 0) {
    throw new CotangentError('shape-mismatch', {
      op,
      message: 'operands need at least one axis',
      shapes: [a.shape, b.shape],
      hint: 'Use mul() to scale by a number.',
    })
  }
  const [inner, other] = [a.shape.at(-1)!, b.rank === 1 ? b.shape[0]! : b.shape.at(-2)!]
  if (inner !== other) {
    throw new CotangentError('shape-mismatch', {
      op,
      message: `inner sizes ${inner} and ${other} differ`,
      shapes: [a.shape, b.shape],
      hint: 'The last axis of the first must match the second-to-last of the second; transpose one of them?',
    })
  }
  const dtype = productDType(op, bias ? [a, b, bias] : [a, b], options)
  const [left, right] = productOperands(dtype, a.rank === 1 ? a.reshape([1, inner]) : a, b.rank === 1 ? b.reshape([inner, 1]) : b)
  // One large product instead of many small ones, where all share the right operand.
  const rows = right.rank === 2 && left.rank > 2 ? left.reshape([-1, inner]) : left
  const attrs = left.dtype === dtype ? precisionAttrs(dtype) : { ...precisionAttrs(dtype), dtype }
  const y = bind1(matmulPrimitive, bias ? [rows, right, bias.cast(dtype)] : [rows, right], attrs)
  const batch = rows === left ? y.shape.slice(0, -2) : left.shape.slice(0, -2)
  const shape = [...batch, ...(a.rank === 1 ? [] : [left.shape.at(-2)!]), ...(b.rank === 1 ? [] : [right.shape.at(-1)!])]
  return shape.length === y.rank && rows === left ? y : y.reshape(shape)
}

interface Matmul {
  <A extends Shape, B extends Shape>(
    a: Tensor<A>,
    b: Checked<MatMul<A, B>, Tensor<B>>,
    options?: ProductOptions,
  ): Tensor<Result<MatMul<A, B>>>
}

export const matmul: Matmul = define({
  name: 'matmul',
  precision: 'lower',
  doc: "Matrix product over the last two axes; leading axes broadcast; 1-d operands are vectors, as in NumPy. `dtype` is the result's: int32 for exact sums of 8-bit integers.",
  call: ((a: Tensor, b: Tensor, options?: ProductOptions) => product('matmul', a, b, undefined, options)) as Matmul,
  samples: () =>
    (
      [
        [
          [3, 4],
          [4, 5],
        ],
        [[4], [4]],
        [[2, 3, 4], [4]],
        [[3], [3, 2]],
        [
          [2, 3, 4],
          [4, 5],
        ],
        [
          [2, 1, 3, 4],
          [5, 4, 2],
        ],
        [
          [0, 3],
          [3, 2],
        ],
        [
          [2, 0],
          [0, 3],
        ],
      ] as const
    )
      .map(([a, b]): Sample => ({ args: [sampleTensor(a), sampleTensor(b)] }))
      .concat(
        narrowSamples(
          (dtype) => sampleTensor([2, 3, 5], { dtype }),
          (dtype) => sampleTensor([5, 4], { dtype }),
        ),
      ),
})

interface Linear {
  <S extends Shape, W extends Shape>(
    x: Tensor<S>,
    weight: Checked<LinearWith<S, W>, Tensor<W>>,
    bias?: Tensor | null,
    options?: ProductOptions,
  ): Tensor<Result<LinearWith<S, W>>>
}

export const linear: Linear = define({
  name: 'linear',
  precision: 'lower',
  doc: 'x @ weight + bias, with weight [in, out]: one product with the bias added in passing.',
  call: ((x: Tensor, weight: Tensor, bias?: Tensor | null, options?: ProductOptions): Tensor => {
    if (weight.rank !== 2 || (bias && (bias.rank !== 1 || bias.shape[0] !== weight.shape[1]))) {
      throw new CotangentError('shape-mismatch', {
        op: 'linear',
        message: 'needs weight [in, out] and bias [out]',
        shapes: [weight.shape, ...(bias ? [bias.shape] : [])],
        hint: "Weights are the transpose of PyTorch's: use weight.transpose(0, 1) for those.",
      })
    }
    return product('linear', x, weight, bias ?? undefined, options)
  }) as Linear,
  samples: () => [
    { args: [sampleTensor([3, 4]), sampleTensor([4, 5]), sampleTensor([5])] },
    { args: [sampleTensor([2, 3, 4]), sampleTensor([4, 2]), sampleTensor([2])] },
    { args: [sampleTensor([4]), sampleTensor([4, 2]), sampleTensor([2])] },
    { args: [sampleTensor([3, 4]), sampleTensor([4, 5])] },
    { args: [sampleTensor([3, 5], { dtype: 'uint8' }), sampleTensor([5, 6], { dtype: 'int8' }), sampleTensor([6], { dtype: 'int32' })] },
  ],
})

export const dot = define({
  name: 'dot',
  precision: 'widest',
  doc: 'Inner product of two vectors.',
  call(a: Tensor, b: Tensor): Tensor<[]> {
    if (a.rank !== 1 || b.rank !== 1)
      throw new CotangentError('shape-mismatch', {
        op: 'dot',
        message: 'needs two vectors',
        shapes: [a.shape, b.shape],
        hint: 'Use matmul().',
      })
    return matmul(a, b) as Tensor<[]>
  },
  samples: () => [{ args: [sampleTensor([7]), sampleTensor([7])] }],
})

export const outer = define({
  name: 'outer',
  doc: 'All products of the elements of two vectors: [n] and [m] give [n, m].',
  call(a: Tensor, b: Tensor): Tensor {
    if (a.rank !== 1 || b.rank !== 1)
      throw new CotangentError('shape-mismatch', {
        op: 'outer',
        message: 'needs two vectors',
        shapes: [a.shape, b.shape],
        hint: 'Flatten them first.',
      })
    return a.reshape([-1, 1]).mul(b)
  },
  samples: () => [{ args: [sampleTensor([3]), sampleTensor([4])] }],
})

/** Matrix products, as methods of the first operand. */
export interface MatmulMethods<_S extends Shape> {
  matmul<A extends Shape, B extends Shape>(
    this: Tensor<A>,
    other: Checked<MatMul<A, B>, Tensor<B>>,
    options?: ProductOptions,
  ): Tensor<Result<MatMul<A, B>>>
  linear<A extends Shape, W extends Shape>(
    this: Tensor<A>,
    weight: Checked<LinearWith<A, W>, Tensor<W>>,
    bias?: Tensor | null,
    options?: ProductOptions,
  ): Tensor<Result<LinearWith<A, W>>>
  dot(other: Tensor): Tensor<[]>
  outer(other: Tensor): Tensor
}
