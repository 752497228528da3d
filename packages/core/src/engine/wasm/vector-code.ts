import type { ScalarType } from '../scalar.ts'
import type { ModuleBuilder } from './assembler.ts'
import type { FunctionBuilder, FunctionRef, LaneShape, Local } from './function-builder.ts'
import type { LaneOp, PlainOp } from './opcodes.ts'

/** An expression: calling it pushes its value. Calling it twice computes it twice, unless it was `keep`t. */
export type Expression = () => void

/** What the functions of one module share. */
export interface ModuleContext {
  readonly module: ModuleBuilder
  /** Lanes that hold elements: 4, or 2 in a kernel that has a 64-bit type. */
  readonly lanes: 2 | 4
  /** Whether fused multiply-add may be used. */
  readonly relaxed: boolean
  /** Imported functions of `Math`. */
  readonly math: ReadonlyMap<string, FunctionRef>
  /** Functions that the module defines for itself, by name. */
  readonly helpers: Map<string, FunctionRef>
}

/** Bytes of a lane of each type. In a two-lane kernel, 32-bit types use the low half of the vector. */
export const laneBytes = (type: ScalarType, lanes: 2 | 4): 4 | 8 =>
  lanes === 2 && (type === 'float64' || type === 'int64' || type === 'bool') ? 8 : 4

const shapes = { bool: 'i32x4', int32: 'i32x4', int64: 'i64x2', float32: 'f32x4', float64: 'f64x2' } as const

/** Lane shape of each type. A bool is a mask as wide as the widest type of the kernel. */
export const shapeOf = (type: ScalarType, lanes: 2 | 4): 'i32x4' | 'i64x2' | 'f32x4' | 'f64x2' =>
  type === 'bool' && lanes === 2 ? 'i64x2' : shapes[type]

/** Writes expressions over vectors into one function. */
export class VectorCode {
  readonly f: FunctionBuilder
  readonly context: ModuleContext
  readonly lanes: 2 | 4
  readonly #kept: Local[][] = []

  constructor(f: FunctionBuilder, context: ModuleContext) {
    this.f = f
    this.context = context
    this.lanes = context.lanes
  }

  op(name: PlainOp, ...operands: Expression[]): Expression {
    return () => {
      for (const operand of operands) operand()
      this.f.op(name)
    }
  }

  /** The value of `e`, computed now and held in a local until the enclosing `scope` ends. */
  keep(e: Expression): Expression {
    return this.read(this.hold(e))
  }

  /** `keep`, as the local. */
  hold(e: Expression): Local<'v128'> {
    const local = this.f.local('v128')
    this.set(local, e)
    this.#kept.at(-1)?.push(local)
    return local
  }

  set(local: Local<'v128'>, e: Expression): void {
    e()
    this.f.set(local)
  }

  read(local: Local): Expression {
    return () => this.f.get(local)
  }

