import type { FunctionBuilder, Local } from './function-builder.ts'
import { assign, define, type I32, loopWhile, push } from './i32-expression.ts'
import type { Lanes } from './lanes.ts'
import type { PlainOp } from './opcodes.ts'

/** Counts of one digit, a byte of the keys. */
const DIGIT_BYTES = 4 * 256

/** Bytes for the counts of all digits and twice the pairs of `length` elements of `size` bytes. */
export const pairsBytes = (length: number, size: number): number => size * DIGIT_BYTES + 2 * length * 2 * size

interface Row {
  /** Address of the row, and its number of elements. */
  readonly x: Local<'i32'>
  readonly length: Local<'i32'>
  /** -1 for descending order, 0 for ascending. */
  readonly flip: I32
  /** Memory of `pairsBytes`. */
  readonly scratch: Local<'i32'>
}

/** Code that makes pairs of (key, position) of a row and sorts them. */
export class SortedPairs {
  /** Bytes of a pair. */
  readonly bytes: number
  /** Address of the first pair once they are sorted. */
  readonly sorted: Local<'i32'>
  readonly #f: FunctionBuilder
  readonly #lanes: Lanes
  readonly #row: Row
  /** Two places for all pairs. */
  readonly #first: Local<'i32'>
  readonly #second: Local<'i32'>
  /** Keys of 64-bit elements are 64-bit. */
  readonly #int: 'i32' | 'i64'
  readonly #flip: Local<'i32' | 'i64'>
  readonly #key: Local<'i32' | 'i64'>
  /** The element at hand: its number, its address, and where its pair belongs. */
  readonly #i: Local<'i32'>
  readonly #from: Local<'i32'>
  readonly #to: Local<'i32'>

