import type { Epilogue } from './gemm-kernel.ts'

/** max(value, 0); NaN stays NaN. */
export const relu: Epilogue = {
  operands: 0,
  sameInRows: true,
  emit(f, lanes, value) {
    f.get(value)
    f.splat(lanes.shape, 0)
    if (lanes.shape === 'i64x2') {
      f.get(value)
      f.splat('i64x2', 0)
      f.op('i64x2.gt_s')
      f.op('v128.bitselect')
    } else {
      f.op(lanes.shape === 'i32x4' ? 'i32x4.max_s' : `${lanes.shape}.max`)
    }
    f.set(value)
  },
}

/** value + the first operand, which is the same in all rows */
export const addBias: Epilogue = {
  operands: 1,
  sameInRows: true,
  emit(f, lanes, value, [bias]) {
    f.get(value)
    f.get(bias!)
    f.op(lanes.add)
    f.set(value)
  },
}

/** One epilogue after another; each takes the next operands. */
export function chain(...epilogues: readonly Epilogue[]): Epilogue {
  return {
    operands: epilogues.reduce((sum, { operands }) => sum + operands, 0),
    sameInRows: epilogues.every((epilogue) => epilogue.sameInRows),
    emit(f, lanes, value, operands) {
      let next = 0
      for (const epilogue of epilogues) {
        epilogue.emit(f, lanes, value, operands.slice(next, next + epilogue.operands))
        next += epilogue.operands
      }
    },
  }
}