  /** Runs `body`; locals kept in it are free for others afterwards. */
  scope<T>(body: () => T): T {
    this.#kept.push([])
    const result = body()
    this.f.release(...this.#kept.pop()!)
    return result
  }

  splat(shape: LaneShape, value: number | bigint): Expression {
    const local = this.f.constant(shape, value)
    return () => this.f.get(local)
  }

  f32(value: number): Expression {
    return this.splat('f32x4', value)
  }

  i32(value: number): Expression {
    return this.splat('i32x4', value)
  }

  /** A number of any type in every lane. */
  number(type: ScalarType, value: number | bigint): Expression {
    return this.splat(shapeOf(type, this.lanes), type === 'bool' ? -Number(Boolean(value)) : value)
  }

  lane(name: LaneOp, lane: number, ...operands: Expression[]): Expression {
    return () => {
      for (const operand of operands) operand()
      this.f.lane(name, lane)
    }
  }

  /** Shift of 32-bit lanes by a constant. */
  shift(
    name: 'i32x4.shl' | 'i32x4.shr_s' | 'i32x4.shr_u' | 'i64x2.shl' | 'i64x2.shr_s' | 'i64x2.shr_u',
    x: Expression,
    amount: number,
  ): Expression {
    return () => {
      x()
      this.f.i32(amount)
      this.f.op(name)
    }
  }

  /** The lanes of `a` where the mask is set, else those of `b`; the mask's lanes must be as wide as theirs, and all ones or all zeros. */
  where(mask: Expression, a: Expression, b: Expression): Expression {
    // On such masks all machines agree, and x86 has one instruction for it instead of three.
    return this.op(this.context.relaxed ? 'i8x16.relaxed_laneselect' : 'v128.bitselect', a, b, mask)
  }

  /** `a * b + c`, fused where the machine can. */
  madd(a: Expression, b: Expression, c: Expression, shape: 'f32x4' | 'f64x2' = 'f32x4'): Expression {
    if (this.context.relaxed) return this.op(`${shape}.relaxed_madd`, a, b, c)
    return this.op(`${shape}.add`, this.op(`${shape}.mul`, a, b), c)
  }

  /** `c - a * b`, fused where the machine can. */
  nmadd(a: Expression, b: Expression, c: Expression, shape: 'f32x4' | 'f64x2' = 'f32x4'): Expression {
    if (this.context.relaxed) return this.op(`${shape}.relaxed_nmadd`, a, b, c)
    return this.op(`${shape}.sub`, c, this.op(`${shape}.mul`, a, b))
  }

  /** Horner's scheme; the highest coefficient first. */
  polynomial(x: Expression, coefficients: readonly number[], shape: 'f32x4' | 'f64x2' = 'f32x4'): Expression {
    return coefficients.slice(1).reduce((sum, c) => this.madd(sum, x, this.splat(shape, c), shape), this.splat(shape, coefficients[0]!))
  }

  /** A bool, as a mask for lanes of `type`. */
  maskFor(type: ScalarType, mask: Expression): Expression {
    if (laneBytes('bool', this.lanes) === laneBytes(type, this.lanes)) return mask
    return () => {
      const m = this.f.local('v128')
      mask()
      this.f.tee(m)
      this.f.get(m)
      this.f.shuffle32(0, 2, 0, 2)
      this.f.release(m)
    }
  }

  /** A mask of lanes of `type`, as a bool. */
  maskFrom(type: ScalarType, mask: Expression): Expression {
    return laneBytes('bool', this.lanes) === laneBytes(type, this.lanes) ? mask : this.op('i64x2.extend_low_i32x4_s', mask)
  }

  /** One lane of a value of `type`, as a scalar of the machine: i32 (bools are 0 and -1), i64, f32, f64. */
  extract(type: ScalarType, x: Expression, lane: number): Expression {
    if (type === 'bool' && this.lanes === 2) return this.op('i32.wrap_i64', this.lane('i64x2.extract_lane', lane, x))
    return this.lane(`${shapeOf(type, this.lanes)}.extract_lane`, lane, x)
  }

  /** A value of `type` whose lanes are pushed by `element`, one after the other; bools as i32. */
  build(type: ScalarType, element: (lane: number) => void): Expression {
    const shape = shapeOf(type, this.lanes)
    const extend = () => {
      if (shape === 'i64x2' && type === 'bool') this.f.op('i64.extend_i32_s')
    }
    return () => {
      element(0)
      extend()
      this.f.op(`${shape}.splat`)
      for (let lane = 1; lane < this.lanes; lane++) {
        element(lane)
        extend()
        this.f.lane(`${shape}.replace_lane`, lane)
      }
    }
  }

  /** Pushes an i32: whether the mask is set in any lane. */
  any(mask: Expression): Expression {
    return this.op('v128.any_true', mask)
  }

  call(callee: FunctionRef, ...operands: Expression[]): Expression {
    return () => {
      for (const operand of operands) operand()
      this.f.call(callee)
    }
  }

  /** The module's own function `name`, defined on first use. */
  helper(name: string, define: (f: FunctionBuilder) => void, results: FunctionBuilder['results']): FunctionRef {
    let known = this.context.helpers.get(name)
    if (!known) {
      const f = this.context.module.function(name, { results })
      this.context.helpers.set(name, f)
      define(f)
      known = f
    }
    return known
  }

  /** A function of vectors to a vector, kept out of line: for code too long to repeat. */
  outOfLine(name: string, body: (code: VectorCode, ...args: Expression[]) => Expression, ...args: Expression[]): Expression {
    const callee = this.helper(
      name,
      (f) => {
        const params = args.map(() => f.param('v128'))
        const code = new VectorCode(f, this.context)
        body(code, ...params.map((p) => code.read(p)))()
      },
      ['v128'],
    )
    return this.call(callee, ...args)
  }
}
