import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  bfloat16Bits,
  bfloat16Value,
  checkDType,
  type DType,
  dtypeInfo,
  dtypes,
  float16Bits,
  float16Value,
  isDType,
  promote,
  promoteScalar,
  roundHalfEven,
  toFloat,
} from './dtype.ts'
import { CotangentError } from './errors.ts'

describe('dtypeInfo', () => {
  it('agrees with the arrays that hold the values', () => {
    for (const d of dtypes) expect(dtypeInfo[d].array.BYTES_PER_ELEMENT, d).toBe(dtypeInfo[d].size)
  })

  it('gives each dtype its own code', () => {
    expect(new Set(dtypes.map((d) => dtypeInfo[d].code)).size).toBe(dtypes.length)
  })

  it('has the finite limits of the half floats', () => {
    expect(float16Value(0x7bff)).toBe(dtypeInfo.float16.max)
    expect(bfloat16Value(0x7f7f)).toBe(dtypeInfo.bfloat16.max)
    expect(dtypeInfo.float32.max).toBe(Math.fround(dtypeInfo.float32.max))
  })
})

describe('isDType and checkDType', () => {
  it('know the names and nothing else', () => {
    for (const d of dtypes) expect(isDType(d)).toBe(true)
    for (const other of ['float', 'toString', 'constructor', '__proto__', '', 3, null, undefined])
      expect(isDType(other), String(other)).toBe(false)
  })

  it('refuse with the list of names', () => {
    expect(() => checkDType('float', 'zeros')).toThrow(CotangentError)
    expect(() => checkDType('float', 'zeros')).toThrow(/zeros: unknown dtype float.*bfloat16/)
  })
})

describe('promote', () => {
  // Rows and columns in this order; the lower triangle follows from symmetry.
  const order = ['bool', 'uint8', 'int8', 'int32', 'int64', 'float16', 'bfloat16', 'float32', 'float64'] as const satisfies DType[]
  const table: Record<DType, string> = {
    bool: 'bool uint8 int8 int32 int64 float16 bfloat16 float32 float64',
    uint8: 'uint8 int32 int32 int64 float16 bfloat16 float32 float64',
    int8: 'int8 int32 int64 float16 bfloat16 float32 float64',
    int32: 'int32 int64 float16 bfloat16 float32 float64',
    int64: 'int64 float16 bfloat16 float32 float64',
    float16: 'float16 float32 float32 float64',
    bfloat16: 'bfloat16 float32 float64',
    float32: 'float32 float64',
    float64: 'float64',
  }

  it('follows the table', () => {
    expect(order.toSorted()).toEqual(dtypes.toSorted())
    for (const [row, a] of order.entries()) {
      expect(
        order
          .slice(row)
          .map((b) => promote(a, b))
          .join(' '),
        a,
      ).toBe(table[a])
    }
  })

  it('is symmetric, idempotent and associative', () => {
    for (const a of dtypes) {
      expect(promote(a, a)).toBe(a)
      for (const b of dtypes) {
        expect(promote(a, b), `${a} ${b}`).toBe(promote(b, a))
        for (const c of dtypes) expect(promote(promote(a, b), c), `${a} ${b} ${c}`).toBe(promote(a, promote(b, c)))
      }
    }
  })

  it('takes scalars as weak', () => {
    expect(promoteScalar('float16', 1.5)).toBe('float16')
    expect(promoteScalar('uint8', 300)).toBe('uint8')
    expect(promoteScalar('uint8', 0.5)).toBe('float32')
    expect(promoteScalar('int64', 2n)).toBe('int64')
    expect(promoteScalar('bool', 2)).toBe('int32')
    expect(promoteScalar('bool', true)).toBe('bool')
    expect(promoteScalar('int32', Number.NaN)).toBe('float32')
  })

  it('makes floats of what is not', () => {
    expect(dtypes.map(toFloat)).toEqual(dtypes.map((d) => (dtypeInfo[d].kind === 'float' ? d : 'float32')))
  })
})

describe.each([
  { name: 'float16', toBits: float16Bits, toValue: float16Value, infinity: 0x7c00, quiet: 0x200, narrow: (x: number) => x },
  { name: 'bfloat16', toBits: bfloat16Bits, toValue: bfloat16Value, infinity: 0x7f80, quiet: 0x40, narrow: Math.fround },
])('$name', ({ toBits, toValue, infinity, quiet, narrow }) => {
  it('round-trips all 65536 patterns', () => {
    const wrong: number[] = []
    for (let bits = 0; bits < 65536; bits++) {
      const back = toBits(toValue(bits))
      const isNaNPattern = (bits & 0x7fff) > infinity
      if (isNaNPattern ? (back & 0x7fff) <= infinity || !(back & quiet) : back !== bits) wrong.push(bits)
    }
    expect(wrong).toEqual([])
  })

  it('rounds halves to the even neighbour and everything else to the nearest', () => {
    const wrong: number[] = []
    for (let bits = 0; bits < infinity - 1; bits++) {
      const below = toValue(bits)
      const above = toValue(bits + 1)
      const middle = (below + above) / 2
      const even = bits % 2 ? bits + 1 : bits
      const quarter = (above - below) / 4
      const ok =
        toBits(middle) === even &&
        toBits(-middle) === (even | 0x8000) &&
        toBits(middle - quarter) === bits &&
        toBits(middle + quarter) === bits + 1
      if (!ok) wrong.push(bits)
    }
    expect(wrong).toEqual([])
  })

  it('overflows to infinity from half a step above the largest number', () => {
    const largest = toValue(infinity - 1)
    const halfStep = (largest - toValue(infinity - 2)) / 2
    expect(toBits(largest + halfStep)).toBe(infinity)
    expect(toBits(-largest - halfStep)).toBe(infinity | 0x8000)
    expect(toBits(largest + halfStep * 0.99)).toBe(infinity - 1)
    expect(toBits(Number.MAX_VALUE)).toBe(infinity)
    expect(toBits(Number.POSITIVE_INFINITY)).toBe(infinity)
  })

  it('underflows to a zero that keeps its sign', () => {
    const smallest = toValue(1)
    expect(toBits(smallest / 2)).toBe(0)
    expect(toBits(-smallest / 2)).toBe(0x8000)
    expect(toBits(smallest * 0.75)).toBe(1)
    expect(toBits(-0)).toBe(0x8000)
    expect(toBits(Number.MIN_VALUE)).toBe(0)
  })

  it('is monotonic and picks a nearest number', () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true }), fc.double({ noNaN: true }), (x, y) => {
        const [low, high] = [Math.min(x, y), Math.max(x, y)]
        expect(toValue(toBits(low))).toBeLessThanOrEqual(toValue(toBits(high)))
        const bits = toBits(x)
        const error = Math.abs(toValue(bits) - narrow(x))
        if ((bits & 0x7fff) >= infinity - 1 || (bits & 0x7fff) === 0) return
        for (const other of [bits - 1, bits + 1]) expect(error).toBeLessThanOrEqual(Math.abs(toValue(other) - narrow(x)))
      }),
    )
  })
})

it('roundHalfEven rounds ties to even', () => {
  expect([0.5, 1.5, 2.5, -0.5, -1.5, -2.5, 0.49999999999999994, 3.2, -3.7].map((x) => roundHalfEven(x) + 0)).toEqual([
    0, 2, 2, 0, -2, -2, 0, 3, -4,
  ])
  expect(roundHalfEven(2 ** 52 + 1)).toBe(2 ** 52 + 1)
  expect(roundHalfEven(Number.NEGATIVE_INFINITY)).toBe(Number.NEGATIVE_INFINITY)
})
