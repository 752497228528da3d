import { dtypeInfo } from '../dtype.ts'
import type { KernelBuilder, Value } from '../engine/kernel.ts'
import { isFloatScalar } from '../engine/scalar.ts'
import { CotangentError } from '../errors.ts'
import type { Shape } from '../layout.ts'
import { bind1 } from '../tensor/bind.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { binary, type BinaryMethod, type SameMethods, toInputs } from './elementwise.ts'
import { kernelPrimitive } from './kernel-op.ts'
import { integerPower, isInfinite, isNegative, isZero, one, sigmoidOf, squareOf, zero } from './scalar-math.ts'
import { define, type Documented, sampleTensor } from './table.ts'
import { reciprocal, rsqrt, sqrt, square } from './unary.ts'

const numbers = ['int', 'float'] as const
const isBool = (k: KernelBuilder, x: Value) => k.typeOf(x) === 'bool'

export const add = binary('add', { doc: 'a + b; "or" on bools.', code: (k, [a, b]) => [isBool(k, a!) ? k.or(a!, b!) : k.add(a!, b!)] })
export const sub = binary('sub', { doc: 'a - b.', accepts: numbers, code: (k, [a, b]) => [k.sub(a!, b!)] })
export const mul = binary('mul', { doc: 'a * b; "and" on bools.', code: (k, [a, b]) => [isBool(k, a!) ? k.and(a!, b!) : k.mul(a!, b!)] })

export const div = binary('div', {
  doc: 'a / b, as real numbers.',
  dtypes: 'float',
  code: (k, [a, b]) => [k.div(a!, b!)],
  domain: [0.5, 3],
})

/** Whether a remainder has the other sign than the divisor, so that division that rounds down moves it. */
const leansOver = (k: KernelBuilder, rest: Value, b: Value): Value =>
  k.and(k.ne(rest, zero(k, rest)), k.ne(k.lt(rest, zero(k, rest)), k.lt(b, zero(k, b))))

export const floorDivide = binary('floorDivide', {
  doc: 'a / b rounded down, as in Python; integers divided by 0 give 0.',
  accepts: numbers,
  differentiable: false,
  code: (k, [a, b]) => {
    const rest = k.rem(a!, b!)
    const down = leansOver(k, rest, b!)
    if (!isFloatScalar(k.typeOf(a!))) {
      const quotient = k.div(a!, b!)
      return [k.select(down, k.sub(quotient, one(k, a!)), quotient)]
    }
    // a - rest is a multiple of b up to rounding: the quotient is a whole number, or next to one.
    const quotient = k.div(k.sub(a!, rest), b!)
    const whole = k.round(k.select(down, k.sub(quotient, one(k, a!)), quotient))
    return [k.select(isZero(k, b!), k.div(a!, b!), whole)]
  },
  domain: [-7, 7],
  secondDomain: [0.5, 3],
  gradient: 'none',
})

export const remainder = binary('remainder', {
  doc: 'a - b * floor(a / b): the sign is that of b, as in Python. Integers modulo 0 give 0.',
  accepts: numbers,
  code: (k, [a, b]) => {
    const rest = k.rem(a!, b!)
    return [k.select(leansOver(k, rest, b!), k.add(rest, b!), rest)]
  },
  domain: [0.1, 0.9],
  secondDomain: [1, 3],
})

export const fmod = binary('fmod', {
  doc: 'a - b * trunc(a / b): the sign is that of a, as in C. Integers modulo 0 give 0.',
  accepts: numbers,
  code: (k, [a, b]) => [k.rem(a!, b!)],
  domain: [0.1, 0.9],
  secondDomain: [1, 3],
})

const cubePrimitive = kernelPrimitive<undefined>({ name: 'cube', code: (k, [x]) => [k.mul(squareOf(k, x!), x!)] })

/** Powers of floats that cost a few multiplications or a root; integers have no negative powers. */
function specialPower(a: Tensor, b: number): Tensor | undefined {
  const { kind } = dtypeInfo[a.dtype]
  if (kind === 'int' && b < 0 && Number.isInteger(b)) {
    throw new CotangentError('invalid-argument', {
      op: 'pow',
      message: `integers have no power ${b}`,
      dtypes: [a.dtype],
      hint: 'Cast to a float dtype first.',
    })
  }
  if (b === 2 && kind !== 'bool') return square(a)
  if (kind !== 'float') return undefined
  if (b === 0.5) return sqrt(a)
  if (b === -0.5) return rsqrt(a)
  if (b === -1) return reciprocal(a)
  return b === 3 ? bind1(cubePrimitive, [a], undefined) : undefined
}

export const pow = binary('pow', {
  doc: 'a to the power b. Integers wrap; their negative powers are truncated to an integer.',
  accepts: numbers,
  code: (k, [a, b]) => [isFloatScalar(k.typeOf(a!)) ? k.pow(a!, b!) : integerPower(k, a!, b!)],
  domain: [0.3, 2],
  special: specialPower,
  precision: 'float32',
})

export const atan2 = binary('atan2', {
  doc: 'The angle of the point (b, a) from the positive x axis, in (-pi, pi].',
  dtypes: 'float',
  code: (k, [a, b]) => [k.atan2(a!, b!)],
  precision: 'widest',
})

