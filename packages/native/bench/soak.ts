// Random products, convolutions, attention and recurrent layers, forward and backward, for as long as told; fails when memory grows.
//   npx tsx --conditions=source packages/native/bench/soak.ts [MINUTES]      default 30
import { conv2d, currentEngine, nn, normal, randint, scaledDotProductAttention } from 'cotangent'
import { nativeBackend } from '../src/index.ts'

// COTANGENT_NATIVE=0 shows what grows without the addon.
if (process.env.COTANGENT_NATIVE !== '0') nativeBackend()
const end = performance.now() + Number(process.argv[2] ?? 30) * 60e3
const random = (from: number, to: number) => from + Math.floor(Math.random() * (to - from + 1))
const engine = currentEngine()

const either = (chance = 0.5) => Math.random() < chance

function product(): void {
  const [batch, m, k, n] = [random(1, 8), random(1, 300), random(1, 300), random(1, 300)]
  const dtype = either(0.8) ? 'float32' : 'bfloat16'
  const a = normal([batch, m, k]).cast(dtype).setRequiresGrad()
  const b = (either() ? normal([k, n]) : normal([n, k]).transpose(-2, -1)).cast(dtype).setRequiresGrad()
  a.matmul(b).relu().sum().backward()
}

/** A row or a few times a matrix that is large enough for the addon's own code. */
function fewRows(): void {
  const [m, k, n] = [random(1, 8), random(300, 900), random(300, 6000)]
  const b = (either() ? normal([k, n]) : normal([n, k]).transpose(-2, -1)).setRequiresGrad()
  normal([m, k]).matmul(b).sum().backward()
}

function convolution(): void {
  const [batch, groups, size, kernel] = [random(1, 8), random(1, 2), random(3, 40), random(1, 3)]
  const [from, to] = [groups * random(1, 40), groups * random(1, 40)]
  const x = normal([batch, size, size, from]).setRequiresGrad()
  const w = normal([kernel, kernel, from / groups, to]).setRequiresGrad()
  conv2d(x, w, { groups, stride: random(1, 2), padding: random(0, 2) })
    .sum()
    .backward()
}

/** Each channel for itself: the addon's own code. */
function depthwise(): void {
  const [batch, size, channels, kernel] = [random(1, 4), random(3, 40), random(16, 80), random(1, 5)]
  const x = normal([batch, size, size, channels]).setRequiresGrad()
  const w = normal([kernel, kernel, 1, channels]).setRequiresGrad()
  conv2d(x, w, { groups: channels, stride: random(1, 2), padding: kernel >> 1 })
    .sum()
    .backward()
}

function attention(): void {
  const [batch, heads, queries, keys, size] = [random(1, 3), random(1, 4), random(1, 200), random(1, 200), random(1, 64)]
  const dtype = either() ? 'float32' : 'bfloat16'
  const make = (length: number) => normal([batch, heads, length, size]).cast(dtype).setRequiresGrad()
  scaledDotProductAttention(make(queries), make(keys), make(keys), { causal: either() }).sum().backward()
}

function recurrence(): void {
  const [time, batch, from, size] = [random(1, 20), random(1, 8), random(1, 60), random(1, 80)]
  const layer = either() ? new nn.LSTM(from, size) : new nn.GRU(from, size)
  const [output] = layer.forward(normal([batch, time, from]).setRequiresGrad())
  output.sum().backward()
}

function bytes(): void {
  const [m, k, n] = [random(1, 200), random(1, 300), random(1, 200)]
  const a = randint(0, 127, [m, k]).cast(either() ? 'int8' : 'uint8')
  a.matmul(randint(-127, 127, [k, n]).cast('int8'), { dtype: 'int32' })
}

const kinds = [product, product, fewRows, convolution, convolution, depthwise, attention, recurrence, bytes]
const step = () => kinds[random(0, kinds.length - 1)]!()

interface Sample {
  readonly heap: number
  readonly rss: number
}

const samples: Sample[] = []
let steps = 0
let next = performance.now()
while (performance.now() < end) {
  step()
  steps++
  if (steps % 20 === 0) await new Promise((resolve) => setImmediate(resolve))
  if (performance.now() < next) continue
  next += 15e3
  globalThis.gc?.()
  await new Promise((resolve) => setTimeout(resolve, 50))
  engine.onPressure?.()
  samples.push({ heap: engine.memoryUse().inUse, rss: process.memoryUsage().rss })
  const { heap, rss } = samples.at(-1)!
  console.log(`${steps} steps: heap ${(heap / 1e6).toFixed(1)} MB, process ${(rss / 1e6).toFixed(0)} MB`)
}

// Caches fill at first: the last third is held to the third before it.
const third = Math.floor(samples.length / 3)
const most = (key: keyof Sample, part: number) => Math.max(...samples.slice(part * third, (part + 1) * third).map((s) => s[key]))
for (const key of ['heap', 'rss'] as const) {
  const [before, after] = [most(key, 1), most(key, 2)]
  console.log(`${key}: at most ${(before / 1e6).toFixed(1)} MB, then ${(after / 1e6).toFixed(1)} MB`)
  if (after > before * 1.1 + 16e6) process.exitCode = 1
}
