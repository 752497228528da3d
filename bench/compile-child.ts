/** The child process of facts.ts: writes one JSON array of facts. */
import * as ct from 'cotangent'
import { compile as cases } from './cases/compile.ts'
import type { Fact } from './facts.ts'
import { build, type PeerOptions, type Prepared } from './peer.ts'
import peer from './peers/ours.ts'

const options = JSON.parse(process.argv[2]!) as PeerOptions & { filter: string; effort: { rounds: number } }
console.log = console.info = console.error
const facts: Fact[] = []
const engine = ct.setEngine(options.engine.replace('+native', ''))

async function prepare(name: string, mode: PeerOptions['mode']): Promise<Prepared> {
  await peer.open({ ...options, mode })
  return await build(peer.builders, cases.find((testCase) => testCase.name === name)!.work)
}

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1]!

/** Median seconds of a call of each, in turns. */
function secondsOf(runs: readonly (() => void)[], sampleMs = 30, rounds = options.effort.rounds): number[] {
  const counts = runs.map((run) => {
    for (let i = 0; i < 5; i++) run()
    const start = performance.now()
    run()
    return Math.max(1, Math.round(sampleMs / Math.max(0.001, performance.now() - start)))
  })
  const samples = runs.map((): number[] => [])
  for (let round = 0; round <= rounds; round++) {
    runs.forEach((run, i) => {
      const start = performance.now()
      for (let n = 0; n < counts[i]!; n++) run()
      // The first round still warms up.
      if (round > 0) samples[i]!.push((performance.now() - start) / 1e3 / counts[i]!)
    })
  }
  return samples.map(median)
}

/** Time at the roof, by the machine's own copy or multiply-adds, whichever binds, over the time of the program; both in turns. */
function againstRoof(name: string, explained: ReturnType<typeof ct.explain>): void {
  const { operations, total, measured } = explained.measure(options.effort.rounds * 4 + 1) as ct.Explanation
  const { roofline, ms, ofRoof } = measured!
  const bytes = total.bytesRead + total.bytesWritten
  const binding = bytes / roofline.copyGBs > total.flops / roofline.gflops ? 'copy' : 'multiply-adds'
  const peaks = `${roofline.copyGBs.toPrecision(3)} GB/s, ${roofline.gflops.toPrecision(3)} GFLOP/s`
  const note = `${(ofRoof * 100).toFixed(0)}% of ${binding} (${peaks}), ${operations.length} operations`
  facts.push({ name, unit: 'ms', ours: ms / 1e3, against: 'roof', limit: (ofRoof * ms) / 1e3, note })
}

async function roofs(): Promise<void> {
  const x = ct.normal([4096, 1024]) as ct.Tensor
  const norm = new ct.nn.LayerNorm([1024])
  againstRoof(
    'softmax-4096x1024',
    ct.explain((x: ct.Tensor) => x.softmax(-1), x),
  )
  againstRoof(
    'layer-norm-4096x1024',
    ct.explain((x: ct.Tensor) => ct.noGrad(() => norm.forward(x) as ct.Tensor), x),
  )
  const h = ct.normal([512, 1024]) as ct.Tensor
  const [up, down] = [new ct.nn.Linear(1024, 4096), new ct.nn.Linear(4096, 1024)]
  const mlp = (h: ct.Tensor) => ct.noGrad(() => down.forward(ct.gelu(up.forward(h) as ct.Tensor)) as ct.Tensor)
  againstRoof('gelu-mlp-512x1024x4096', ct.explain(mlp, h))
  const weight = (ct.normal([2048, 2048]) as ct.Tensor).setRequiresGrad()
  weight.grad = ct.normal([2048, 2048]) as ct.Tensor
  const adamw = new ct.optim.AdamW([weight], { lr: 1e-6 })
  againstRoof(
    'adamw-4m',
    ct.explain(() => adamw.step()),
  )
}