export const hypot = binary('hypot', {
  doc: 'sqrt(a² + b²) without overflow.',
  dtypes: 'float',
  code: (k, [a, b]) => {
    const large = k.max(k.abs(a!), k.abs(b!))
    const ratio = k.div(k.min(k.abs(a!), k.abs(b!)), large)
    const scale = k.sqrt(k.add(squareOf(k, ratio), one(k, ratio)))
    // Infinite in one direction is infinite, whatever the other is.
    const infinite = k.or(isInfinite(k, a!), isInfinite(k, b!))
    const finite = k.select(isZero(k, large), large, k.mul(large, scale))
    return [k.select(infinite, k.like(large, Number.POSITIVE_INFINITY), finite)]
  },
  adjoint: (k, [g], [a, b], [y]) => [k.div(k.mul(g!, a!), y!), k.div(k.mul(g!, b!), y!)],
})

export const copysign = binary('copysign', {
  doc: 'The magnitude of a with the sign of b.',
  dtypes: 'float',
  code: (k, [a, b]) => {
    const magnitude = k.abs(a!)
    return [k.select(isNegative(k, b!), k.neg(magnitude), magnitude)]
  },
  adjoint: (k, [g], [a, b]) => {
    const flips = k.ne(isNegative(k, a!), isNegative(k, b!))
    return [k.select(isZero(k, a!), zero(k, g!), k.select(flips, k.neg(g!), g!)), zero(k, g!)]
  },
})

export const maximum = binary('maximum', {
  doc: 'The larger of a and b; NaN if one is. The gradient is shared evenly where they are equal.',
  code: (k, [a, b]) => [k.max(a!, b!)],
})

export const minimum = binary('minimum', {
  doc: 'The smaller of a and b; NaN if one is. The gradient is shared evenly where they are equal.',
  code: (k, [a, b]) => [k.min(a!, b!)],
})

const ignoringNaN = (name: string, pick: 'max' | 'min', { doc }: Documented) =>
  binary(name, {
    doc,
    code: (k, [a, b]) => {
      const picked = k[pick](a!, b!)
      return [isFloatScalar(k.typeOf(a!)) ? k.select(k.isNaN(a!), b!, k.select(k.isNaN(b!), a!, picked)) : picked]
    },
    adjoint: (k, [g], [a, b]) => {
      const first = k.or(pick === 'max' ? k.ge(a!, b!) : k.le(a!, b!), k.isNaN(b!))
      return [k.select(first, g!, zero(k, g!)), k.select(first, zero(k, g!), g!)]
    },
  })

export const fmax = ignoringNaN('fmax', 'max', { doc: 'The larger of a and b; of a number and NaN the number.' })
export const fmin = ignoringNaN('fmin', 'min', { doc: 'The smaller of a and b; of a number and NaN the number.' })

export const xlogy = binary('xlogy', {
  doc: 'a * log(b), 0 where a is 0 (and b is not NaN).',
  dtypes: 'float',
  code: (k, [a, b]) => [k.select(k.and(isZero(k, a!), k.eq(b!, b!)), zero(k, a!), k.mul(a!, k.log(b!)))],
  adjoint: (k, [g], [a, b]) => [k.select(isZero(k, a!), zero(k, g!), k.mul(g!, k.log(b!))), k.div(k.mul(g!, a!), b!)],
  domain: [0.3, 3],
})

export const logAddExp = binary('logAddExp', {
  doc: 'log(e^a + e^b) without overflow.',
  dtypes: 'float',
  code: (k, [a, b]) => {
    const apart = k.add(k.max(a!, b!), k.log1p(k.exp(k.neg(k.abs(k.sub(a!, b!))))))
    return [k.select(k.eq(a!, b!), k.add(a!, k.like(a!, Math.LN2)), apart)]
  },
  adjoint: (k, [g], [a, b]) => {
    const share = (x: Value, y: Value) => k.mul(g!, k.select(k.eq(x, y), k.like(x, 0.5), sigmoidOf(k, k.sub(x, y))))
    return [share(a!, b!), share(b!, a!)]
  },
})

const lerpPrimitive = kernelPrimitive<undefined>({
  name: 'lerp',
  accepts: ['float'],
  code: (k, [a, b, weight]) => {
    const way = k.sub(b!, a!)
    const fromEnd = k.sub(b!, k.mul(way, k.sub(one(k, a!), weight!)))
    return [k.select(k.lt(k.abs(weight!), k.like(a!, 0.5)), k.add(a!, k.mul(weight!, way)), fromEnd)]
  },
  adjoint: (k, [g], [a, b, weight]) => [k.mul(g!, k.sub(one(k, g!), weight!)), k.mul(g!, weight!), k.mul(g!, k.sub(b!, a!))],
})

export const lerp = define({
  name: 'lerp',
  doc: 'a + weight * (b - a); exact at both ends.',
  call: (a: Tensor, b: Tensor | number, weight: Tensor | number): Tensor => bind1(lerpPrimitive, toInputs([a, b, weight]), undefined),
  samples: () => [
    { args: [sampleTensor([3, 5]), sampleTensor([3, 5]), 0.3] },
    { args: [sampleTensor([3, 5]), sampleTensor([5]), sampleTensor([3, 1], { low: 0, high: 1 })] },
    { args: [sampleTensor([0, 2]), sampleTensor([2]), 0.8] },
  ],
})

type Module = typeof import('./binary.ts')

type BinaryName =
  | 'add'
  | 'sub'
  | 'mul'
  | 'div'
  | 'floorDivide'
  | 'remainder'
  | 'fmod'
  | 'pow'
  | 'atan2'
  | 'hypot'
  | 'copysign'
  | 'maximum'
  | 'minimum'
  | 'fmax'
  | 'fmin'
  | 'xlogy'
  | 'logAddExp'

/** Arithmetic of two tensors, as methods of the first. */
export interface BinaryMethods<_S extends Shape> extends SameMethods<Module, BinaryName, BinaryMethod> {
  lerp(other: Tensor | number, weight: Tensor | number): Tensor
}
