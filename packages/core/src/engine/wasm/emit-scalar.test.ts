import { afterAll, describe, expect, test } from 'vitest'
import { expected, KernelTrial, ulps } from '../../../test/kernel-trial.ts'
import { type DType, dtypeInfo, dtypes, type TypedArray } from '../../dtype.ts'
import { KernelBuilder } from '../kernel.ts'
import { inDomain, type ScalarOp, type ScalarType, scalarOps, scalarTypeOf } from '../scalar.ts'
import { wasmFeatures } from './features.ts'

const trials = [false, ...(wasmFeatures().relaxedSimd ? [true] : [])].map((relaxed) => ({ relaxed, trial: new KernelTrial({ relaxed }) }))
afterAll(() => trials.forEach(({ trial }) => trial.close()))

const types: ScalarType[] = ['bool', 'int32', 'int64', 'float32', 'float64']
const polynomials: readonly ScalarOp[] = ['exp', 'expm1', 'log', 'log1p', 'sin', 'cos', 'tan', 'atan', 'tanh', 'pow', 'atan2']
const COUNT = 6000

let seed = 1
function random(): number {
  seed = (Math.imul(seed, 1664525) + 1013904223) | 0
  return (seed >>> 0) / 2 ** 32
}

const specialFloats = [
  0,
  -0,
  1,
  -1,
  0.5,
  -0.5,
  2,
  3,
  -3,
  Infinity,
  -Infinity,
  NaN,
  1e-45,
  -1e-45,
  1.1e-38,
  -1.2e-38,
  3.4e38,
  -3.4e38,
  88.72,
  88.73,
  -87.4,
  -103.9,
  -104.1,
  Math.PI,
  -Math.PI / 2,
  1e6,
  1048577,
  -2e9,
  1e-20,
  1e20,
  2147483648,
  -2147483904,
  9.3e18,
  16777216,
  65504,
  65519,
  65520,
  6e-8,
  2.9e-8,
  3.1e-5,
]

/** Special values, then all magnitudes, then everyday ones. */
export function values(dtype: DType, count: number): TypedArray {
  const { array, kind } = dtypeInfo[dtype]
  const out = new array(count)
  for (let i = 0; i < count; i++) {
    const r = random()
    if (dtype === 'bool') out[i] = Number(r < 0.5)
    else if (dtype === 'int64')
      (out as BigInt64Array)[i] =
        [0n, 1n, -1n, 2n ** 63n - 1n, -(2n ** 63n), 5n, -7n][i % 20] ?? BigInt(Math.trunc((r - 0.5) * 10 ** (1 + (i % 19))))
    else if (kind === 'int') out[i] = [0, 1, -1, 2 ** 31 - 1, -(2 ** 31), 5, -7][i % 20] ?? Math.trunc((r - 0.5) * 10 ** (1 + (i % 10)))
    else if (dtypeInfo[dtype].size === 2) out[i] = Math.trunc(r * 65536)
    else if (i % 3 === 0) out[i] = specialFloats[Math.trunc(random() * specialFloats.length)]!
    else out[i] = i % 3 === 1 ? (r - 0.5) * 10 ** (random() * 80 - 40) : (r - 0.5) * 40
  }
  return out
}

/** Bit patterns, multiples of pi / 2, numbers about 1, and everyday ones. */
function hardNumbers(): Float32Array<ArrayBuffer> {
  const x = new Float32Array(20000)
  for (let i = 0; i < x.length; i++) {
    const bits = Math.trunc(random() * 2 ** 32) | 0
    x[i] =
      i % 4 === 0
        ? new Float32Array(new Int32Array([bits]).buffer)[0]!
        : i % 4 === 1
          ? (i * Math.PI) / 2
          : i % 4 === 2
            ? 1 + (random() - 0.5) * 2 ** -(i % 24)
            : (random() - 0.5) * 200
  }
  return x
}

function worst(dtype: DType, got: TypedArray, want: TypedArray, inputs: readonly TypedArray[]): [number, string] {
  let most: [number, string] = [0, '']
  for (let i = 0; i < want.length; i++) {
    const distance = ulps(dtype, got[i]!, want[i]!)
    if (!(distance <= most[0])) most = [distance, `(${inputs.map((a) => a[i]).join(', ')}): ${got[i]} instead of ${want[i]}`]
  }
  return most
}

