import tf from '@tensorflow/tfjs'
import wasm from '@tensorflow/tfjs-backend-wasm'
import type { Kind } from '../case.ts'
import { labels, randomNormal, Unsupported, type ModelKind, type Peer, type Prepared } from '../peer.ts'

type Tensor = tf.Tensor
type Variable = tf.Variable

const normal = (shape: number[], scale = 1): Tensor =>
  tf.tensor(
    randomNormal(
      shape.reduce((a, b) => a * b, 1),
      scale,
    ),
    shape,
  )
const weight = (shape: number[]): Variable => tf.variable(normal(shape, 1 / Math.sqrt(shape.slice(0, -1).reduce((a, b) => a * b, 1))))
const zeros = (shape: number[]): Variable => tf.variable(tf.zeros(shape))

/** An op that makes one tensor and drops it. */
const op = (inputs: Tensor[], f: () => Tensor): Prepared => ({
  step: () => void f().dispose(),
  dispose: () => tf.dispose(inputs),
})

function training(options: { optimiser: 'adam' | 'sgd'; learningRate: number }, weights: Variable[], loss: () => tf.Scalar): Prepared {
  const optimiser = tf.train[options.optimiser](options.learningRate)
  return {
    step: () => void optimiser.minimize(loss, false, weights),
    dispose: () => {
      optimiser.dispose()
      tf.dispose(weights)
    },
  }
}

const crossEntropy = (target: Int32Array, classes: number) => {
  const oneHot = tf.oneHot(tf.tensor1d(target, 'int32'), classes)
  return (logits: Tensor) => tf.losses.softmaxCrossEntropy(oneHot, logits) as tf.Scalar
}

