import { CotangentError } from '../../errors.ts'
import { ByteWriter } from './byte-writer.ts'
import {
  alignments,
  type LaneOp,
  laneOps,
  type MemoryLaneOp,
  type MemoryOp,
  memoryLaneOps,
  memoryOps,
  type PlainOp,
  relaxedOps,
  scalarOps,
  simdOps,
} from './opcodes.ts'

export type ValueType = 'i32' | 'i64' | 'f32' | 'f64' | 'v128'

/** Encoding of each value type. */
export const valueTypeCode = { i32: 0x7f, i64: 0x7e, f32: 0x7d, f64: 0x7c, v128: 0x7b } as const satisfies Record<ValueType, number>

/** A parameter or a local variable of one function. */
export interface Local<T extends ValueType = ValueType> {
  readonly index: number
  readonly type: T
}

/** The target of a branch: the end of a block or an `if`, the start of a loop. */
export interface Label {
  readonly depth: number
}

/** Anything that can be called: an imported or a defined function. */
export interface FunctionRef {
  readonly index: number
  readonly name: string
}

export interface Global {
  readonly index: number
}

interface MemoryImmediates {
  /** log2 of the alignment in bytes, a hint; the access's natural alignment unless told. */
  align?: number
}

export type LaneShape = 'i8x16' | 'i16x8' | 'i32x4' | 'i64x2' | 'f32x4' | 'f64x2'

const plainOps: Readonly<Record<PlainOp, number>> = { ...scalarOps, ...simdOps, ...relaxedOps }

/**
 * Writes the body of one function, instruction by instruction, in stack order: `f.get(x); f.get(y); f.op('f32x4.add');
 * f.set(z)`. Blocks are callbacks and branches name their label, so nobody counts depths. Types are checked by the
 * engine that compiles the module, not here.
 */
export class FunctionBuilder implements FunctionRef {
  readonly index: number
  readonly name: string
  readonly results: readonly ValueType[]
  readonly #params: ValueType[] = []
  readonly #locals: ValueType[] = []
  readonly #free = new Map<ValueType, Local[]>()
  readonly #code = new ByteWriter(1024)
  readonly #constants = new Map<string, { local: Local<'v128'>; bytes: ArrayLike<number> }>()
  #depth = 0

  /** Made by `ModuleBuilder.function`. */
  constructor(index: number, name: string, results: readonly ValueType[]) {
    this.index = index
    this.name = name
    this.results = results
  }

  get params(): readonly ValueType[] {
    return this.#params
  }

