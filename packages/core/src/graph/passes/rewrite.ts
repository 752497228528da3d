import { argsOf, type Kernel, KernelBuilder, type Node, type Value } from '../../engine/kernel.ts'
import { isFloatScalar, type ScalarOp, scalarOps } from '../../engine/scalar.ts'
import type { Scalar } from '../../tensor/scalar.ts'
import { prune } from '../fusion.ts'
import { isLive } from '../graph.ts'
import { identityMap } from '../index-map.ts'
import type { Operation, Program } from '../program.ts'
import { splice } from '../splice.ts'

/** Replaces an instruction by something that costs less and gives the same, NaN, infinities and signed zeros included. */
interface RewriteRule {
  readonly name: string
  /** `args` are the instruction's operands, rewritten already; undefined where the rule does not hold. */
  readonly rewrite: (k: KernelBuilder, node: Node, args: readonly Value[]) => Value | undefined
}

const nodeOf = (k: KernelBuilder, x: Value): Node => k.nodes[x]!

/** The number that a value is, if it is a constant. */
function constantOf(k: KernelBuilder, x: Value | undefined): number | bigint | undefined {
  const node = x === undefined ? undefined : nodeOf(k, x)
  return node?.op === 'const' ? node.value : undefined
}

const is = (k: KernelBuilder, x: Value | undefined, number: number): boolean => {
  const value = constantOf(k, x)
  return value !== undefined && Object.is(Number(value), number)
}

const isScalarOp = (op: string): op is ScalarOp => op in scalarOps

export const rewriteRules: readonly RewriteRule[] = [
  {
    name: 'an instruction on constants is a constant',
    rewrite(k, node, args) {
      if (!isScalarOp(node.op) || node.type === 'int64') return undefined
      const values = args.map((a) => constantOf(k, a))
      if (values.some((v) => v === undefined || typeof v === 'bigint')) return undefined
      const type = k.typeOf(args[0]!)
      const { float, int32 } = scalarOps[node.op]
      const meaning = isFloatScalar(type) ? float : (int32 ?? float)
      if (!meaning) return undefined
      const result = meaning(...(values as number[]))
      return k.constant(node.type, node.type === 'int32' ? result | 0 : result)
    },
  },
  {
    name: 'x * 1 = x, x / 1 = x',
    rewrite(k, { op }, [a, b]) {
      if (op !== 'mul' && op !== 'div') return undefined
      if (is(k, b, 1)) return a
      return op === 'mul' && is(k, a, 1) ? b : undefined
    },
  },
  {
    name: 'x - 0 = x; on integers x + 0 = x',
    rewrite(k, { op, type }, [a, b]) {
      if (op === 'sub' && is(k, b, 0)) return a
      if (op !== 'add' || isFloatScalar(type)) return undefined
      if (is(k, b, 0)) return a
      return is(k, a, 0) ? b : undefined
    },
  },
  {
    name: 'x + -0 = x on floats',
    rewrite(k, { op, type }, [a, b]) {
      if (op !== 'add' || !isFloatScalar(type)) return undefined
      if (is(k, b, -0)) return a
      return is(k, a, -0) ? b : undefined
    },
  },
  {
    name: 'x * -1 = -x, -(-x) = x',
    rewrite(k, { op }, [a, b]) {
      if (op === 'mul' && is(k, b, -1)) return k.neg(a!)
      if (op === 'mul' && is(k, a, -1)) return k.neg(b!)
      if (op !== 'neg') return undefined
      const inner = nodeOf(k, a!)
      return inner.op === 'neg' ? (inner.args[0] as Value) : undefined
    },
  },
  {
    name: 'x + (-y) = x - y',
    rewrite(k, { op }, [a, b]) {
      if (op !== 'add') return undefined
      const right = nodeOf(k, b!)
      return right.op === 'neg' ? k.sub(a!, right.args[0] as Value) : undefined
    },
  },
  {
    name: 'max(x, x) = min(x, x) = x',
    rewrite: (_, { op }, [a, b]) => ((op === 'max' || op === 'min') && a === b ? a : undefined),
  },
  {
    name: 'max(x, a) > b = x > b where b >= a, and the like',
    rewrite(k, { op }, [x, b]) {
      if (op !== 'gt' && op !== 'ge' && op !== 'lt' && op !== 'le') return undefined
      const { op: bound, ...inner } = nodeOf(k, x!)
      if ((bound !== 'max' && bound !== 'min') || !isFloatScalar(inner.type)) return undefined
      const [value, limit] = argsOf({ op: bound, ...inner } as Node) as readonly [Value, Value]
      const [at, than] = [constantOf(k, limit), constantOf(k, b)].map(Number) as [number, number]
      // How far the bound lies on the side where the comparison fails anyway.
      const up = op === 'gt' || op === 'ge' ? 1 : -1
      const same = (bound === 'max') === up > 0
      const slack = up * (same ? than - at : at - than)
      const strict = op === 'gt' || op === 'lt'
      return slack > 0 || (slack === 0 && strict === same) ? k.apply(op, [value, b!]) : undefined
    },
  },
  {
    name: 'a choice that is made already, or between equals',
    rewrite(k, { op }, [condition, a, b]) {
      if (op !== 'select') return undefined
      if (a === b) return a
      const made = constantOf(k, condition)
      return made === undefined ? undefined : made ? a : b
    },
  },
  {
    name: 'not (not x) = x',
    rewrite(k, { op, type }, [a, b]) {
      if (op !== 'xor' || type !== 'bool' || !is(k, b, 1)) return undefined
      const inner = nodeOf(k, a!)
      return inner.op === 'xor' && is(k, inner.args[1] as Value, 1) ? (inner.args[0] as Value) : undefined
    },
  },
  {
    name: 'a conversion there and back of what both types hold',
    rewrite(k, node, [a]) {
      if (node.op !== 'cast') return undefined
      const inner = nodeOf(k, a!)
      if (inner.op !== 'cast') return undefined
      const from = k.typeOf(inner.args[0] as Value)
      const widens =
        (from === 'float32' && inner.type === 'float64') || (from === 'int32' && (inner.type === 'int64' || inner.type === 'float64'))
      return widens && node.type === from ? (inner.args[0] as Value) : undefined
    },
  },
  {
    name: 'rounding to a dtype twice',
    rewrite(k, node, [a]) {
      if (node.op !== 'narrow') return undefined
      const inner = nodeOf(k, a!)
      return inner.op === 'narrow' && inner.dtype === node.dtype ? a : undefined
    },
  },
]

