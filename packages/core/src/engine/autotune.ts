import { environment } from '../environment.ts'

let wanted: boolean | undefined

/**
 * Whether engines choose the way in which they compute a matrix product, a convolution or the like by measuring, once for each shape,
 * dtype, layout and number of threads, instead of by rules; off by default. The idea is that of `torch.backends.cudnn.benchmark`:
 * the first use of a shape takes longer (a tenth of a second, more for what is large), later ones run in the fastest way that was
 * found. What was found is remembered, in Node also on the disk (docs/native.md says where), so that it is measured once a machine.
 *
 * It holds for programs that are made ready from now on, so set it before the first tensor; the environment's `COTANGENT_AUTOTUNE=1`
 * does. Ways differ in the order of their sums: results may differ in rounding from one process to the next. Where runs have to be
 * equal bit by bit, leave it off. Shapes that keep changing are better off without, too.
 */
export function setAutotune(on: boolean): void {
  wanted = on
}

/** Whether engines choose by measuring now. */
export const autotune = (): boolean => (wanted ??= ['1', 'true'].includes(environment('COTANGENT_AUTOTUNE') ?? ''))
