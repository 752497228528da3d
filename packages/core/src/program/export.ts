import type { DType } from '../dtype.ts'
import { currentEngine } from '../engine/registry.ts'
import { CotangentError } from '../errors.ts'
import type { Value } from '../graph/graph.ts'
import { lower } from '../graph/lower.ts'
import { optimize } from '../graph/passes.ts'
import { isTensor, trace } from '../graph/trace.ts'
import { quoteName } from '../io/array-record.ts'
import { encodeSafetensors } from '../io/safetensors.ts'
import { recordsOf } from '../io/state.ts'
import { isContiguous, spec as specOf } from '../layout.ts'
import type { Storage } from '../tensor/storage.ts'
import { Tensor } from '../tensor/tensor.ts'
import { leavesOf, mapTree } from '../tree.ts'
import { formatName, type FormatVersion, type ProgramFile, versionOf } from './format.ts'
import { hostStateToFile, HostWriter } from './host-file.ts'
import { programToFile } from './program-file.ts'
import { treeToFile } from './tree-file.ts'

/** Whatever has state with tensors: a module, an optimiser. */
interface HasState {
  stateDict(): unknown
}

/** What an exported program calls its tensors, and what of them it may take for constants. */
export interface ExportOptions {
  /**
   * Modules, optimisers and trees of tensors that the function uses, by name. It gives the tensors of the file their names, such
   * as `model.0.weight`; those that are not found in it are called `constant.0`, `constant.1`, ...
   */
  readonly state?: Readonly<Record<string, HasState | Tensor | object>>
  /** Takes weights that the function does not change as constants, and computes what follows from them once and for all. Default false. */
  readonly freeze?: boolean
  /** What the program is called. Default: as the function. */
  readonly name?: string
}

/**
 * A function of tensors as one file: the fused program with the weights, optimiser state, learning rates and random state that
 * it uses, which `loadProgram` runs without the function's code. Whole training steps can be exported, too:
 *
 *     const bytes = await exportProgram((x: Tensor) => model.forward(x), [x], { state: { model } })
 *
 * The function is traced as `compile` does, with arguments of the shapes and dtypes of `inputs`; their numbers do not matter, and
 * nothing outside changes. `.grad`s that it leaves behind are no part of the program. The format is in docs/program-format.md.
 *
 * @throws {CotangentError} `invalid-argument` for arguments or results that are no trees of tensors and plain values;
 *   `unsupported` for what a file cannot hold: `print`, schedulers made with functions, gradients that add to ones from
 *   before, and writes into arguments.
 */
export async function exportProgram<A extends readonly unknown[]>(
  f: (...args: A) => unknown,
  inputs: NoInfer<A>,
  options: ExportOptions = {},
): Promise<Uint8Array<ArrayBuffer>> {
  const tensors = leavesOf(inputs, isTensor)
  const args = inputs.map((tree, i) => {
    let next = leavesOf(inputs.slice(0, i), isTensor).length
    return treeToFile(tree, () => next++, `argument ${i}`)
  })
  const { graph: traced, result } = trace(
    (...placeholders) => {
      let next = 0
      return f(...(mapTree(inputs, isTensor, () => placeholders[next++]!) as unknown as A))
    },
    tensors.map(({ spec, requiresGrad }) => ({ spec: specOf(spec.dtype, spec.shape), requiresGrad, grad: null })),
  )
  const engine = tensors[0]?.engine ?? currentEngine()
  const program = optimize(lower({ ...traced, gradients: new Map() }), { engine, frozen: options.freeze ?? false })
  const names = new Names(options.state ?? {})
  const captured = new Map<string, Tensor>()
  const nameOf = (value: CapturedMemory): string => {
    const { name, tensor } = names.of(value)
    captured.set(name, tensor)
    return name
  }
  const host = new HostWriter(({ storage, dtype, size }) => nameOf({ storage, dtype, size }))
  let output = 0
  const file: ProgramFile = {
    name: options.name ?? f.name,
    inputs: args,
    result: treeToFile(result, () => output++, 'the result'),
    ...programToFile(program, { nameOf: capturedBy(nameOf), host, engine }),
  }
  const state = hostStateToFile(host.state)
  return encodeProgram({ program: JSON.stringify(file), state: JSON.stringify(state), version: versionOf(file, state), tensors: captured })
}

const capturedBy =
  (nameOf: (memory: CapturedMemory) => string) =>
  ({ source, dtype, size }: Value): string => {
    if (source.kind !== 'captured') throw new TypeError('only captured values have names')
    return nameOf({ storage: source.storage, dtype, size })
  }

interface CapturedMemory {
  readonly storage: Storage
  readonly dtype: DType
  /** Elements. */
  readonly size: number
}

interface EncodedProgram {
  /** JSON of a `ProgramFile`. */
  readonly program: string
  /** JSON of a `HostStateFile`. */
  readonly state: string
  readonly version: FormatVersion
  readonly tensors: Iterable<readonly [string, Tensor]>
}

export async function encodeProgram({ program, state, version, tensors }: EncodedProgram): Promise<Uint8Array<ArrayBuffer>> {
  const records = await recordsOf([...tensors])
  return encodeSafetensors(records, { format: formatName, version: String(version), program, state })
}

/** Names for captured memory. */
class Names {
  readonly #tensors = new Map<object, { readonly name: string; readonly tensor: Tensor }>()
  readonly #taken = new Set<string>()
  #constants = 0

  constructor(state: object) {
    this.#enter(state, '')
  }

  of({ storage, dtype, size }: CapturedMemory): { readonly name: string; readonly tensor: Tensor } {
    const known = this.#tensors.get(storage)
    if (known && known.tensor.size === size && known.tensor.offset === 0 && isContiguous(known.tensor.shape, known.tensor.spec.strides))
      return known
    let name = known?.name
    while (name === undefined) {
      const constant = `constant.${this.#constants++}`
      if (!this.#taken.has(constant)) name = constant
    }
    const made = { name, tensor: new Tensor(specOf(dtype, [size]), storage, 0) }
    this.#tensors.set(storage, made)
    return made
  }

  #enter(part: unknown, path: string): void {
    if (part instanceof Tensor) {
      if (part.isTracer || this.#tensors.has(part.storage)) return
      if (this.#taken.has(path)) {
        throw new CotangentError('invalid-argument', {
          op: 'exportProgram',
          message: `two tensors of the state are called ${quoteName(path)}`,
          hint: 'Rename one of them.',
        })
      }
      this.#taken.add(path)
      this.#tensors.set(part.storage, { name: path, tensor: part })
    } else if (typeof part === 'object' && part !== null) {
      const tree = 'stateDict' in part && typeof part.stateDict === 'function' ? (part as HasState).stateDict() : part
      for (const [key, inner] of Object.entries(tree as object)) this.#enter(inner, path ? `${path}.${key}` : key)
    }
  }
}
