import { copyOf, type DType, dtypeInfo, type TypedArray } from '../../dtype.ts'
import { CotangentError, formatBytes } from '../../errors.ts'
import type { Buffer, Engine, Executable, MemoryUse, Program, Sequence } from '../engine.ts'
import { observable } from '../observe.ts'
import { operandDTypes } from '../operand-dtypes.ts'
import { prepareSequence } from '../sequence.ts'
import { runKernel } from './kernel.ts'
import { referenceRoutine } from './routine.ts'

interface ReferenceBuffer extends Buffer {
  data: ArrayBuffer
}

/** The oracle: a plain interpreter of kernels and routines. Slow, obviously right, and so the specification too. */
export class ReferenceEngine implements Engine {
  readonly name = 'reference'
  readonly synchronous = true
  readonly threads = 1
  onPressure: Engine['onPressure']
  observer: Engine['observer']
  #inUse = 0
  #peak = 0

  allocate(bytes: number): ReferenceBuffer {
    const data = newArrayBuffer(Math.ceil(bytes / 8) * 8)
    this.#inUse += bytes
    this.#peak = Math.max(this.#peak, this.#inUse)
    return { bytes, data }
  }

  free(buffer: Buffer): void {
    this.#inUse -= buffer.bytes
  }

  prepare(program: Program | Sequence): Executable {
    if (program.kind === 'sequence') return prepareSequence(this, program)
    const dtypes = operandDTypes(program)
    const execute = program.kind === 'kernel' ? runKernel.bind(null, program) : referenceRoutine(program)
    return observable(this, program, {
      run(buffers, offsets, scalars) {
        const arrays = buffers.map((b, i) => arrayOf(b, dtypes[i]!))
        execute(arrays, offsets, scalars)
      },
    })
  }

  async read(buffer: Buffer, dtype: DType, offset: number, length: number, into?: TypedArray): Promise<TypedArray> {
    return this.readSync(buffer, dtype, offset, length, into)
  }

  readSync(buffer: Buffer, dtype: DType, offset: number, length: number, into?: TypedArray): TypedArray {
    return copyOf(arrayOf(buffer, dtype).subarray(offset, offset + length), into)
  }

  write(buffer: Buffer, dtype: DType, offset: number, data: TypedArray): void {
    arrayOf(buffer, dtype).set(data as never, offset)
  }

  /** It has one thread, whatever is asked for. */
  async setThreads(): Promise<void> {}

  memoryUse(): MemoryUse {
    return { inUse: this.#inUse, peak: this.#peak, reserved: this.#inUse, limit: Number.POSITIVE_INFINITY }
  }
}

function newArrayBuffer(bytes: number): ArrayBuffer {
  try {
    return new ArrayBuffer(bytes)
  } catch (cause) {
    throw new CotangentError('out-of-memory', {
      op: 'reference',
      message: `the system has no ${formatBytes(bytes)} for one array`,
      cause,
      hint: 'Use a smaller tensor.',
    })
  }
}

function arrayOf(buffer: Buffer, dtype: DType): TypedArray {
  return new dtypeInfo[dtype].array((buffer as ReferenceBuffer).data)
}
