import { CotangentError } from '../errors.ts'
import { full } from '../op/creation.ts'
import { stack } from '../op/join.ts'
import { where } from '../op/where.ts'
import { hostEffect, modes, noGrad, type Tracer, withModes } from '../tensor/modes.ts'
import { keep } from '../tensor/scope.ts'
import { Tensor } from '../tensor/tensor.ts'
import { mapTree } from '../tree.ts'
import { replaceGradient } from './clip.ts'
import type { StepOptions } from './optimizer.ts'
import { completeOptions } from './options.ts'

/** How the scale of the loss begins, and how it grows and falls. */
export interface GradScalerOptions {
  /** The first scale. Default 65536. */
  readonly initScale: number
  /** What the scale is multiplied by after `growthInterval` good steps. Default 2. */
  readonly growthFactor: number
  /** What the scale is multiplied by after a step with an infinite gradient or NaN. Default 0.5. */
  readonly backoffFactor: number
  /** Default 2000. */
  readonly growthInterval: number
  /** False: losses stay as they are and every step is taken, so that one loop serves all precisions. Default true. */
  readonly enabled: boolean
}

/** What to save of a scaler. */
export interface GradScalerState {
  readonly scale: number
  readonly growthFactor: number
  readonly backoffFactor: number
  readonly growthInterval: number
  /** Good steps since the scale last changed. */
  readonly growthTracker: number
}

const defaults: GradScalerOptions = { initScale: 65536, growthFactor: 2, backoffFactor: 0.5, growthInterval: 2000, enabled: true }

/** What a scaler needs of an optimiser: any `Optimizer` has it. */
export interface ScaledOptimizer {
  readonly params: readonly Tensor[]
  step(options?: StepOptions): void
  settle(): void
}

/** How far an optimiser has come since `update`. */
type Stage = 'unscaled' | 'stepped'

/**
 * Keeps gradients of float16 from becoming 0: the loss is multiplied by a large number before `backward`, and gradients are divided
 * by it before the step. Steps with an infinite gradient or NaN are skipped, and make the scale smaller; it grows again after a
 * while (Micikevicius et al., "Mixed precision training", arXiv:1710.03740). bfloat16 has float32's range and needs none.
 *
 *     const scaler = new optim.GradScaler()
 *     const loss = autocast(() => crossEntropy(model.forward(x), y), { dtype: 'float16' })
 *     optimizer.zeroGrad()
 *     scaler.scale(loss).backward()
 *     scaler.unscale(optimizer)            // only needed to look at gradients or clip them
 *     optim.clipGradNorm(model, 1)
 *     scaler.step(optimizer)
 *     scaler.update()
 *
 * Everything is computed on the device, without waiting for a result: a skipped step is one that changes nothing. So the whole of
 * it can be compiled. It lives on the engine that is current when it is made.
 */
export class GradScaler {
  readonly enabled: boolean
  #options: GradScalerOptions
  readonly #scale: Tensor
  readonly #growthTracker: Tensor
  /** For each optimiser, whether its last gradients were not all finite. */
  readonly #found = new WeakMap<ScaledOptimizer, Tensor>()
  readonly #stages = new Map<ScaledOptimizer, Stage>()
  /** The same in functions that are being recorded. */
  readonly #traced = new WeakMap<Tracer, Map<ScaledOptimizer, Stage>>()

  /** @throws {CotangentError} `invalid-argument` for options out of range. */
  constructor(options: Partial<GradScalerOptions> = {}) {
    this.#options = completeOptions('GradScaler', defaults, options, limits)
    this.enabled = this.#options.enabled
    this.#scale = outside(() => full([], this.#options.initScale))
    this.#growthTracker = outside(() => full([], 0, { dtype: 'int32' }))
  }

