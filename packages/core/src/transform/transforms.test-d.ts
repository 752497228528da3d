/** Type tests of function transforms: compiling this file is the test. */
import { grad, hessian, jacobian, jvp, type Tensor, vjp, vmap, zeros } from '../index.ts'

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
declare function expect<T>(value: T): <Want>(..._: Equal<T, Want> extends true ? [] : [wrong: T]) => void

const x = zeros([3])
declare const f: (x: Tensor<[3]>) => Tensor<[2]>
declare const model: (p: { w: Tensor }, x: Tensor) => readonly [Tensor, { h: Tensor }]
declare const loss: (p: { w: Tensor }, x: Tensor) => Tensor
declare const p: { w: Tensor }

expect(jacobian(f)(x))<Tensor<[2, 3]>>()
expect(hessian(f)(x))<Tensor<[2, 3, 3]>>()
expect(jvp(f, [x], [x]))<[value: Tensor<[2]>, tangent: Tensor<[2]>]>()
expect(vjp(f, x)[1])<(cotangents: Tensor<[2]>) => [x: Tensor<[3]>]>()
expect(vmap(model, { inAxes: [null, 0] })(p, x)[1].h)<Tensor>()
expect(vmap(grad(loss))(p, x))<{ w: Tensor }>()

// @ts-expect-error -- tangents have the structure of the primals
jvp(f, [x], [])
// @ts-expect-error -- one argument too few
vmap(model)(p)
// @ts-expect-error -- not a mode
jacobian(f, { mode: 'sideways' })
