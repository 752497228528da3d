import { describe, expect, it } from 'vitest'
import * as instructions from '../../../test/wasm-instructions.ts'
import { type FunctionBuilder, ModuleBuilder, type ValueType } from './assembler.ts'
import { ByteWriter } from './byte-writer.ts'
import { wasmFeatures } from './features.ts'
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

const letterType: Record<string, ValueType> = { i: 'i32', I: 'i64', f: 'f32', F: 'f64', v: 'v128', a: 'i32' }
const types = (signature: string): ValueType[] => [...signature].map((letter) => letterType[letter]!)

/** A module with one function of this signature that pushes its parameters and then runs `body`. */
function moduleOf(operands: string, results: string, body: (f: FunctionBuilder) => void): Uint8Array<ArrayBuffer> {
  const m = new ModuleBuilder()
  m.importMemory({ min: 1, max: 1, shared: true })
  const f = m.function('f', { export: true, results: types(results) })
  for (const param of types(operands).map((type) => f.param(type))) f.get(param)
  body(f)
  return m.toBytes()
}

type AnyFunction = (...args: (number | bigint)[]) => number | bigint

function instantiate(m: ModuleBuilder, imports: WebAssembly.ModuleImports = {}): Record<string, AnyFunction> {
  const instance = new WebAssembly.Instance(new WebAssembly.Module(m.toBytes()), { env: imports })
  return instance.exports as Record<string, AnyFunction>
}

describe('opcodes', () => {
  const tables = { scalarOps, simdOps, relaxedOps, laneOps, memoryOps, memoryLaneOps }
  it.each(Object.keys(tables) as (keyof typeof tables)[])('%s have the numbers of the specification', (table) => {
    expect(tables[table]).toEqual(Object.fromEntries(Object.entries(instructions[table]).map(([name, [code]]) => [name, code])))
  })

  it('accesses have their natural alignment', () => {
    const accesses = Object.entries({ ...instructions.memoryOps, ...instructions.memoryLaneOps })
    expect(alignments).toEqual(Object.fromEntries(accesses.map(([name, [, , , align]]) => [name, align])))
  })

  const plain = { ...instructions.scalarOps, ...instructions.simdOps, ...(wasmFeatures().relaxedSimd ? instructions.relaxedOps : {}) }
  it.each(Object.entries(plain))('%s', (name, [, operands, results]) => {
    expect(() => new WebAssembly.Module(moduleOf(operands, results, (f) => f.op(name as PlainOp)))).not.toThrow()
  })
  it.each(Object.entries(instructions.laneOps))('%s', (name, [, operands, results]) => {
    expect(() => new WebAssembly.Module(moduleOf(operands, results, (f) => f.lane(name as LaneOp, 1)))).not.toThrow()
  })
  it.each(Object.entries(instructions.memoryOps))('%s', (name, [, operands, results]) => {
    expect(() => new WebAssembly.Module(moduleOf(operands, results, (f) => f.mem(name as MemoryOp, 40_000)))).not.toThrow()
  })
  it.each(Object.entries(instructions.memoryLaneOps))('%s', (name, [, operands, results]) => {
    expect(() => new WebAssembly.Module(moduleOf(operands, results, (f) => f.memLane(name as MemoryLaneOp, 1, 300)))).not.toThrow()
  })
})

describe('ByteWriter', () => {
  it('writes LEB128', () => {
    const out = new ByteWriter(1)
    out.unsigned(624485)
    expect([...out.bytes]).toEqual([0xe5, 0x8e, 0x26])
  })
})