  /** Adds a parameter. All parameters come before the first local. */
  param<T extends ValueType>(type: T): Local<T> {
    if (this.#locals.length) misuse(`parameter after a local in ${this.name}`)
    this.#params.push(type)
    return { index: this.#params.length - 1, type }
  }

  /** A local variable: zero at the start of the function, or whatever it held before `release`. */
  local<T extends ValueType>(type: T): Local<T> {
    const reused = this.#free.get(type)?.pop()
    if (reused) return reused as Local<T>
    this.#locals.push(type)
    return { index: this.#params.length + this.#locals.length - 1, type }
  }

  locals<T extends ValueType>(type: T, count: number): Local<T>[] {
    return Array.from({ length: count }, () => this.local(type))
  }

  /** Gives locals back, to be handed out again by `local`. */
  release(...locals: readonly Local[]): void {
    for (const local of locals) {
      if (local.index < this.#params.length) continue
      const free = this.#free.get(local.type)
      if (free) free.push(local)
      else this.#free.set(local.type, [local])
    }
  }

  get(local: Local): void {
    this.#withIndex(0x20, local.index)
  }

  set(local: Local): void {
    this.#withIndex(0x21, local.index)
  }

  tee(local: Local): void {
    this.#withIndex(0x22, local.index)
  }

  globalGet(global: Global): void {
    this.#withIndex(0x23, global.index)
  }

  globalSet(global: Global): void {
    this.#withIndex(0x24, global.index)
  }

  /** `local += amount` */
  increment(local: Local<'i32'>, amount: number): void {
    this.get(local)
    this.i32(amount)
    this.op('i32.add')
    this.set(local)
  }

  /** An instruction without immediates. */
  op(name: PlainOp): void {
    this.#opcode(plainOps[name])
  }

  i32(value: number): void {
    this.#code.byte(0x41)
    this.#code.signed32(value)
  }

  i64(value: bigint | number): void {
    this.#code.byte(0x42)
    this.#code.signed64(BigInt(value))
  }

  f32(value: number): void {
    this.#code.byte(0x43)
    this.#code.float32(value)
  }

  f64(value: number): void {
    this.#code.byte(0x44)
    this.#code.float64(value)
  }

  /** A vector constant from its 16 bytes. */
  v128(bytes: ArrayLike<number>): void {
    if (bytes.length !== 16) misuse(`a vector constant of ${bytes.length} bytes in ${this.name}`)
    this.#opcode(0xfd00c)
    this.#code.append(bytes)
  }

  /** A vector constant with the same number in each lane. */
  splat(shape: LaneShape, value: number | bigint): void {
    this.v128(splatBytes(shape, value))
  }

  /** A local that holds a splatted constant from the start of the function on, so that loops need not build it. Never set it. */
  constant(shape: LaneShape, value: number | bigint): Local<'v128'> {
    return this.#constant(`${shape} ${Object.is(value, -0) ? '-0' : value}`, () => splatBytes(shape, value))
  }

  /** `constant`, from its 16 bytes. */
  constantOf(bytes: ArrayLike<number>): Local<'v128'> {
    return this.#constant(Array.prototype.join.call(bytes), () => bytes)
  }

  #constant(key: string, bytes: () => ArrayLike<number>): Local<'v128'> {
    let known = this.#constants.get(key)
    if (!known) {
      this.#locals.push('v128')
      known = { local: { index: this.#params.length + this.#locals.length - 1, type: 'v128' }, bytes: bytes() }
      this.#constants.set(key, known)
    }
    return known.local
  }

  /** A scalar, vector or atomic load or store at the address on the stack plus `offset` bytes. */
  mem(name: MemoryOp, offset = 0, immediates?: MemoryImmediates): void {
    this.#opcode(memoryOps[name])
    this.#memoryImmediates(offset, immediates?.align ?? alignments[name])
  }

  /** A load or store of one lane of a vector. */
  memLane(name: MemoryLaneOp, lane: number, offset = 0, immediates?: MemoryImmediates): void {
    this.#opcode(memoryLaneOps[name])
    this.#memoryImmediates(offset, immediates?.align ?? alignments[name])
    this.#code.byte(lane)
  }

  lane(name: LaneOp, lane: number): void {
    this.#opcode(laneOps[name])
    this.#code.byte(lane)
  }

  /** `i8x16.shuffle`: byte i of the result is byte `lanes[i]` of the two operands laid end to end. */
  shuffle(lanes: ArrayLike<number>): void {
    if (lanes.length !== 16) misuse(`a shuffle of ${lanes.length} lanes in ${this.name}`)
    this.#opcode(0xfd00d)
    this.#code.append(lanes)
  }

  /** `shuffle` by 32-bit lanes (0..3 the first operand, 4..7 the second). */
  shuffle32(a: number, b: number, c: number, d: number): void {
    this.shuffle([a, b, c, d].flatMap((lane) => [4 * lane, 4 * lane + 1, 4 * lane + 2, 4 * lane + 3]))
  }

  /** `memory.fill`: takes destination, byte value and size in bytes. */
  memoryFill(): void {
    this.#opcode(0xfc00b)
    this.#code.unsigned(0)
  }

  drop(): void {
    this.#code.byte(0x1a)
  }

  /** Takes a, b and an i32 condition; leaves a where the condition is not zero, else b. */
  select(): void {
    this.#code.byte(0x1b)
  }

  call(callee: FunctionRef): void {
    this.#withIndex(0x10, callee.index)
  }

  return(): void {
    this.#code.byte(0x0f)
  }

  /** A branch to the label jumps behind the block. */
  block(body: (label: Label) => void, result?: ValueType): void {
    this.#structure(0x02, body, result)
  }

  /** A branch to the label jumps back to the start; falling through leaves the loop. */
  loop(body: (label: Label) => void, result?: ValueType): void {
    this.#structure(0x03, body, result)
  }

  /** Takes an i32 condition. A branch to the label jumps behind the whole `if`. */
  if(then: (label: Label) => void, otherwise?: (label: Label) => void, result?: ValueType): void {
    this.#structure(
      0x04,
      (label) => {
        then(label)
        if (!otherwise) return
        this.#code.byte(0x05)
        otherwise(label)
      },
      result,
    )
  }

  /** Repeats `body` while `condition`, which pushes an i32, holds. A branch to `exit` leaves the loop. */
  while(condition: () => void, body: (exit: Label) => void): void {
    this.block((exit) => {
      condition()
      this.op('i32.eqz')
      this.brIf(exit)
      this.loop((again) => {
        body(exit)
        condition()
        this.brIf(again)
      })
    })
  }

  /** `for (; i < end; i += step)` over i32 locals, compared as signed numbers. `i` is the caller's to initialise. */
  for(i: Local<'i32'>, end: Local<'i32'>, step: number, body: (exit: Label) => void): void {
    this.while(
      () => {
        this.get(i)
        this.get(end)
        this.op('i32.lt_s')
      },
      (exit) => {
        body(exit)
        this.increment(i, step)
      },
    )
  }

  br(label: Label): void {
    this.#withIndex(0x0c, this.#depth - label.depth)
  }

  /** Takes an i32; branches where it is not zero. */
  brIf(label: Label): void {
    this.#withIndex(0x0d, this.#depth - label.depth)
  }

  /** The code section's entry: locals in runs of one type, then the instructions. */
  toBytes(): Uint8Array {
    const runs: { type: ValueType; count: number }[] = []
    for (const type of this.#locals) {
      const last = runs.at(-1)
      if (last?.type === type) last.count++
      else runs.push({ type, count: 1 })
    }
    const out = new ByteWriter(this.#code.length + 16)
    out.unsigned(runs.length)
    for (const { type, count } of runs) {
      out.unsigned(count)
      out.byte(valueTypeCode[type])
    }
    for (const { local, bytes } of this.#constants.values()) {
      out.append([0xfd, 0x0c])
      out.append(bytes)
      out.byte(0x21)
      out.unsigned(local.index)
    }
    out.append(this.#code.bytes)
    out.byte(0x0b)
    return out.bytes
  }

  #structure(code: number, body: (label: Label) => void, result: ValueType | undefined): void {
    this.#code.byte(code)
    this.#code.byte(result ? valueTypeCode[result] : 0x40)
    this.#depth++
    body({ depth: this.#depth })
    this.#depth--
    this.#code.byte(0x0b)
  }

  #withIndex(code: number, index: number): void {
    this.#code.byte(code)
    this.#code.unsigned(index)
  }

  #opcode(code: number): void {
    if (code < 0x100) {
      this.#code.byte(code)
    } else {
      this.#code.byte(code >> 12)
      this.#code.unsigned(code & 0xfff)
    }
  }

  #memoryImmediates(offset: number, align: number): void {
    this.#code.unsigned(align)
    this.#code.unsigned(offset)
  }
}

function splatBytes(shape: LaneShape, value: number | bigint): Uint8Array {
  const view = new DataView(new ArrayBuffer(16))
  const size = { i8x16: 1, i16x8: 2, i32x4: 4, i64x2: 8, f32x4: 4, f64x2: 8 }[shape]
  for (let at = 0; at < 16; at += size) {
    if (shape === 'f32x4') view.setFloat32(at, Number(value), true)
    else if (shape === 'f64x2') view.setFloat64(at, Number(value), true)
    else if (shape === 'i64x2') view.setBigInt64(at, BigInt(value), true)
    else if (shape === 'i32x4') view.setInt32(at, Number(value), true)
    else if (shape === 'i16x8') view.setInt16(at, Number(value), true)
    else view.setInt8(at, Number(value))
  }
  return new Uint8Array(view.buffer)
}

function misuse(message: string): never {
  throw new CotangentError('engine-failure', { op: 'assembler', message })
}
