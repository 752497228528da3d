import type { FunctionBuilder, Local } from './function-builder.ts'
import type { Lanes } from './lanes.ts'
import type { PlainOp } from './opcodes.ts'

export type CombineMode = 'set' | 'add' | 'mul' | 'max' | 'min'

/** Pushes the vector `a` combined with `b`: `set` gives b, NaN wins in `max` and `min`. */
export function combineVectors(f: FunctionBuilder, lanes: Lanes, mode: CombineMode, a: Local<'v128'>, b: Local<'v128'>): void {
  const comparing = mode === 'max' || mode === 'min'
  if (mode !== 'set') f.get(a)
  f.get(b)
  if (mode === 'add' || mode === 'mul') {
    f.op(lanes[mode])
  } else if (comparing && lanes.shape === 'i64x2') {
    f.get(a)
    f.get(b)
    f.op(mode === 'max' ? 'i64x2.gt_s' : 'i64x2.lt_s')
    f.op('v128.bitselect')
  } else if (comparing) {
    f.op(lanes.shape === 'i32x4' ? `i32x4.${mode}_s` : (`${lanes.shape}.${mode}` as PlainOp))
  }
}

/** The same on scalars. */
export function combineScalars(f: FunctionBuilder, lanes: Lanes, mode: CombineMode, a: Local, b: Local): void {
  const { scalar } = lanes
  const comparing = mode === 'max' || mode === 'min'
  if (mode !== 'set') f.get(a)
  f.get(b)
  if (mode === 'add') {
    f.op(lanes.scalarAdd)
  } else if (mode === 'mul') {
    f.op(lanes.scalarMul)
  } else if (comparing && (scalar === 'i32' || scalar === 'i64')) {
    f.get(a)
    f.get(b)
    f.op(`${scalar}.${mode === 'max' ? 'gt_s' : 'lt_s'}`)
    f.select()
  } else if (comparing) {
    f.op(`${scalar as 'f32' | 'f64'}.${mode}`)
  }
}
