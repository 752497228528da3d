import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import type { DType } from 'cotangent'

/** A tensor as oneDNN sees it; C++: `Tensor`. */
export interface NativeTensor {
  /** Of `dataTypes`. */
  readonly type: number
  readonly dims: readonly number[]
  readonly strides: readonly number[]
  /** Strides of the layout to work on, where it is not the given one; empty: oneDNN chooses. */
  readonly wanted: readonly number[] | undefined
  /** Of `dataTypes`: what to work on, where it is another one. */
  readonly wantedType?: number | undefined
  /** Which word of a run's block holds the address. */
  readonly word: number
}

export interface NativePostOp {
  /** Of `algorithms`. */
  readonly algorithm: number
  readonly operand: NativeTensor
  /** The operand is this one of the run's params instead of memory. */
  readonly param: number | undefined
  /** The operand is this number. */
  readonly value: number | undefined
}

export const algorithms = { add: 0, sub: 1, mul: 2, div: 3 } as const

export const dataTypes: Partial<Record<DType, number>> = { float32: 0, bfloat16: 1, int8: 2, uint8: 3, int32: 4 }

export const kinds = { matmul: 0, conv: 1, convGradInput: 2, convGradWeight: 3 } as const

export const cells = { lstm: 0, gru: 1, tanh: 2, relu: 3 } as const

/** A recurrent layer or its gradient; C++: `RecurrentDescription`. */
export interface NativeRecurrent {
  /** Of `cells`. */
  readonly cell: number
  readonly gradient: boolean
  readonly reverse: boolean
  /** In the routine's order, which is that of the words of a block; one more word is that of the scratch memory. */
  readonly operands: readonly NativeTensor[]
  readonly inputs: number
  readonly threads: number
}

/** One of attention's operands. */
interface NativeMatrix {
  /** Of `matrixTypes`. */
  readonly type: number
  /** Of the batch axes, then of rows and columns. */
  readonly strides: readonly number[]
}

/** What attention is made of; `bool` is for masks only. */
export const matrixTypes: Partial<Record<DType, number>> = { float32: 0, bfloat16: 1, bool: 2 }

/** Attention or its gradient; C++: `AttentionDescription`. */
export interface NativeAttention {
  readonly backward: boolean
  readonly causal: boolean
  readonly scale: number
  readonly batch: readonly number[]
  /** Queries, keys, numbers of each of these, numbers of each value. */
  readonly sizes: readonly [number, number, number, number]
  /** In the routine's order, which is that of the words of a block, undefined where there is no mask; one more word is that of the scratch memory. */
  readonly operands: readonly (NativeMatrix | undefined)[]
  readonly threads: number
}

export const operators = { add: 0, sub: 1, mul: 2, div: 3, max: 4, min: 5 } as const

export const extents = { dense: 0, column: 1, one: 2 } as const

/** What is done to the result of a convolution; C++: `ConvolutionDescription::Operation`. */
export interface NativeOperation {
  /** Of `operators`. */
  readonly operator: number
  /** Of `extents`. */
  readonly extent: number
  /** The operand is in memory, or it is this param of the run, or this number. */
  readonly word: number | undefined
  readonly param: number | undefined
  readonly value: number | undefined
}

type Three = readonly [number, number, number]

/** A convolution for the addon's own code; C++: `ConvolutionDescription`. */
export interface NativeConvolution {
  /** Batch, channels in (of a group) and out. */
  readonly channels: Three
  /** Of the spatial axes. */
  readonly in: Three
  readonly out: Three
  readonly kernel: Three
  readonly stride: Three
  readonly before: Three
  readonly dilation: Three
  /** Of the input, in elements: pictures, planes, rows, pixels. */
  readonly steps: readonly [number, number, number, number]
  readonly depthwise: boolean
  readonly operations: readonly NativeOperation[]
  /** Which words of a run's block hold the addresses. */
  readonly x: number
  readonly weights: number
  readonly y: number
  /** Of a block: an address for each operand, one for the scratch memory, and, unless it is depthwise, one for the packed weights. */
  readonly words: number
  readonly threads: number
}

/** Rows times a matrix; C++: `FewRowsDescription`. */
export interface NativeFewRows {
  readonly fewRows: {
    /** Rows, numbers of each, columns of the matrix. */
    readonly sizes: Three
    /** From row to row and from number to number, in elements. */
    readonly x: readonly [number, number]
    /** From row to row of the result. */
    readonly y: number
    /** From one contiguous row of the matrix to the next, or, if `turned`, from column to column. */
    readonly step: number
    readonly turned: boolean
    /** Which words of a run's block hold the addresses; behind them those of the bias, if there is one, the result and the scratch memory. */
    readonly words: { readonly x: number; readonly matrix: number }
    readonly bias: boolean
    readonly threads: number
  }
}

/** What `prepare` takes. */
export type NativeDescription =
  | NativeProduct
  | { readonly recurrent: NativeRecurrent }
  | { readonly attention: NativeAttention }
  | { readonly convolution: NativeConvolution }
  | NativeFewRows

/** What a routine is in oneDNN's terms; C++: `Description`. */
export interface NativeProduct {
  readonly kind: (typeof kinds)[keyof typeof kinds]
  readonly src: NativeTensor
  readonly weights: NativeTensor
  readonly dst: NativeTensor
  readonly bias: NativeTensor | undefined
  readonly window:
    | {
        readonly strides: readonly number[]
        /** Counted from 0. */
        readonly dilates: readonly number[]
        readonly before: readonly number[]
        readonly after: readonly number[]
      }
    | undefined
  readonly postOps: readonly NativePostOp[]
  /** Of a block: an address for each operand and one for the scratch memory. */
  readonly words: number
  readonly threads: number
  /** How many of oneDNN's implementations to pass over, of those that it has for this. */
  readonly implementation: number
}

