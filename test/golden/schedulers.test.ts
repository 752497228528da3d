import { optim, type Tensor, tensor, zeros } from 'cotangent'
import { testGolden } from './load.ts'

/** Functions by the names that schedulers.py has for them. */
const functions: Record<string, (x: number) => number> = {
  power: (epoch) => 0.95 ** epoch,
  hyperbola: (epoch) => 1 / (1 + epoch),
  constant: () => 0.9,
  wave: (x) => 0.5 * (1 + Math.sin((x * Math.PI) / 2)),
}

type Options = Record<string, unknown>
type Described = readonly [name: string, options: Options]
type AnyScheduler = optim.Scheduler & { step(given?: number): void }

const valueOf = (v: unknown): unknown => (Array.isArray(v) ? v.map(valueOf) : typeof v === 'string' ? (functions[v] ?? v) : v)

function make(optimizer: optim.Optimizer, name: string, options: Options): AnyScheduler {
  const inner = (options.schedulers as Described[] | undefined)?.map(([own, its]) => make(optimizer, own, its))
  if (name === 'SequentialLR') return new optim.SequentialLR({ schedulers: inner!, milestones: options.milestones as number[] })
  if (name === 'ChainedScheduler') return new optim.ChainedScheduler(inner!)
  const values = Object.fromEntries(Object.entries(options).map(([key, v]) => [key, key === 'schedulers' ? v : valueOf(v)]))
  return new (optim as unknown as Record<string, new (optimizer: optim.Optimizer, options: Options) => AnyScheduler>)[name]!(optimizer, values)
}

type Run = (name: string, options: Options, lrs: number[], steps: number, optimizer: 'SGD' | 'Adam' | 'AdamW', given: number[] | null) => Tensor[]

/**
 * Runs a schedule; halfway its state moves to a new scheduler, which must go on as if nothing had happened, whether it is made before or
 * after the optimiser has its state.
 */
const run =
  (interrupted: 'never' | 'made before' | 'made after'): Run =>
  (name, options, lrs, steps, kind, given) => {
    const start = () => new optim[kind](lrs.map((lr) => ({ params: zeros([1]), lr }))) as optim.Optimizer
    let optimizer = start()
    let scheduler = make(optimizer, name, options)
    const rates: number[][] = []
    const momenta: number[][] = []
    for (let step = 0; step <= steps; step++) {
      rates.push(optimizer.paramGroups.map((group) => group.lr))
      momenta.push(optimizer.paramGroups.map((group) => momentumOf(group)))
      if (step === steps) break
      scheduler.step(...(given ? [given[step]!] : []))
      if (interrupted !== 'never' && step === Math.floor(steps / 2)) {
        const saved = JSON.parse(JSON.stringify([optimizer.stateDict(), scheduler.stateDict()]))
        optimizer = start()
        if (interrupted === 'made before') scheduler = make(optimizer, name, options)
        optimizer.loadStateDict(saved[0])
        if (interrupted === 'made after') scheduler = make(optimizer, name, options)
        scheduler.loadStateDict(saved[1])
      }
    }
    return [tensor(rates, { dtype: 'float64' }), tensor(momenta, { dtype: 'float64' })]
  }

const momentumOf = (group: object): number => ('betas' in group ? (group.betas as number[])[0]! : (group as { momentum: number }).momentum)

testGolden('schedulers', () => run('never') as never)
testGolden('schedulers', () => run('made before') as never)
testGolden('schedulers', () => run('made after') as never)
