import { CotangentError } from '../../errors.ts'
import { ByteWriter } from './byte-writer.ts'
import { FunctionBuilder, type FunctionRef, type Global, type ValueType, valueTypeCode } from './function-builder.ts'

export {
  FunctionBuilder,
  type FunctionRef,
  type Global,
  type Label,
  type LaneShape,
  type Local,
  type ValueType,
} from './function-builder.ts'

interface MemoryImport {
  /** Pages of 64 KiB. A module accepts every memory that has at least `min` pages and whose `max` is not above its own. */
  min?: number
  max?: number
  shared?: boolean
}

interface FunctionType {
  params: readonly ValueType[]
  results: readonly ValueType[]
}

/** The largest 32-bit memory, in pages. */
const maxPages = 65536

/**
 * Encodes a WebAssembly module.
 *
 * @example
 * const m = new ModuleBuilder()
 * m.importMemory({ shared: true })
 * const f = m.function('addOne', { export: true, results: ['i32'] })
 * const x = f.param('i32')
 * f.get(x)
 * f.i32(1)
 * f.op('i32.add')
 * new WebAssembly.Module(m.toBytes())
 */
export class ModuleBuilder {
  readonly #imports: ((out: ByteWriter) => void)[] = []
  readonly #importedFunctions: (FunctionRef & FunctionType)[] = []
  readonly #functions: FunctionBuilder[] = []
  readonly #exports: { name: string; index: number }[] = []
  #globals = 0

  /** Imports the module's memory, `env.memory`. */
  importMemory({ min = 0, max, shared = false }: MemoryImport = {}): void {
    // A shared memory has to declare a maximum.
    const limit = max ?? (shared ? maxPages : undefined)
    this.#imports.push((out) => {
      out.name('env')
      out.name('memory')
      out.byte(0x02)
      out.byte((limit === undefined ? 0 : 1) | (shared ? 2 : 0))
      out.unsigned(min)
      if (limit !== undefined) out.unsigned(limit)
    })
  }

  /** Imports a function. Imports come before the first function of the module. */
  importFunction(name: string, params: readonly ValueType[], results: readonly ValueType[] = [], module = 'env'): FunctionRef {
    if (this.#functions.length) {
      throw new CotangentError('engine-failure', { op: 'assembler', message: `import of ${name} after a defined function` })
    }
    const imported = { index: this.#importedFunctions.length, name, params, results }
    this.#importedFunctions.push(imported)
    this.#imports.push((out) => {
      out.name(module)
      out.name(name)
      out.byte(0x00)
      out.unsigned(this.#typeIndex(imported))
    })
    return imported
  }

  /** An i32 variable of the module's instance, zero at first: every thread that instantiates the module has its own. */
  global(): Global {
    return { index: this.#globals++ }
  }

  function(
    name: string,
    { results = [], export: exported = false }: { results?: readonly ValueType[]; export?: boolean } = {},
  ): FunctionBuilder {
    const f = new FunctionBuilder(this.#importedFunctions.length + this.#functions.length, name, results)
    this.#functions.push(f)
    if (exported) this.#exports.push({ name, index: f.index })
    return f
  }

  toBytes(): Uint8Array<ArrayBuffer> {
    this.#types.clear()
    const imports = encodeAll(this.#imports, (out, write) => write(out))
    const functions = encodeAll(this.#functions, (out, f) => out.unsigned(this.#typeIndex(f)))
    const types = encodeAll([...this.#types.values()], (out, { params, results }) => {
      out.byte(0x60)
      out.sized(params.map((t) => valueTypeCode[t]))
      out.sized(results.map((t) => valueTypeCode[t]))
    })
    const mutableZero = [valueTypeCode.i32, 1, 0x41, 0, 0x0b]
    const globals = encodeAll(Array.from({ length: this.#globals }), (out) => out.append(mutableZero))
    const exports = encodeAll(this.#exports, (out, { name, index }) => {
      out.name(name)
      out.byte(0x00)
      out.unsigned(index)
    })
    const code = encodeAll(this.#functions, (out, f) => out.sized(f.toBytes()))

    const module = new ByteWriter(code.length + 512)
    module.append([0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00])
    for (const [id, body] of [
      [1, types],
      [2, imports],
      [3, functions],
      [6, globals],
      [7, exports],
      [10, code],
    ] as const) {
      // An empty vector is one zero byte; such a section can be left out.
      if (body.length === 1) continue
      module.byte(id)
      module.sized(body)
    }
    module.byte(0)
    module.sized(this.#names())
    return module.bytes
  }

  readonly #types = new Map<string, FunctionType & { index: number }>()

  #typeIndex({ params, results }: FunctionType): number {
    const key = `${params.join()}:${results.join()}`
    const known = this.#types.get(key)
    if (known) return known.index
    const index = this.#types.size
    this.#types.set(key, { params, results, index })
    return index
  }

  /** The name section: what profilers and stack traces call the functions. */
  #names(): Uint8Array {
    const names = encodeAll([...this.#importedFunctions, ...this.#functions], (out, { index, name }) => {
      out.unsigned(index)
      out.name(name)
    })
    const section = new ByteWriter(names.length + 16)
    section.name('name')
    section.byte(1)
    section.sized(names)
    return section.bytes
  }
}

function encodeAll<T>(items: readonly T[], write: (out: ByteWriter, item: T) => void): Uint8Array {
  const out = new ByteWriter()
  out.unsigned(items.length)
  for (const item of items) write(out, item)
  return out.bytes
}
