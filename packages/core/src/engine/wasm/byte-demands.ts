import type { DType } from '../../dtype.ts'
import type { Operand } from '../routine.ts'
import type { ByteOperands, ByteType } from './gemm-pack-bytes.ts'
import type { LaneType } from './lanes.ts'
import type { Demand } from './routine-code.ts'

const isByte = (dtype: DType): dtype is ByteType => dtype === 'int8' || dtype === 'uint8'

/** The dtypes of an int32 product's operands, where both are bytes. */
export function bytesOf(type: LaneType, [a, b]: readonly Operand[]): ByteOperands | undefined {
  return type === 'int32' && isByte(a!.dtype) && isByte(b!.dtype) ? { a: a!.dtype, b: b!.dtype } : undefined
}

/** What is asked of a product's operands, which stay as they are where they are bytes. */
export function byteDemands(bytes: ByteOperands | undefined, a: Demand, b: Demand, ...others: readonly Demand[]): readonly Demand[] {
  return bytes ? [{ ...a, dtype: bytes.a }, { ...b, dtype: bytes.b }, ...others] : [a, b, ...others]
}
