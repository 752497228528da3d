/**
 * The WebAssembly instructions that the emitters use, by their names in the specification.
 *
 * Numbers are consecutive over long runs of names, so a run is written as its first number, what its names start with, and
 * the rest of each name; a number among the names skips as many instructions that are not there or have another prefix.
 * An opcode with a prefix byte is `prefix << 12 | number` (0xfd000 SIMD, 0xfc000 saturating, 0xfe000 atomics).
 *
 * Source: WebAssembly Core Specification 3.0, appendix "Index of Instructions"; threads proposal for the atomics.
 */
type Run = readonly [first: number, prefix: string, names: string]

type Words<Text extends string, Found = never> = Text extends `${infer First} ${infer Rest}`
  ? Words<Rest, Found | First>
  : Exclude<Found | Text, `${number}`>
type NameIn<R extends Run> = R extends readonly [number, infer Prefix extends string, infer Names extends string]
  ? `${Prefix}${Words<Names>}`
  : never

/** The number of each instruction. */
function numbered<const Runs extends readonly Run[]>(runs: Runs): Readonly<Record<NameIn<Runs[number]>, number>> {
  const codes: Record<string, number> = {}
  for (const [first, prefix, names] of runs) {
    let code = first
    for (const name of names.split(' ')) {
      if (Number(name)) code += Number(name)
      else codes[prefix + name] = code++
    }
  }
  return codes as Record<NameIn<Runs[number]>, number>
}

const integerComparisons = 'eq ne lt_s lt_u gt_s gt_u le_s le_u ge_s ge_u'
const floatComparisons = 'eq ne lt gt le ge'
const integerArithmetic = 'add sub mul div_s div_u rem_s rem_u and or xor shl shr_s shr_u'
const shifts = 'shl shr_s shr_u'
const integerBounds = 'min_s min_u max_s max_u'
const vectorFloatArithmetic = 'abs neg 1 sqrt add sub mul div min max pmin pmax'

/** Scalar instructions without immediates. */
export const scalarOps = numbered([
  [0x00, '', 'unreachable'],
  [0x45, 'i32.', `eqz ${integerComparisons}`],
  [0x50, 'i64.', `eqz ${integerComparisons}`],
  [0x5b, 'f32.', floatComparisons],
  [0x61, 'f64.', floatComparisons],
  [0x6a, 'i32.', integerArithmetic],
  [0x7c, 'i64.', integerArithmetic],
  [0x92, 'f32.', 'add 1 mul 1 min max'],
  [0x99, 'f64.', 'abs 6 add sub mul 1 min max copysign'],
  [0xa7, 'i32.', 'wrap_i64'],
  [0xac, 'i64.', 'extend_i32_s'],
  [0xb4, 'f32.', 'convert_i64_s 1 demote_f64'],
  [0xb9, 'f64.', 'convert_i64_s 1 promote_f32'],
  [0xbc, '', 'i32.reinterpret_f32 i64.reinterpret_f64'],
  [0xfc002, 'i32.trunc_sat_', 'f64_s'],
  [0xfc004, 'i64.trunc_sat_', 'f32_s 1 f64_s'],
])

/** SIMD instructions without immediates. */
export const simdOps = numbered([
  [0xfd010, '', 'i16x8.splat i32x4.splat i64x2.splat f32x4.splat f64x2.splat'],
  [0xfd02d, 'i16x8.', integerComparisons],
  [0xfd037, 'i32x4.', integerComparisons],
  [0xfd041, 'f32x4.', floatComparisons],
  [0xfd047, 'f64x2.', floatComparisons],
  [0xfd04d, 'v128.', 'not and andnot or xor bitselect any_true'],
  [0xfd05e, '', 'f32x4.demote_f64x2_zero f64x2.promote_low_f32x4'],
  [0xfd067, 'f32x4.', 'ceil floor trunc nearest'],
  [0xfd074, 'f64x2.', 'ceil floor 4 trunc 25 nearest'],
  [0xfd086, 'i16x8.', 'narrow_i32x4_u 2 extend_low_i8x16_u'],
  [0xfd0a0, 'i32x4.', 'abs neg 7 extend_low_i16x8_u'],
  [0xfd0ab, 'i32x4.', `${shifts} add 2 sub 3 mul ${integerBounds} dot_i16x8_s`],
  [0xfd0c0, 'i64x2.', 'abs neg 5 extend_low_i32x4_s 1 extend_low_i32x4_u'],
  [0xfd0cb, 'i64x2.', `${shifts} add 2 sub 3 mul eq ne lt_s gt_s le_s ge_s`],
  [0xfd0e0, 'f32x4.', vectorFloatArithmetic],
  [0xfd0ec, 'f64x2.', vectorFloatArithmetic],
  [0xfd0f8, '', 'i32x4.trunc_sat_f32x4_s 1 f32x4.convert_i32x4_s 1 i32x4.trunc_sat_f64x2_s_zero 1 f64x2.convert_low_i32x4_s'],
])

/** Relaxed SIMD: results may differ between machines, within the bounds of the specification. Check `features.relaxedSimd`. */
export const relaxedOps = numbered([
  [0xfd105, 'f32x4.relaxed_', 'madd nmadd'],
  [0xfd107, 'f64x2.relaxed_', 'madd nmadd'],
  [0xfd109, '', 'i8x16.relaxed_laneselect'],
])

/** Instructions whose only immediate is a lane number. */
export const laneOps = numbered([
  [0xfd01b, 'i32x4.', 'extract_lane replace_lane'],
  [0xfd01d, 'i64x2.', 'extract_lane replace_lane'],
  [0xfd01f, 'f32x4.', 'extract_lane replace_lane'],
  [0xfd021, 'f64x2.', 'extract_lane replace_lane'],
])

/** Loads, stores and atomics: the immediates are alignment, memory and offset. */
export const memoryOps = numbered([
  [0x28, '', 'i32.load i64.load f32.load f64.load'],
  [0x2c, '', 'i32.load8_s i32.load8_u 1 i32.load16_u 1 i64.load8_u 1 i64.load16_u'],
  [0x36, '', 'i32.store i64.store f32.store f64.store'],
  [0xfd000, 'v128.', 'load load8x8_s load8x8_u 1 load16x4_u 3 load16_splat load32_splat load64_splat store'],
  [0xfd05c, 'v128.', 'load32_zero load64_zero'],
  [0xfe010, 'i32.atomic.', 'load 6 store'],
])

/** Loads and stores of one lane of a vector. */
export const memoryLaneOps = numbered([
  [0xfd054, 'v128.', 'load8_lane load16_lane load32_lane load64_lane store8_lane store16_lane store32_lane store64_lane'],
])

/** log2 of the natural alignment in bytes: of the bits that the access's name ends with, else of the type that it starts with. */
export const alignments = Object.fromEntries(
  Object.keys({ ...memoryOps, ...memoryLaneOps }).map((name) => {
    const [, bits = /\d+/.exec(name)?.[0] ?? 32, lanes = 1] = /\.\D*(\d+)(?:x(\d))?/.exec(name) ?? []
    return [name, Math.log2((Number(bits) * Number(lanes)) / 8)]
  }),
) as Readonly<Record<MemoryOp | MemoryLaneOp, number>>

export type PlainOp = keyof typeof scalarOps | keyof typeof simdOps | keyof typeof relaxedOps
export type LaneOp = keyof typeof laneOps
export type MemoryOp = keyof typeof memoryOps
export type MemoryLaneOp = keyof typeof memoryLaneOps
