import { createRequire } from 'node:module'
import { blockUntilReady, defaultDevice, init, jit, lax, nn, numpy as np, tree, valueAndGrad } from '@jax-js/jax'
import type { Kind } from '../case.ts'
import { labels, randomNormal, Unsupported, type ModelKind, type Peer, type Prepared } from '../peer.ts'

/**
 * Arrays here are counted references: passing one to a function consumes it, `.ref` keeps it.
 * Single ops are timed eagerly, training steps as one jitted function, which is how this library is meant to train.
 */
type Array = np.Array
type Params = Record<string, Array>

const normal = (shape: number[], scale = 1): Array =>
  np
    .array(
      randomNormal(
        shape.reduce((a, b) => a * b, 1),
        scale,
      ),
    )
    .reshape(shape)
const weight = (fanIn: number, shape: number[]): Array => normal(shape, 1 / Math.sqrt(fanIn))

const op = (inputs: Array[], f: () => Array): Prepared => ({
  async step() {
    const out = f()
    await out.blockUntilReady()
    out.dispose()
  },
  dispose: () => inputs.forEach((input) => input.dispose()),
})

type State = { params: Params; first: Params; second: Params; step: Array }

/** `loss(params, x, target)` consumes its arguments. */
function training(
  { optimiser, learningRate }: { optimiser: 'adam' | 'sgd'; learningRate: number },
  params: Params,
  x: Array,
  target: Array,
  loss: (params: Params, x: Array, target: Array) => Array,
): Prepared {
  const update = optimiser === 'adam' ? adam : sgd
  const zerosLike = () => tree.map((p: Array) => np.zeros(p.shape), params) as Params
  let state: State = { params, first: zerosLike(), second: zerosLike(), step: np.array(0) }
  const step = jit((state: State, x: Array, target: Array) => {
    const [value, grads] = valueAndGrad(loss)(tree.ref(state.params), x, target)
    return { value, state: update(state, grads as Params, learningRate) }
  })
  return {
    async step() {
      const out = step(state, x.ref, target.ref)
      state = out.state
      await blockUntilReady(out)
      out.value.dispose()
    },
    dispose() {
      tree.dispose(state)
      tree.dispose([x, target])
      step.dispose()
    },
  }
}

function sgd({ params, ...rest }: State, grads: Params, learningRate: number): State {
  return { params: tree.map((p: Array, g: Array) => p.sub(g.mul(learningRate)), params, grads) as Params, ...rest }
}

function adam(state: State, grads: Params, learningRate: number): State {
  const step = state.step.add(1)
  const correction = (beta: number) =>
    np.reciprocal(
      np
        .exp(step.ref.mul(Math.log(beta)))
        .mul(-1)
        .add(1),
    )
  const [scale, scaleSecond] = [correction(0.9).mul(learningRate), correction(0.999)]
  const next: State = { params: {}, first: {}, second: {}, step }
  for (const name of Object.keys(grads)) {
    const g = grads[name]!
    const first = state.first[name]!.mul(0.9).add(g.ref.mul(0.1))
    const second = state.second[name]!.mul(0.999).add(np.square(g).mul(0.001))
    const root = np.sqrt(second.ref.mul(scaleSecond.ref)).add(1e-8)
    next.params[name] = state.params[name]!.sub(first.ref.mul(scale.ref).div(root))
    next.first[name] = first
    next.second[name] = second
  }
  tree.dispose([scale, scaleSecond])
  return next
}

const crossEntropy = (logits: Array, oneHot: Array) => oneHot.mul(nn.logSoftmax(logits, -1)).sum(-1).mean().mul(-1)
const oneHot = (size: number, classes: number) => nn.oneHot(np.array(labels(size, classes), { dtype: np.int32 }), classes)

