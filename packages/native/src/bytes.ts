import type { Routine } from 'cotangent'
import { size } from './layout.ts'

/** How many products of bytes oneDNN adds up exactly, by the first operand's dtype; the second one is int8. */
export interface ByteDepths {
  readonly int8: number
  readonly uint8: number
}

/**
 * oneDNN takes int32 sums of bytes through float32 on their way to memory, in 2.6 and 3.2 alike unless the code happens to have nothing else to
 * do with them, so they must not be greater than 2 ** 24. On AVX2 int8 operands become uint8 before that, by adding 128. Without the
 * VNNI instructions sums of two products saturate at 16 bits, and nothing is exact.
 */
export function byteDepthsOf(instructionSet: string): ByteDepths {
  const exact = /VNNI|BF16|FP16|AMX/.test(instructionSet)
  const most = 2 ** 24
  const uint8 = exact ? Math.floor(most / (255 * 128)) : 0
  return { uint8, int8: exact && !instructionSet.startsWith('AVX2') ? most / (128 * 128) : uint8 }
}

/** Whether a routine is a product of bytes that oneDNN computes exactly. What follows it, the bias too, would be done in float32. */
export function isByteProduct({ name, inputs, outputs, epilogue }: Routine, depths: ByteDepths): boolean {
  if ((name !== 'matmul' && name !== 'conv') || inputs.length !== 2 || epilogue) return false
  const [a, b] = inputs as readonly [(typeof inputs)[0], (typeof inputs)[0]]
  if ((a.dtype !== 'int8' && a.dtype !== 'uint8') || b.dtype !== 'int8' || outputs[0]!.dtype !== 'int32') return false
  const depth = name === 'matmul' ? a.shape.at(-1)! : size(b.shape.slice(0, -1))
  return depth <= depths[a.dtype]
}
