import { type DType, Tensor, tensor } from 'cotangent'
import { dtypeInfo } from '../src/dtype.ts'
import { sizeOf } from '../src/layout.ts'
import type { Sample, SampleTensor } from '../src/op/table.ts'

/** How a sample's tensors lie in memory. */
export const layouts = ['dense', 'transposed', 'sliced'] as const
export type Layout = (typeof layouts)[number]

export interface MakeOptions {
  /** Dtype of the tensors that the sample leaves open. Default float32. */
  readonly dtype?: DType
  readonly layout?: Layout
}

/** The descriptions of a sample's tensors, in the order of `tensorsIn`. */
export function describedIn(tree: unknown): SampleTensor[] {
  if (isSample(tree)) return [tree]
  if (typeof tree !== 'object' || tree === null) return []
  return (Array.isArray(tree) ? tree : Object.values(tree)).flatMap(describedIn)
}

const isSample = (x: unknown): x is SampleTensor => typeof x === 'object' && x !== null && 'shape' in x && Array.isArray(x.shape)

/** A sample's arguments on the current engine: the same numbers every time. */
export function makeArguments(name: string, { args }: Sample, options: MakeOptions = {}): never[] {
  const random = randomNumbers(name)
  const make = (arg: unknown): unknown => {
    if (isSample(arg)) return makeTensor(arg, random, options)
    if (Array.isArray(arg)) return arg.map(make)
    const plain = typeof arg === 'object' && arg !== null && Object.getPrototypeOf(arg) === Object.prototype
    return plain ? Object.fromEntries(Object.entries(arg).map(([key, value]) => [key, make(value)])) : arg
  }
  return args.map(make) as never[]
}

function makeTensor(sample: SampleTensor, random: () => number, { dtype: open = 'float32', layout = 'dense' }: MakeOptions): Tensor {
  const { shape, low = -2, high = 2, dtype = open } = sample
  const whole = dtypeInfo[sample.dtype ?? 'float32'].kind !== 'float'
  const drawn = sample.values ?? Array.from({ length: sizeOf(shape) }, () => low + (high - low) * random())
  const values = whole ? drawn.map(Math.floor) : drawn
  const x = tensor(values, { shape, dtype })
  return layout === 'dense' ? x : layout === 'transposed' ? transposed(x) : sliced(x)
}

/** The same elements, in memory in the opposite order of axes. */
function transposed(x: Tensor): Tensor {
  const reversed = x.shape.map((_, axis) => x.rank - 1 - axis)
  return x.permute(reversed).clone().permute(reversed)
}

/** The same elements, every other one of a larger tensor, with the last axis backwards. */
function sliced(x: Tensor): Tensor {
  if (x.rank === 0)
    return tensor([Number(x.item()), 0], { dtype: x.dtype })
      .narrow(0, 0, 1)
      .reshape([])
  const parts = x.unsqueeze(-1)
  const spread = parts.expand([...x.shape, 2]).reshape([...x.shape.slice(0, -1), x.shape.at(-1)! * 2])
  const everyOther = [...x.shape.slice(1).map(() => ':' as const), '1::2' as const]
  return spread
    .flip(-1)
    .clone()
    .slice(...everyOther)
    .flip(-1)
}

/** Mulberry32, seeded by a name. */
function randomNumbers(name: string): () => number {
  let state = [...name].reduce((hash, c) => Math.imul(hash ^ c.charCodeAt(0), 16777619), 2166136261)
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

/** The tensors in a tree, in order. */
export function tensorsIn(tree: unknown): Tensor[] {
  if (tree instanceof Tensor) return [tree]
  if (typeof tree !== 'object' || tree === null) return []
  return (Array.isArray(tree) ? tree : Object.values(tree)).flatMap(tensorsIn)
}

/** A tree with its tensors replaced, in the order of `tensorsIn`. */
export function withTensors<T>(tree: T, tensors: readonly Tensor[]): T {
  const left = [...tensors]
  const walk = (part: unknown): unknown => {
    if (part instanceof Tensor) return left.shift()
    if (Array.isArray(part)) return part.map(walk)
    const plain = typeof part === 'object' && part !== null && Object.getPrototypeOf(part) === Object.prototype
    return plain ? Object.fromEntries(Object.entries(part).map(([key, value]) => [key, walk(value)])) : part
  }
  return walk(tree) as T
}
