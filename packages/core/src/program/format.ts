import type { DType } from '../dtype.ts'
import type { Combiner, ScalarType } from '../engine/scalar.ts'
import type { SavedScheduler } from '../optim/schedulers/saved-scheduler.ts'

// The JSON of a program file; docs/program-format.md is its norm.

export const formatName = 'cotangent.program'
/** The versions that this library reads. It writes the lowest that a program fits in. */
export const formatVersions = [1, 2] as const
export type FormatVersion = (typeof formatVersions)[number]

/** What files may ask for at most. */
export const limits = {
  operations: 20_000,
  values: 100_000,
  nodes: 20_000,
  rank: 32,
  /** Of strides, so that bytes are counted in 32 bits. */
  stride: 2 ** 28 - 1,
  /** Points of an index space, and multiplications of a routine. */
  points: 2 ** 45,
  depth: 64,
  /** In a file, and within each other. */
  schedulers: 1000,
  text: 10_000,
} as const

/** A number as JSON has it, or as text where JSON has none: `NaN`, `Infinity`, `-Infinity`, `-0`; integers beyond 2^53. */
export type NumberFile = number | string

export type TreeFile =
  | { readonly tensor: number }
  | { readonly list: readonly TreeFile[] }
  | { readonly object: readonly (readonly [string, TreeFile])[] }
  | { readonly constant: string | boolean | null }
  | { readonly number: NumberFile }
  | { readonly undefined: true }

interface SpecFile {
  readonly dtype: DType
  readonly shape: readonly number[]
}

export interface ValueFile {
  readonly dtype: DType
  readonly size: number
  readonly argument?: number
  readonly tensor?: string
  readonly of?: number
}

export type NodeFile =
  | { readonly op: 'const'; readonly type: ScalarType; readonly value: NumberFile }
  | { readonly op: 'param'; readonly type: ScalarType; readonly index: number }
  | { readonly op: 'index'; readonly type: 'int32'; readonly axis: number }
  | {
      readonly op: 'load'
      readonly type: ScalarType
      readonly input: number
      readonly offset: number
      readonly strides: readonly number[]
    }
  | {
      readonly op: string
      readonly type: ScalarType
      readonly args: readonly number[]
      readonly input?: number
      readonly combine?: Combiner
      readonly dtype?: DType
    }

export interface KernelFile {
  readonly name: string
  readonly parallel: readonly number[]
  readonly reduce: readonly number[]
  readonly inputs: readonly DType[]
  readonly params: readonly ScalarType[]
  readonly nodes: readonly NodeFile[]
  readonly outputs: readonly { readonly dtype: DType; readonly node: number; readonly strides: readonly number[] }[]
}

interface OperandFile extends SpecFile {
  readonly strides: readonly number[]
}

export interface RoutineFile {
  readonly routine: string
  readonly attrs: object
  readonly inputs: readonly OperandFile[]
  readonly outputs: readonly OperandFile[]
  readonly epilogue?: KernelFile
}

/** What a branch is or a loop repeats. Its arguments are what its flow gives it, and each of its outputs is memory that it makes. */
export type BodyFile = Pick<ProgramFile, 'arguments' | 'values' | 'outputs' | 'writes' | 'programs' | 'operations' | 'host'>

export interface FlowFile {
  readonly flow: string
  /** All plain data of the flow; see `control/`. */
  readonly data: object
  readonly bodies: readonly BodyFile[]
}

/** A value and the elements to skip there. */
export type PlaceFile = readonly [value: number, offset: number]

interface OperationFile {
  /** Among the programs. */
  readonly program: number
  readonly inputs: readonly PlaceFile[]
  readonly outputs: readonly PlaceFile[]
  readonly numbers: readonly (NumberFile | { readonly host: number; readonly index: number })[]
}

export type HostFile =
  | { readonly kind: 'random'; readonly generator: number }
  | { readonly kind: 'rule'; readonly group: number; readonly counter: number; readonly dtype: DType; readonly names: readonly string[] }
  | { readonly kind: 'count'; readonly counter: number; readonly skip?: string }
  | { readonly kind: 'settle'; readonly skip: string }
  | { readonly kind: 'schedule'; readonly scheduler: number }
  | { readonly kind: 'given'; readonly argument: number; readonly first: number; readonly count: number }

/** What changes between runs besides tensors. */
export interface HostStateFile {
  readonly generators: readonly { readonly seed: string; readonly calls: number }[]
  readonly groups: readonly { readonly rule: string; readonly options: Readonly<Record<string, unknown>>; readonly initialLr?: number }[]
  readonly counters: readonly Readonly<Record<string, NumberFile>>[]
  readonly schedulers?: readonly (SavedScheduler & { readonly groups: readonly number[] })[]
}

export interface ProgramFile {
  readonly name: string
  readonly arguments: readonly SpecFile[]
  readonly inputs: readonly TreeFile[]
  readonly result: TreeFile
  readonly values: readonly ValueFile[]
  readonly outputs: readonly {
    readonly value: number
    readonly offset: number
    readonly shape: readonly number[]
    readonly strides: readonly number[]
  }[]
  /** Memory, and the value that it holds in the end. */
  readonly writes: readonly (readonly [memory: number, value: number])[]
  readonly programs: readonly (KernelFile | RoutineFile | FlowFile)[]
  readonly operations: readonly OperationFile[]
  readonly host: readonly HostFile[]
}

export function numberToFile(x: number | bigint): NumberFile {
  if (typeof x === 'bigint') return Number.isSafeInteger(Number(x)) ? Number(x) : String(x)
  return Number.isFinite(x) && !Object.is(x, -0) ? x : Object.is(x, -0) ? '-0' : String(x)
}

const firstRoutines = /* @__PURE__ */ 'matmul conv convGradInput convGradWeight maxPool maxPoolGrad fold sort scatter cumulative'.split(' ')

/** The lowest version of the format that has all that a program uses. */
export function versionOf({ programs, host }: ProgramFile, { groups, schedulers }: HostStateFile): FormatVersion {
  const isFirst =
    !schedulers &&
    groups.every(({ initialLr }) => initialLr === undefined) &&
    programs.every((program) => !('flow' in program) && (!('routine' in program) || firstRoutines.includes(program.routine))) &&
    host.every((step) => ['random', 'rule'].includes(step.kind) || (step.kind === 'count' && step.skip === undefined))
  return isFirst ? 1 : 2
}
