import type { DType } from '../dtype.ts'
import { kernelPrimitive } from '../op/kernel-op.ts'
import { mean } from '../op/reduce.ts'
import { rowSize } from '../op/rows.ts'
import { bind } from '../tensor/bind.ts'
import { liveScalars, modes } from '../tensor/modes.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { Optimizer, type OptimizerOptions } from './optimizer.ts'
import type { Params } from './params.ts'
import { lerp, type ParamState, stateTensor, unlessSkipped, type UpdateRule } from './update-rule.ts'

/** How Adafactor forgets old squares, bounds its steps and decays weights. */
export interface AdafactorOptions extends OptimizerOptions {
  /** The averages of squares take in a share `t ** beta2Decay` of the new ones at step t. */
  readonly beta2Decay: number
  /** Smallest root mean square of a gradient (null: the precision of the dtype), and of a parameter. */
  readonly eps: readonly [number | null, number]
  /** Largest root mean square of a step, before it is scaled by the learning rate and the parameter. */
  readonly d: number
  /** Times the learning rate: the share by which a parameter shrinks at each step. */
  readonly weightDecay: number
  /** Steps up the gradient instead of down. */
  readonly maximize: boolean
}

/** Moves averages of squares: inputs are the gradient, the averages (of size 1 along `axes`) and the share of the new. */
const moveAverage = /* @__PURE__ */ kernelPrimitive<{ readonly axes: readonly number[]; readonly skip: boolean }>({
  name: 'adafactorAverage',
  axes: ({ axes }) => axes,
  levels: ['row'],
  keepDims: true,
  differentiable: false,
  operands: ['promote', 'promote', 'promote', 'own'],
  code(k, [grad, average, share, skipped], { axes, skip }) {
    const square = k.mul(grad!, grad!)
    const fresh = axes.length === 0 ? square : k.div(k.reduce('sum', square), k.like(square, rowSize(k)))
    const moved = [lerp(k, average!, fresh, share!)]
    return skip ? unlessSkipped(k, skipped!, moved, [average!]) : moved
  },
})

interface Structure {
  readonly axes: readonly number[]
  readonly factored: boolean
  readonly decay: boolean
  readonly maximize: boolean
  readonly skip: boolean
}

/** The step itself: inputs are parameter, gradient, averages (row, column and mean of rows, or one an element) and numbers. */
const takeStep = /* @__PURE__ */ kernelPrimitive<Structure>({
  name: 'adafactor',
  axes: ({ axes }) => axes,
  differentiable: false,
  code(k, [param, grad, ...rest], { factored, decay, maximize, skip }) {
    const [averages, [rate, gradFloor, paramFloor, limit, shrink]] = factored
      ? [rest.slice(0, 3), rest.slice(3)]
      : [rest.slice(0, 1), rest.slice(1)]
    const rms = (x: typeof param) => k.sqrt(k.div(k.reduce('sum', k.mul(x!, x!)), k.like(x!, rowSize(k))))
    const [row, column, meanOfRows] = averages
    const variance = factored ? k.div(k.mul(row!, column!), k.max(meanOfRows!, gradFloor!)) : row!
    const step = k.div(grad!, k.sqrt(k.max(variance, k.mul(gradFloor!, gradFloor!))))
    const scale = k.div(k.mul(rate!, k.max(paramFloor!, rms(param))), k.max(k.like(step, 1), k.div(rms(step), limit!)))
    const from = decay ? k.mul(param!, shrink!) : param!
    const moved = maximize ? k.add(from, k.mul(scale, step)) : k.sub(from, k.mul(scale, step))
    return skip ? unlessSkipped(k, k.ne(rest.at(-1)!, k.like(rest.at(-1)!, 0)), [moved], [param!]) : [moved]
  },
})

/** Distance from 1 to the next number. */
const precision: Partial<Record<DType, number>> = { float64: 2 ** -52, float32: 2 ** -23, float16: 2 ** -10, bfloat16: 2 ** -7 }

function numbers(options: AdafactorOptions, { step }: ParamState, dtype: DType) {
  const {
    lr,
    beta2Decay,
    eps: [gradFloor, paramFloor],
    d,
    weightDecay,
  } = options
  return {
    share: step ** beta2Decay,
    rate: Math.min(lr, 1 / Math.sqrt(step)),
    gradFloor: gradFloor ?? precision[dtype]!,
    paramFloor,
    limit: d,
    shrink: 1 - lr * weightDecay,
  }
}

export const rule: UpdateRule<AdafactorOptions> = {
  name: 'Adafactor',
  defaults: { lr: 1e-2, beta2Decay: -0.8, eps: [null, 1e-3], d: 1, weightDecay: 0, maximize: false },
  limits: { beta2Decay: [-Infinity, 0], d: [1, Infinity] },
  start(_, param) {
    const { shape, rank } = param
    if (rank < 2) return { step: 0, variance: stateTensor(param) }
    return {
      step: 0,
      rowVar: stateTensor(param, 0, [...shape.slice(0, -1), 1]),
      colVar: stateTensor(param, 0, [...shape.slice(0, -2), 1, shape[rank - 1]!]),
    }
  },
  numbers,
  prepare(options, skip) {
    const { maximize } = options
    const decay = options.weightDecay !== 0
    modes.tracer?.guard('the options of Adafactor', () => options.maximize === maximize && (options.weightDecay !== 0) === decay)
    return (param, grad, state) => {
      const { rank, dtype } = param
      const live = (...names: (keyof ReturnType<typeof numbers>)[]) => {
        const now = () => {
          const values = numbers(options, state, dtype)
          return names.map((name) => values[name])
        }
        return liveScalars(names.length, dtype, now, { kind: 'rule', rule: 'Adafactor', options, state, dtype, names })
      }
      const share = live('share')
      const factored = rank >= 2
      const averages: Tensor[] = []
      const skipped = skip ? [skip] : []
      for (const [name, axes] of factored
        ? ([
            ['rowVar', [rank - 1]],
            ['colVar', [rank - 2]],
          ] as const)
        : ([['variance', []]] as const)) {
        const average = state[name] as Tensor
        bind(moveAverage, [grad, average, ...share, ...skipped], { axes, skip: skip !== undefined }, [average])
        averages.push(average)
      }
      const meanOfRows = factored ? mean(averages[0]!, -2, { keepDims: true }) : undefined
      if (meanOfRows) averages.push(meanOfRows)
      const axes = Array.from({ length: rank }, (_, axis) => axis)
      bind(
        takeStep,
        [param, grad, ...averages, ...live('rate', 'gradFloor', 'paramFloor', 'limit', 'shrink'), ...skipped],
        { axes, factored, decay, maximize, skip: skip !== undefined },
        [param],
      )
      if (meanOfRows && !meanOfRows.isTracer) meanOfRows.dispose()
    }
  },
}

/**
 * Adafactor (Shazeer & Stern 2018, https://arxiv.org/abs/1804.04235) in PyTorch's form: for a matrix (the last two axes) it keeps
 * the means of squares of each row and column only, scales steps by the root mean square of the parameter, limits that of the
 * step, and has no first moment. `lr` is an upper limit of the relative step size `1 / sqrt(t)`.
 */
export class Adafactor extends Optimizer<AdafactorOptions> {
  constructor(params: Params<AdafactorOptions>, options: Partial<AdafactorOptions> = {}) {
    super(rule, params, options)
  }
}
