import type { Tensor } from '../tensor/tensor.ts'
import { leavesOf, mapTree } from '../tree.ts'
import { jvp } from './jvp.ts'
import { isTensor } from './level.ts'
import { vjp } from './vjp.ts'
import { vmap } from './vmap.ts'

/** Which way derivatives are taken: `forward` pays where there are fewer inputs than outputs. */
export interface JacobianOptions {
  /** `reverse` (default) takes a backward pass an output element, all at once; `forward` a forward pass an input element. */
  readonly mode?: 'reverse' | 'forward'
}

/** A tensor of `[...result, ...argument]`; for trees a tree like the result, of trees like the argument. */
export type JacobianOf<X, Y> = X extends Tensor<infer I> ? (Y extends Tensor<infer O> ? Tensor<[...O, ...I]> : unknown) : unknown

/**
 * The function that gives the Jacobian of `f` by its first argument: for every element of the result the derivatives by every
 * element of the argument. As JAX's `jacrev` and `jacfwd`.
 */
export function jacobian<X, Y, R extends readonly unknown[]>(
  f: (x: X, ...rest: R) => Y,
  { mode = 'reverse' }: JacobianOptions = {},
): (x: X, ...rest: R) => JacobianOf<X, Y> {
  const of = mode === 'reverse' ? reverse : forward
  return (x, ...rest) => of((own: X) => f(own, ...rest), x) as JacobianOf<X, Y>
}

/**
 * The function that gives the second derivatives of `f` by its first argument, `[...result, ...argument, ...argument]`: forward
 * mode over reverse mode.
 */
export function hessian<X, Y, R extends readonly unknown[]>(
  f: (x: X, ...rest: R) => Y,
): (x: X, ...rest: R) => JacobianOf<X, JacobianOf<X, Y>> {
  return jacobian(jacobian(f), { mode: 'forward' })
}

function reverse<X, Y>(f: (x: X) => Y, x: X): unknown {
  const [value, pullback] = vjp(f, x)
  const rows = vmap((cotangents: Y) => pullback(cotangents)[0])
  return mapLeaves(value, (y, i) => {
    const gradients = rows(basis(value, i) as Y)
    return mapLeaves(gradients, (g) => g.reshape([...y.shape, ...g.shape.slice(1)]))
  })
}

function forward<X, Y>(f: (x: X) => Y, x: X): unknown {
  const columns = vmap((tangent: X) => jvp(f, [x], [tangent])[1])
  const found = leavesOf(x, isTensor).map((_, i) => columns(basis(x, i) as X))
  return mapLeaves(found[0], (_, output) =>
    mapLeaves(x, (own, input) => {
      const column = leavesOf(found[input], isTensor)[output]!
      return column.moveAxis(0, -1).reshape([...column.shape.slice(1), ...own.shape])
    }),
  )
}

const mapLeaves = (tree: unknown, change: (x: Tensor, i: number) => unknown): unknown => {
  let next = 0
  return mapTree(tree, isTensor, (x) => change(x, next++))
}

/** A tree like `tree` for each element of its tensor `which`: 1 there, 0 everywhere else. */
const basis = (tree: unknown, which: number): unknown => {
  const { size } = leavesOf(tree, isTensor)[which]!
  return mapLeaves(tree, (x, i) =>
    i === which
      ? x
          .newFull([size], 1)
          .diagEmbed()
          .reshape([size, ...x.shape])
      : x.newFull([size, ...x.shape], 0),
  )
}
