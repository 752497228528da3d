import { gradientsOf } from '../autograd/backward.ts'
import { variableOf } from '../autograd/grad.ts'
import { dtypeInfo, isFloat } from '../dtype.ts'
import { currentEngine } from '../engine/registry.ts'
import type { Operand, Routine, RoutineAttrs } from '../engine/routine.ts'
import { broadcastShapes, broadcastStrides, type Shape, sizeOf, type Spec } from '../layout.ts'
import * as routines from '../routines.ts'
import { bind } from '../tensor/bind.ts'
import { modes, withModes } from '../tensor/modes.ts'
import { type Primitive, planOf } from '../tensor/primitive.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { type AttentionOptions, composedAttention, MOST_WEIGHTS } from './composed-attention.ts'

type Attrs = RoutineAttrs['attention']
type Three<T> = readonly [T, T, T]

const batchOf = ([q, k, v]: readonly { readonly shape: Shape }[]): Shape =>
  [q!, k!, v!].map(({ shape }) => shape.slice(0, -2)).reduce((a, b) => broadcastShapes('scaledDotProductAttention', a, b))

const matrices = (s: Spec, batch: Shape, own: Shape = s.shape.slice(-2)): Operand => {
  const shape = [...batch, ...own]
  return { dtype: s.dtype, shape, strides: broadcastStrides(s.shape, s.strides, shape) }
}

/** Queries, keys, values and maybe a mask, whose batch axes broadcast -> the result, and the logarithm of each row's sum for the gradient. */
const attentionPrimitive: Primitive<Attrs> = {
  name: 'attention',
  infer(inputs) {
    const [q, , v] = inputs
    const rows = [...batchOf(inputs), q!.shape.at(-2)!]
    return [
      { dtype: q!.dtype, shape: [...rows, v!.shape.at(-1)!] },
      { dtype: q!.dtype === 'float64' ? 'float64' : 'float32', shape: rows },
    ]
  },
  lower(inputs, outputs, attrs) {
    const batch = batchOf(inputs)
    const scores = [inputs[0]!.shape.at(-2)!, inputs[1]!.shape.at(-2)!]
    const operands = inputs.map((s, i) => matrices(s, batch, i === 3 ? scores : undefined))
    return routines.attention(attrs, operands, outputs)
  },
  // Nothing depends on the log-sums but the gradient, which knows by itself what it depends on.
  gradient([g], { attrs, inputs, outputs: [y, logSums], inputSpecs, wanted }) {
    const [q, k, v, mask] = inputs as readonly Tensor[]
    const found = bind(attentionGradPrimitive, [g!, q!, k!, v!, y!, logSums!, ...(mask ? [mask] : [])], attrs)
    const own = found.map((x, i) => (wanted[i] ? x.fitTo(inputSpecs[i]!.shape) : null))
    return mask ? [...own, wanted[3] ? maskGradient([q!, k!, v!], mask, attrs, g!) : null] : own
  },
  saves: (inputs) => ({ inputs: inputs.map(() => true), outputs: [true, true] }),
}

/** Gradient of the result, queries, keys, values, result, log-sums, maybe a mask -> gradients of queries, keys and values, with all batch axes. */
const attentionGradPrimitive: Primitive<Attrs> = {
  name: 'attentionGrad',
  infer([, ...inputs]) {
    const batch = batchOf(inputs)
    return inputs.slice(0, 3).map(({ dtype, shape }) => ({ dtype, shape: [...batch, ...shape.slice(-2)] }))
  },
  lower(inputs, outputs, attrs) {
    const [, q, k] = inputs
    const batch = batchOf(inputs.slice(1))
    const scores = [q!.shape.at(-2)!, k!.shape.at(-2)!]
    const operands = inputs.map((s, i) => (i === 5 ? s : matrices(s, batch, i === 6 ? scores : undefined)))
    return routines.attentionGrad(attrs, operands, outputs)
  },
  // Result and log-sums follow from the others, so this is a function of those alone.
  gradient(gradients, { attrs, inputs, wanted }) {
    const recorded = modes.grad
    return withModes({ grad: true }, () => {
      const own = inputs.map((x, i) => (x && i !== 4 && i !== 5 && isFloat(x.dtype) ? variableOf(x) : null))
      const [g, q, k, v] = own as [Tensor, Tensor, Tensor, Tensor]
      const operands = expanded([q, k, v])
      const y = composed(operands, own[6] ?? inputs[6] ?? null, attrs)
      const first = gradientsOf([y], operands, [g], { createGraph: true }) as readonly Tensor[]
      const variables = own.filter((x) => x !== null)
      const found = gradientsOf(first, variables, gradients, { createGraph: recorded })
      return own.map((x, i) => (x && wanted[i] ? found[variables.indexOf(x)]! : null))
    })
  },
}

/** With all batch axes. */
function expanded(operands: Three<Tensor>): Three<Tensor> {
  const batch = batchOf(operands)
  return operands.map((x) => x.expand([...batch, ...x.shape.slice(-2)])) as unknown as Three<Tensor>
}

function composed([q, k, v]: Three<Tensor>, mask: Tensor | null, { scale, causal }: Attrs): Tensor {
  const scores = [...batchOf([q, k, v]), q.shape.at(-2)!, k.shape.at(-2)!]
  return composedAttention(q, k, v, scores, { mask, causal, scale })
}

function maskGradient(operands: Three<Tensor>, mask: Tensor, attrs: Attrs, g: Tensor): Tensor {
  const recorded = modes.grad
  return withModes({ grad: true }, () => {
    const variable = variableOf(mask)
    const y = composed(expanded(operands), variable, attrs)
    return gradientsOf([y], [variable], [g], { createGraph: recorded })[0]!
  })
}

/**
 * Attention as one routine, whose gradient is another one: for engines that have code for these, and wherever the weights would take much
 * memory. Else undefined.
 */
export function fusedAttention(
  q: Tensor,
  k: Tensor,
  v: Tensor,
  scores: Shape,
  { scale, dropout: p = 0, mask, causal = false }: AttentionOptions & { readonly scale: number },
): Tensor | undefined {
  const inputs = [q, k, v, ...(mask ? [mask] : [])]
  // The gradient of a mask is one of all weights.
  if (p > 0 || mask?.requiresGrad || sizeOf(scores) === 0 || !isFloat(q.dtype) || k.dtype !== q.dtype || v.dtype !== q.dtype)
    return undefined
  const attrs = { scale, causal }
  if (sizeOf(scores) * dtypeInfo[q.dtype].size <= MOST_WEIGHTS) {
    const engine = q.isTracer ? currentEngine() : q.storage.engine
    if (!engine.takes?.(planOf(attentionPrimitive, inputs, attrs).program as Routine)) return undefined
  }
  return bind(attentionPrimitive, inputs, attrs)[0]!
}