const peer: Peer<Exclude<Kind, ModelKind>> = {
  async open() {
    await init('wasm')
    defaultDevice('wasm')
    const { version } = createRequire(import.meta.url)('../node_modules/@jax-js/jax/package.json') as { version: string }
    return { version, threads: 1 }
  },

  builders: {
    matmul({ m, k, n, dtype }) {
      if (dtype !== 'float32') throw new Unsupported(`has no ${dtype}`)
      const [a, b] = [normal([m, k]), normal([k, n])]
      return op([a, b], () => np.matmul(a.ref, b.ref))
    },
    conv2d({ batch, size, inChannels, outChannels, kernel, stride, part }) {
      if (part !== 'forward') throw new Unsupported('has no function for the gradient alone')
      const x = normal([batch, inChannels, size, size])
      const w = normal([outChannels, inChannels, kernel, kernel])
      const around: [number, number] = [kernel >> 1, kernel >> 1]
      return op([x, w], () => lax.convGeneralDilated(x.ref, w.ref, [stride, stride], [around, around], {}))
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
      return op([a, b], () => np.add(a.ref, b.ref))
    },
    unary({ size }) {
      const x = normal([size])
      return op([x], () => nn.gelu(x.ref, { approximate: false }))
    },
    softmax({ rows, columns }) {
      const x = normal([rows, columns])
      return op([x], () => nn.softmax(x.ref, -1))
    },
    reduce({ fn, rows, columns, axis }) {
      const x = normal([rows, columns])
      return op([x], () => np[fn](x.ref, axis ?? null))
    },
    mlp({ sizes, batch, loss, ...options }) {
      const params: Params = {}
      const depth = sizes.length - 1
      for (let i = 0; i < depth; i++) {
        params[`w${i}`] = weight(sizes[i]!, [sizes[i]!, sizes[i + 1]!])
        params[`b${i}`] = np.zeros([sizes[i + 1]!])
      }
      const classes = sizes.at(-1)!
      const target = loss === 'mse' ? normal([batch, classes]) : oneHot(batch, classes)
      return training(options, params, normal([batch, sizes[0]!]), target, (p, x, target) => {
        let h = x
        for (let i = 0; i < depth; i++) {
          h = np.matmul(h, p[`w${i}`]!).add(p[`b${i}`]!)
          if (i < depth - 1) h = nn.relu(h)
        }
        return loss === 'mse' ? np.square(h.sub(target)).mean() : crossEntropy(h, target)
      })
    },
    cnn({ batch, size, channels, classes, ...options }) {
      const params: Params = {}
      const blocks = channels.length - 1
      for (let i = 0; i < blocks; i++) {
        params[`w${i}`] = weight(9 * channels[i]!, [channels[i + 1]!, channels[i]!, 3, 3])
        params[`b${i}`] = np.zeros([channels[i + 1]!, 1, 1])
      }
      const features = channels.at(-1)! * (size >> blocks) ** 2
      params.dense = weight(features, [features, classes])
      params.bias = np.zeros([classes])
      return training(options, params, normal([batch, channels[0]!, size, size]), oneHot(batch, classes), (p, x, target) => {
        let h = x
        for (let i = 0; i < blocks; i++) {
          h = nn.relu(lax.convGeneralDilated(h, p[`w${i}`]!, [1, 1], 'SAME', {}).add(p[`b${i}`]!))
          h = lax.reduceWindow(h, (window) => np.max(window), [2, 2], [2, 2])
        }
        return crossEntropy(np.matmul(h.reshape([batch, features]), p.dense!).add(p.bias!), target)
      })
    },
    transformer({ batch, length, width, heads, hidden, ...options }) {
      const rows = batch * length
      const headWidth = width / heads
      const params: Params = { n0: np.ones([width]), n1: np.ones([width]), c0: np.zeros([width]), c1: np.zeros([width]) }
      const linear = (name: string, i: number, o: number) => {
        params[`w${name}`] = weight(i, [i, o])
        params[`b${name}`] = np.zeros([o])
      }
      for (const name of ['q', 'k', 'v', 'o']) linear(name, width, width)
      linear('up', width, hidden)
      linear('down', hidden, width)
      const dense = (p: Params, h: Array, name: string) => np.matmul(h, p[`w${name}`]!).add(p[`b${name}`]!)
      const norm = (p: Params, h: Array, i: number) => nn.standardize(h, -1, { epsilon: 1e-5 }).mul(p[`n${i}`]!).add(p[`c${i}`]!)
      return training(options, params, normal([rows, width]), normal([rows, width]), (p, x, target) => {
        const [q, k, v] = ['q', 'k', 'v'].map((name) =>
          np.transpose(dense(p, x.ref, name).reshape([batch, length, heads, headWidth]), [0, 2, 1, 3]),
        ) as [Array, Array, Array]
        const scores = nn.softmax(np.matmul(q.mul(headWidth ** -0.5), np.matrixTranspose(k)), -1)
        const mixed = np.transpose(np.matmul(scores, v), [0, 2, 1, 3])
        const attention = dense(p, mixed.reshape([rows, width]), 'o')
        const h = norm(p, x.add(attention), 0)
        const y = norm(p, h.ref.add(dense(p, nn.relu(dense(p, h, 'up')), 'down')), 1)
        return np.square(y.sub(target)).mean()
      })
    },
    recurrent() {
      throw new Unsupported('has no recurrent layers')
    },
    pictures() {
      throw new Unsupported('has no input pipeline in Node')
    },
    'tiny-add'({ size, grad }) {
      if (grad) throw new Unsupported('records gradients only inside a function given to grad')
      const [a, b] = [normal([size]), normal([size])]
      return op([a, b], () => np.add(a.ref, b.ref))
    },
  },
}

export default peer
