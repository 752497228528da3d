import { CotangentError } from '../../errors.ts'
import { ByteWriter } from './byte-writer.ts'
import { type AddressType, FunctionBuilder, type FunctionRef, type Global, type ValueType, valueTypeCode } from './function-builder.ts'

export {
  type AddressType,
  FunctionBuilder,
  type FunctionRef,
  type Global,
  type Label,
  type LaneShape,
  type Local,
  type ValueType,
} from './function-builder.ts'

interface MemoryImport {
  module?: string
  name?: string
  /** Pages of 64 KiB. A module accepts every memory that has at least `min` pages and whose `max` is not above its own. */
  min?: number
  max?: number
  shared?: boolean
  /** Address type; the builder's unless told. */
  address?: AddressType
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
  readonly addressType: AddressType
  readonly #imports: ((out: ByteWriter) => void)[] = []
  readonly #importedFunctions: (FunctionRef & FunctionType)[] = []
  readonly #functions: FunctionBuilder[] = []
  readonly #exports: { name: string; kind: number; index: number }[] = []
  readonly #globals: { type: ValueType; mutable: boolean; init: number | bigint }[] = []
  #memories = 0

  constructor({ address = 'i32' }: { address?: AddressType } = {}) {
    this.addressType = address
  }

  /** Imports a memory (`env.memory` unless told) and returns its index. */
  importMemory({ module = 'env', name = 'memory', min = 0, max, shared = false, address = this.addressType }: MemoryImport = {}): number {
    // A shared memory has to declare a maximum.
    const limit = max ?? (shared ? maxPages : undefined)
    this.#imports.push((out) => {
      out.name(module)
      out.name(name)
      out.byte(0x02)
      out.byte((limit === undefined ? 0 : 1) | (shared ? 2 : 0) | (address === 'i64' ? 4 : 0))
      out.unsigned(min)
      if (limit !== undefined) out.unsigned(limit)
    })
    return this.#memories++
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

  /** A global variable of the module's instance: every thread that instantiates the module has its own. */
  global<T extends Exclude<ValueType, 'v128'>>(type: T, init: number | bigint = 0, mutable = true): Global<T> {
    this.#globals.push({ type, mutable, init })
    return { index: this.#globals.length - 1, type }
  }

  function(
    name: string,
    { results = [], export: exported = false }: { results?: readonly ValueType[]; export?: boolean } = {},
  ): FunctionBuilder {
    const f = new FunctionBuilder(this.#importedFunctions.length + this.#functions.length, name, results, this.addressType)
    this.#functions.push(f)
    if (exported) this.#exports.push({ name, kind: 0x00, index: f.index })
    return f
  }

  exportMemory(name: string, memory = 0): void {
    this.#exports.push({ name, kind: 0x02, index: memory })
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
    const globals = encodeAll(this.#globals, (out, { type, mutable, init }) => {
      out.byte(valueTypeCode[type])
      out.byte(mutable ? 1 : 0)
      writeConstant(out, type, init)
      out.byte(0x0b)
    })
    const exports = encodeAll(this.#exports, (out, { name, kind, index }) => {
      out.name(name)
      out.byte(kind)
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

function writeConstant(out: ByteWriter, type: ValueType, value: number | bigint): void {
  if (type === 'i32') {
    out.byte(0x41)
    out.signed32(Number(value))
  } else if (type === 'i64') {
    out.byte(0x42)
    out.signed64(BigInt(value))
  } else if (type === 'f32') {
    out.byte(0x43)
    out.float32(Number(value))
  } else {
    out.byte(0x44)
    out.float64(Number(value))
  }
}
