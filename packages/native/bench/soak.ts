// Random products and convolutions, forward and backward, for as long as told; fails when memory grows.
//   npx tsx --conditions=source packages/native/bench/soak.ts [MINUTES]      default 30
import { conv2d, currentEngine, normal } from 'cotangent'
import { nativeBackend } from '../src/index.ts'

// COTANGENT_NATIVE=0 shows what grows without the addon.
if (process.env.COTANGENT_NATIVE !== '0') nativeBackend()
const end = performance.now() + Number(process.argv[2] ?? 30) * 60e3
const random = (from: number, to: number) => from + Math.floor(Math.random() * (to - from + 1))
const engine = currentEngine()

function step(): void {
  const batch = random(1, 8)
  if (Math.random() < 0.5) {
    const [m, k, n] = [random(1, 300), random(1, 300), random(1, 300)]
    const a = normal([batch, m, k]).setRequiresGrad()
    const b = (Math.random() < 0.5 ? normal([k, n]) : normal([n, k]).transpose(-2, -1)).setRequiresGrad()
    a.matmul(b).relu().sum().backward()
  } else {
    const groups = random(1, 2)
    const [size, kernel] = [random(3, 40), random(1, 3)]
    const [from, to] = [groups * random(1, 40), groups * random(1, 40)]
    const x = normal([batch, size, size, from]).setRequiresGrad()
    const w = normal([kernel, kernel, from / groups, to]).setRequiresGrad()
    conv2d(x, w, { groups, stride: random(1, 2), padding: random(0, 2) })
      .sum()
      .backward()
  }
}

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
