import type { DType } from '../dtype.ts'
import { dtypeInfo } from '../dtype.ts'
import { currentEngine } from '../engine/registry.ts'
import { CotangentError, formatBytes } from '../errors.ts'
import { type Body, Flow } from '../graph/control/flow.ts'
import { ProgramExecutable } from '../graph/executor.ts'
import type { Program } from '../graph/program.ts'
import { corruptFile, quoteName } from '../io/array-record.ts'
import { decodeSafetensors } from '../io/safetensors.ts'
import { tensorOf } from '../io/state.ts'
import { type Shape, sizeOf, type Spec } from '../layout.ts'
import { contiguous } from '../op/copy.ts'
import { modes } from '../tensor/modes.ts'
import { outsideScopes } from '../tensor/storage.ts'
import type { Tensor } from '../tensor/tensor.ts'
import type { Tree } from '../tree.ts'
import { encodeProgram } from './export.ts'
import { Field } from './field.ts'
import { formatName, type FormatVersion, formatVersions } from './format.ts'
import { HostReader, type HostState, hostStateFromFile, hostStateToFile } from './host-file.ts'
import { programFromFile } from './program-file.ts'
import { fillTree, matchTree, type SavedTree, treeFromFile } from './tree-file.ts'

/** What an argument or a result of a loaded program is. */
export interface TensorSpec {
  readonly dtype: DType
  readonly shape: Shape
}

export interface LoadProgramOptions {
  /** Bytes that tensors of the file and one run may take together at most. Default: 2 GiB. */
  readonly maxBytes?: number
}

/** Options of the parameters of an optimiser in a loaded training step; set them to change them, e.g. `group.options.lr = 0.01`. */
export interface ProgramGroup {
  /** The optimiser, e.g. `AdamW`. */
  readonly rule: string
  readonly options: Record<string, unknown>
}

/** A program from a file, with its own weights and state. */
export class LoadedProgram {
  /** As the exported function was called. */
  readonly name: string
  readonly #args: readonly SavedTree[]
  readonly #result: SavedTree
  readonly #executable: ProgramExecutable
  readonly #tensors: ReadonlyMap<string, Tensor>
  readonly #state: HostState
  readonly #host: HostReader
  readonly #text: string
  readonly #version: FormatVersion

  constructor(parts: {
    readonly name: string
    readonly args: readonly SavedTree[]
    readonly result: SavedTree
    readonly executable: ProgramExecutable
    readonly tensors: ReadonlyMap<string, Tensor>
    readonly state: HostState
    readonly host: HostReader
    readonly text: string
    readonly version: FormatVersion
  }) {
    this.name = parts.name
    this.#args = parts.args
    this.#result = parts.result
    this.#executable = parts.executable
    this.#tensors = parts.tensors
    this.#state = parts.state
    this.#host = parts.host
    this.#text = parts.text
    this.#version = parts.version
  }

  /** The arguments of `run`: trees with specs in the place of tensors. */
  get inputs(): readonly Tree<TensorSpec>[] {
    const { inputs } = this.#executable.program.graph
    return this.#args.map((tree) => fillTree(tree, (at) => specOf(inputs[at]!.spec)) as Tree<TensorSpec>)
  }

