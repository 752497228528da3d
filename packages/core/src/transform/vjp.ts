import { gradientsOf } from '../autograd/backward.ts'
import { isNested, variableOf } from '../autograd/grad.ts'
import { CotangentError } from '../errors.ts'
import { withModes } from '../tensor/modes.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { leavesOf, mapTree } from '../tree.ts'
import { isTensor, matching } from './level.ts'

/**
 * Value and pullback of a function (reverse mode, "vector-Jacobian product"), as JAX's and torch.func's `vjp`. The pullback
 * takes a tree like the result and returns the gradients of all `primals` in a list; it may be called any number of times.
 *
 * @param primals Arguments of `f`: float tensors and trees of them.
 */
export function vjp<A extends readonly unknown[], R>(f: (...args: A) => R, ...primals: A): [value: R, pullback: (cotangents: R) => A] {
  const nested = isNested(primals)
  const variables: Tensor[] = []
  const args = mapTree(primals, isTensor, (x) => {
    const variable = variableOf(x)
    variables.push(variable)
    return variable
  }) as unknown as A
  const result = withModes({ grad: true }, () => f(...args), 'vjp')
  const outputs = leavesOf(result, isTensor)
  if (outputs.length === 0) {
    throw new CotangentError('invalid-argument', {
      op: 'vjp',
      message: 'the function returned no tensor',
      hint: 'Return a tensor, or an array or object of tensors.',
    })
  }
  const pullback = (cotangents: R): A => {
    const seeds = matching('vjp', 'cotangent', cotangents, outputs)
    const roots = outputs.flatMap((y, i) => (y.edge ? [{ y, seed: seeds[i]! }] : []))
    const found = gradientsOf(
      roots.map((r) => r.y),
      variables,
      roots.map((r) => r.seed),
      { retainGraph: true, createGraph: nested || seeds.some((s) => s.requiresGrad) },
    )
    let next = 0
    return mapTree(primals, isTensor, (x) => found[next++] ?? x.newFull(x.shape, 0)) as unknown as A
  }
  return [nested ? result : (mapTree(result, isTensor, (y) => y.detach()) as R), pullback]
}
