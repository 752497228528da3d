import { userLine } from '../autograd/anomaly.ts'
import type { Control } from '../engine/control.ts'
import type { Program as EngineProgram } from '../engine/engine.ts'
import { formatBytes, formatShape } from '../errors.ts'
import { isLive, type Value } from './graph.ts'
import { bytesOf, type MemoryPlan } from './memory.ts'
import type { Operation, Origin, Program } from './program.ts'

/** The ops that an operation was made of, repeated ones counted: `linear`, `relu+mul`, `sgd x6`. */
export function nameOf(origins: readonly Origin[], program: EngineProgram | Control): string {
  if (origins.length === 0) return program.name
  const counts = new Map<string, number>()
  for (const { name } of origins) counts.set(name, (counts.get(name) ?? 0) + 1)
  return [...counts].map(([name, count]) => (count > 1 ? `${name} x${count}` : name)).join(' + ')
}

/** The space that a program works over: `[16, 32]`, `[16 | 32]` where the axes behind the bar are reduced. */
export function spaceOf(program: EngineProgram | Control): string {
  if (program.kind !== 'kernel') return formatShape(program.outputs[0]?.shape ?? [])
  const { parallel, reduce } = program
  return reduce.length === 0 ? formatShape(parallel) : `[${parallel.join(', ')} | ${reduce.join(', ')}]`
}

/** `train.ts:12`, of the line of the user's that an op was called from. */
export function lineOf({ at }: Origin): string {
  const line = userLine(at.stack)
  return /([^/\\(]+?):(\d+):\d+\)?$/.exec(line)?.slice(1, 3).join(':') ?? line
}

/** The values of a program as people call them: `argument 0`, `parameter (512)`, `%7`. */
function valueName({ id, size, source }: Value): string {
  if (source.kind === 'argument') return `argument ${source.index}`
  if (source.kind === 'captured') return `memory %${id} (${size})`
  if (source.kind === 'gradient') return `.grad ${formatShape(source.of.shape)}`
  return `%${id}`
}

/** One line an operation: `0: matmul [16, 32] (argument 0, memory %1 (256)) -> %4 float32 (512)`. */
export function formatProgram({ operations }: Program): string {
  return operations.map((operation, i) => `${i}: ${formatOperation(operation)}`).join('\n')
}

function formatOperation({ program, inputs, outputs, numbers, origins }: Operation): string {
  const given = [
    ...inputs.map(({ value, offset }) => (offset === 0 ? valueName(value) : `${valueName(value)}@${offset}`)),
    ...numbers.map((x) => (isLive(x) ? `number ${x.lift}.${x.index}` : String(x.value))),
  ]
  const made = outputs.map(({ value, offset }) => `%${value.id}${offset ? `@${offset}` : ''} ${value.dtype} (${value.size})`)
  const epilogue = program.kind === 'routine' && program.epilogue ? ' with epilogue' : ''
  return `${program.kind} ${nameOf(origins, program)}${epilogue} ${spaceOf(program)} (${given.join(', ')}) -> ${made.join(', ')}`
}

/** Where each value lies in working memory, by address; then what has memory of its own. */
export function formatPlan({ arenaBytes, arena, results, inPlace, copies }: MemoryPlan): string {
  const placed = [...arena].sort(([, a], [, b]) => a - b)
  return [
    `working memory: ${formatBytes(arenaBytes)}`,
    ...placed.map(([value, start]) => `  ${start}..${start + bytesOf(value)}: ${valueName(value)} ${value.dtype} (${value.size})`),
    ...results.map((value) => `result ${valueName(value)} ${value.dtype} (${value.size})`),
    ...[...inPlace].map(([value, memory]) => `${valueName(value)} in place of ${valueName(memory)}`),
    ...[...copies].map(([memory, value]) => `${valueName(value)} copied to ${valueName(memory)}`),
  ].join('\n')
}

/** An executable's steps with the operations that they are; those that only move data have none. */
export function stepsWithOrigins(
  steps: readonly Pick<Operation, 'program'>[],
  operations: readonly Operation[],
): { readonly program: EngineProgram | Control; readonly operation: Operation | undefined }[] {
  return steps.map(({ program }, i) => ({ program, operation: operations[i]?.program === program ? operations[i] : undefined }))
}
