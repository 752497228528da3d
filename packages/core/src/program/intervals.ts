import type { DType } from '../dtype.ts'
import type { Kernel, Node } from '../engine/kernel.ts'

/** Whole numbers from low to high. */
export type Interval = readonly [low: number, high: number]

const everything: Partial<Record<string, Interval>> = {
  bool: [0, 1],
  uint8: [0, 255],
  int8: [-128, 127],
  int32: [-(2 ** 31), 2 ** 31 - 1],
}

/** What elements of a dtype can be, where they are int32 in scalar code. */
export const intervalOfDType = (dtype: DType): Interval | undefined => everything[dtype]

/** For each int32 or bool node, an interval that its value surely lies in. @param loaded What elements of each input can be. */
export function intervalsOf({ nodes, parallel, reduce }: Kernel, loaded: readonly (Interval | undefined)[]): (Interval | undefined)[] {
  const extents = [...parallel, ...reduce]
  const found: (Interval | undefined)[] = []
  for (const node of nodes) {
    const all = everything[node.type]
    const own = all && intervalOf(node, (id) => found[id], extents, loaded)
    // What leaves the type wraps around.
    found.push(own && own[0] >= all[0] && own[1] <= all[1] ? own : all)
  }
  return found
}

function intervalOf(
  node: Node,
  of: (id: number) => Interval | undefined,
  extents: readonly number[],
  loaded: readonly (Interval | undefined)[],
): Interval | undefined {
  if (node.op === 'const') return [Number(node.value), Number(node.value)]
  if (node.op === 'index') return [0, Math.max(0, extents[node.axis]! - 1)]
  if (node.op === 'load' || node.op === 'gather') return loaded[node.input]
  if (!('args' in node)) return undefined
  const [x, y, z] = node.args.map(of)
  if (node.op === 'select') return y && z && [Math.min(y[0], z[0]), Math.max(y[1], z[1])]
  if (node.op === 'cast') return x
  if (!x || !y) return undefined
  switch (node.op) {
    case 'add':
      return [x[0] + y[0], x[1] + y[1]]
    case 'sub':
      return [x[0] - y[1], x[1] - y[0]]
    case 'mul': {
      const corners = [x[0] * y[0], x[0] * y[1], x[1] * y[0], x[1] * y[1]]
      return [Math.min(...corners), Math.max(...corners)]
    }
    case 'min':
      return [Math.min(x[0], y[0]), Math.min(x[1], y[1])]
    case 'max':
      return [Math.max(x[0], y[0]), Math.max(x[1], y[1])]
    default:
      return undefined
  }
}

/** The kernel with every gather held within its input, by code where its place does not surely lie there. `sizes` in elements. */
export function clampGathers(kernel: Kernel, sizes: readonly number[], loaded: readonly (Interval | undefined)[]): Kernel {
  const intervals = intervalsOf(kernel, loaded)
  const isSafe = (node: Node): boolean => {
    if (node.op !== 'gather') return true
    const [low, high] = intervals[node.args[0]]!
    return low >= 0 && high < sizes[node.input]!
  }
  if (kernel.nodes.every(isSafe)) return kernel
  const nodes: Node[] = []
  const renamed: number[] = []
  for (const node of kernel.nodes) {
    const own = 'args' in node ? ({ ...node, args: node.args.map((a) => renamed[a]!) } as Node) : node
    if (own.op === 'gather' && !isSafe(node)) {
      const zero = nodes.push({ op: 'const', type: 'int32', value: 0 }) - 1
      const last = nodes.push({ op: 'const', type: 'int32', value: sizes[own.input]! - 1 }) - 1
      const raised = nodes.push({ op: 'max', type: 'int32', args: [own.args[0], zero] }) - 1
      const at = nodes.push({ op: 'min', type: 'int32', args: [raised, last] }) - 1
      renamed.push(nodes.push({ ...own, args: [at] }) - 1)
    } else renamed.push(nodes.push(own) - 1)
  }
  return { ...kernel, nodes, outputs: kernel.outputs.map((o) => ({ ...o, node: renamed[o.node]! })) }
}
