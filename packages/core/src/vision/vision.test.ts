import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  arange,
  compile,
  currentEngine,
  full,
  Generator,
  interpolate,
  normal,
  ones,
  type Tensor,
  tensor,
  uniform,
  zeros,
} from '../index.ts'
import { interpolatePart } from '../op/interpolate.ts'
import * as vision from './index.ts'

const numbers = (x: Tensor) => Array.from(x.dataSync() as ArrayLike<number>, Number)
const seeded = (seed: number) => ({ generator: new Generator(seed) })
/** Pixels that are all different. */
const distinct = (...shape: number[]) =>
  (
    arange(
      shape.reduce((a, b) => a * b, 1),
      { dtype: 'float32' },
    ) as Tensor
  ).reshape(shape) as Tensor
const photos = (n = 6, height = 12, width = 10) => uniform([n, height, width, 3], seeded(7)).mul(255).cast('uint8') as Tensor

const keepingShape: Record<string, vision.Transform> = {
  randomHorizontalFlip: vision.randomHorizontalFlip(),
  randomVerticalFlip: vision.randomVerticalFlip(),
  randomRotation: vision.randomRotation(30, { mode: 'linear' }),
  randomAffine: vision.randomAffine({ degrees: 20, translate: [0.2, 0.1], scale: [0.8, 1.2], shear: 10 }),
  colorJitter: vision.colorJitter({ brightness: 0.4, contrast: 0.4, saturation: 0.4, hue: 0.1 }),
  randomGrayscale: vision.randomGrayscale(0.5),
  randomErasing: vision.randomErasing({ value: 0.5 }),
  randAugment: vision.randAugment(),
  trivialAugment: vision.trivialAugment(),
}

describe.each(Object.entries(keepingShape))('%s', (_name, transform) => {
  test('is a function of the seed, changes images each in its own way and keeps shape and dtype', () => {
    const same = photos(1).expand([12, 12, 10, 3]).contiguous() as Tensor
    const made = transform(same, seeded(3))
    expect([made.shape, made.dtype]).toEqual([same.shape, 'uint8'])
    expect(numbers(made)).toEqual(numbers(transform(same, seeded(3))))
    const kinds = new Set(made.unbind(0).map((image) => numbers(image).join()))
    expect(kinds.size).toBeGreaterThan(1)
  })

  test('takes floats, one image, and no images', () => {
    const image = photos(1).squeeze(0)
    expect(transform(image, seeded(1)).shape).toEqual([12, 10, 3])
    const floats = transform(vision.toFloat(photos()), seeded(1))
    expect(floats.dtype).toBe('float32')
    expect(numbers(floats).every((v) => v >= -1e-6 && v <= 1 + 1e-6)).toBe(true)
    expect(transform(zeros([0, 6, 5, 3]) as Tensor, seeded(1)).shape).toEqual([0, 6, 5, 3])
    expect(transform(floats.cast('float16'), seeded(1)).dtype).toBe('float16')
  })
})

