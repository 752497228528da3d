import { compile, nn, noGrad, type Tensor, tensor } from 'cotangent'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { leavesOf } from '../tree.ts'
import { isTensor } from './trace.ts'

const vector = (...values: number[]): Tensor => tensor(values) as Tensor
const x = vector(1, 2)
const y = vector(3, 4)
const twice = (z: Tensor) => z.mul(2)

/** Calls whose programs differ, among them trees that differ in one place only. */
const calls: Readonly<Record<string, readonly unknown[]>> = {
  nothing: [],
  undefined: [undefined],
  null: [null],
  tensor: [x],
  'a tensor of another size': [vector(1)],
  'a tensor that requires a gradient': [vector(1, 2).setRequiresGrad()],
  'a tensor of another dtype': [x.cast('float64')],
  tensors: [x, y],
  'an array': [[x, y]],
  'a longer array': [[x, y, x]],
  'an empty array': [[]],
  'an array in an array': [[[x], y]],
  'an array with a number': [[x, 1]],
  'an array with a negative zero': [[x, -0]],
  'an array with a zero': [[x, 0]],
  'an array with undefined': [[x, undefined]],
  'an object': [{ x, y }],
  'keys in another order': [{ y, x }],
  'another key': [{ x, z: y }],
  'one key less': [{ x }],
  'one key more': [{ x, y, z: x }],
  'a key that is undefined': [{ x, y, z: undefined }],
  'an empty object': [{}],
  'another size within': [{ x: vector(1), y }],
  'a gradient within': [{ x: vector(1, 2).setRequiresGrad(), y }],
  nested: [{ inputs: { x, names: ['a', 'b'] }, targets: [y] }],
  'nested, another string': [{ inputs: { x, names: ['a', 'c'] }, targets: [y] }],
  'a function': [twice],
  'a module': [{ x, layer: new nn.Tanh() }],
  'another module': [{ x, layer: new nn.Tanh() }],
  'a map': [{ x, layer: new Map() }],
  // A number is no object that is counted by one.
  ...Object.fromEntries(Array.from({ length: 8 }, (_, n) => [`the number ${n}`, [{ x, layer: n }]])),
}

describe('a call like the one before', () => {
  // So many programs are worth a warning.
  beforeAll(() => void vi.spyOn(console, 'warn').mockImplementation(() => {}))
  afterAll(() => void vi.restoreAllMocks())

  const traced: (readonly unknown[])[] = []
  const f = compile((...args: readonly unknown[]) => {
    const call = traced.push(args)
    return { call, tensors: leavesOf(args, isTensor).map(twice) }
  })
  /** The trace whose program ran. */
  const run = (args: readonly unknown[]): number => {
    const { call, tensors } = f(...args)
    const doubled = leavesOf(args, isTensor).map((z) => [...z.dataSync()].map((value) => 2 * Number(value)))
    expect(tensors.map((z) => z.toArray())).toEqual(doubled)
    return call
  }

  test.each(Object.keys(calls))('%s, behind any other', (name) => {
    const own = run(calls[name]!)
    for (const other of Object.values(calls)) {
      const before = run(other)
      expect(run(calls[name]!)).toBe(own)
      expect(run(other)).toBe(before)
      expect(before === own).toBe(other === calls[name])
    }
    expect(f.specializations.length).toBeLessThanOrEqual(Object.keys(calls).length)
  })

  test('gets its own tensors, in fresh trees', () => {
    const g = compile(({ x, others }: { x: Tensor; others: readonly Tensor[] }) => x.add(others[0]!).sub(others[1]!))
    for (let n = 0; n < 4; n++) expect(g({ x: vector(n), others: [vector(10), vector(1)] }).toArray()).toEqual([n + 9])
    expect(g.specializations).toHaveLength(1)
  })

  test('within noGrad it is another one', () => {
    const w = vector(2).setRequiresGrad()
    const g = compile((tree: readonly Tensor[]) => tree[0]!.mul(w))
    const tree = [vector(3)]
    expect([g(tree), noGrad(() => g(tree)), g(tree)].map((z) => z.requiresGrad)).toEqual([true, false, true])
  })
})
