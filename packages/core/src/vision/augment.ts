import { CotangentError } from '../errors.ts'
import { tensor } from '../op/creation.ts'
import { concat } from '../op/join.ts'
import { randint, uniform } from '../op/random.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { affine, type WarpOptions } from './affine.ts'
import {
  adjustBrightness,
  adjustContrast,
  adjustSaturation,
  adjustSharpness,
  autocontrast,
  equalize,
  posterize,
  solarize,
} from './color.ts'
import { onBatch, whiteOf } from './images.ts'
import { generatorOf, type Transform } from './transform.ts'

/** One of the changes that policies choose from. */
interface Change {
  /** Its strength from a magnitude between 0 and 1, for images of a size. */
  readonly strength: (magnitude: number, size: readonly [height: number, width: number]) => number
  /** Whether it goes either way. */
  readonly signed?: boolean
  /** Applies it to images that are all changed alike. */
  readonly apply: (images: Tensor, strength: number, options: WarpOptions) => Tensor
}

const degreesOf = (slope: number): number => (Math.atan(slope) * 180) / Math.PI

/** How strong changes get at most. */
interface Extent {
  readonly shear: number
  readonly translate: (size: number) => number
  readonly degrees: number
  readonly factor: number
  /** Bits that posterising takes away. */
  readonly bits: number
}

const changesWithin = ({ shear, translate, degrees, factor, bits }: Extent): readonly Change[] => {
  const byFactor = (apply: (images: Tensor, factor: number) => Tensor): Change => ({
    strength: (m) => m * factor,
    signed: true,
    apply: (x, s) => apply(x, 1 + s),
  })
  const plain = (apply: (images: Tensor) => Tensor): Change => ({ strength: () => 0, apply })
  return [
    plain((x) => x),
    { strength: (m) => degreesOf(m * shear), signed: true, apply: (x, s, o) => affine(x, { ...o, shear: [s, 0] }) },
    { strength: (m) => degreesOf(m * shear), signed: true, apply: (x, s, o) => affine(x, { ...o, shear: [0, s] }) },
    { strength: (m, [, w]) => Math.trunc(m * translate(w)), signed: true, apply: (x, s, o) => affine(x, { ...o, translate: [s, 0] }) },
    { strength: (m, [h]) => Math.trunc(m * translate(h)), signed: true, apply: (x, s, o) => affine(x, { ...o, translate: [0, s] }) },
    { strength: (m) => m * degrees, signed: true, apply: (x, s, o) => affine(x, { ...o, degrees: s }) },
    byFactor(adjustBrightness),
    byFactor(adjustSaturation),
    byFactor(adjustContrast),
    byFactor(adjustSharpness),
    { strength: (m) => 8 - Math.round(m * bits), apply: (x, s) => posterize(x, s) },
    { strength: (m) => 1 - m, apply: (x, s) => solarize(x, s * whiteOf(x)) },
    plain(autocontrast),
    plain(equalize),
  ]
}

const moderate = /* @__PURE__ */ changesWithin({ shear: 0.3, translate: (size) => (150 / 331) * size, degrees: 30, factor: 0.9, bits: 4 })
const wide = /* @__PURE__ */ changesWithin({ shear: 0.99, translate: () => 32, degrees: 135, factor: 0.99, bits: 6 })

/** Changes each image by one of `changes`: images with the same change and strength together. */
function changeEach(
  x: Tensor,
  changes: readonly Change[],
  choices: readonly { readonly change: number; readonly magnitude: number; readonly negative: boolean }[],
  options: WarpOptions,
): Tensor {
  const groups = new Map<string, { change: Change; strength: number; images: number[] }>()
  choices.forEach(({ change: which, magnitude, negative }, i) => {
    const change = changes[which]!
    const size = change.strength(magnitude, [x.shape[1]!, x.shape[2]!])
    const strength = change.signed && negative ? -size : size
    const key = `${which} ${strength}`
    const group = groups.get(key)
    if (group) group.images.push(i)
    else groups.set(key, { change, strength, images: [i] })
  })
  if (groups.size === 0) return x
  const made = [...groups.values()].map(({ change, strength, images }) => change.apply(x.indexSelect(0, images), strength, options))
  const order = [...groups.values()].flatMap(({ images }) => images)
  const back = new Int32Array(order.length)
  order.forEach((image, i) => (back[image] = i))
  return concat(made, 0).indexSelect(0, tensor(back))
}

/** How many operations are drawn for an image, and how strong they are. */
export interface RandAugmentOptions extends WarpOptions {
  /** Changes for each image. Default 2. */
  readonly numOps?: number
  /** Their strength, from 0 to `bins` - 1. Default 9. */
  readonly magnitude?: number
  /** Default 31. */
  readonly bins?: number
}

/** For each image some changes of one strength out of fourteen kinds (Cubuk et al. 2019, https://arxiv.org/abs/1909.13719). */
export function randAugment({ numOps = 2, magnitude = 9, bins = 31, ...options }: RandAugmentOptions = {}): Transform {
  if (!Number.isInteger(numOps) || numOps < 0 || bins < 2 || !(magnitude >= 0 && magnitude <= bins - 1))
    throw new CotangentError('invalid-argument', {
      op: 'randAugment',
      message: `numOps ${numOps}, magnitude ${magnitude} of ${bins} bins`,
      hint: 'numOps is a whole number, and the magnitude is less than bins.',
    })
  return policy('randAugment', moderate, numOps, options, () => magnitude / (bins - 1))
}

/** From how many strengths one is drawn for each image. */
export interface TrivialAugmentOptions extends WarpOptions {
  /** Number of strengths. Default 31. */
  readonly bins?: number
}

/** For each image one change out of fourteen kinds, of random strength up to very strong (Müller and Hutter 2021, https://arxiv.org/abs/2103.10158). */
export function trivialAugment({ bins = 31, ...options }: TrivialAugmentOptions = {}): Transform {
  if (!Number.isInteger(bins) || bins < 2)
    throw new CotangentError('invalid-argument', { op: 'trivialAugment', message: `${bins} bins`, hint: 'There are at least 2.' })
  return policy('trivialAugment', wide, 1, options, (random) => Math.min(bins - 1, Math.floor(random * bins)) / (bins - 1))
}

function policy(
  op: string,
  changes: readonly Change[],
  rounds: number,
  options: WarpOptions,
  magnitude: (random: number) => number,
): Transform {
  return (images, source) =>
    onBatch(op, images, (batch) => {
      const n = batch.shape[0]!
      const generator = generatorOf(source)
      let x = batch
      for (let round = 0; round < rounds; round++) {
        const which = randint(0, changes.length, [n], { generator }).dataSync() as Int32Array
        const random = uniform([n, 2], { generator }).dataSync() as Float32Array
        const choices = Array.from({ length: n }, (_, i) => ({
          change: which[i]!,
          magnitude: magnitude(random[2 * i]!),
          negative: random[2 * i + 1]! < 0.5,
        }))
        x = changeEach(x, changes, choices, options)
      }
      return x
    })
}