describe('cropping', () => {
  test('randomCrop gives a part of each image', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 6 }), fc.integer({ min: 1, max: 7 }), fc.integer(), (height, width, seed) => {
        const made = vision.randomCrop([height, width])(distinct(3, 6, 7, 1), seeded(seed))
        expect(made.shape).toEqual([3, height, width, 1])
        made.unbind(0).forEach((image, n) => {
          const pixels = numbers(image)
          const first = pixels[0]! - n * 42
          const [top, left] = [Math.floor(first / 7), first % 7]
          expect([top + height <= 6, left + width <= 7]).toEqual([true, true])
          expect(pixels).toEqual(Array.from(pixels, (_, i) => n * 42 + (top + Math.floor(i / width)) * 7 + left + (i % width)))
        })
      }),
    )
  })

  test('randomCrop reaches every place, and into the padding', () => {
    const places = new Set(
      numbers(vision.randomCrop(1, { padding: 1 })(ones([400, 2, 2, 1]).mul(distinct(1, 2, 2, 1).add(1)) as Tensor, seeded(1))),
    )
    expect([...places].sort()).toEqual([0, 1, 2, 3, 4])
  })

  test('randomResizedCrop gives images of the size, from parts of the wanted area', () => {
    const made = vision.randomResizedCrop([5, 4], { scale: [0.2, 0.5] })(photos(), seeded(1))
    expect([made.shape, made.dtype]).toEqual([[6, 5, 4, 3], 'uint8'])
    expect(vision.randomResizedCrop(5)(photos(0), seeded(1)).shape).toEqual([0, 5, 5, 3])
    expect(vision.gaussianBlur(photos(0), 3).shape).toEqual(photos(0).shape)
    expect(() => vision.randomResizedCrop(5, { scale: [0.5, 0.2] })(photos())).toThrow(/scale is \[0.5, 0.2\]/)
    expect(() => vision.randomResizedCrop(5, { ratio: [0, 1] })(photos())).toThrow(/ratio is \[0, 1\]/)
    // Of a ramp, the difference of the corners is the width of the part.
    const ramp = (arange(40, { dtype: 'float32' }) as Tensor).div(40).reshape([1, 1, 40, 1]).expand([200, 40, 40, 1]) as Tensor
    const parts = vision.randomResizedCrop(8, { scale: [0.25, 0.25], ratio: [1, 1] })(ramp, seeded(2))
    const widths = parts
      .narrow(2, 7, 1)
      .sub(parts.narrow(2, 0, 1))
      .mean([1, 2, 3])
    expect(Math.min(...numbers(widths))).toBeGreaterThan(0.4)
    expect(Math.max(...numbers(widths))).toBeLessThan(0.5)
  })

  test('randomResizedCrop gives what cutting out and resizing give', () => {
    const part = fc.record({
      height: fc.integer({ min: 1, max: 40 }),
      width: fc.integer({ min: 1, max: 70 }),
      down: fc.double({ min: 0, max: 1, noNaN: true }),
      right: fc.double({ min: 0, max: 1, noNaN: true }),
    })
    const options = fc.record({ mode: fc.constantFrom('nearest', 'linear', 'cubic'), antialias: fc.boolean() } as const)
    const image = uniform([1, 40, 70, 3], seeded(5)).mul(255) as Tensor
    fc.assert(
      fc.property(part, options, fc.boolean(), ({ height, width, down, right }, { mode, antialias }, whole) => {
        const [top, left] = [Math.floor(down * (40 - height)), Math.floor(right * (70 - width))]
        const x = whole ? image.cast('uint8') : image
        const size = [17, 33] as const
        const given = { size, mode, ...(mode !== 'nearest' && { antialias }) }
        const cut = interpolate(vision.crop(x, { top, left, height, width }), given)
        expect(numbers(interpolatePart(x, { top, left, height, width }, given))).toEqual(numbers(cut))
      }),
      { numRuns: 60 },
    )
  })

  test('errors say what does not fit', () => {
    expect(() => vision.crop(photos(), { top: 8, left: 0, height: 6, width: 2 })).toThrow(/not all inside of 12 x 10/)
    expect(() => vision.randomCrop(20)(photos())).toThrow(/do not fit into images of 12 x 10/)
    expect(() => vision.resize(photos(), 0)).toThrow(/0 is not a size/)
    expect(() => vision.horizontalFlip(zeros([3]) as Tensor)).toThrow(/expected images/)
    expect(() => vision.horizontalFlip(zeros([2, 2, 3], { dtype: 'int32' }) as Tensor)).toThrow(/uint8 \(0 to 255\) or floats/)
    expect(() => vision.adjustHue(zeros([2, 2, 2]) as Tensor, 0.1)).toThrow(/1 or 3 channels, got 2/)
    expect(() => vision.randomApply((x) => vision.resize(x, [2, 2]))(photos())).toThrow(/changes the shape/)
    expect(() => vision.randomHorizontalFlip(2)).toThrow(/2 is not a probability/)
    expect(() => vision.affine(photos(), { degrees: tensor([1, 2]) })).toThrow(/one number for each of 6 images/)
    expect(() => vision.normalize(photos(), { mean: [0, 0], std: 1 })).toThrow(/2 numbers for 3 channels/)
  })
})

test('parameters may be one an image', () => {
  const x = vision.toFloat(photos(3))
  const factors = [0.2, 1, 1.7]
  const together = vision.adjustContrast(x, tensor(factors))
  factors.forEach((factor, i) => {
    const alone = numbers(vision.adjustContrast(x.select(0, i), factor))
    numbers(together.select(0, i)).forEach((v, j) => expect(v).toBeCloseTo(alone[j]!, 5))
  })
})

test('geometry and colours are differentiable by images and parameters, and compile', () => {
  const x = vision.toFloat(photos(2)).setRequiresGrad()
  const degrees = tensor([10, -20]).setRequiresGrad()
  const factor = tensor([0.5, 1.5]).setRequiresGrad()
  const f = (x: Tensor, degrees: Tensor, factor: Tensor) =>
    vision
      .adjustSaturation(vision.affine(x, { degrees, mode: 'linear' }), factor)
      .square()
      .mean()
  f(x, degrees, factor).backward()
  expect(numbers(x.grad!).some((v) => v !== 0)).toBe(true)
  const step = 0.01
  const at = (d: number) => f(x, tensor([10 + d, -20]), factor).item()
  expect(degrees.grad!.at(0).item()).toBeCloseTo((at(step) - at(-step)) / (2 * step), 4)
  expect(numbers(factor.grad!).every((v) => Number.isFinite(v) && v !== 0)).toBe(true)
  expect(compile(f)(x, degrees, factor).item()).toBeCloseTo(f(x, degrees, factor).item(), 6)
})

test('randomErasing wipes out rectangles of the wanted area with probability p', () => {
  const x = ones([500, 20, 20, 2]) as Tensor
  const made = vision.randomErasing({ p: 0.4, scale: [0.25, 0.25], ratio: [1, 1] })(x, seeded(5))
  const left = numbers(made.mean([1, 2, 3]))
  expect(new Set(left.map((v) => v.toFixed(3)))).toEqual(new Set(['0.750', '1.000']))
  const wiped = left.filter((v) => v < 0.9).length / 500
  expect(Math.abs(wiped - 0.4)).toBeLessThan(0.08)
})

