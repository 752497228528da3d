import { afterAll, describe, expect, test } from 'vitest'
import { expected, KernelTrial, ulps } from '../../../test/kernel-trial.ts'
import { type DType, dtypeInfo, type TypedArray } from '../../dtype.ts'
import { type Kernel, KernelBuilder, type Value } from '../kernel.ts'
import type { Combiner } from '../scalar.ts'
import '../../sequences.ts'
import { planKernel } from './kernel-plan.ts'

const trial = new KernelTrial()
afterAll(() => trial.close())

type Code = (k: KernelBuilder, x: Value) => readonly Value[]

const statistics: Code = (k, x) => [k.reduce('sum', x), k.reduce('sum', k.mul(x, x)), k.reduce('max', x), k.reduce('argmin', x)]
const all: readonly Combiner[] = ['sum', 'prod', 'max', 'min', 'argmax', 'argmin']

/** Over the middle one of three axes. */
function kernelOf(code: Code, [outer, rows, width]: readonly [number, number, number], dtype: DType = 'float32', pitch = width): Kernel {
  const k = new KernelBuilder('columns', [outer, width], [rows])
  const x = k.load(k.input(dtype), [rows * pitch, 1, pitch])
  for (const node of code(k, x)) {
    const type = k.typeOf(node)
    k.output(type, node, [width, 1, 0])
  }
  return k.build()
}

function values(dtype: DType, length: number): TypedArray {
  const data = new dtypeInfo[dtype].array(length)
  for (let i = 0; i < length; i++) {
    const x = Math.sin(i * 1.7) * (dtype.startsWith('float') ? 1.4 : 9)
    if (dtype === 'bool') data[i] = Number(x > 0)
    else if (data instanceof BigInt64Array) data[i] = BigInt(Math.round(x))
    else if (dtypeInfo[dtype].size === 2) data[i] = (dtype === 'float16' ? 0x3000 : 0x3e00) + ((i * 37) % 512)
    else data[i] = dtype.startsWith('float') ? x : Math.round(x)
  }
  return data
}

/** Where emitted code and the reference differ by more than the order of a sum. */
function differences(kernel: Kernel, input: TypedArray, on = trial): string[] {
  expect(planKernel(kernel, false).sweepsColumns).toBe(true)
  const [got, want] = [on.emitted(kernel, [input]), expected(kernel, [input])]
  return kernel.outputs.flatMap(({ dtype }, o) =>
    [...want[o]!].flatMap((w, i) => {
      const g = got[o]![i]!
      const isNear = dtype.startsWith('float') && Math.abs(Number(g) - Number(w)) <= 1e-4 * (10 + Math.abs(Number(w)))
      return Object.is(g, w) || isNear || (dtype.startsWith('float') && ulps(dtype, g, w) <= 8)
        ? []
        : [`output ${o} at ${i}: ${g} instead of ${w}`]
    }),
  )
}

test.each([
  [1, 8000, 33],
  [1, 4097, 64],
  [2, 2017, 130],
  [1, 129, 2049],
] as const)('%i times %i rows of %i', (...shape) => {
  const input = values('float32', shape[0] * shape[1] * shape[2])
  expect(differences(kernelOf(statistics, shape), input)).toEqual([])
})

describe.each(['float32', 'float64', 'float16', 'bfloat16', 'int32', 'int64', 'uint8', 'int8'] as const)('%s', (dtype) => {
  test.each(all)('%s', (combine) => {
    // Products of halves between 1/8 and 1/4 vanish; those of integers wrap around.
    const kernel = kernelOf((k, x) => [k.reduce(combine, x)], [1, 513, 513], dtype)
    expect(differences(kernel, values(dtype, 513 * 513))).toEqual([])
  })
})

test.each(['and', 'or', 'max', 'argmax'] as const)('%s of bools', (combine) => {
  const kernel = kernelOf((k, x) => [k.reduce(combine, x)], [1, 513, 513], 'bool')
  const input = values('bool', 513 * 513)
  for (let row = 0; row < 513; row++) [input[row * 513 + 1], input[row * 513 + 2]] = [0, 1]
  expect(differences(kernel, input)).toEqual([])
})

test('NaN and infinities stay in their columns', () => {
  const input = values('float32', 900 * 300) as Float32Array
  input[850 * 300 + 3] = Number.NaN
  input[7 * 300 + 299] = Number.NaN
  input[890 * 300 + 5] = Number.NEGATIVE_INFINITY
  for (let row = 0; row < 900; row++) input[row * 300 + 6] = Number.NEGATIVE_INFINITY
  const extrema: Code = (k, x) => all.filter((combine) => combine !== 'prod').map((combine) => k.reduce(combine, x))
  expect(differences(kernelOf(extrema, [1, 900, 300]), input)).toEqual([])
})

test('rows with gaps between them, values of columns, of rows, and places', () => {
  const k = new KernelBuilder('gradient', [290], [910])
  const x = k.load(k.input('float32'), [1, 293])
  const mean = k.load(k.input('float32'), [1, 0])
  const weight = k.load(k.input('float32'), [0, 1])
  const place = k.cast(k.add(k.index(0), k.index(1)), 'float32')
  const centred = k.mul(k.sub(x, mean), weight)
  k.output('float32', k.reduce('sum', centred), [1, 0])
  k.output('float32', k.sqrt(k.reduce('sum', k.mul(centred, k.mul(centred, place)))), [1, 0])
  const kernel = k.build()
  expect(planKernel(kernel, false).sweepsColumns).toBe(true)
  const inputs = [910 * 293, 290, 910].map((length) => values('float32', length) as Float32Array)
  const [got, want] = [trial.emitted(kernel, inputs), expected(kernel, inputs)]
  want.forEach((output, o) => output.forEach((w, i) => expect(got[o]![i]).toBeCloseTo(Number(w), 2)))
})

test('what is read in order anyway, or computed once a column, is not swept', () => {
  const sweeps = (shape: readonly [number, number, number], code: Code = statistics) =>
    planKernel(kernelOf(code, shape), false).sweepsColumns
  expect(sweeps([1, 100_000, 32])).toBe(false)
  expect(sweeps([1, 31, 10_000])).toBe(false)
  expect(sweeps([1, 500, 500])).toBe(false)
  const scaled = new KernelBuilder('scaled', [64], [10_000])
  const deviation = scaled.sqrt(scaled.load(scaled.input('float32'), [1, 0]))
  scaled.output('float32', scaled.reduce('sum', scaled.div(scaled.load(scaled.input('float32'), [1, 64]), deviation)), [1, 0])
  expect(planKernel(scaled.build(), false).sweepsColumns).toBe(false)
})

test('results do not depend on where threads cut the rows', async () => {
  const kernel = kernelOf(statistics, [2, 4050, 66])
  const input = values('float32', 2 * 4050 * 66)
  const threads = new KernelTrial({ threads: 2 })
  await threads.pool.ready()
  expect(threads.emitted(kernel, [input])).toEqual(trial.emitted(kernel, [input]))
  threads.close()
})
