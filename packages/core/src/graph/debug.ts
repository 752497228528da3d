import { environment } from '../environment.ts'
import { CotangentError, formatShape } from '../errors.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { formatTime } from '../text-table.ts'
import type { Specialization } from './compile.ts'
import { formatPlan, formatProgram } from './describe.ts'
import { explainSpecialization } from './explanation.ts'
import { formatGraph, type Graph, type Guard } from './graph.ts'
import type { Program } from './program.ts'

const variable = 'COTANGENT_DEBUG'

/** 0: silent; 1: a line for each program that `compile` makes; 2: its table too; 3: every stage of it. From `COTANGENT_DEBUG`. */
function debugLevel(): number {
  const wanted = environment(variable)
  if (wanted === undefined || wanted === '') return 0
  const level = Number(wanted)
  if (level === 0 || level === 1 || level === 2 || level === 3) return level
  throw new CotangentError('invalid-argument', {
    op: variable,
    message: `there is no level '${wanted}'`,
    hint: 'Set it to 0 (silent), 1 (a line a program), 2 (its operations too) or 3 (every stage).',
  })
}

/** Tells what becomes of a function while it is compiled. */
export class CompileLog {
  readonly #name: string
  readonly #level: number
  readonly #start = performance.now()
  #traced = this.#start
  #ops = 0

  /** Null unless `COTANGENT_DEBUG` asks for it. */
  static open(name: string): CompileLog | null {
    const level = debugLevel()
    return level > 0 ? new CompileLog(name || 'function', level) : null
  }

  private constructor(name: string, level: number) {
    this.#name = name
    this.#level = level
  }

  traced(graph: Graph): void {
    this.#traced = performance.now()
    this.#ops = graph.nodes.length
    if (this.#level >= 3) print(`-- ${this.#name}: graph\n${formatGraph(graph)}`)
  }

  readonly stage = (stage: string, program: Program): void => {
    if (this.#level >= 3) print(`-- ${this.#name} after ${stage}: ${program.operations.length} operations\n${formatProgram(program)}`)
  }

  /** @param others Programs that there were before, of the same key and in all. */
  made(
    made: Specialization,
    tensors: readonly Tensor[],
    others: { readonly same: readonly Specialization[]; readonly count: number; readonly traced: boolean },
  ): void {
    const now = performance.now()
    const { plan, program } = made.executable
    if (this.#level >= 3) print(`-- ${this.#name}: memory\n${formatPlan(plan)}`)
    const traced = others.traced ? `${this.#ops} ops traced in ${formatTime(this.#traced - this.#start)}` : 'follows from other sizes'
    const compiled = `${program.operations.length} operations compiled in ${formatTime(now - this.#traced)}`
    print(`compile ${this.#name}: ${reasonOf(tensors, others)}; ${traced}, ${compiled}`)
    if (this.#level >= 2) print(explainSpecialization(this.#name, made).toString())
  }
}

function reasonOf(tensors: readonly Tensor[], { same, count }: { same: readonly Specialization[]; count: number }): string {
  const shapes = tensors.map(({ dtype, shape }) => `${dtype} ${formatShape(shape)}`).join(', ')
  const failed = same.map(({ guards }) => guards.find(({ check }: Guard) => !check(tensors))?.what).filter((what) => what !== undefined)
  if (failed.length > 0) return `changed since: ${[...new Set(failed)].join(', ')}`
  return `${count === 0 ? 'first call' : `new arguments, program ${count + 1}`} (${shapes})`
}

function print(text: string): void {
  // oxlint-disable-next-line no-console -- asked for by the environment; stderr, so that a program's own output stays clean
  console.error(text)
}
