import { describe, expect, test } from 'vitest'
import { expected, KernelTrial } from '../../test/kernel-trial.ts'
import '../sequences.ts'
import { type Kernel, KernelBuilder, type Value } from './kernel.ts'
import { stagesOf } from './stages.ts'

const [rows, channels] = [2048, 40]
/** [rows, channels], reduced over rows. */
const [across, perChannel] = [
  [1, channels],
  [1, 0],
]

const build = (write: (k: KernelBuilder) => void, parallel: readonly number[] = [channels], reduce: readonly number[] = [rows]): Kernel => {
  const k = new KernelBuilder('trial', parallel, reduce)
  write(k)
  return k.build()
}

const numbers = (size: number): Float32Array => Float32Array.from({ length: size }, (_, i) => Math.sin(i * 0.37) * 3)

/** Three passes, values of rows of several types, and a row's output that lies on a row's input. */
const manyPasses = build((k) => {
  const x = k.load(k.input('float32'), across)
  const shift = k.load(k.input('float32'), perChannel)
  const factor = k.param('float32')
  const most = k.reduce('max', x)
  const weight = k.exp(k.sub(x, most))
  const total = k.reduce('sum', weight)
  const isHigh = k.gt(most, shift)
  const high = k.reduce('sum', k.select(isHigh, k.div(weight, total), k.mul(x, factor)))
  k.output('float32', k.add(k.select(isHigh, k.div(weight, total), k.sub(x, shift)), high), across)
  k.output('float32', k.mul(k.add(shift, total), factor), perChannel)
  k.output('int32', k.reduce('argmax', x), perChannel)
})

describe('stages', () => {
  test('are one kernel a pass, and give what the one kernel gives', () => {
    expect(stagesOf(manyPasses)?.steps.map(({ program }) => program.outputs.length)).toEqual([4, 2, 1, 1])
    const inputs = [numbers(rows * channels), numbers(channels)]
    for (const threads of [1, 2]) {
      const trial = new KernelTrial({ threads })
      const wanted = expected(manyPasses, inputs, [0.5])
      for (const inPlace of [{}, { 0: 0 }, { 1: 1 }]) {
        trial.emitted(manyPasses, inputs, [0.5], inPlace).forEach((output, o) => {
          const [found, whole] = [output, wanted[o]!].map((values) => Array.from(values as Float32Array))
          expect(Math.max(...found!.map((value, i) => Math.abs(value - whole![i]!)))).toBeLessThan(1e-3)
        })
      }
      trial.close()
    }
  })

  test('what takes long to compute and is the same for a whole row is computed before the first pass', () => {
    const kernel = (work: (k: KernelBuilder, shift: Value) => Value) =>
      build((k) => {
        const x = k.load(k.input('float32'), across)
        const shift = work(k, k.load(k.input('float32'), perChannel))
        k.output('float32', k.add(k.reduce('sum', k.mul(x, shift)), shift), perChannel)
      })
    expect(stagesOf(kernel((k, shift) => k.neg(shift)))).toBeUndefined()
    const long = kernel((k, shift) => k.exp(k.sqrt(k.abs(shift))))
    expect(stagesOf(long)?.steps.map(({ program }) => program.kind === 'kernel' && program.reduce)).toEqual([[], [rows]])
    const inputs = [numbers(rows * channels), numbers(channels)]
    const trial = new KernelTrial()
    const [found, wanted] = [trial.emitted(long, inputs, [], { 0: 1 }), expected(long, inputs)].map(([y]) => Array.from(y as Float32Array))
    wanted!.forEach((value, i) => expect(found![i]).toBeCloseTo(value, 2))
    trial.close()
  })

  test('axes of extent 1 make no elements: a value a row is written once a row', () => {
    const kernel = build(
      (k) => {
        const x = k.load(k.input('float32'), [1, 0, channels])
        const shift = k.load(k.input('float32'), [1, channels, 0])
        k.output('float32', k.sub(x, k.add(shift, k.reduce('sum', x))), [1, 0, channels])
        k.output('float32', k.reduce('max', x), [1, channels, 0])
      },
      [channels],
      [1, rows],
    )
    const { steps } = stagesOf(kernel)!
    expect(steps.map(({ program }) => program.kind === 'kernel' && program.parallel)).toEqual([[channels], [channels, rows]])
    expect(steps[1]!.program.outputs).toHaveLength(1)
  })

  test('are not made of what stays in the cache, is passed over once, or writes nothing', () => {
    const twice = (parallel: readonly number[], reduce: readonly number[], strides: readonly number[]) =>
      build(
        (k) => {
          const x = k.load(k.input('float32'), strides)
          k.output('float32', k.sub(x, k.reduce('sum', x)), strides)
        },
        parallel,
        reduce,
      )
    expect(stagesOf(twice([channels], [rows], [1, channels]))?.steps).toHaveLength(2)
    expect(stagesOf(twice([channels], [500], [1, channels]))).toBeUndefined()
    expect(stagesOf(twice([8], [rows], [1, 8]))).toBeUndefined()
    expect(stagesOf(twice([4096], [1024], [1024, 1]))).toBeUndefined()
    expect(stagesOf(twice([4], [2 ** 15], [2 ** 15, 1]))?.steps).toHaveLength(2)
    expect(stagesOf(twice([rows, channels], [], [channels, 1]))).toBeUndefined()
    const once = build((k) => k.output('float32', k.reduce('sum', k.load(k.input('float32'), across))))
    expect(stagesOf(once)).toBeUndefined()
  })
})
