import { argsOf, type Kernel, type KernelBuilder, type Value as Scalar } from '../engine/kernel.ts'
import type { ScalarOp } from '../engine/scalar.ts'
import { type IndexMap, through } from './index-map.ts'

interface Splice {
  readonly kernel: Kernel
  /** From the axes of the kernel under construction to this kernel's. */
  readonly map: IndexMap
  /** Where each of the kernel's inputs is: at element `offset` of the builder's input `at`. */
  readonly inputs: readonly { readonly at: number; readonly offset: number }[]
  /** What stands for each of the kernel's params. */
  readonly params: readonly Scalar[]
  /** A value that takes the place of loading this node; undefined to load. */
  readonly instead?: (node: number) => Scalar | undefined
  /** Puts something simpler in a value's place. */
  readonly simplify?: (k: KernelBuilder, value: Scalar) => Scalar
}

/** Writes a kernel's code into a kernel under construction, over its axes. Returns the value of each node. */
export function splice(k: KernelBuilder, { kernel, map, inputs, params, instead, simplify }: Splice): Scalar[] {
  const values: Scalar[] = []
  kernel.nodes.forEach((node, id) => {
    const args = argsOf(node).map((a) => values[a]!)
    switch (node.op) {
      case 'const':
        values.push(k.constant(node.type, node.value))
        break
      case 'param':
        values.push(params[node.index]!)
        break
      case 'index':
        values.push(position(k, map, node.axis))
        break
      case 'load': {
        const input = inputs[node.input]!
        const { strides, offset } = through(map, node.strides, node.offset + input.offset)
        values.push(instead?.(id) ?? k.load(input.at, strides, offset))
        break
      }
      case 'gather': {
        const { at, offset } = inputs[node.input]!
        values.push(k.gather(at, offset === 0 ? args[0]! : k.add(args[0]!, k.constant('int32', offset))))
        break
      }
      case 'reduce':
        // Over no axes it is the value itself (or its position), also in a space that has some.
        if (kernel.reduce.length > 0) values.push(k.reduce(node.combine, args[0]!))
        else values.push(node.combine.startsWith('arg') ? k.constant('int32', 0) : args[0]!)
        break
      case 'select':
        values.push(k.select(args[0]!, args[1]!, args[2]!))
        break
      case 'cast':
        values.push(k.cast(args[0]!, node.type))
        break
      case 'narrow':
        values.push(k.narrow(args[0]!, node.dtype))
        break
      default:
        values.push(k.apply(node.op as ScalarOp, args))
    }
    if (simplify) values[id] = simplify(k, values[id]!)
  })
  return values
}

/** The position along an axis of the spliced kernel. */
function position(k: KernelBuilder, { matrix, shift }: IndexMap, axis: number): Scalar {
  const constant = (n: number) => k.constant('int32', n)
  let sum: Scalar | undefined
  matrix[axis]!.forEach((factor, along) => {
    if (factor === 0) return
    const index = k.index(along)
    const term = factor === 1 ? index : k.mul(index, constant(factor))
    sum = sum === undefined ? term : k.add(sum, term)
  })
  const start = shift[axis]!
  if (sum === undefined) return constant(start)
  return start === 0 ? sum : k.add(sum, constant(start))
}
