import { type DType, dtypeInfo, type TypedArray } from '../src/dtype.ts'
import type { Engine, Program } from '../src/engine/engine.ts'
import { loadElement, type Num, storeElement } from '../src/engine/reference/storage.ts'
import { type Operand, routine, type RoutineAttrs, type RoutineName } from '../src/engine/routine.ts'
import { rowMajor, sizeOf } from '../src/layout.ts'
// Brings the code of all routines.
import '../src/routines.ts'
import '../src/sequences.ts'

/** Values as they lie in memory: an input of `runProgram`, with elements that the program must not count before `offset`. */
export interface TestInput {
  readonly values: readonly Num[]
  readonly offset?: number
}

/** For tests of engines: runs a program once on fresh buffers and returns the elements of each output in memory order. */
export function runProgram(
  engine: Engine,
  program: Program,
  inputs: readonly (TestInput | readonly Num[])[],
  scalars: readonly number[] = [],
): Num[][] {
  const given = inputs.map((input) => (Array.isArray(input) ? { values: input as readonly Num[] } : (input as TestInput)))
  const outputs =
    program.kind === 'kernel' ? kernelOutputs(program) : program.outputs.map(({ dtype, shape }) => ({ dtype, size: sizeOf(shape) }))
  const dtypes = program.kind === 'kernel' ? program.inputs : program.inputs.map((o) => o.dtype)
  const sources = given.map(({ values }, i) => {
    const dtype = dtypes[i]!
    const buffer = engine.allocate(values.length * dtypeInfo[dtype].size)
    engine.write(buffer, dtype, 0, encode(values, dtype))
    return buffer
  })
  const results = outputs.map(({ dtype, size }) => engine.allocate(size * dtypeInfo[dtype].size))
  engine.prepare(program).run([...sources, ...results], [...given.map((g) => g.offset ?? 0), ...results.map(() => 0)], scalars)
  const decoded = outputs.map(({ dtype, size }, o) => decode(engine.readSync(results[o]!, dtype, 0, size), dtype))
  for (const buffer of [...sources, ...results]) engine.free(buffer)
  return decoded
}

/** A row-major operand. */
export const dense = (dtype: DType, shape: readonly number[]): Operand => ({ dtype, shape, strides: rowMajor(shape) })

/** Runs one routine on the values of its inputs. */
export function runRoutine<N extends RoutineName>(
  engine: Engine,
  name: N,
  attrs: RoutineAttrs[N],
  inputs: readonly (readonly [Operand, TestInput | readonly Num[]])[],
  ...outputs: Operand[]
): Num[][] {
  return runProgram(
    engine,
    routine(
      name,
      attrs,
      inputs.map(([o]) => o),
      outputs,
    ),
    inputs.map(([, values]) => values),
  )
}

/** Small integers that look random. */
export const small = (seed: number, size: number): number[] =>
  Array.from({ length: size }, (_, i) => ((((seed + i) * 2654435761) >>> 7) % 19) - 9)

export function encode(values: readonly Num[], dtype: DType): TypedArray {
  const array = new dtypeInfo[dtype].array(values.length)
  values.forEach((value, i) => storeElement(array, dtype, i, value))
  return array
}

export function decode(array: TypedArray, dtype: DType): Num[] {
  return Array.from({ length: array.length }, (_, i) => loadElement(array, dtype, i))
}

function kernelOutputs({ parallel, reduce, outputs }: Extract<Program, { kind: 'kernel' }>): { dtype: DType; size: number }[] {
  const extents = [...parallel, ...reduce]
  return outputs.map(({ dtype, strides }) => {
    const empty = extents.some((n, axis) => n === 0 && (axis < parallel.length || strides[axis] !== 0))
    return { dtype, size: empty ? 0 : extents.reduce((span, n, axis) => span + (n === 0 ? 0 : (n - 1) * strides[axis]!), 1) }
  })
}