/** Constants that are worth code of their own, as they make it shorter. */
const telling = [0, 1, -1]

/** Applies the rules to all scalar code until none holds any more. */
export function rewriteScalars(program: Program): Program {
  return { ...program, operations: program.operations.map(rewriteOperation) }
}

function rewriteOperation(operation: Operation): Operation {
  const { program, numbers } = operation
  if (program.kind !== 'kernel') return operation
  const known = numbers.map((n) => (!isLive(n) && telling.includes(n.value) ? n : undefined))
  return prune({ ...operation, program: rewriteKernel(program, known) })
}

/** @param known Numbers of params that are known. */
export function rewriteKernel(kernel: Kernel, known: readonly (Scalar | undefined)[] = []): Kernel {
  const k = new KernelBuilder(kernel.name, kernel.parallel, kernel.reduce)
  const inputs = kernel.inputs.map((dtype) => ({ at: k.input(dtype), offset: 0 }))
  const params = kernel.params.map((type, i) => {
    const param = k.param(type)
    return known[i] ? k.constant(type, known[i].value) : param
  })
  const values = splice(k, { kernel, map: identityMap(kernel.parallel.length + kernel.reduce.length), inputs, params, simplify })
  for (const { dtype, node, strides } of kernel.outputs) k.output(dtype, values[node]!, strides)
  return k.build()
}

function simplify(k: KernelBuilder, value: Value): Value {
  for (let rounds = 0; rounds < 8; rounds++) {
    const node = nodeOf(k, value)
    const args = argsOf(node) as readonly Value[]
    let next: Value | undefined
    for (const { rewrite } of rewriteRules) if ((next = rewrite(k, node, args)) !== undefined) break
    if (next === undefined || next === value) return value
    value = next
  }
  return value
}
