import { toFloat } from '../dtype.ts'
import type { Value } from '../engine/kernel.ts'
import type { KernelOp, RowAttrs } from './kernel-op.ts'
import { isZero, one, zero } from './scalar-math.ts'

/** A norm over rows; `p` is a number as text. */
export const normOverRows = {
  compute: toFloat,
  axes: (attrs) => attrs.axes,
  levels: ['row'],
  code: (k, [x], { p }): Value[] => {
    const size = k.abs(x!)
    switch (p) {
      case '0':
        return [k.reduce('sum', k.select(isZero(k, x!), zero(k, x!), one(k, x!)))]
      case '1':
        return [k.reduce('sum', size)]
      case '2':
        return [k.sqrt(k.reduce('sum', k.mul(x!, x!)))]
      case 'Infinity':
        return [k.reduce('max', size)]
      case '-Infinity':
        return [k.reduce('min', size)]
      default:
        return [k.pow(k.reduce('sum', k.pow(size, k.like(size, Number(p)))), k.like(size, 1 / Number(p)))]
    }
  },
  adjoint: (k, [g], [x], [y], { p }) => {
    const none = zero(k, x!)
    const direction = k.select(k.gt(x!, none), one(k, x!), k.select(k.lt(x!, none), k.like(x!, -1), none))
    const along = (share: typeof none) => [k.select(isZero(k, y!), none, k.mul(g!, share))]
    switch (p) {
      case '0':
        return [k.mul(g!, none)]
      case '1':
        return [k.mul(g!, direction)]
      case '2':
        return along(k.div(x!, y!))
      case 'Infinity':
      case '-Infinity': {
        const isExtreme = k.eq(k.abs(x!), y!)
        const count = k.reduce('sum', k.select(isExtreme, one(k, x!), none))
        return [k.select(isExtreme, k.div(k.mul(g!, direction), count), none)]
      }
      default: {
        const ratio = k.pow(k.div(k.abs(x!), y!), k.like(x!, Number(p) - 1))
        return along(k.select(isZero(k, x!), none, k.mul(direction, ratio)))
      }
    }
  },
} as const satisfies Omit<KernelOp<RowAttrs & { readonly p: string }>, 'name'>
