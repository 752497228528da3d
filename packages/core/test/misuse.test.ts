import {
  add,
  compile,
  concat,
  type CotangentError,
  engineNames,
  glu,
  ones,
  relu,
  setEngine,
  stack,
  type Tensor,
  tensor,
  tidy,
  varianceMean,
} from 'cotangent'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type OpEntry, table } from '../src/op/table.ts'
import { expectError } from './bad-call.ts'
import { makeArguments, tensorsIn } from './samples.ts'

const reductions = [
  'sum',
  'prod',
  'mean',
  'max',
  'min',
  'argmax',
  'argmin',
  'any',
  'all',
  'countNonzero',
  'nanSum',
  'nanMean',
  'logSumExp',
  'norm',
  'variance',
  'std',
  'median',
] as const
const alongOne = ['softmax', 'logSoftmax', 'cumSum', 'cumProd', 'cumMax', 'cumMin', 'logCumSumExp', 'squeeze', 'unbind'] as const
const byOption = ['sort', 'argSort'] as const

type Method = (...args: unknown[]) => unknown
const call = (x: Tensor, name: string, ...args: unknown[]) => (x as unknown as Record<string, Method>)[name]!(...args)
const index = () => tensor([[0, 0]], { dtype: 'int32' })

/** Every op that takes an axis, called with one. */
const alongAxis: Readonly<Record<string, (x: Tensor, axis: number) => unknown>> = {
  ...Object.fromEntries(reductions.map((name) => [name, (x: Tensor, axis: number) => call(x, name, axis)])),
  ...Object.fromEntries(reductions.map((name) => [`${name} of several`, (x: Tensor, axis: number) => call(x, name, { axis: [0, axis] })])),
  ...Object.fromEntries(alongOne.map((name) => [name, (x: Tensor, axis: number) => call(x, name, axis)])),
  ...Object.fromEntries(byOption.map((name) => [name, (x: Tensor, axis: number) => call(x, name, { axis })])),
  glu: (x, axis) => glu(x, axis),
  varianceMean: (x, axis) => varianceMean(x, axis),
  'varianceMean of several': (x, axis) => varianceMean(x, { axis: [0, axis] }),
  topk: (x, axis) => x.topk(1, { axis }),
  kthvalue: (x, axis) => x.kthvalue(1, { axis }),
  quantile: (x, axis) => x.quantile(0.5, { axis }),
  transpose: (x, axis) => x.transpose(0, axis),
  moveAxis: (x, axis) => x.moveAxis(axis, 0),
  'moveAxis to': (x, axis) => x.moveAxis(0, axis),
  permute: (x, axis) => x.permute([0, axis]),
  flatten: (x, axis) => call(x, 'flatten', axis),
  unflatten: (x, axis) => x.unflatten(axis, [1, 2]),
  flip: (x, axis) => x.flip(axis),
  roll: (x, axis) => x.roll(1, axis),
  rot90: (x, axis) => x.rot90(1, [0, axis]),
  split: (x, axis) => x.split(1, axis),
  chunk: (x, axis) => x.chunk(2, axis),
  concat: (x, axis) => concat([x, x], axis),
  gather: (x, axis) => x.gather(axis, index()),
  takeAlongAxis: (x, axis) => x.takeAlongAxis(index(), axis),
  take: (x, axis) => x.take([0], axis),
  indexSelect: (x, axis) => x.indexSelect(axis, [0]),
  select: (x, axis) => x.select(axis, 0),
  narrow: (x, axis) => x.narrow(axis, 0, 1),
  scatter: (x, axis) => x.scatter(axis, index(), 1),
  scatterReduce: (x, axis) => x.scatterReduce(axis, index(), ones([1, 2]), 'add'),
  indexAdd: (x, axis) => x.indexAdd(axis, [0], ones([1, 2])),
  repeatInterleave: (x, axis) => x.repeatInterleave(2, axis),
}

const twice: Readonly<Record<string, (x: Tensor) => unknown>> = {
  ...Object.fromEntries(reductions.map((name) => [name, (x: Tensor) => call(x, name, { axis: [0, -2] })])),
  permute: (x) => x.permute([1, -1]),
  flip: (x) => x.flip([0, 0]),
  squeeze: (x) => call(x, 'squeeze', [0, 0]),
  diagonal: (x) => x.diagonal({ axis1: 0, axis2: -2 }),
  rot90: (x) => x.rot90(1, [1, -1]),
}

/** Reads and computations of the class itself. */
const reads: Readonly<Record<string, (x: Tensor) => unknown>> = {
  item: (x) => x.sum().item(),
  'item of itself': (x) => x.item(),
  toArray: (x) => x.toArray(),
  dataSync: (x) => x.dataSync(),
  'a comparison': (x) => (x.item() > 0 ? x : x.neg()),
  'a boolean index': (x) => x.at(x.gt(0)),
  nonzero: (x) => x.nonzero(),
}

const takesTensor = (op: OpEntry) => op.samples().some((sample) => tensorsIn(makeArguments(op.name, sample)).some((x) => x.size > 0))