const peer: Peer<Exclude<Kind, ModelKind>> = {
  async open() {
    wasm.setThreadsCount(1)
    await tf.setBackend('wasm')
    await tf.ready()
    return { version: wasm.version_wasm, threads: 1 }
  },

  builders: {
    matmul({ m, k, n, dtype }) {
      if (dtype !== 'float32') throw new Unsupported(`has no ${dtype}`)
      const [a, b] = [normal([m, k]) as tf.Tensor2D, normal([k, n]) as tf.Tensor2D]
      return op([a, b], () => tf.matMul(a, b))
    },
    conv2d({ batch, size, inChannels, outChannels, kernel, stride, part }) {
      if (part !== 'forward') throw new Unsupported('has no function for the gradient alone')
      const x = normal([batch, size, size, inChannels]) as tf.Tensor4D
      const w = normal([kernel, kernel, inChannels, outChannels]) as tf.Tensor4D
      return op([x, w], () => tf.conv2d(x, w, stride, kernel >> 1, 'NHWC', [1, 1], 'floor'))
    },
    'matmul-int8'() {
      throw new Unsupported('has no products of bytes')
    },
    attention() {
      throw new Unsupported('has no fused attention')
    },
    'conv2d-int8'() {
      throw new Unsupported('has no products of bytes')
    },
    binary({ size }) {
      const [a, b] = [normal([size]), normal([size])]
      return op([a, b], () => tf.add(a, b))
    },
    unary({ size }) {
      const x = normal([size])
      return op([x], () => tf.tidy(() => x.mul(0.5).mul(x.mul(Math.SQRT1_2).erf().add(1))))
    },
    softmax({ rows, columns }) {
      const x = normal([rows, columns])
      return op([x], () => tf.softmax(x))
    },
    reduce({ fn, rows, columns, axis }) {
      const x = normal([rows, columns])
      return op([x], () => tf[fn](x, axis))
    },
    mlp({ sizes, batch, loss, ...options }) {
      const layers = sizes.slice(1).map((out, i) => ({ w: weight([sizes[i]!, out]), b: zeros([out]) }))
      const x = normal([batch, sizes[0]!])
      const classes = sizes.at(-1)!
      const target = normal([batch, classes])
      const lossOf =
        loss === 'mse' ? (y: Tensor) => tf.losses.meanSquaredError(target, y) as tf.Scalar : crossEntropy(labels(batch, classes), classes)
      const weights = layers.flatMap(({ w, b }) => [w, b])
      return training(options, weights, () => {
        let h = x
        layers.forEach(({ w, b }, i) => {
          h = h.matMul(w).add(b)
          if (i < layers.length - 1) h = h.relu()
        })
        return lossOf(h)
      })
    },
    cnn({ batch, size, channels, classes, ...options }) {
      const side = size >> (channels.length - 1)
      const blocks = channels.slice(1).map((out, i) => ({ w: weight([3, 3, channels[i]!, out]), b: zeros([out]) }))
      const dense = { w: weight([side * side * channels.at(-1)!, classes]), b: zeros([classes]) }
      const x = normal([batch, size, size, channels[0]!]) as tf.Tensor4D
      const lossOf = crossEntropy(labels(batch, classes), classes)
      const weights = [...blocks, dense].flatMap(({ w, b }) => [w, b])
      return training(options, weights, () => {
        let h = x
        for (const { w, b } of blocks)
          h = tf.maxPool(
            tf
              .conv2d(h, w as unknown as tf.Tensor4D, 1, 'same')
              .add(b)
              .relu() as tf.Tensor4D,
            2,
            2,
            'valid',
          )
        return lossOf(h.reshape([batch, -1]).matMul(dense.w).add(dense.b))
      })
    },
    transformer({ batch, length, width, heads, hidden, ...options }) {
      const headWidth = width / heads
      const linear = (i: number, o: number) => ({ w: weight([i, o]), b: zeros([o]) })
      const norm = () => ({ w: tf.variable(tf.ones([width])), b: zeros([width]) })
      const [qkv, out, up, down] = [linear(width, 3 * width), linear(width, width), linear(width, hidden), linear(hidden, width)]
      const norms = [norm(), norm()] as const
      const x = normal([batch * length, width])
      const target = normal([batch * length, width])
      const dense = (h: Tensor, { w, b }: { w: Variable; b: Variable }) => h.matMul(w).add(b)
      const layerNorm = (h: Tensor, { w, b }: { w: Variable; b: Variable }) => {
        const centred = h.sub(h.mean(-1, true))
        return centred.mul(centred.square().mean(-1, true).add(1e-5).rsqrt()).mul(w).add(b)
      }
      const attention = (h: Tensor) => {
        const [q, k, v] = tf
          .split(dense(h, qkv), 3, 1)
          .map((part) => part.reshape([batch, length, heads, headWidth]).transpose([0, 2, 1, 3])) as [Tensor, Tensor, Tensor]
        const scores = tf.matMul(q.mul(headWidth ** -0.5), k, false, true).softmax()
        return dense(
          tf
            .matMul(scores, v)
            .transpose([0, 2, 1, 3])
            .reshape([batch * length, width]),
          out,
        )
      }
      const weights = [qkv, out, up, down, ...norms].flatMap(({ w, b }) => [w, b])
      return training(options, weights, () => {
        const h = layerNorm(x.add(attention(x)), norms[0])
        const y = layerNorm(h.add(dense(dense(h, up).relu(), down)), norms[1])
        return tf.losses.meanSquaredError(target, y) as tf.Scalar
      })
    },
    recurrent({ cell, batch, length, inputs, hidden, layers, ...options }) {
      if (cell === 'gru') throw new Unsupported('resets the state of a GRU before its product, not behind it')
      const model = tf.sequential()
      for (let i = 0; i < layers; i++)
        model.add(tf.layers.lstm({ units: hidden, returnSequences: true, inputShape: [length, i === 0 ? inputs : hidden] }))
      const [x, target] = [normal([batch, length, inputs]), normal([batch, length, hidden])]
      return training(options, model.getWeights() as Variable[], () => {
        const y = model.apply(x, { training: true }) as Tensor
        return tf.losses.meanSquaredError(target, y) as tf.Scalar
      })
    },
    pictures() {
      throw new Unsupported('has no input pipeline in Node')
    },
    'tiny-add'({ size, grad }) {
      if (grad) throw new Unsupported('records gradients only inside a function given to tf.grad')
      const [a, b] = [normal([size]), normal([size])]
      return op([a, b], () => tf.add(a, b))
    },
  },
}

export default peer