/** What only the binary can hold. */
export type Handle = object

/** Changes with what `prepare` and `run` take; addon.cc has the same. */
const protocol = 10

/** The oneDNN that the addon is linked to, and what it makes of this machine. */
export interface LibraryInfo {
  /** Of oneDNN. */
  readonly version: string
  readonly threading: 'openmp' | 'tbb' | 'threadpool' | 'sequential'
  /** The best that this machine and the library have in common. */
  readonly instructionSet: string
  /** Whether the number of threads can be set. */
  readonly threadsAdjustable: boolean
  /** Whether it computes on the threads of the engine that it works for. */
  readonly threadsShared: boolean
}

export interface PreparedRoutine {
  readonly handle: Handle
  readonly scratchBytes: number
  /** What oneDNN calls its code. */
  readonly implementation: string
  /** An operand that may be given packed as well: its word, and the bytes of that and of the scratch memory that is needed then. */
  readonly packed?: { readonly input: number; readonly bytes: number; readonly scratchBytes: number }
}

/** The addon's functions. */
export interface Binding {
  attach(memory: Uint8Array): Handle
  /** Undefined where oneDNN has no fast code for it. */
  prepare(description: NativeDescription): PreparedRoutine | undefined
  /** Frees what `prepare` made; it must not run again. */
  release(routine: Handle): void
  /** Packs what `packed` says, from one address on the heap to another. */
  pack(heap: Handle, routine: Handle, source: number, target: number, bytes: number): void
  /** The number by which `assist` knows who works on this heap. */
  team(heap: Handle): number
  /** In a session, which counts up, threads may `assist`, of which so many are on their way besides those that are there. */
  run(heap: Handle, routine: Handle, block: number, bytes: number, session?: number, helpers?: number): void
  /**
   * Helps with what the team runs until the lowest bit of the word at the address `open` is cleared, or nothing has come behind this session for
   * `wait` microseconds; the first three numbers are an engine's affair.
   */
  assist(begin: number, end: number, thread: number, open: number, wait: number, team: number, session: number): void
  info(): LibraryInfo
  /** Watches objects of JavaScript. */
  watcher(): Handle
  /** The number of the object, until it is gone or forgotten. */
  watch(watcher: Handle, object: object): number
  forget(watcher: Handle, number: number): void
  /** The numbers of those that have gone since this was last asked. */
  gone(watcher: Handle): number[]
  readonly protocol: number
}

export interface LoadedBinding {
  readonly binding: Binding
  readonly file: string
}

const buildName = 'cotangent-native.node'

/** Where the addon may be, best first: the platform's own package, then what was built here. */
function candidates(): string[] {
  const require = createRequire(import.meta.url)
  const found: string[] = []
  if (process.env.COTANGENT_NATIVE_BINARY !== undefined) return [process.env.COTANGENT_NATIVE_BINARY]
  try {
    found.push(require.resolve(`@cotangent/native-${process.platform}-${process.arch}/${buildName}`))
  } catch {
    // No such package: the usual case where the addon was built from source.
  }
  const own = join(dirname(require.resolve('@cotangent/native/package.json')), 'build', buildName)
  if (existsSync(own)) found.push(own)
  return found
}

let loaded: LoadedBinding | undefined

/**
 * The addon, loaded once.
 * @throws Error with one line that says what is missing and what to do.
 */
export function loadBinding(): LoadedBinding {
  if (loaded) return loaded
  const files = candidates()
  if (files.length === 0) {
    throw new Error(
      'its addon is not built; install a C++ compiler and oneDNN (Debian, Ubuntu: apt install g++ libdnnl-dev; macOS: brew install onednn), then run: npm rebuild @cotangent/native',
    )
  }
  const failures: string[] = []
  for (const file of files) {
    try {
      const binding = restingThreads(() => createRequire(import.meta.url)(file) as Binding)
      if (binding.protocol !== protocol) throw new Error('it was built from other sources than this package')
      binding.info()
      loaded = { binding, file }
      return loaded
    } catch (error) {
      failures.push(firstSentence(error))
    }
  }
  throw new Error(`its addon does not load (${failures.join('; ')}); run: npm rebuild @cotangent/native`)
}

/** Node says some things over several lines, and others with a list of who asked. */
function firstSentence(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error)
  return message.split(/\nRequire stack|\.\s/, 1)[0]!.replaceAll('\n', ' ')
}

/**
 * OpenMP's threads would keep their cores for milliseconds after each piece of work, which the Wasm engine's threads need then, and
 * other programs. Some 60 microseconds are enough for pieces that follow one another. The runtime reads its settings when it is
 * loaded, so they are set while `load` runs; the user's own stay.
 */
function restingThreads<T>(load: () => T): T {
  const { env } = process
  const unset = Object.entries({ GOMP_SPINCOUNT: '1000', KMP_BLOCKTIME: '0' }).filter(
    ([name]) => env[name] === undefined && env.OMP_WAIT_POLICY === undefined,
  )
  for (const [name, value] of unset) env[name] = value
  try {
    return load()
  } finally {
    for (const [name] of unset) delete env[name]
  }
}
