import type { Operand } from '../routine.ts'
import { assign, define, loopWhile, when } from './i32-expression.ts'
import { type LaneType, lanesOf } from './lanes.ts'
import type { RoutinePlan } from './matmul-plan.ts'
import { indices, type RecipeRule } from './routine-code.ts'
import { ArgumentWords, routineModule } from './routine-entry.ts'

const words = /* @__PURE__ */ new ArgumentWords(['gradient', 'positions', 'output', 'windows', 'channels', 'imageBytes'])

/** Emits the module of the gradient of max pooling: each gradient is added at its position. A task is an image of the batch. */
function emitMaxPoolGrad({ type, shared }: { type: LaneType; shared: boolean }): Uint8Array<ArrayBuffer> {
  const { m, lanes, f, begin, end, args } = routineModule(type, shared)
  const [windows, channels, imageBytes] = words.define(f, args, ['windows', 'channels', 'imageBytes'])
  const pixelBytes = define(f, ['*', channels, lanes.size])
  const gradients = define(f, ['*', windows, channels])
  const gradient = define(f, ['+', words.load(args, 'gradient'), ['*', begin, ['*', gradients, lanes.size]]])
  const position = define(f, ['+', words.load(args, 'positions'), ['*', begin, ['*', gradients, 4]]])
  const image = define(f, ['+', words.load(args, 'output'), ['*', begin, imageBytes]])
  const [task, window, place, to] = [define(f, begin), f.local('i32'), f.local('i32'), f.local('i32')]
  const [channel, pixelEnd] = [f.local('i32'), f.local('i32')]
  f.for(task, end, 1, () => {
    f.get(image)
    f.i32(0)
    f.get(imageBytes)
    f.memoryFill()
    assign(f, window, windows)
    loopWhile(f, window, () => {
      assign(f, channel, image)
      assign(f, pixelEnd, ['+', image, pixelBytes])
      loopWhile(f, ['!=', channel, pixelEnd], () => {
        assign(f, place, ['load', position, 0])
        when(f, ['>=', place, 0], () => {
          assign(f, to, ['+', channel, ['*', place, pixelBytes]])
          f.get(to)
          f.get(to)
          f.mem(lanes.loadScalar)
          f.get(gradient)
          f.mem(lanes.loadScalar)
          f.op(lanes.scalarAdd)
          f.mem(lanes.storeScalar)
        })
        f.increment(position, 4)
        f.increment(gradient, lanes.size)
        f.increment(channel, lanes.size)
      })
      f.increment(window, -1)
    })
    assign(f, image, ['+', image, imageBytes])
  })
  return m.toBytes()
}

/** Dense gradient of the maxima and positions `[batch, ...windows, channels]` to dense `x [batch, ...spatial, channels]`. Pointers in this order. */
function planMaxPoolGrad(gradient: Operand, x: Operand, type: LaneType): RoutinePlan {
  const product = (sizes: readonly number[]) => sizes.reduce((a, b) => a * b, 1)
  const [batch, channels] = [x.shape[0]!, x.shape.at(-1)!]
  const windows = product(gradient.shape.slice(1, -1))
  const image = product(x.shape.slice(1))
  return {
    words: words.withValues({ windows, channels, imageBytes: image * lanesOf(type, false).size }),
    pointers: [words.at('gradient'), words.at('positions'), words.at('output')],
    tasks: batch,
    scratchBytes: 0,
    work: batch * (8 * windows * channels + 2 * image),
  }
}

export const maxPoolGradRecipe: RecipeRule<'maxPoolGrad'> = (_, type, demand) => ({
  demands: [demand('dense'), { ...indices, layout: 'dense' }],
  results: [type],
  job: ([gradient], [x]) => ({
    plan: planMaxPoolGrad(gradient!, x!, type),
    module: { key: `maxPoolGrad ${type}`, emit: ({ shared }) => emitMaxPoolGrad({ type, shared }) },
  }),
})
