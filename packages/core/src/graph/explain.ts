import type { Engine } from '../engine/engine.ts'
import { tidy } from '../tensor/scope.ts'
import { type Compiled, compile } from './compile.ts'
import { type Explanation, explainSpecialization, type Measured } from './explanation.ts'
import { type Observer, observing } from './observe.ts'
import type { Operation } from './program.ts'
import { probeRoofline, type Roofline, roofMs } from './roofline.ts'

type Callable = (...args: never[]) => unknown

export interface MeasurableExplanation extends Explanation {
  /**
   * Runs the function, with all that it changes, and gives the same explanation with times, against what this machine can do.
   *
   * @param runs Whole runs to take the median of; as many again are looked into step by step. Default 20.
   */
  measure(runs?: number): Explanation
}

const isCompiled = (f: Callable): f is Compiled<Callable> => 'specializations' in f

/**
 * What `compile` makes of a function for such arguments: its kernels and routines in order, what each moves and computes, which
 * ops and lines it came from, and its memory. Nothing runs, and nothing changes. `console.log(explain(step, x, y))` prints a
 * table.
 *
 * @param f A compiled function, whose program for such arguments this is, or any other one that `compile` takes.
 * @throws What compiling it throws.
 */
export function explain<F extends Callable>(f: F, ...args: Parameters<F>): MeasurableExplanation {
  const compiled = (isCompiled(f) ? f : compile(f)) as Compiled<Callable>
  const explained = explainSpecialization(f.name, compiled.specialize(...args))
  return Object.defineProperty(explained, 'measure', {
    value: (runs = 20) => measure(compiled, args, runs),
  }) as MeasurableExplanation
}

function measure(compiled: Compiled<Callable>, args: readonly never[], runs: number): Explanation {
  const run = () => tidy(() => void compiled(...args))
  // Twice, as what a first run leaves behind (gradients that were null) may make the next one another program.
  for (let i = 0; i < 2; i++) run()
  const specialization = compiled.specialize(...args)
  const { engine } = specialization.executable
  const explained = explainSpecialization(compiled.name, specialization)
  const peaks = againstPeaks(engine, explained, run, runs)
  const { steps } = specialization.executable
  const inside = Array.from({ length: runs }, () => {
    const times = new StepTimes(steps)
    observing([engine], times.observe, run)
    return times.ms
  })
  const times = steps.map((_, i) => median(inside.map((ms) => ms[i]!)))
  return explainSpecialization(compiled.name, specialization, { ...peaks, steps: times })
}

/** Whole runs and the machine's limits in turns: each run is held to the machine as it was at that moment. */
function againstPeaks(engine: Engine, { operations }: Explanation, run: () => void, runs: number): Measured {
  const probe = probeRoofline(engine, Math.max(0, ...operations.map(({ bytesRead, bytesWritten }) => bytesRead + bytesWritten)))
  try {
    const pairs = Array.from({ length: runs }, () => {
      const roofline = probe.measure()
      const start = performance.now()
      run()
      const ms = performance.now() - start
      return { roofline, ms, share: operations.reduce((sum, operation) => sum + roofMs(operation, roofline), 0) / ms }
    })
    const medianOf = (of: (pair: (typeof pairs)[number]) => number) => median(pairs.map(of))
    const roofline: Roofline = { copyGBs: medianOf((p) => p.roofline.copyGBs), gflops: medianOf((p) => p.roofline.gflops) }
    return { roofline, ms: medianOf((p) => p.ms), ofRoof: medianOf((p) => p.share) }
  } finally {
    probe.close()
  }
}

/** Attributes what runs to the steps of one run. */
class StepTimes {
  readonly ms: number[]
  readonly #steps: readonly Pick<Operation, 'program'>[]
  #at = 0

  constructor(steps: readonly Pick<Operation, 'program'>[]) {
    this.#steps = steps
    this.ms = steps.map(() => 0)
  }

  readonly observe: Observer = (program, ms) => {
    let next = this.#at
    while (this.#steps[next]?.program.kind === 'control') next++
    if (this.#steps[next]?.program === program) {
      this.ms[next]! += ms
      this.#at = next + 1
    } else if (this.#at < this.#steps.length) {
      // Not one of the program's own: control flow runs it.
      this.ms[this.#at]! += ms
    }
  }
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[sorted.length >> 1] ?? 0
}
