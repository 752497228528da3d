import { readWhole, writeWhole } from '../io/whole-file.node.ts'
import { exportProgram, type ExportOptions } from './export.ts'
import { type LoadedProgram, loadProgram, type LoadProgramOptions } from './loaded-program.ts'

/** Saves a function of tensors as a program; see `exportProgram`. The file is there as a whole or, on any failure, as it was before. */
export async function saveProgram<A extends readonly unknown[]>(
  path: string,
  f: (...args: A) => unknown,
  inputs: NoInfer<A>,
  options: ExportOptions = {},
): Promise<void> {
  await writeWhole(path, await exportProgram(f, inputs, options))
}

/** The program of a file; see `loadProgram`. */
export async function openProgram(path: string, options: LoadProgramOptions = {}): Promise<LoadedProgram> {
  return loadProgram(await readWhole(path), options)
}