describe('mixing', () => {
  // Each image is of one brightness, that of its class, so that labels can be read off.
  const classes = 5
  const labels = tensor([0, 1, 2, 3, 4, 0, 1, 2], { dtype: 'int32' })
  const images = labels.cast('float32').reshape([8, 1, 1, 1]).expand([8, 10, 10, 1]).contiguous() as Tensor
  const classNumbers = arange(classes, { dtype: 'float32' })

  test.each([
    ['mixUp', vision.mixUp({ classes, alpha: 0.4 })],
    ['cutMix', vision.cutMix({ classes })],
  ])('%s mixes labels as much as images', (_name, mix) => {
    const [mixed, soft] = mix(images, labels, seeded(11))
    expect(soft.shape).toEqual([8, classes])
    numbers(soft.sum(1)).forEach((sum) => expect(sum).toBeCloseTo(1, 5))
    const expected = numbers(soft.mul(classNumbers).sum(1))
    numbers(mixed.mean([1, 2, 3])).forEach((brightness, i) => expect(brightness).toBeCloseTo(expected[i]!, 4))
    expect(numbers(mixed)).toEqual(numbers(mix(images, labels, seeded(11))[0]))
    expect(numbers(soft)).not.toEqual(numbers(labels.oneHot(classes)))
  })

  test('labels may be probabilities already', () => {
    const [, soft] = vision.mixUp()(images, labels.oneHot(classes).cast('float32'), seeded(1))
    numbers(soft.sum(1)).forEach((sum) => expect(sum).toBeCloseTo(1, 5))
  })

  test('the ratio is of a beta distribution', () => {
    const n = 600
    const two = tensor(
      Array.from({ length: n }, (_, i) => i % 2),
      { dtype: 'int32' },
    )
    for (const alpha of [0.3, 2]) {
      const [, soft] = vision.mixUp({ classes: 2, alpha })(zeros([n, 1, 1, 1]) as Tensor, two, seeded(4))
      const ratios = numbers(soft.select(1, 0)).filter((v) => v !== 0 && v !== 1)
      const variance = ratios.reduce((sum, v) => sum + (v - 0.5) ** 2, 0) / ratios.length
      expect(Math.abs(variance / (1 / (4 * (2 * alpha + 1))) - 1)).toBeLessThan(0.15)
    }
  })

  test('errors', () => {
    expect(() => vision.mixUp()(images, labels)).toThrow(/how many classes/)
    expect(() => vision.cutMix({ classes })(images, labels.narrow(0, 0, 3))).toThrow(/labels \[batch\]/)
    expect(() => vision.mixUp({ alpha: 0 })).toThrow(/alpha is 0/)
  })
})

test('bytes, floats and normalised values', () => {
  const x = photos()
  expect(numbers(vision.toBytes(vision.toFloat(x)))).toEqual(numbers(x))
  expect(numbers(vision.toBytes(tensor([[[-1, 0.5, 2]]])))).toEqual([0, 128, 255])
  const normalized = vision.normalize(normal([4, 8, 8, 3], { mean: 3, std: 2, ...seeded(1) }) as Tensor, { mean: 3, std: 2 })
  expect(normalized.mean().item()).toBeCloseTo(0, 0)
  expect(() => vision.normalize(full([1, 1, 1], 0) as Tensor, { mean: 0, std: 0 })).toThrow(/std is 0/)
})

test('compose', () => {
  const transform = vision.compose(vision.randomCrop(8), vision.randomHorizontalFlip(), (x) => vision.normalize(x))
  const made = transform(photos(), seeded(1))
  expect([made.shape, made.dtype]).toEqual([[6, 8, 8, 3], 'float32'])
  expect(numbers(made)).toEqual(numbers(transform(photos(), seeded(1))))
})

test('transforms give back at once what they made on the way, and what gradients need stays', () => {
  const held = () => currentEngine().memoryUse().inUse
  const images = photos(8, 32, 32)
  const jitter = vision.colorJitter({ brightness: 0.4, contrast: 0.4, saturation: 0.4 })
  jitter(images, seeded(1)).dispose()
  const before = held()
  const jittered = jitter(images, seeded(2))
  expect(held() - before).toBeLessThan(2 * images.size)
  jittered.dispose()

  const learned = images.cast('float32').div(255).setRequiresGrad()
  vision
    .normalize(jitter(learned, seeded(3)))
    .square()
    .mean()
    .backward()
  expect(learned.grad!.shape).toEqual(images.shape)
  const factor = tensor([0.9]).setRequiresGrad()
  vision
    .adjustContrast(learned.detach(), factor.expand([8]))
    .mean()
    .backward()
  expect(Number.isFinite(factor.grad!.item())).toBe(true)
})

test('a transform of yours may keep what it made', () => {
  let table: Tensor | undefined
  const own = vision.randomApply((images) => images.mul((table ??= tensor([2]))), 1)
  const images = ones([1, 2, 2, 3])
  for (let i = 0; i < 2; i++) expect(numbers(own(images))).toEqual(new Array(12).fill(2))
})