describe.each(trials)('relaxed: $relaxed', ({ trial }) => {
  const run = (kernel: ReturnType<KernelBuilder['build']>, inputs: TypedArray[]) =>
    worst(kernel.outputs[0]!.dtype, trial.emitted(kernel, inputs)[0]!, expected(kernel, inputs)[0]!, inputs)

  test.each(Object.keys(scalarOps) as ScalarOp[])('%s', (op) => {
    for (const type of types.filter((t) => inDomain(op, t))) {
      const b = new KernelBuilder(op, [COUNT])
      const inputs = Array.from({ length: scalarOps[op].arity }, () => values(type, COUNT))
      if (op.startsWith('sh'))
        inputs[1] =
          type === 'int64'
            ? BigInt64Array.from({ length: COUNT }, (_, i) => BigInt(i % 64))
            : Int32Array.from({ length: COUNT }, (_, i) => i % 32)
      const result = b.apply(
        op,
        inputs.map(() => b.load(b.input(type), [1])),
      )
      b.output(b.typeOf(result), result)
      const [distance, where] = run(b.build(), inputs)
      expect(distance, `${op} ${type} ${where}`).toBeLessThanOrEqual(type === 'float32' && polynomials.includes(op) ? 3 : 0)
    }
  })

  test.each(['sin', 'cos', 'tan', 'exp', 'log', 'tanh', 'expm1', 'log1p', 'atan'] as const)('%s near where it is hard', (op) => {
    const x = hardNumbers()
    const b = new KernelBuilder(op, [x.length])
    b.output('float32', b[op](b.load(b.input('float32'), [1])))
    const [distance, where] = run(b.build(), [x])
    expect(distance, `${op} ${where}`).toBeLessThanOrEqual(3)
  })

  test('exp of what cannot be positive', () => {
    const x = hardNumbers()
    const b = new KernelBuilder('exp', [x.length])
    b.output('float32', b.exp(b.neg(b.abs(b.load(b.input('float32'), [1])))))
    const [distance, where] = run(b.build(), [x])
    expect(distance, where).toBeLessThanOrEqual(3)
  })

  test('shifts by the same amount in all lanes', () => {
    for (const type of ['int32', 'int64'] as const) {
      for (const op of ['shl', 'shr', 'shru'] as const) {
        const b = new KernelBuilder(op, [64])
        b.output(type, b[op](b.load(b.input(type), [1]), b.constant(type, 13)))
        const inputs = [values(type, 64)]
        expect(run(b.build(), inputs)[0]).toBe(0)
      }
    }
  })

  test('conversions between all types, memory to memory', () => {
    for (const from of dtypes) {
      for (const to of dtypes) {
        for (const wide of [false, true]) {
          const b = new KernelBuilder(`${from} to ${to}`, [3001])
          const x = b.load(b.input(from), [1])
          b.output(to, b.cast(x, scalarTypeOf[to]))
          // Any int64 makes the kernel one of two lanes.
          if (wide) b.output('int64', b.load(b.input('int64'), [1]))
          const inputs = [values(from, 3001), ...(wide ? [values('int64', 3001)] : [])]
          const [distance, where] = run(b.build(), inputs)
          // The reference goes from int64 to float32 by way of float64.
          expect(distance, `${from} to ${to}${where}`).toBeLessThanOrEqual(from === 'int64' && to === 'float32' ? 1 : 0)
        }
      }
    }
  })

  test('narrowing', () => {
    for (const dtype of ['uint8', 'int8', 'float16', 'bfloat16'] as const) {
      const type = scalarTypeOf[dtype]
      const b = new KernelBuilder(`narrow ${dtype}`, [3001])
      b.output(type, b.narrow(b.load(b.input(type), [1]), dtype))
      const [distance, where] = run(b.build(), [values(type, 3001)])
      expect(distance, `${dtype}${where}`).toBe(0)
    }
  })
})
