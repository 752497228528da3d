import { engineNames, setEngine, type Tensor } from 'cotangent'
import * as train from 'cotangent/train'
import { describe, expect, test } from 'vitest'
import { decode, loadGolden, titleOf } from './load.ts'

type Metric = train.Metric<unknown, unknown[]>
const classes = train.metrics as unknown as Record<string, new (options: object) => Metric>
const { cases } = loadGolden('metrics')

/** Numbers at the same places within a relative error. */
function expectClose(actual: unknown, expected: unknown, rtol: number, at: string): void {
  if (typeof expected === 'number') {
    if (Number.isNaN(expected) ? !Number.isNaN(actual) : !(Math.abs((actual as number) - expected) <= 1e-14 + rtol * Math.abs(expected)))
      expect.fail(`${at}: got ${String(actual)}, expected ${expected}`)
    return
  }
  expect(Object.keys(actual as object), at).toEqual(Object.keys(expected as object))
  for (const [key, value] of Object.entries(expected as object)) expectClose((actual as Record<string, unknown>)[key], value, rtol, `${at}.${key}`)
}

describe.each(engineNames())('metrics against scikit-learn, torchmetrics, sacreBLEU and rouge-score on %s', (engine) => {
  test.each([...new Set(cases.map(({ name }) => name))])('%s', async (name) => {
    expect.hasAssertions()
    setEngine(engine)
    for (const golden of cases.filter((c) => c.name === name)) {
      const [options, predictions, targets, weights] = decode(golden.args) as [object, Tensor, Tensor, Tensor?]
      const metric = new classes[name]!(options)
      metric.update(predictions, targets, ...(weights ? [{ weights }] : []))
      const title = `${titleOf(golden)} ${JSON.stringify(options)}${weights ? ' weighted' : ''}`
      expectClose(await metric.compute(), decode(golden.out), golden.rtol!, title)
      expect(metric.name).toBeTypeOf('string')
    }
  })
})