  constructor(f: FunctionBuilder, lanes: Lanes, row: Row) {
    const { length, flip, scratch } = row
    this.bytes = 2 * lanes.size
    this.sorted = f.local('i32')
    this.#f = f
    this.#lanes = lanes
    this.#row = row
    this.#first = define(f, ['+', scratch, lanes.size * DIGIT_BYTES])
    this.#second = define(f, ['+', this.#first, ['*', length, this.bytes]])
    this.#int = lanes.size === 8 ? 'i64' : 'i32'
    this.#flip = f.local(this.#int)
    push(f, flip)
    if (this.#int === 'i64') f.op('i64.extend_i32_s')
    f.set(this.#flip)
    this.#key = f.local(this.#int)
    this.#i = f.local('i32')
    this.#from = f.local('i32')
    this.#to = f.local('i32')
  }

  byInsertion(): void {
    const f = this.#f
    const place = f.local('i32')
    this.#eachElement(() => {
      assign(f, place, this.#to)
      f.while(
        () => {
          push(f, ['!=', place, this.#first])
          f.if(
            () => {
              push(f, ['-', place, this.bytes])
              f.mem(`${this.#int}.load`)
              f.get(this.#key)
              f.op(`${this.#int}.gt_u`)
            },
            () => f.i32(0),
            'i32',
          )
        },
        () => {
          f.get(place)
          push(f, ['-', place, this.bytes])
          this.#loadPair()
          this.#storePair()
          f.increment(place, -this.bytes)
        },
      )
      this.#makePair(place)
    })
    assign(f, this.sorted, this.#first)
    f.release(place)
  }

  byRadix(): void {
    const f = this.#f
    const { scratch } = this.#row
    const digits = this.#lanes.size
    this.#countDigits()
    assign(f, this.sorted, this.#first)
    const target = define(f, this.#second)
    const counts = define(f, scratch)
    const [digit, digitCount, spare] = [define(f, 0), define(f, digits), f.local('i32')]
    f.for(digit, digitCount, 1, () => {
      // A digit that all keys share changes nothing.
      this.#pushCount(this.sorted, digit, counts)
      f.mem('i32.load')
      f.get(this.#row.length)
      f.op('i32.ne')
      f.if(() => {
        this.#startsOfCounts(counts, target)
        this.#distribute(digit, counts)
        assign(f, spare, this.sorted)
        assign(f, this.sorted, target)
        assign(f, target, spare)
      })
      f.increment(counts, DIGIT_BYTES)
    })
    f.release(target, counts, digit, digitCount, spare)
  }

  /** Makes all pairs, and counts how often each digit has each value. */
  #countDigits(): void {
    const f = this.#f
    const { scratch } = this.#row
    const int = this.#int
    const digits = this.#lanes.size
    const count = f.local('i32')
    f.get(scratch)
    f.i32(0)
    f.i32(digits * DIGIT_BYTES)
    f.memoryFill()
    this.#eachElement(() => {
      this.#makePair(this.#to)
      for (let d = 0; d < digits; d++) {
        f.get(scratch)
        f.get(this.#key)
        if (d > 0) {
          this.#constant(8 * d)
          f.op(`${int}.shr_u`)
        }
        if (int === 'i64') f.op('i32.wrap_i64')
        f.i32(255)
        f.op('i32.and')
        f.i32(2)
        f.op('i32.shl')
        f.op('i32.add')
        f.tee(count)
        f.get(count)
        f.mem('i32.load', d * DIGIT_BYTES)
        f.i32(1)
        f.op('i32.add')
        f.mem('i32.store', d * DIGIT_BYTES)
      }
    })
    f.release(count)
  }

  /** Replaces counts by the addresses where pairs of that value begin in `target`. */
  #startsOfCounts(counts: Local<'i32'>, target: Local<'i32'>): void {
    const f = this.#f
    const start = define(f, target)
    const count = define(f, counts)
    const last = define(f, ['+', counts, DIGIT_BYTES])
    const here = f.local('i32')
    loopWhile(f, ['!=', count, last], () => {
      assign(f, here, ['load', count, 0])
      f.get(count)
      f.get(start)
      f.mem('i32.store')
      assign(f, start, ['+', start, ['*', here, this.bytes]])
      f.increment(count, 4)
    })
    f.release(start, count, last, here)
  }

  /** Copies the pairs, in order, to where those of their digit's value go. */
  #distribute(digit: Local<'i32'>, starts: Local<'i32'>): void {
    const f = this.#f
    const pair = f.local(this.#int === 'i64' ? 'v128' : 'i64')
    const from = define(f, this.sorted)
    const left = define(f, this.#row.length)
    const [start, to] = f.locals('i32', 2)
    loopWhile(f, left, () => {
      f.get(from)
      this.#loadPair()
      f.set(pair)
      this.#pushCount(from, digit, starts)
      f.tee(start)
      f.mem('i32.load')
      f.tee(to)
      f.get(pair)
      this.#storePair()
      f.get(start)
      push(f, ['+', to, this.bytes])
      f.mem('i32.store')
      f.increment(from, this.bytes)
      f.increment(left, -1)
    })
    f.release(pair, from, left, start, to)
  }

  /** Pushes the address of the count of the digit of the pair at `at`. */
  #pushCount(at: Local<'i32'>, digit: Local<'i32'>, counts: Local<'i32'>): void {
    const f = this.#f
    push(f, ['+', at, digit])
    f.mem('i32.load8_u')
    f.i32(2)
    f.op('i32.shl')
    f.get(counts)
    f.op('i32.add')
  }

  /** Runs `body` for each element of the row, with its key. */
  #eachElement(body: () => void): void {
    const f = this.#f
    assign(f, this.#i, 0)
    assign(f, this.#from, this.#row.x)
    assign(f, this.#to, this.#first)
    f.for(this.#i, this.#row.length, 1, () => {
      this.#makeKey()
      body()
      f.increment(this.#from, this.#lanes.size)
      f.increment(this.#to, this.bytes)
    })
  }

  #makeKey(): void {
    const f = this.#f
    const int = this.#int
    const { scalar, size, loadScalar, scalarAdd } = this.#lanes
    f.get(this.#from)
    f.mem(loadScalar)
    if (scalar === 'i32' || scalar === 'i64') {
      this.#pushSign()
      f.op(`${int}.xor`)
    } else {
      const value = f.local(scalar)
      f.tee(value)
      // -0 + 0 is 0.
      f[scalar](0)
      f.op(scalarAdd)
      f.op(int === 'i64' ? 'i64.reinterpret_f64' : 'i32.reinterpret_f32')
      f.tee(this.#key)
      f.get(this.#key)
      this.#constant(8 * size - 1)
      f.op(`${int}.shr_s`)
      this.#pushSign()
      f.op(`${int}.or`)
      f.op(`${int}.xor`)
      this.#constant(-1)
      f.get(value)
      f.get(value)
      f.op(`${scalar}.eq` as PlainOp)
      f.select()
      f.release(value)
    }
    f.get(this.#flip)
    f.op(`${int}.xor`)
    f.set(this.#key)
  }

  #makePair(at: Local<'i32'>): void {
    const f = this.#f
    f.get(at)
    f.get(this.#key)
    f.mem(`${this.#int}.store`)
    f.get(at)
    f.get(this.#i)
    f.mem('i32.store', this.#lanes.size)
  }

  #loadPair(): void {
    this.#f.mem(this.#int === 'i64' ? 'v128.load' : 'i64.load')
  }

  #storePair(): void {
    this.#f.mem(this.#int === 'i64' ? 'v128.store' : 'i64.store')
  }

  #constant(value: number): void {
    this.#f[this.#int](value)
  }

  /** Pushes the number of which only the sign bit is set. */
  #pushSign(): void {
    if (this.#int === 'i64') this.#f.i64(-(2n ** 63n))
    else this.#f.i32(-(2 ** 31))
  }
}