async function firstCall(): Promise<void> {
  // Modules that any program needs are ready; those of this one are not.
  const warm = await prepare('tiny-mlp', 'compiled')
  for (let i = 0; i < 10; i++) warm.step()
  const { step } = await prepare('transformer', 'compiled')
  const start = performance.now()
  step()
  const first = (performance.now() - start) / 1e3
  const [seconds] = secondsOf([step as () => void], 100)
  facts.push({
    name: 'transformer-first-call',
    unit: 'ms',
    ours: first,
    against: 'one step',
    limit: seconds!,
    note: `${(first / seconds!).toFixed(1)} steps`,
  })
}

/** A call of the compiled step, against its sequence alone: its kernels, whose arguments lie where they lay in the run before. */
async function overhead(): Promise<void> {
  let alone: (() => void) | undefined
  const { prepare: original } = engine
  engine.prepare = (program) => {
    const executable = original.call(engine, program)
    if (program.kind !== 'sequence') return executable
    return {
      run(buffers, offsets, scalars) {
        // Memory of its own: the program's is lent to others between its runs.
        const own = buffers.map(({ bytes }) => engine.allocate(bytes))
        for (const buffer of own) engine.write(buffer, 'uint8', 0, new Uint8Array(buffer.bytes))
        const [at, numbers] = [[...offsets], [...scalars]]
        executable.run(buffers, offsets, scalars)
        executable.run(own, at, numbers)
        alone = () => executable.run(own, at, numbers, [])
      },
    }
  }
  const watched = await prepare('tiny-mlp', 'compiled')
  watched.step()
  engine.prepare = original
  const plain = await prepare('tiny-mlp', 'compiled')
  // Short turns, many of them: the difference of two times needs both from the same moment.
  const [call, sequence] = secondsOf([plain.step as () => void, alone!], 3, 20 * options.effort.rounds)
  const cost = call! - sequence!
  facts.push({
    name: 'tiny-mlp-call-overhead',
    unit: 'us',
    ours: cost,
    against: 'one step',
    limit: call!,
    note: `${((cost / call!) * 100).toFixed(1)}% of a step`,
  })
}

/** Most bytes in use during a step, with weights and data; garbage of earlier steps is gone before. */
async function peakMemory(name: string): Promise<void> {
  const peaks: number[] = []
  for (const mode of ['compiled', 'eager'] as const) {
    const { step } = await prepare(name, mode)
    for (let i = 0; i < 3; i++) step()
    await collect()
    peaks.push(peakOf(step as () => void))
  }
  const [ours, limit] = peaks as [number, number]
  const note = `${((ours / limit) * 100).toFixed(0)}% of eager`
  facts.push({ name: `${name}-peak-memory`, unit: 'KiB', ours, against: 'ours-eager', limit, note })
}

/** The heap is asked after each allocation, as it remembers only the peak since its start. */
function peakOf(run: () => void): number {
  const { heap } = engine as unknown as { heap: { alloc(bytes: number): number; stats: { bytesInUse: number } } }
  const { alloc } = heap
  let peak = 0
  heap.alloc = (bytes) => {
    const pointer = alloc.call(heap, bytes)
    peak = Math.max(peak, heap.stats.bytesInUse)
    return pointer
  }
  run()
  heap.alloc = alloc
  return peak
}

async function collect(): Promise<void> {
  for (let i = 0; i < 3; i++) {
    globalThis.gc?.()
    await new Promise((resolve) => setTimeout(resolve, 10))
    engine.onPressure?.()
  }
}

await peer.open(options)
const parts: Record<string, () => Promise<void>> = {
  'first-call': firstCall,
  overhead,
  roof: roofs,
  'cnn-peak-memory': () => peakMemory('cnn'),
  'transformer-peak-memory': () => peakMemory('transformer'),
}
for (const [name, part] of Object.entries(parts)) if (name.includes(options.filter) || options.filter === '') await part()
process.stdout.write(JSON.stringify(facts))
process.exit(0)