describe('FunctionBuilder', () => {
  it('round-trips constants', () => {
    for (const value of [0, 1, -1, 63, 64, -64, -65, 2 ** 31 - 1, -(2 ** 31), 0x12345678]) {
      const m = new ModuleBuilder()
      m.function('i32', { export: true, results: ['i32'] }).i32(value)
      m.function('i64', { export: true, results: ['i64'] }).i64(value)
      m.function('f32', { export: true, results: ['f32'] }).f32(value)
      m.function('f64', { export: true, results: ['f64'] }).f64(value + 0.1)
      const e = instantiate(m)
      expect([e.i32!(), e.i64!(), e.f32!(), e.f64!()]).toEqual([value, BigInt(value), Math.fround(value), value + 0.1])
    }
    const m = new ModuleBuilder()
    m.function('min', { export: true, results: ['i64'] }).i64(-(2n ** 63n))
    expect(instantiate(m).min!()).toBe(-(2n ** 63n))
  })

  it('splats each lane shape', () => {
    const cases = { i8x16: -3, i16x8: -300, i32x4: -70000, i64x2: -5n, f32x4: 1.5, f64x2: 2.25 } as const
    const m = new ModuleBuilder()
    for (const [shape, value] of Object.entries(cases) as [keyof typeof cases, number | bigint][]) {
      const scalar = shape === 'i64x2' ? 'i64' : shape === 'f32x4' ? 'f32' : shape === 'f64x2' ? 'f64' : 'i32'
      const f = m.function(shape, { export: true, results: [scalar] })
      f.splat(shape, value)
      f.lane(`${shape === 'i8x16' || shape === 'i16x8' ? 'i32x4' : shape}.extract_lane`, 1)
    }
    const e = instantiate(m)
    const seen = { ...cases, i8x16: 0xfdfdfdfd | 0, i16x8: 0xfed4fed4 | 0 }
    for (const [shape, value] of Object.entries(seen)) expect(e[shape]!()).toBe(value)
  })

  it('sums a shared array with SIMD, branches and reused locals', () => {
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 4, shared: true })
    const data = new Float32Array(memory.buffer)
    for (let i = 0; i < 103; i++) data[i] = i
    const m = new ModuleBuilder()
    m.importMemory({ shared: true })
    const f = m.function('sum', { export: true, results: ['f32'] })
    const [pointer, count, i, vectorEnd] = [f.param('i32'), f.param('i32'), f.local('i32'), f.local('i32')]
    const acc = f.local('v128')
    const total = f.local('f32')
    f.get(count)
    f.i32(-4)
    f.op('i32.and')
    f.set(vectorEnd)
    f.for(i, vectorEnd, 4, () => {
      f.get(acc)
      f.get(pointer)
      f.mem('v128.load')
      f.op('f32x4.add')
      f.set(acc)
      f.increment(pointer, 16)
    })
    for (let lane = 0; lane < 4; lane++) {
      f.get(acc)
      f.lane('f32x4.extract_lane', lane)
      f.get(total)
      f.op('f32.add')
      f.set(total)
    }
    f.for(i, count, 1, () => {
      f.get(total)
      f.get(pointer)
      f.mem('f32.load')
      f.op('f32.add')
      f.set(total)
      f.increment(pointer, 4)
    })
    f.get(total)
    f.release(acc)
    expect(f.local('v128')).toBe(acc)
    expect(instantiate(m, { memory }).sum!(0, 103)).toBe((102 * 103) / 2)
  })

  it('structures control by labels', () => {
    const m = new ModuleBuilder()
    const f = m.function('classify', { export: true, results: ['i32'] })
    const x = f.param('i32')
    f.block((done) => {
      f.block((two) => {
        f.block((one) => {
          f.get(x)
          f.brIf(one)
          f.i32(100)
          f.br(done)
        })
        f.get(x)
        f.i32(1)
        f.op('i32.gt_s')
        f.brIf(two)
        f.get(x)
        f.i32(1)
        f.op('i32.eq')
        f.if(
          () => f.i32(101),
          () => f.op('unreachable'),
          'i32',
        )
        f.br(done)
      })
      f.i32(102)
    }, 'i32')
    const e = instantiate(m)
    expect([0, 1, 2, 77].map((n) => e.classify!(n))).toEqual([100, 101, 102, 102])
  })

  it('calls imports and other functions, and keeps globals', () => {
    const seen: number[] = []
    const m = new ModuleBuilder()
    const fallback = m.importFunction('fallback', ['i32'], ['i32'])
    const counter = m.global()
    const double = m.function('double', { results: ['i32'] })
    const x = double.param('i32')
    double.get(x)
    double.get(x)
    double.op('i32.add')
    const f = m.function('run', { export: true, results: ['i32'] })
    f.globalGet(counter)
    f.i32(1)
    f.op('i32.add')
    f.globalSet(counter)
    f.globalGet(counter)
    f.call(double)
    f.call(fallback)
    const e = instantiate(m, { fallback: (n: number) => (seen.push(n), n + 0.5) })
    expect([e.run!(), e.run!()]).toEqual([2, 4])
    expect(seen).toEqual([2, 4])
    expect(() => m.importFunction('late', [])).toThrow(/after a defined function/)
  })

  it('fills and shuffles', () => {
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 4, shared: true })
    const bytes = new Uint8Array(memory.buffer)
    const m = new ModuleBuilder()
    m.importMemory({ shared: true })
    const f = m.function('run', { export: true })
    f.i32(0)
    f.i32(7)
    f.i32(10)
    f.memoryFill()
    f.i32(200)
    f.splat('i32x4', 1)
    f.splat('i32x4', 2)
    f.shuffle32(0, 4, 1, 5)
    f.mem('v128.store')
    instantiate(m, { memory }).run!()
    expect([bytes[0], bytes[9], bytes[10]]).toEqual([7, 7, 0])
    expect([...new Int32Array(memory.buffer, 200, 4)]).toEqual([1, 2, 1, 2])
  })

  it('refuses misuse', () => {
    const f = new ModuleBuilder().function('f')
    f.local('i32')
    expect(() => f.param('i32')).toThrow(/parameter after a local/)
    expect(() => f.v128([1])).toThrow(/vector constant of 1/)
    expect(() => f.shuffle([1])).toThrow(/shuffle of 1/)
  })
})

describe('wasmFeatures', () => {
  it('finds SIMD and threads here', () => {
    expect(wasmFeatures()).toMatchObject({ simd: true, threads: true })
  })
})