  /** What `run` gives: a tree with specs in the place of tensors. */
  get outputs(): Tree<TensorSpec> {
    const { outputs } = this.#executable.program.graph
    return fillTree(this.#result, (at) => specOf(outputs[at]!.spec)) as Tree<TensorSpec>
  }

  /** Weights and optimiser state by name. They are the program's own, which training changes; assign to them to change them. */
  stateDict(): Record<string, Tensor> {
    return Object.fromEntries(this.#tensors)
  }

  /** Options of the optimisers in a training step, one for each of their parameter groups. */
  get groups(): readonly ProgramGroup[] {
    return this.#state.groups
  }

  /**
   * Runs the program once: takes and gives the same trees as the exported function.
   *
   * @throws {CotangentError} `invalid-argument`, `shape-mismatch` or `dtype-mismatch` for arguments that differ from `inputs`.
   */
  run(...args: unknown[]): unknown {
    if (modes.tracer) {
      throw new CotangentError('unsupported', {
        op: 'run',
        message: 'a loaded program cannot be a part of another program that is being traced',
        hint: 'Run it outside of compile(), exportProgram() and function transformations.',
      })
    }
    const { engine, program } = this.#executable
    const tensors: Tensor[] = []
    if (args.length > this.#args.length) throw refused(`there are ${args.length} arguments instead of ${this.#args.length}`)
    this.#args.forEach((tree, i) =>
      matchTree(tree, args[i], `argument ${i}`, (at, x) => {
        const { spec } = program.graph.inputs[at]!
        checkArgument(x, spec, i)
        if (x.engine !== engine) throw refused(`argument ${i} lives on engine ${x.engine.name}, the program on ${engine.name}`)
        tensors[at] = contiguous(x.detach())
      }),
    )
    const outputs = this.#executable.run(tensors)
    return fillTree(this.#result, (at) => outputs[at])
  }

  /** The file again, with weights and state as they are now. */
  save(): Promise<Uint8Array<ArrayBuffer>> {
    this.#host.settle()
    const state = JSON.stringify(hostStateToFile(this.#state))
    return encodeProgram({ program: this.#text, state, version: this.#version, tensors: this.#tensors })
  }

  /** Gives its memory back; it cannot run any more. */
  dispose(): void {
    for (const x of this.#tensors.values()) x.dispose()
  }
}

const specOf = ({ dtype, shape }: Spec): TensorSpec => ({ dtype, shape })

const refused = (message: string) =>
  new CotangentError('invalid-argument', { op: 'run', message, hint: 'See the inputs of the loaded program.' })

function checkArgument(x: Tensor, { dtype, shape }: Spec, i: number): void {
  if (x.dtype !== dtype) {
    throw new CotangentError('dtype-mismatch', {
      op: 'run',
      message: `argument ${i} has another dtype than the program was exported with`,
      dtypes: [x.dtype, dtype],
      hint: `Cast it: x.cast('${dtype}').`,
    })
  }
  if (x.rank !== shape.length || shape.some((n, axis) => n !== x.shape[axis])) {
    throw new CotangentError('shape-mismatch', {
      op: 'run',
      message: `argument ${i} has another shape than the program was exported with`,
      shapes: [x.shape, shape],
      hint: 'Pad it, or export the function for this shape, too.',
    })
  }
}

/**
 * The program of a file that `exportProgram` wrote, on the current engine. Files may come from strangers: everything in them is
 * checked, and a program can only reach its own memory. How long it runs is for the file to say.
 *
 * @throws {CotangentError} `corrupt-file` that says what is wrong with the file; `unsupported` for another version of the format;
 *   `out-of-memory` for a program beyond `maxBytes`.
 */
export function loadProgram(bytes: Uint8Array, { maxBytes = 2 ** 31 }: LoadProgramOptions = {}): LoadedProgram {
  const { tensors: records, metadata } = decodeSafetensors(bytes)
  if (metadata.format !== formatName)
    throw corruptFile('loadProgram', 'this is no program', {
      hint: 'Load weights with loadSafetensors(), and checkpoints with decodeCheckpoint().',
    })
  const version = formatVersions.find((known) => String(known) === metadata.version)
  if (!version) {
    throw new CotangentError('unsupported', {
      op: 'loadProgram',
      message: `the file has version ${quoteName(metadata.version ?? '')} of the format, and this library reads versions ${formatVersions.join(', ')}`,
      hint: 'Update the library, or export the program anew.',
    })
  }
  const program = fieldOf(metadata.program, 'program').object([
    ...(['name', 'arguments', 'inputs', 'result', 'values', 'outputs', 'writes', 'programs', 'operations', 'host'] as const),
  ])
  const state = hostStateFromFile(fieldOf(metadata.state, 'state'))
  const tensors = new Map<string, Tensor>()
  try {
    return outsideScopes(() => {
      const find = (name: string): Tensor | undefined => {
        const record = records.get(name)
        if (record && !tensors.has(name)) tensors.set(name, tensorOf(name, record, 'loadProgram'))
        return tensors.get(name)
      }
      const host = new HostReader(state, find)
      const named = new Set<string>()
      /** Each tensor is one value of the program, or of a body. */
      const take = (name: string) => (named.has(name) ? undefined : named.add(name) && find(name))
      const made = programFromFile(program, { tensorOf: take, host })
      const unused = [...records.keys()].find((name) => !named.has(name))
      if (unused !== undefined) throw corruptFile('loadProgram', `tensor ${quoteName(unused)} belongs to nothing`)
      const args = numbered(program.inputs.list(1000), made.graph.inputs.length)
      const [result] = numbered([program.result], made.graph.outputs.length)
      const executable = executableOf(made, bytes.length, maxBytes)
      const text = metadata.program!
      return new LoadedProgram({ name: program.name.text(), args, result: result!, executable, tensors, state, host, text, version })
    })
  } catch (error) {
    for (const x of tensors.values()) x.dispose()
    throw error
  }
}

function executableOf(program: Program, fileBytes: number, maxBytes: number): ProgramExecutable {
  const bytesOf = (dtype: DType, size: number) => size * dtypeInfo[dtype].size
  const programs = [program, ...bodiesOf(program).map((body) => body.program)]
  // Routines may bring their operands into another layout first.
  const sizes = programs.flatMap(({ operations }) =>
    operations.flatMap(({ program: code, outputs }) => [
      ...outputs.map(({ value }) => bytesOf(value.dtype, value.size)),
      ...(code.kind === 'routine' ? code.inputs.map(({ dtype, shape }) => bytesOf(dtype, sizeOf(shape))) : []),
    ]),
  )
  const largest = sizes.reduce((a, b) => Math.max(a, b), 0)
  const engine = currentEngine()
  let executables: readonly ProgramExecutable[] = []
  if (largest <= maxBytes) {
    try {
      executables = [new ProgramExecutable(engine, program), ...bodiesOf(program).map((body) => body.executable(engine))]
    } catch (cause) {
      if (cause instanceof CotangentError) throw cause
      throw corruptFile('loadProgram', `the program cannot be prepared: ${cause instanceof Error ? cause.message : String(cause)}`, {
        cause,
      })
    }
  }
  const [executable] = executables
  const needed = executable
    ? fileBytes +
      executables.reduce((sum, { plan }) => sum + plan.arenaBytes, 0) +
      executable.plan.results.reduce((sum, value) => sum + bytesOf(value.dtype, value.size), 0)
    : largest
  if (needed > maxBytes || !executable) {
    throw new CotangentError('out-of-memory', {
      op: 'loadProgram',
      message: `the program takes ${formatBytes(needed)}, more than the ${formatBytes(maxBytes)} that are allowed`,
      hint: 'Give loadProgram a larger maxBytes if you trust the file.',
    })
  }
  return executable
}

/** What control flow in a program runs, that within it included. */
const bodiesOf = ({ operations }: Program): Body[] =>
  operations.flatMap(({ program }) => (program instanceof Flow ? program.bodies.flatMap((body) => [body, ...bodiesOf(body.program)]) : []))

/** Trees in which each of `count` tensors stands once, in order. */
function numbered(fields: readonly Field[], count: number): SavedTree[] {
  const trees = fields.map((field) => treeFromFile(field, count))
  let next = 0
  for (const tree of trees) {
    fillTree(tree, (at) => {
      if (at !== next++) throw corruptFile('loadProgram', `tensor ${at} of the arguments or the result is not in its place`)
    })
  }
  if (next !== count) throw corruptFile('loadProgram', `the arguments or the result lack ${count - next} tensors`)
  return trees
}

function fieldOf(text: string | undefined, path: string): Field {
  if (text === undefined) throw corruptFile('loadProgram', `the file has no ${path}`)
  try {
    return new Field(JSON.parse(text), path)
  } catch (cause) {
    throw corruptFile('loadProgram', `${path} is not JSON`, { cause })
  }
}
