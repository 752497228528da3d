import { describe, expect, test } from 'vitest'
import { engineNamed } from '../engines.ts'
import {
  crossEntropy,
  dropout,
  layerNorm,
  manualSeed,
  mseLoss,
  normal,
  ones,
  optim,
  tensor,
  conv2d,
  maxPool2d,
  type Tensor,
} from '../index.ts'
import type { Shape } from '../layout.ts'
import { optimize } from './passes.ts'
import { type Function, lowered, names } from './test/lowered.ts'

const optimized = (f: Function, ...shapes: Shape[]): string[] =>
  names(optimize(lowered(f, ...shapes), { engine: engineNamed('wasm'), frozen: false }))

describe('whole steps', () => {
  const linear = (i: number, o: number) => ({
    w: normal([i, o]).setRequiresGrad() as Tensor,
    b: ones([o], { requiresGrad: true }) as Tensor,
  })

  test('a multilayer perceptron with SGD', () => {
    const layers = [linear(8, 32), linear(32, 1)]
    const optimizer = new optim.SGD(
      layers.flatMap(({ w, b }) => [w, b]),
      { lr: 0.1 },
    )
    const step = (x: Tensor, y: Tensor) => {
      optimizer.zeroGrad()
      const loss = mseLoss(x.linear(layers[0]!.w, layers[0]!.b).relu().linear(layers[1]!.w, layers[1]!.b), y)
      loss.backward()
      optimizer.step()
      return loss
    }
    expect(optimized(step as Function, [16, 8], [16, 1])).toMatchInlineSnapshot(`
      [
        "matmul[relu]",
        "matmul",
        "mseLoss",
        "full+mseLossGrad+sum+SGD",
        "matmul[reluGrad]",
        "matmul[SGD]",
        "matmul[SGD]",
        "sum+SGD",
      ]
    `)
  })

  test('a convolutional network with Adam', () => {
    const blocks = [2, 4].map((out, i) => ({
      w: normal([3, 3, [1, 2][i]!, out]).setRequiresGrad() as Tensor,
      bias: ones([out], { requiresGrad: true }) as Tensor,
    }))
    const dense = linear(16, 3)
    const optimizer = new optim.Adam([...blocks.flatMap(({ w, bias }) => [w, bias]), dense.w, dense.b], { lr: 0.1 })
    const step = (x: Tensor) => {
      optimizer.zeroGrad()
      let h = x
      for (const { w, bias } of blocks)
        h = maxPool2d((conv2d(h, w as never, { bias: bias as never, padding: 'same' }) as Tensor).relu(), 2) as Tensor
      const loss = crossEntropy(h.reshape([5, 16]).linear(dense.w, dense.b), tensor([0, 1, 2, 0, 1], { dtype: 'int32' }))
      loss.backward()
      optimizer.step()
      return loss
    }
    expect(optimized(step as Function, [5, 8, 8, 1])).toMatchInlineSnapshot(`
      [
        "conv[relu]",
        "maxPool",
        "conv[relu]",
        "maxPool",
        "matmul",
        "crossEntropy",
        "sum",
        "sum+div",
        "full+divGrad+crossEntropyGrad",
        "matmul",
        "maxPoolGrad+reluGrad+sum+Adam",
        "matmul[Adam]",
        "sum+Adam",
        "convGradInput",
        "convGradWeight[Adam]",
        "maxPoolGrad+reluGrad+sum+Adam",
        "convGradWeight[Adam]",
      ]
    `)
  })

  test('a transformer layer with Adam', () => {
    const [qkv, out, up, down] = [linear(16, 48), linear(16, 16), linear(16, 32), linear(32, 16)]
    const norms = [0, 1].map(() => ({
      weight: ones([16], { requiresGrad: true }) as Tensor,
      bias: ones([16], { requiresGrad: true }) as Tensor,
    }))
    const weights = [qkv, out, up, down].flatMap(({ w, b }) => [w, b]).concat(norms.flatMap((n) => [n.weight, n.bias]))
    const optimizer = new optim.Adam(weights, { lr: 0.1 })
    const step = (x: Tensor, target: Tensor) => {
      optimizer.zeroGrad()
      const [q, k, v] = x.linear(qkv.w, qkv.b).reshape([2, 8, 3, 2, 8]).permute([2, 0, 3, 1, 4]).unbind(0) as [Tensor, Tensor, Tensor]
      const scores = q
        .mul(8 ** -0.5)
        .matmul(k.transpose(-2, -1))
        .softmax(-1)
      const attended = scores.matmul(v).permute([0, 2, 1, 3]).reshape([2, 8, 16]).linear(out.w, out.b)
      const h = layerNorm(x.add(attended), [16], norms[0]) as Tensor
      const y = layerNorm(h.add(h.linear(up.w, up.b).relu().linear(down.w, down.b)), [16], norms[1])
      const loss = mseLoss(y, target)
      loss.backward()
      optimizer.step()
      return loss
    }
    expect(optimized(step as Function, [2, 8, 16], [2, 8, 16])).toMatchInlineSnapshot(`
      [
        "matmul",
        "mul",
        "matmul",
        "softmax",
        "matmul",
        "copy",
        "matmul[add]",
        "layerNorm",
        "matmul[relu]",
        "matmul[add]",
        "layerNorm",
        "mseLoss",
        "full+mseLossGrad",
        "layerNormGrad",
        "sum+Adam",
        "sum+Adam",
        "matmul[reluGrad]",
        "matmul[Adam]",
        "matmul[add]",
        "matmul[Adam]",
        "sum+Adam",
        "sum+Adam",
        "layerNormGrad",
        "sum+Adam",
        "sum+Adam",
        "matmul",
        "matmul[Adam]",
        "sum+Adam",
        "matmul",
        "softmaxGrad",
        "matmul[mulGrad+concat]",
        "matmul[concat]",
        "matmul[concat]",
        "copy+sum+Adam",
        "matmul[Adam]",
      ]
    `)
  })

  test('attention with AdamW and dropout', () => {
    manualSeed(0)
    const [qkv, out] = [linear(16, 48), linear(16, 4)]
    const optimizer = new optim.AdamW([qkv.w, qkv.b, out.w, out.b], { lr: 0.1 })
    const step = (x: Tensor) => {
      const [q, k, v] = x.linear(qkv.w, qkv.b).reshape([2, 8, 3, 2, 8]).permute([2, 0, 3, 1, 4]).unbind(0) as [Tensor, Tensor, Tensor]
      const scores = dropout(
        q
          .matmul(k.transpose(-2, -1))
          .mul(8 ** -0.5)
          .softmax(-1),
        0.1,
      )
      const y = layerNorm(scores.matmul(v).permute([0, 2, 1, 3]).reshape([2, 8, 16]), [16]).linear(out.w, out.b)
      const loss = crossEntropy(
        y.reshape([16, 4]),
        tensor(
          Array.from({ length: 16 }, (_, i) => i % 4),
          { dtype: 'int32' },
        ),
      )
      loss.backward()
      optimizer.step()
      optimizer.zeroGrad()
      return loss
    }
    expect(optimized(step as Function, [2, 8, 16])).toMatchInlineSnapshot(`
      [
        "matmul",
        "matmul",
        "mul+softmax+dropout",
        "matmul",
        "copy+layerNorm",
        "matmul",
        "crossEntropy",
        "sum",
        "sum+div",
        "full+divGrad+crossEntropyGrad",
        "matmul",
        "layerNormGrad",
        "matmul[AdamW]",
        "sum+AdamW",
        "matmul",
        "dropoutGrad+softmaxGrad+mulGrad",
        "matmul[concat]",
        "matmul[concat]",
        "matmul[concat]",
        "copy+sum+AdamW",
        "matmul[AdamW]",
      ]
    `)
  })
})
