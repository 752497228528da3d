/** The child process of facts.ts: what a transformer layer keeps for its gradient under `autocast`, against float32. */
import * as ct from 'cotangent'
import type { Fact } from './facts.ts'
import type { PeerOptions } from './peer.ts'
import peer from './peers/ours.ts'

const options = JSON.parse(process.argv[2]!) as PeerOptions & { filter: string }
console.log = console.info = console.error
const facts: Fact[] = []
const [batch, length, width, heads, hidden] = [8, 128, 256, 4, 1024]

await peer.open(options)
const engine = ct.currentEngine()

interface Model {
  readonly weights: ct.Tensor[]
  loss(): ct.Tensor
}

/** The layers of the `transformer` step, one behind the other. */
function modelOf(layers: number, dtype: 'float32' | 'bfloat16'): Model {
  const blocks = Array.from({ length: layers }, () => new ct.nn.TransformerEncoderLayer(width, heads, { feedForward: hidden, dropout: 0 }))
  const [x, target] = [ct.normal([batch, length, width]), ct.normal([batch, length, width])]
  const forward = () =>
    ct.mseLoss(
      blocks.reduce((h: ct.Tensor, block) => block.forward(h) as ct.Tensor, x),
      target,
    )
  return {
    weights: blocks.flatMap((block) => [...block.parameters()] as ct.Tensor[]),
    loss: dtype === 'float32' ? forward : () => ct.autocast(forward, { dtype }),
  }
}

async function collect(): Promise<void> {
  for (let i = 0; i < 3; i++) {
    globalThis.gc?.()
    await new Promise((resolve) => setTimeout(resolve, 10))
    engine.onPressure?.()
  }
}

/** Bytes that are there after a forward pass and were not before, op by op. */
async function kept(model: Model): Promise<number> {
  model.loss().backward()
  await collect()
  const before = engine.memoryUse().inUse
  const loss = model.loss()
  await collect()
  const bytes = engine.memoryUse().inUse - before
  loss.backward()
  return bytes
}

/** Bytes that the compiled step works in. */
function working({ weights, loss }: Model): number {
  const optimiser = new ct.optim.Adam(weights, { lr: 1e-3 })
  const step = () => {
    const value = loss()
    optimiser.zeroGrad()
    value.backward()
    optimiser.step()
    return value
  }
  return ct.explain(step).total.arenaBytes
}

const few = 4
const many = 8
const measured = {
  // What comes before and behind the layers is not theirs.
  'transformer-layer-kept-bf16': async (dtype: 'float32' | 'bfloat16') =>
    ((await kept(modelOf(many, dtype))) - (await kept(modelOf(few, dtype)))) / (many - few),
  [`transformer${many}-kept-bf16`]: async (dtype: 'float32' | 'bfloat16') => await kept(modelOf(many, dtype)),
  'transformer-working-bf16': async (dtype: 'float32' | 'bfloat16') => working(modelOf(1, dtype)),
  [`transformer${many}-working-bf16`]: async (dtype: 'float32' | 'bfloat16') => working(modelOf(many, dtype)),
}
for (const [name, bytesOf] of Object.entries(measured)) {
  if (!name.includes(options.filter)) continue
  const [limit, ours] = [await bytesOf('float32'), await bytesOf('bfloat16')]
  facts.push({ name, unit: 'MiB', ours, against: 'float32', limit, note: `${((ours / limit) * 100).toFixed(1)}% of float32` })
}
process.stdout.write(JSON.stringify(facts))
process.exit(0)
