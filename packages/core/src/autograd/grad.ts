import { CotangentError } from '../errors.ts'
import { modes, withModes } from '../tensor/modes.ts'
import { Tensor } from '../tensor/tensor.ts'
import { leavesOf, mapTree } from '../tree.ts'
import { gradientsOf } from './backward.ts'

const isTensor = (x: unknown): x is Tensor => x instanceof Tensor

/** Which arguments of the function `grad` differentiates by. */
export interface GradOptions {
  /** Which argument to differentiate by (default 0), or several. */
  readonly argnums?: number | readonly number[]
}

type GradOf<A extends readonly unknown[], O extends GradOptions> = O extends { readonly argnums: readonly number[] } ? unknown[] : A[0]

/**
 * The function that gives the gradient of `f`, whose result must be a single number, by its first argument (or `argnums`):
 * a tree of the argument's structure. Gradients of gradients: `grad((x) => grad(f)(x).sum())`.
 */
export function grad<A extends readonly unknown[], const O extends GradOptions = Record<never, never>>(
  f: (...args: A) => Tensor,
  options?: O,
): (...args: A) => GradOf<A, O> {
  const both = valueAndGrad(f, options)
  return (...args) => both(...args)[1]
}

/** Whether something around is going to differentiate what is made of `args`. */
export const isNested = (args: unknown): boolean =>
  modes.tracer?.variable !== undefined || leavesOf(args, isTensor).some((x) => x.requiresGrad)

/** The same value to differentiate by here, connected to what it came from for those around. */
export function variableOf(x: Tensor): Tensor {
  if (x.requiresGrad) return x.view()
  return (modes.tracer?.variable?.(x) ?? x.detach()).setRequiresGrad()
}

/** Like `grad`, with the value of `f` before the gradient. */
export function valueAndGrad<A extends readonly unknown[], const O extends GradOptions = Record<never, never>>(
  f: (...args: A) => Tensor,
  options?: O,
): (...args: A) => [value: Tensor, gradient: GradOf<A, O>] {
  const argnums = options?.argnums ?? 0
  const wanted = typeof argnums === 'number' ? [argnums] : argnums
  return (...args) => {
    // Under a grad around this one the arguments are recorded already: then so must be what is made here.
    const nested = isNested(args)
    const variables: Tensor[] = []
    const own = args.map((arg, i) =>
      wanted.includes(i)
        ? mapTree(arg, isTensor, (x) => {
            const variable = variableOf(x)
            variables.push(variable)
            return variable
          })
        : arg,
    ) as unknown as A
    const value = withModes({ grad: true }, () => f(...own), 'grad')
    if (!(value instanceof Tensor) || value.size !== 1) {
      throw new CotangentError('shape-mismatch', {
        op: 'grad',
        message: 'the function must return one number',
        ...(value instanceof Tensor && { shapes: [value.shape] }),
        hint: 'Reduce its result to a loss, e.g. with .sum().',
      })
    }
    const found = value.edge ? gradientsOf([value], variables, [undefined], { createGraph: nested }) : variables.map(() => null)
    const filled = variables.map((x, i) => found[i] ?? x.newFull(x.shape, 0))
    const trees = wanted.map((i) => mapTree(own[i], isTensor, (x) => filled[variables.indexOf(x)]))
    return [nested ? value : value.detach(), (typeof argnums === 'number' ? trees[0] : trees) as GradOf<A, O>]
  }
}
