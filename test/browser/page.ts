/** What the browser tests run, in the page and in Node. Everything comes back as plain JSON. */
import {
  compile,
  currentEngine,
  dropout,
  manualSeed,
  mseLoss,
  nn,
  noGrad,
  normal,
  optim,
  setThreads,
  tensor,
  type Tensor,
  uniform,
  zeros,
} from 'cotangent'
import * as training from 'cotangent/train'
import { ModuleBuilder } from '../../packages/core/src/engine/wasm/assembler.ts'
import { Heap } from '../../packages/core/src/engine/wasm/heap.ts'
import { Pool } from '../../packages/core/src/engine/wasm/pool.ts'

function multilayer(
  inputs: number,
  hidden: number,
): { parameters: Tensor[]; forward: (x: Tensor) => Tensor; update: (rate: number) => void } {
  const parameters: Tensor[] = [normal([inputs, hidden]), zeros([hidden]), normal([hidden, 1]), zeros([1])]
  for (const p of parameters) p.requiresGrad = true
  const [w1, b1, w2, b2] = parameters as [Tensor, Tensor, Tensor, Tensor]
  return {
    parameters,
    forward: (x) => x.linear(w1, b1).tanh().linear(w2, b2),
    update: (rate) =>
      noGrad(() => {
        for (const p of parameters) {
          p.assign(p.sub(p.grad!.mul(rate)))
          p.grad = null
        }
      }),
  }
}

/** Learns exclusive or; then a product large enough for all threads. */
export async function train(): Promise<{ engine: string; threads: number; losses: number[]; predictions: number[]; checksum: number }> {
  const { threads } = currentEngine()
  await setThreads(threads)
  manualSeed(3)
  const { forward, update } = multilayer(2, 8)
  const x = tensor([0, 0, 0, 1, 1, 0, 1, 1], { shape: [4, 2] })
  const y = tensor([0, 1, 1, 0], { shape: [4, 1] })
  const losses: number[] = []
  for (let step = 0; step < 300; step++) {
    const loss = forward(x).sub(y).square().mean() as Tensor
    loss.backward()
    update(0.3)
    if (step % 50 === 0 || step === 299) losses.push(loss.item())
  }
  const big = uniform([600, 500])
    .matmul(uniform([500, 400]))
    .mul(0.1)
    .exp()
    .log()
  return {
    engine: currentEngine().name,
    threads,
    losses,
    predictions: Array.from(await forward(x).data(), Number),
    checksum: (big.sum() as Tensor).item(),
  }
}

/** Losses of a compiled step with dropout and AdamW, in a loop that never awaits; and the memory in use before and after it. */
export async function trainCompiled(): Promise<{ losses: number[]; before: number; after: number }> {
  await setThreads(currentEngine().threads)
  manualSeed(5)
  const { parameters, forward } = multilayer(16, 32)
  const optimizer = new optim.AdamW(parameters, { lr: 0.01 })
  const x = normal([64, 16])
  const y = x.sum(1, { keepDims: true }).tanh()
  const step = compile((input: Tensor, target: Tensor) => {
    optimizer.zeroGrad()
    const loss = mseLoss(forward(dropout(input, 0.1)), target)
    loss.backward()
    optimizer.step()
    return loss
  })
  const losses = [step(x, y).item()]
  const before = currentEngine().memoryUse().inUse
  for (let i = 1; i <= 500; i++) {
    using loss = step(x, y)
    if (i % 100 === 0) losses.push(loss.item())
  }
  return { losses, before, after: currentEngine().memoryUse().inUse }
}

/** Losses of a model that `fit` trains for some time; and how often a timer of the page came to its turn meanwhile. */
export async function fitBesideTimers(): Promise<{ losses: number[]; seconds: number; ticks: number }> {
  manualSeed(7)
  const model = nn.sequential(new nn.Linear(16, 64), (x: Tensor) => x.tanh(), new nn.Linear(64, 1))
  const trainer = new training.Trainer(model, { optimizer: new optim.AdamW(model, { lr: 0.01 }), loss: mseLoss, display: 'quiet' })
  const x = normal([512, 16])
  const y = x.sum(1, { keepDims: true }).tanh()
  let ticks = 0
  const timer = setInterval(() => void ticks++, 10)
  const { history, seconds } = await trainer.fit({ x, y }, { epochs: Infinity, maxTime: 0.5 }).finally(() => clearInterval(timer))
  return { losses: history.epochs.map(({ logs }) => logs['loss']!), seconds, ticks }
}

/** Bytes in use at the end of each tenth of a long training loop that lets the page breathe between steps. */
export async function longLoop(steps: number, batch: number): Promise<number[]> {
  const { forward, update } = multilayer(64, 64)
  const use: number[] = []
  for (let step = 0; step < steps; step++) {
    const loss = forward(normal([batch, 64]))
      .square()
      .mean() as Tensor
    loss.backward()
    update(0.001)
    await new Promise((resolve) => setTimeout(resolve))
    if ((step + 1) % Math.ceil(steps / 10) === 0) use.push(currentEngine().memoryUse().inUse)
  }
  return use
}

/** A function that traps on every thread but the first, which waits until that has happened. */
function trap(): Uint8Array<ArrayBuffer> {
  const m = new ModuleBuilder()
  m.importMemory({ shared: true })
  const f = m.function('trap', { export: true })
  f.param('i32')
  f.param('i32')
  const thread = f.param('i32')
  const flag = f.param('i32')
  f.get(thread)
  f.if(
    () => {
      f.get(flag)
      f.i32(1)
      f.mem('i32.atomic.store')
      f.op('unreachable')
    },
    () =>
      f.loop((again) => {
        f.get(flag)
        f.mem('i32.atomic.load')
        f.op('i32.eqz')
        f.brIf(again)
      }),
  )
  return m.toBytes()
}

/** The code and words of the error that a trap in a worker becomes, and the number of threads afterwards. */
export async function workerTrap(): Promise<{ code: string; message: string; threads: number }> {
  const heap = new Heap()
  const pool = new Pool(heap, { threads: 2 })
  await pool.ready()
  const flag = heap.alloc(4)
  heap.i32[flag / 4] = 0
  const module = pool.load(trap())
  try {
    pool.run(module.functions['trap']!, 64, 1, [flag])
    return { code: 'nothing', message: '', threads: 0 }
  } catch (error) {
    const { code, message } = error as { code: string; message: string }
    return { code, message, threads: await pool.ready() }
  } finally {
    pool.close()
  }
}
