import type { DType } from '../../dtype.ts'
import { sizeOf } from '../../layout.ts'
import type { Operand, Routine } from '../routine.ts'
import { byteCode } from './byte-code.ts'
import { byteDemands, bytesOf } from './byte-demands.ts'
import type { HalfType } from './gemm-pack.ts'
import type { LaneType } from './lanes.ts'
import { type MatmulMode, type MatmulProblem, modesFor, planMatmul } from './matmul-plan.ts'
import { emitMatmul } from './matmul.ts'
import { biasOf, productJob } from './product-module.ts'
import { type Demand, type RecipeRule, tidy } from './routine-code.ts'

export const matmulRecipe: RecipeRule<'matmul'> = ({ inputs, outputs }, type, demand, epilogue) => {
  // Panels are no gain for a single row: there, converting the matrix takes half the time.
  const singleRow = outputs[0]!.shape.at(-2) === 1 && inputs[1]!.strides.at(-1) === 1
  /** Numbers of half precision become wider on their way into panels. */
  const asItIs = ({ dtype }: Operand): Demand =>
    type === 'float32' && isHalf(dtype) && !singleRow ? { ...demand('any'), dtype } : demand('any')
  const bytes = byteCode() && bytesOf(type, inputs)
  return {
    demands: byteDemands(bytes, asItIs(inputs[0]!), asItIs(inputs[1]!), demand('lastUniform')),
    results: [type],
    job([a, b, bias], [y], threads, mode) {
      const problem = { ...matmulProblem(type, a!, b!, bias, y!, threads), mode, bytes }
      const halves = { a: problem.a.half, b: problem.b.half }
      return productJob('matmul', emitMatmul, planMatmul(problem), { type, bias: bias !== undefined, epilogue, halves, bytes })
    },
  }
}

/** Operands that are converted, or widen on their way into panels, have one mode. */
export function matmulVariants({ inputs, outputs }: Routine<'matmul'>, type: LaneType): readonly MatmulMode[] {
  if (sizeOf(inputs[0]!.shape) === 0 || inputs.some(({ dtype }) => dtype !== type)) return []
  const [a, b, y] = [...inputs.slice(0, 2), outputs[0]!].map(tidy) as [Operand, Operand, Operand]
  return modesFor(matmulProblem(type, a, b, undefined, y, 1))
}

const isHalf = (dtype: DType): dtype is HalfType => dtype === 'bfloat16' || dtype === 'float16'
const halfOf = ({ dtype }: Operand): HalfType | undefined => (isHalf(dtype) ? dtype : undefined)

function matmulProblem(type: LaneType, a: Operand, b: Operand, bias: Operand | undefined, y: Operand, threads: number): MatmulProblem {
  const rank = y.shape.length
  const [row, column] = [rank - 2, rank - 1]
  const batch: { size: number; a: number; b: number; c: number }[] = []
  let m = y.shape[row]!
  for (let axis = row - 1; axis >= 0; axis--) {
    const [size, ofA, ofB, ofC] = [y.shape[axis]!, a.strides[axis]!, b.strides[axis]!, y.strides[axis]!]
    const inner = batch[0]
    if (size === 1) continue
    if (!inner && ofB === 0 && ofA === m * a.strides[row]!) {
      // One matrix of more rows: a batch of vectors times the same weights.
      m *= size
    } else if (inner && ofA === inner.size * inner.a && ofB === inner.size * inner.b) {
      batch[0] = { ...inner, size: size * inner.size }
    } else {
      batch.unshift({ size, a: ofA, b: ofB, c: ofC })
    }
  }
  return {
    type,
    m,
    n: y.shape[column]!,
    k: a.shape[column]!,
    a: { row: a.strides[row]!, column: a.strides[column]!, half: halfOf(a) },
    b: { row: b.strides[row]!, column: b.strides[column]!, half: halfOf(b) },
    c: { row: y.strides[row]! },
    batch,
    threads,
    ...biasOf(bias),
  }
}