describe.each(engineNames())('on %s', (engine) => {
  beforeEach(() => {
    setEngine(engine)
  })
  afterEach(() => {
    setEngine(engineNames()[0]!)
  })

  test.each(Object.entries(alongAxis))('%s: axis out of range', (_name, f) => {
    for (const axis of [2, -3, 0.5, Number.NaN])
      expectError(() => f(ones([2, 2]), axis), 'axis-out-of-range', new RegExp(`axis ${axis} does not exist`))
  })

  test('a new axis out of range', () => {
    for (const axis of [3, -4, 0.5]) {
      expectError(() => (ones([2, 2]) as Tensor).unsqueeze(axis), 'axis-out-of-range', /unsqueeze: axis/)
      expectError(() => stack([ones([2, 2]) as Tensor], axis), 'axis-out-of-range', /stack|unsqueeze/)
    }
  })

  test('an axis of a 0-d tensor', () => {
    const { hint } = expectError(
      () => (tensor(1) as Tensor).sum(0),
      'axis-out-of-range',
      /sum: axis 0 does not exist in an array of rank 0/,
    )
    expect(hint).toBe('A 0-d array has no axes.')
  })

  test.each(Object.entries(twice))('%s: an axis named twice', (_name, f) => {
    expectError(() => f(ones([2, 2])), 'invalid-argument', /twice|the same|axes/)
  })

  test('no op reads a released tensor', () => {
    for (const op of [...table.values()].filter(takesTensor)) {
      const sample = op.samples().find((s) => tensorsIn(makeArguments(op.name, s)).some((x) => x.size > 0))!
      const args = makeArguments(op.name, sample)
      tensorsIn(args).forEach((x) => x.dispose())
      try {
        const results = tensorsIn(op.call(...args))
        // Only what does not look at the values may go on, and then the result is just as unreadable, or new.
        for (const y of results) if (y.released) expectError(() => y.dataSync(), 'released-tensor', /was released/)
        const blind = results.every((y) => y.released) || ['newFull', 'fullLike', 'zerosLike', 'onesLike', 'bernoulli'].includes(op.name)
        expect(blind || results.every((y) => y.size === 0), `${op.name} of a released tensor`).toBe(true)
      } catch (error) {
        expect((error as CotangentError).code, `${op.name}: ${String(error)}`).toBe('released-tensor')
      }
    }
  })

  test('no op takes what is no tensor in the place of one', () => {
    for (const op of table.values()) {
      const [sample] = op.samples()
      const given: readonly unknown[] = sample ? makeArguments(op.name, sample) : []
      for (const [i, place] of given.entries()) {
        if (tensorsIn(place).length === 0) continue
        for (const wrong of [undefined, null]) {
          const args = given.map((x, at) => (at !== i ? x : Array.isArray(place) ? [wrong, ...place.slice(1)] : wrong))
          try {
            op.call(...(args as never[]))
          } catch (error) {
            expect((error as Error).name, `${op.name} of ${String(wrong)} as argument ${i}: ${String(error)}`).toBe('CotangentError')
          }
        }
      }
    }
  })

  test('an op that is given no tensor says what it was given', () => {
    const functions: Readonly<Record<string, Method>> = { relu, add, concat } as never
    const { cause } = expectError(() => functions.relu!(undefined), 'invalid-argument', /^relu: cannot take \[undefined\]/)
    expect(cause).toBeInstanceOf(TypeError)
    expectError(() => functions.add!(null, 1), 'invalid-argument', /^add: cannot take \[null, number\]/)
    expectError(() => functions.concat!([1, ones([2])]), 'invalid-argument', /^concat: cannot take \[\[number, tensor\]/)
    expectError(() => call(ones([2]), 'add', '3'), 'invalid-argument', /^add: cannot take \[tensor, string\]/)
  })

  test('a released tensor', () => {
    const disposed = ones([1])
    const inner = { x: null as Tensor | null }
    disposed.dispose()
    tidy(() => {
      inner.x = ones([1])
    })
    for (const x of [disposed as Tensor, inner.x!, (disposed as Tensor).reshape([1, 1])]) {
      expect(x.released).toBe(true)
      for (const read of [() => x.dataSync(), () => x.toArray(), () => x.item(), () => x.add(1), () => x.assign(1)]) {
        const { hint } = expectError(read, 'released-tensor', /its values are gone/)
        expect(hint).toMatch(/tidy/)
      }
      expect(() => String(x)).not.toThrow(TypeError)
      x.dispose()
    }
    const y = ones([1])
      .setRequiresGrad()
      .mul(ones([1]).setRequiresGrad())
    y.dispose()
    expectError(() => y.exp(), 'released-tensor', /released/)
  })

  test('data() of a released tensor rejects', async () => {
    const x = ones([1])
    x.dispose()
    await expect(x.data()).rejects.toMatchObject({ code: 'released-tensor' })
  })

  test.each(Object.entries(reads))('a tracer: %s', (_name, read) => {
    const { hint } = expectError(() => compile((x: Tensor) => read(x))(ones([1]) as Tensor), 'tracer-read', /being traced|depends on/)
    expect(hint).toMatch(/outside|where/)
    // The tracer is off again.
    expect(ones([1]).add(1).item()).toBe(2)
  })

  test('a tracer printed', () => {
    let text = ''
    compile((x: Tensor) => {
      text = String(x)
      return x
    })(ones([2, 3]) as Tensor)
    expect(text).toBe('tracer([2,3], float32)')
  })
})
