import { CotangentError } from '../errors.ts'
import { permutation } from '../op/random.ts'
import { grayscale } from './color.ts'
import { checkColour, onPlanes } from './images.ts'
import { colorChanges } from './planes.ts'
import { drawn, generatorOf, randomApply, type Transform } from './transform.ts'

/** The ranges from which changes of brightness, contrast, saturation and hue are drawn. What is left out stays as it is. */
export interface ColorJitterOptions {
  /** Factors between 1 - x and 1 + x, or from a range. */
  readonly brightness?: number | readonly [number, number]
  readonly contrast?: number | readonly [number, number]
  readonly saturation?: number | readonly [number, number]
  /** Turns between -x and x, at most 0.5, or from a range. */
  readonly hue?: number | readonly [number, number]
}

/**
 * Brightness, contrast, saturation and hue of each image changed by amounts drawn for it, in an order drawn for the batch. uint8 images are
 * rounded once, at the end.
 */
export function colorJitter(options: ColorJitterOptions): Transform {
  const steps = (Object.keys(colorChanges) as (keyof ColorJitterOptions)[]).flatMap((name) => {
    const value = options[name]
    if (value === undefined) return []
    const range =
      typeof value !== 'number' ? value : name === 'hue' ? ([-value, value] as const) : ([Math.max(0, 1 - value), 1 + value] as const)
    const [least, most] = name === 'hue' ? [-0.5, 0.5] : [0, Number.POSITIVE_INFINITY]
    if (!(range[0] >= least && range[0] <= range[1] && range[1] <= most))
      throw new CotangentError('invalid-argument', {
        op: 'colorJitter',
        message: `${name} is ${JSON.stringify(value)}`,
        hint: `It must be an amount, or a range within ${least} and ${most}.`,
      })
    return [{ change: colorChanges[name], range }]
  })
  return (images, source) => {
    checkColour('colorJitter', images)
    return onPlanes('colorJitter', images, (planes, white) => {
      const order = permutation(steps.length, { generator: generatorOf(source) }).toArray() as number[]
      return order.reduce((x, i) => steps[i]!.change(x, drawn(x.shape[0]!, steps[i]!.range, source), white), planes)
    })
  }
}

/** Each image grey, with as many channels as before, with probability `p`. */
export const randomGrayscale = (p = 0.1): Transform =>
  randomApply((images) => grayscale(images, { channels: images.shape.at(-1) === 1 ? 1 : 3 }), p)
