import { readdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { nativeBackend } from '@cotangent/native'
import * as ct from 'cotangent'
import * as data from 'cotangent/data'
import type { WorkOf } from '../case.ts'
import { labels, randomNormal, type Peer, type Prepared } from '../peer.ts'
import type { photoBatch } from '../photo-batch.ts'
import { inference, nextToken, trainingParts } from './ours-models.ts'

type Tensor = ct.Tensor

const normal = (shape: number[], scale = 1): Tensor => {
  const values = randomNormal(
    shape.reduce((a, b) => a * b, 1),
    scale,
  )
  return ct.tensor(values, { shape })
}
const weight = (shape: number[]): Tensor => normal(shape, 1 / Math.sqrt(shape.slice(0, -1).reduce((a, b) => a * b, 1))).setRequiresGrad()
const zeros = (shape: number[]): Tensor => ct.zeros(shape, { requiresGrad: true })

const op = (f: () => Tensor): Prepared => ({ step: () => f().dispose() })

/** Integers from `low` to `low + 255`. */
const bytes = (dtype: 'int8' | 'uint8', shape: number[]): Tensor => {
  const size = shape.reduce((a, b) => a * b, 1)
  const values = Int32Array.from(randomNormal(size, 100), (value) => Math.abs(Math.trunc(value)) % 256)
  return ct
    .tensor(values, { shape })
    .sub(dtype === 'int8' ? 128 : 0)
    .cast(dtype)
}

/** The pipeline of the `data` suite. */
export function picturesOf({ folder, batch, workers }: WorkOf<'pictures'>) {
  const files = readdirSync(folder).map((name) => join(folder, name))
  const pool = new data.WorkerPool<typeof photoBatch>(new URL('../photo-batch.ts', import.meta.url), { workers })
  return { batches: data.Dataset.from(files).shuffle().batch(batch).mapInWorkers(pool).prefetch(2), pool }
}

let compiled = false

function training(
  options: { optimiser: 'adam' | 'sgd'; learningRate: number },
  weights: Tensor[],
  data: [x: Tensor, target: Tensor],
  loss: (x: Tensor, target: Tensor) => Tensor,
): Prepared {
  const optimiser = new (options.optimiser === 'adam' ? ct.optim.Adam : ct.optim.SGD)(weights, { lr: options.learningRate })
  const step = (x: Tensor, target: Tensor) => {
    const value = loss(x, target)
    optimiser.zeroGrad()
    value.backward()
    optimiser.step()
    return value
  }
  const run = compiled ? ct.compile(step) : step
  return {
    step() {
      run(...data)
    },
  }
}

const peer: Peer = {
  async open({ engine, threads, mode }) {
    const name = engine.replace('+native', '')
    if (name !== engine && process.env.COTANGENT_NATIVE !== '0') nativeBackend()
    ct.setEngine(name)
    compiled = mode === 'compiled'
    await ct.setThreads(threads)
    const { version } = JSON.parse(readFileSync(createRequire(import.meta.url).resolve('cotangent/package.json'), 'utf8')) as {
      version: string
    }
    return { version, threads }
  },

  builders: {
    matmul({ m, k, n, dtype }) {
      const [a, b] = [normal([m, k]).cast(dtype), normal([k, n]).cast(dtype)]
      return op(() => a.matmul(b))
    },
    conv2d({ batch, size, inChannels, outChannels, kernel, stride, part }) {
      const x = normal([batch, size, size, inChannels])
      const w = normal([kernel, kernel, inChannels, outChannels])
      const conv = (x: Tensor, w: Tensor): Tensor => ct.conv2d(x, w, { padding: kernel >> 1, stride })
      if (part === 'forward') return op(() => conv(x, w))
      const [y, pullback] = part === 'input-gradient' ? ct.vjp((x: Tensor) => conv(x, w), x) : ct.vjp((w: Tensor) => conv(x, w), w)
      const g = normal(y.shape as number[])
      return op(() => pullback(g)[0])
    },
    'matmul-int8'({ m, k, n }) {
      const [a, b] = [bytes('int8', [m, k]), bytes('int8', [k, n])]
      return op(() => ct.matmul(a, b, { dtype: 'int32' }))
    },
    'conv2d-int8'({ batch, size, inChannels, outChannels, kernel }) {
      const x = bytes('uint8', [batch, size, size, inChannels])
      const w = bytes('int8', [kernel, kernel, inChannels, outChannels])
      return op(() => ct.conv2d(x, w, { padding: 'same', dtype: 'int32' }))
    },
    binary({ size }) {
      const [a, b] = [normal([size]), normal([size])]
      return op(() => a.add(b))
    },
    unary({ size }) {
      const x = normal([size])
      return op(() => ct.gelu(x))
    },
    softmax({ rows, columns }) {
      const x = normal([rows, columns])
      return op(() => x.softmax(-1))
    },
    attention({ batch, heads, length, size, causal, backward }) {
      const [q, k, v, g] = Array.from({ length: 4 }, () => normal([batch, heads, length, size])) as [Tensor, Tensor, Tensor, Tensor]
      const attention = (q: Tensor, k: Tensor, v: Tensor): Tensor => ct.scaledDotProductAttention(q, k, v, { causal })
      if (!backward) return op(() => attention(q, k, v))
      return { step: () => ct.tidy(() => void ct.vjp(attention, q, k, v)[1](g)) }
    },
    reduce({ fn, rows, columns, axis }) {
      const x = normal([rows, columns])
      return op(() => x[fn](axis))
    },
    mlp({ sizes, batch, loss, ...options }) {
      const layers = sizes.slice(1).map((out, i) => ({ w: weight([sizes[i]!, out]), b: zeros([out]) }))
      const x = normal([batch, sizes[0]!])
      const classes = sizes.at(-1)!
      const target = loss === 'mse' ? normal([batch, classes]) : ct.tensor(labels(batch, classes))
      const weights = layers.flatMap(({ w, b }) => [w, b])
      return training(options, weights, [x, target], (x, target) => {
        let h = x
        layers.forEach(({ w, b }, i) => {
          h = h.linear(w, b)
          if (i < layers.length - 1) h = h.relu()
        })
        return loss === 'mse' ? ct.mseLoss(h, target) : ct.crossEntropy(h, target)
      })
    },
    cnn({ batch, size, channels, classes, ...options }) {
      const side = size >> (channels.length - 1)
      const blocks = channels.slice(1).map((out, i) => ({ w: weight([3, 3, channels[i]!, out]), bias: zeros([out]) }))
      const dense = { w: weight([side * side * channels.at(-1)!, classes]), b: zeros([classes]) }
      const x = normal([batch, size, size, channels[0]!])
      const target = ct.tensor(labels(batch, classes))
      const weights = [...blocks.flatMap(({ w, bias }) => [w, bias]), dense.w, dense.b]
      return training(options, weights, [x, target], (x, target) => {
        let h = x
        for (const { w, bias } of blocks) h = ct.maxPool2d((ct.conv2d(h, w, { bias, padding: 'same' }) as typeof h).relu(), 2) as typeof h
        return ct.crossEntropy(h.reshape([batch, -1]).linear(dense.w, dense.b), target)
      })
    },
    transformer({ batch, length, width, heads, hidden, ...options }) {
      const headWidth = width / heads
      const linear = (i: number, o: number) => ({ w: weight([i, o]), b: zeros([o]) })
      const norm = () => ({ weight: ct.ones([width], { requiresGrad: true }), bias: zeros([width]) })
      const [qkv, out, up, down] = [linear(width, 3 * width), linear(width, width), linear(width, hidden), linear(hidden, width)]
      const norms = [norm(), norm()] as const
      const x = normal([batch, length, width])
      const target = normal([batch, length, width])
      const dense = (h: Tensor, { w, b }: { w: Tensor; b: Tensor }) => h.linear(w, b)
      const attention = (h: Tensor) => {
        const [q, k, v] = dense(h, qkv).reshape([batch, length, 3, heads, headWidth]).permute([2, 0, 3, 1, 4]).unbind(0) as [
          Tensor,
          Tensor,
          Tensor,
        ]
        const attended = ct.scaledDotProductAttention(q, k, v)
        return dense(attended.permute([0, 2, 1, 3]).reshape([batch, length, width]), out)
      }
      const weights = [qkv, out, up, down].flatMap(({ w, b }) => [w, b]).concat(norms.flatMap((n) => [n.weight, n.bias]))
      return training(options, weights, [x, target], (x, target) => {
        const h = ct.layerNorm(x.add(attention(x)), [width], norms[0])
        const y = ct.layerNorm(h.add(dense(dense(h, up).relu(), down)), [width], norms[1])
        return ct.mseLoss(y, target)
      })
    },
    recurrent({ cell, batch, length, inputs, hidden, layers, ...options }) {
      const model = new ct.nn[cell === 'lstm' ? 'LSTM' : 'GRU'](inputs, hidden, { layers })
      return training(
        options,
        [...model.parameters()] as Tensor[],
        [normal([batch, length, inputs]), normal([batch, length, hidden])],
        (x, target) => ct.mseLoss(model.forward(x)[0], target),
      )
    },
    inference: (work) => inference(work, compiled ? 'compiled' : 'eager'),
    'next-token': (work) => nextToken(work, compiled ? 'compiled' : 'eager'),
    'model-training'(work) {
      const { weights, data, loss } = trainingParts(work)
      return training(work, weights, data, loss)
    },
    pictures(work) {
      const { batches, pool } = picturesOf(work)
      return {
        async step() {
          for await (const images of batches) images.dispose()
        },
        dispose: () => void pool.close(),
      }
    },
    'tiny-add'({ size, grad }) {
      const [a, b] = [normal([size]).setRequiresGrad(grad), normal([size]).setRequiresGrad(grad)]
      return op(() => a.add(b))
    },
  },
}

export default peer