  /** A loss, or a tree of them, times the scale. */
  scale<T>(losses: T): T {
    if (!this.enabled) return losses
    return mapTree(
      losses,
      (x): x is Tensor => x instanceof Tensor,
      (loss): Tensor => loss.mul(this.#scale),
    ) as T
  }

  /**
   * Divides the gradients of an optimiser's parameters by the scale, in place of `step`, which does it otherwise. At most once
   * between updates.
   *
   * @throws {CotangentError} `invalid-argument` if that was done, or if there are no gradients; `dtype-mismatch` for float16
   *   gradients, in which what the scale saved would be lost again: parameters stay float32.
   */
  unscale(optimizer: ScaledOptimizer): void {
    if (!this.enabled) return
    const stage = this.#stageOf(optimizer)
    if (stage) throw refused(`unscale() was called after ${stage === 'stepped' ? 'step()' : 'unscale()'}`, 'Call update() once a step.')
    if (!modes.tracer) optimizer.settle()
    noGrad(() => {
      const factor = this.#scale.reciprocal()
      const finite = optimizer.params.flatMap((param) => {
        const { unseenGrad: grad } = param
        if (!grad) return []
        checkDType(grad)
        const unscaled: Tensor = grad.mul(factor).cast(grad.dtype)
        replaceGradient(param, unscaled)
        return [unscaled.isFinite().all() as Tensor]
      })
      if (finite.length === 0) throw refused('no parameter of the optimiser has a gradient', 'Call scaler.scale(loss).backward() first.')
      this.#foundOf(optimizer).assign(stack(finite).all().logicalNot())
    })
    this.#advance(optimizer, 'unscaled')
  }

  /**
   * Takes the optimiser's step, which changes nothing if a gradient is not finite; unscales gradients where that was not done.
   *
   * @throws {CotangentError} as `unscale`, and `invalid-argument` for a second step without `update`.
   */
  step(optimizer: ScaledOptimizer): void {
    if (!this.enabled) return optimizer.step()
    const stage = this.#stageOf(optimizer)
    if (stage === 'stepped') throw refused('step() was called twice', 'Call update() once a step.')
    if (!stage) this.unscale(optimizer)
    optimizer.step({ skip: this.#foundOf(optimizer) })
    this.#advance(optimizer, 'stepped')
  }

  /**
   * Makes the scale smaller after a bad step of any optimiser, larger after enough good ones, or `newScale`. Once a step, behind the
   * steps of all optimisers.
   */
  update(newScale?: number): void {
    if (!this.enabled) return
    const stages = this.#stagesNow()
    if (stages.size === 0) throw refused('update() was called before step() or unscale()', 'Call it after the steps of all optimisers.')
    noGrad(() => {
      if (newScale === undefined) this.#adapt([...stages.keys()].map((optimizer) => this.#foundOf(optimizer)))
      else this.#scale.assign(completeOptions('GradScaler', defaults, { initScale: newScale }, limits).initScale)
    })
    stages.clear()
    hostEffect(() => this.#stages.clear(), { kind: 'bookkeeping' })
  }

  /** The scale as a number: waits for the engine. */
  getScale(): number {
    return this.enabled ? outside(() => this.#scale.item()) : 1
  }

  /** Waits for the engine. */
  stateDict(): GradScalerState {
    const { growthFactor, backoffFactor, growthInterval } = this.#options
    const growthTracker = outside(() => this.#growthTracker.item())
    return { scale: outside(() => this.#scale.item()), growthFactor, backoffFactor, growthInterval, growthTracker }
  }

  /**
   * Compiled functions take the factors and the interval from when they were recorded.
   *
   * @throws {CotangentError} `invalid-argument` for what is not the state of a scaler.
   */
  loadStateDict({ scale, growthTracker, ...rest }: GradScalerState): void {
    if (!(Number.isInteger(growthTracker) && growthTracker >= 0)) {
      throw refused(`growthTracker is ${String(growthTracker)}`, 'Load what stateDict() gave.')
    }
    this.#options = completeOptions('GradScaler', this.#options, { initScale: scale, ...rest }, limits)
    this.#scale.assign(scale)
    this.#growthTracker.assign(growthTracker)
  }

  #adapt(found: readonly Tensor[]): void {
    const { growthFactor, backoffFactor, growthInterval } = this.#options
    const bad = stack(found).any()
    const good = this.#growthTracker.add(1)
    const grows = good.ge(growthInterval)
    const larger = this.#scale.mul(growthFactor)
    // Never to infinity.
    const kept = where(grows.logicalAnd(larger.isFinite()), larger, this.#scale)
    this.#scale.assign(where(bad, this.#scale.mul(backoffFactor), kept))
    this.#growthTracker.assign(where(bad.logicalOr(grows), 0, good))
  }

  #foundOf(optimizer: ScaledOptimizer): Tensor {
    let found = this.#found.get(optimizer)
    if (!found) this.#found.set(optimizer, (found = outside(() => full([], false, { dtype: 'bool' }))))
    return found
  }

  #stagesNow(): Map<ScaledOptimizer, Stage> {
    const { tracer } = modes
    if (!tracer) return this.#stages
    let stages = this.#traced.get(tracer)
    if (!stages) {
      // A recorded function goes on from where the scaler is whenever it runs.
      const start = new Map(this.#stages)
      const sameAs = ([optimizer, stage]: readonly [ScaledOptimizer, Stage]) => this.#stages.get(optimizer) === stage
      tracer.guard('the optimisers that a GradScaler has unscaled', () => this.#stages.size === start.size && [...start].every(sameAs))
      this.#traced.set(tracer, (stages = new Map(start)))
    }
    return stages
  }

  #stageOf(optimizer: ScaledOptimizer): Stage | undefined {
    return this.#stagesNow().get(optimizer)
  }

  #advance(optimizer: ScaledOptimizer, stage: Stage): void {
    this.#stagesNow().set(optimizer, stage)
    if (modes.tracer) hostEffect(() => void this.#stages.set(optimizer, stage), { kind: 'bookkeeping' })
  }
}

const limits = {
  initScale: [Number.MIN_VALUE, 3e38],
  growthFactor: [1, 1e30],
  backoffFactor: [0, 1],
  growthInterval: [1, 2 ** 31 - 1],
} as const

/** State is there for good, also where a program is recorded that uses it. */
function outside<T>(body: () => T): T {
  return withModes({ tracer: null }, () => {
    const made = body()
    if (made instanceof Tensor) keep(made)
    return made
  })
}

function checkDType(grad: Tensor): void {
  if (grad.dtype !== 'float16') return
  throw new CotangentError('dtype-mismatch', {
    op: 'GradScaler',
    message: 'a gradient is float16, where small ones become 0 when the scale is taken out',
    shapes: [grad.shape],
    dtypes: [grad.dtype],
    hint: 'Leave parameters in float32: autocast() casts them for each op.',
  })
}

const refused = (message: string, hint: string) => new CotangentError('invalid-argument', { op: 'GradScaler', message, hint })
