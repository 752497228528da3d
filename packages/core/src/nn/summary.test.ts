import { expect, test } from 'vitest'
import { nn, relu } from '../index.ts'

test('shapes, parameters and multiply-adds of each layer', () => {
  const model = new nn.Sequential(
    new nn.Conv2d(1, 8, 3, { padding: 1 }),
    relu,
    new nn.MaxPool2d(2),
    new nn.Sequential(new nn.Flatten(), new nn.Linear(8 * 14 * 14, 10)),
  )
  const info = nn.summary(model, [1, 28, 28, 1])
  expect(info.parameters).toBe(80 + 15690)
  expect(info.macs).toBe(28 * 28 * 8 * 9 + 1568 * 10)
  expect(String(info)).toBe(
    `layer  type        output          parameters  multiply-adds
────────────────────────────────────────────────────────────
model  Sequential  [1, 10]
  0    Conv2d      [1, 28, 28, 8]          80         56,448
  2    MaxPool2d   [1, 14, 14, 8]
  3    Sequential  [1, 10]
    0  Flatten     [1, 1568]
    1  Linear      [1, 10]             15,690         15,680
────────────────────────────────────────────────────────────
15,770 parameters (63.1 kB), 72.1 thousand multiply-adds on [1, 28, 28, 1]`,
  )
})

test('modes, hooks and gradients are as before; shared parts count once, runs add up', () => {
  const layer = new nn.Linear(4, 4)
  layer.weight.requiresGrad = false
  const model = new nn.Sequential(layer, layer)
  model.training = false
  const { parameters, trainable, macs, rows } = nn.summary(model, [2, 4])
  expect([parameters, trainable, macs]).toEqual([20, 4, 2 * 2 * 16])
  expect(rows.map((r) => r.name)).toEqual(['', '0'])
  expect([model.training, layer.training, Object.hasOwn(layer, 'forward')]).toEqual([false, true, false])
})
