import { afterAll, describe, expect, test } from 'vitest'
import { expected, KernelTrial, ulps } from '../../../test/kernel-trial.ts'
import { type DType, dtypeInfo, type TypedArray } from '../../dtype.ts'
import { type Kernel, KernelBuilder, type Value } from '../kernel.ts'
import '../../sequences.ts'
import { wasmFeatures } from './features.ts'
import { planKernel } from './kernel-plan.ts'

const trials = [false, ...(wasmFeatures().relaxedSimd ? [true] : [])].map((relaxed) => ({ relaxed, trial: new KernelTrial({ relaxed }) }))
afterAll(() => trials.forEach(({ trial }) => trial.close()))

type Code = (k: KernelBuilder, x: Value) => readonly Value[]

const softmax: Code = (k, x) => {
  const e = k.exp(k.sub(x, k.reduce('max', x)))
  return [k.mul(e, k.div(k.like(e, 1), k.reduce('sum', e)))]
}
const codes: Record<string, Code> = {
  softmax,
  logSoftmax: (k, x) => {
    const centred = k.sub(x, k.reduce('max', x))
    return [k.sub(centred, k.log(k.reduce('sum', k.exp(centred))))]
  },
  'softmax with its logarithm a row': (k, x) => {
    const most = k.reduce('max', x)
    const sum = k.reduce('sum', k.exp(k.sub(x, most)))
    return [k.div(k.exp(k.sub(x, most)), sum), k.add(most, k.log(sum))]
  },
  'what the row and the place are': (k, x) => {
    const row = k.cast(k.index(0), k.typeOf(x))
    const e = k.exp(k.add(k.sub(x, k.reduce('min', x)), k.mul(row, k.like(x, -0.01))))
    return [k.add(k.mul(e, k.reduce('sum', e)), k.cast(k.index(1), k.typeOf(x))), k.add(row, k.reduce('max', e))]
  },
  'norm of tanh': (k, x) => {
    const t = k.tanh(x)
    const n = k.like(x, 1 / 64)
    const centred = k.sub(t, k.mul(k.reduce('sum', t), n))
    return [k.div(centred, k.sqrt(k.add(k.mul(k.reduce('sum', k.mul(centred, centred)), n), k.like(x, 1e-3))))]
  },
}

function kernelOf(code: Code, [rows, length]: readonly [number, number], dtype: DType = 'float32', stride = length): Kernel {
  const k = new KernelBuilder('rows', [rows], [length])
  const wide = dtype === 'float64' ? 'float64' : 'float32'
  const x = k.load(k.input(dtype), [stride, 1])
  code(k, x).forEach((node, o) => k.output(wide === dtype || o > 0 ? wide : dtype, node, o > 0 ? [1, 0] : [stride, 1]))
  return k.build()
}

const values = (dtype: DType, length: number): TypedArray => {
  const data = new dtypeInfo[dtype].array(length)
  for (let i = 0; i < length; i++)
    data[i] = dtypeInfo[dtype].size === 2 ? (dtype === 'float16' ? 0x3000 : 0x3e00) + ((i * 37) % 512) : Math.sin(i * 1.7) * 9
  return data
}

/** Where emitted code and the reference differ by more than rounding. */
function differences(trial: KernelTrial, kernel: Kernel, input: TypedArray, inPlace: Record<number, number> = {}): string[] {
  const [got, want] = [trial.emitted(kernel, [input], [], inPlace), expected(kernel, [input], [], inPlace)]
  return kernel.outputs.flatMap(({ dtype }, o) => {
    const isHalf = dtypeInfo[dtype].size === 2
    return [...want[o]!].flatMap((w, i) => {
      const g = got[o]![i]!
      const isNear = !isHalf && Math.abs(Number(g) - Number(w)) <= 2e-5 * (1 + Math.abs(Number(w)))
      return isNear || ulps(dtype, g, w) <= (isHalf ? 1 : 8) ? [] : [`output ${o} at ${i}: ${g} instead of ${w}`]
    })
  })
}

describe.each(trials)('relaxed: $relaxed', ({ trial }) => {
  describe.each(Object.keys(codes))('%s', (name) => {
    const code = codes[name]!
    test.each([
      [2, 64],
      [3, 65],
      [5, 67],
      [7, 130],
      [2, 1001],
    ] as const)('%i rows of %i', (rows, length) => {
      const kernel = kernelOf(code, [rows, length])
      expect(planKernel(kernel, false).pipelined).toBe(true)
      const input = values('float32', rows * length)
      expect(differences(trial, kernel, input)).toEqual([])
      expect(differences(trial, kernel, input, { 0: 0 })).toEqual([])
    })

    test.each(['float64', 'float16', 'bfloat16'] as const)('%s', (dtype) =>
      expect(differences(trial, kernelOf(code, [4, 71], dtype), values(dtype, 284))).toEqual([]),
    )

    test('rows with gaps between them', () =>
      expect(differences(trial, kernelOf(code, [3, 66], 'float32', 70), values('float32', 210))).toEqual([]))
  })

  test('rows of NaN, infinities and zeros leave their neighbours alone', () => {
    const input = values('float32', 8 * 66) as Float32Array
    input[66 + 65] = Number.NaN
    input.fill(Number.NEGATIVE_INFINITY, 3 * 66, 4 * 66)
    input[4 * 66 + 1] = Number.NEGATIVE_INFINITY
    input[5 * 66 + 2] = Number.POSITIVE_INFINITY
    input.fill(-0, 7 * 66)
    for (const name of ['softmax', 'logSoftmax']) {
      expect(differences(trial, kernelOf(codes[name]!, [8, 66]), input)).toEqual([])
      expect(differences(trial, kernelOf(codes[name]!, [8, 66]), input, { 0: 0 })).toEqual([])
    }
  })
})

test('what would gain nothing, or needs its rows one by one, is not pipelined', () => {
  const isPipelined = (code: Code, shape: readonly [number, number]) => planKernel(kernelOf(code, shape), false).pipelined
  expect(isPipelined(softmax, [1, 100])).toBe(false)
  expect(isPipelined(softmax, [100, 63])).toBe(false)
  expect(isPipelined((k, x) => [k.mul(k.exp(x), k.reduce('sum', k.exp(x)))], [4, 100])).toBe(false)
  // Cheap passes wait for memory anyway.
  const centre: Code = (k, x) => {
    const centred = k.sub(x, k.reduce('sum', x))
    return [k.mul(centred, k.reduce('sum', k.mul(centred, centred)))]
  }
  expect(isPipelined(centre, [4, 100])).toBe(false)
  // The first pass reads the row's own number.
  const ofRow: Code = (k, x) => {
    const shifted = k.add(x, k.cast(k.index(0), k.typeOf(x)))
    const e = k.exp(k.sub(shifted, k.reduce('max', shifted)))
    return [k.mul(e, k.reduce('sum', e))]
  }
  expect(isPipelined(ofRow, [4, 100])).toBe(false)
})

test('results do not depend on where threads cut the rows', async () => {
  const kernel = kernelOf(softmax, [501, 257])
  const input = values('float32', 501 * 257)
  const threads = new KernelTrial({ threads: 2 })
  await threads.pool.ready()
  expect(threads.emitted(kernel, [input])).toEqual(new KernelTrial().emitted(kernel, [input]))
  threads.close()
})
