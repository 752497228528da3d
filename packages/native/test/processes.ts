import { execFile } from 'node:child_process'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'

/** Runs a program in a process of its own; what it prints. */
export async function run(
  program: string,
  env: Record<string, string> = {},
  extension = 'ts',
): Promise<{ stdout: string; stderr: string }> {
  const file = join(import.meta.dirname, `program-${process.pid}-${Math.random().toString(36).slice(2)}.${extension}`)
  writeFileSync(file, program)
  try {
    return await promisify(execFile)(process.execPath, [...process.execArgv, file], {
      env: { ...process.env, COTANGENT_NATIVE: 'all', NODE_OPTIONS: '', ...env },
    })
  } finally {
    rmSync(file)
  }
}

export const multiply = `
import { tensor } from 'cotangent'
const y = tensor([[1, 2], [3, 4]]).matmul(tensor([[5, 6], [7, 8]]))
console.log(JSON.stringify(y.toArray()))
`
