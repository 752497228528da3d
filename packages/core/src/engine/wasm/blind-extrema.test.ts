import { expect, test } from 'vitest'
import { expected, KernelTrial, ulps } from '../../../test/kernel-trial.ts'
import { type Kernel, KernelBuilder, type Value } from '../kernel.ts'
import '../../sequences.ts'
import { blindExtrema } from './blind-extrema.ts'

const kernel = (code: (k: KernelBuilder, x: Value) => readonly Value[]): Kernel => {
  const k = new KernelBuilder('k', [3], [37])
  for (const node of code(k, k.load(k.input('float32'), [37, 1]))) k.output('float32', node)
  return k.build()
}

test.each<[string, number, (k: KernelBuilder, x: Value) => readonly Value[]]>([
  [
    'softmax',
    1,
    (k, x) => {
      const e = k.exp(k.sub(x, k.reduce('max', x)))
      return [k.div(e, k.reduce('sum', e))]
    },
  ],
  [
    'logSoftmax',
    1,
    (k, x) => {
      const centred = k.sub(x, k.reduce('max', x))
      return [k.sub(centred, k.log(k.reduce('sum', k.exp(centred))))]
    },
  ],
  ['the extremum itself is a result', 0, (k, x) => [k.reduce('max', x)]],
  ['only the elements that are NaN say so', 0, (k, x) => [k.sub(x, k.reduce('min', x))]],
  [
    'softmax whose maximum is a result too',
    0,
    (k, x) => {
      const most = k.reduce('max', x)
      const e = k.exp(k.sub(x, most))
      return [k.div(e, k.reduce('sum', e)), most]
    },
  ],
  [
    'a choice may leave NaN out',
    0,
    (k, x) => {
      const most = k.reduce('max', x)
      const e = k.select(k.lt(x, k.like(x, 3)), k.exp(k.sub(x, most)), k.like(x, 0))
      return [k.div(e, k.reduce('sum', e))]
    },
  ],
])('%s: %i', (_, count, code) => {
  expect(blindExtrema(kernel(code)).size).toBe(count)
})

test('softmax of rows with NaN is NaN, of others what it was', () => {
  const program = kernel((k, x) => {
    const e = k.exp(k.sub(x, k.reduce('max', x)))
    return [k.div(e, k.reduce('sum', e))]
  })
  const values = Float32Array.from({ length: 111 }, (_, i) => Math.sin(i) * 20)
  for (const place of [0, 17, 36]) values[37 + place] = Number.NaN
  values.fill(Number.NEGATIVE_INFINITY, 74)
  const [got, want] = [new KernelTrial().emitted(program, [values])[0]!, expected(program, [values])[0]!]
  want.forEach((x, i) => expect(ulps('float32', got[i]!, x)).toBeLessThanOrEqual(8))
})
