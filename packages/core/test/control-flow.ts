import { compile, CotangentError, grad, type Tensor, tensor } from 'cotangent'
import { expect } from 'vitest'

export const expectClose = (a: Tensor | null | undefined, b: Tensor | null | undefined, digits = 5) => {
  expect(a?.shape).toEqual(b?.shape)
  expect(a?.dtype).toEqual(b?.dtype)
  const [x, y] = [a!.dataSync(), b!.dataSync()]
  for (let i = 0; i < x.length; i++) expect(Number(x[i])).toBeCloseTo(Number(y[i]), digits)
}

export const numbers = (...shape: number[]): Tensor => {
  const size = shape.reduce((a, b) => a * b, 1)
  return tensor(
    Array.from({ length: size }, (_, i) => Math.sin(i * 1.7 + size)),
    { shape },
  ) as Tensor
}

type F = (...args: Tensor[]) => Tensor

/** Compiled as eager: values, gradients by all arguments, and gradients of these. */
export function expectSame(f: F, args: readonly Tensor[], digits = 4): void {
  const argnums = args.map((_, i) => i)
  const first = (...given: Tensor[]) => grad((...xs: Tensor[]) => f(...xs).sum(), { argnums })(...given) as Tensor[]
  const second = (...given: Tensor[]) =>
    grad(
      (...xs: Tensor[]) =>
        first(...xs)
          .map((g) => g.sin().sum())
          .reduce((a, b) => a.add(b)),
      { argnums },
    )(...given) as Tensor[]
  expectClose(compile(f)(...args), f(...args), digits)
  const [one, two] = [compile(first)(...args), compile(second)(...args)]
  first(...args).forEach((g, i) => expectClose(one[i], g, digits))
  second(...args).forEach((g, i) => expectClose(two[i], g, digits))
}

export const codeOf = (f: () => unknown): [code: string, message: string] => {
  try {
    f()
  } catch (error) {
    if (error instanceof CotangentError) return [error.code, error.message]
    throw error
  }
  return ['none', '']
}
