import type { TypedArray } from '../../dtype.ts'
import { CotangentError } from '../../errors.ts'
import { panelBytes } from './gemm-pack.ts'
import type { Heap } from './heap.ts'
import { lanesOf, type LaneType } from './lanes.ts'

/** Rows of a product up to which its panels are worth keeping: packing B takes the time of some 4 rows. */
export const KEPT_ROWS = 128

/** The panels of B in a matrix product, all of them, as `emitMatmul` reads them where word `word` of its arguments has their address. */
export interface PanelLayout {
  readonly type: LaneType
  readonly k: number
  readonly n: number
  /** Strides of B in elements. */
  readonly row: number
  readonly column: number
  readonly width: number
  readonly kBlock: number
  readonly word: number
}

/** Bytes of the panels of all columns for one block of k. */
export const blockOfPanelsBytes = ({ type, n, width, kBlock }: Omit<PanelLayout, 'word' | 'row' | 'column' | 'k'>): number =>
  Math.ceil(n / width) * panelBytes(lanesOf(type, false), width, kBlock)

/**
 * An operand that code reads from panels if somebody has packed it before: where its layout is known and it stays the same, packing
 * it on each run is not needed.
 */
export interface PackedOperand {
  /** Operands of equal keys are packed alike. */
  readonly key: string
  /** Of the panels. */
  readonly bytes: number
  /** @param address Of the panels; 0: the code packs for itself. */
  use(address: number): void
  pack(source: number, target: number): void
}

/** That of a product whose code is emitted. */
export class PackedMatrix implements PackedOperand {
  readonly key: string
  readonly #heap: Heap
  readonly #layout: PanelLayout
  /** Of the heap. */
  readonly #word: number
  #address = 0

  /** @param block Where the arguments of the code are. */
  constructor(heap: Heap, block: number, layout: PanelLayout) {
    const { type, k, n, row, column, kBlock, word } = layout
    this.#heap = heap
    this.#layout = layout
    this.#word = (block >>> 2) + word
    this.key = [type, k, n, row, column, kBlock].join()
  }

  get bytes(): number {
    const { k, kBlock } = this.#layout
    return Math.ceil(k / kBlock) * blockOfPanelsBytes(this.#layout) + 64
  }

  use(address: number): void {
    this.#address = address
    this.write()
  }

  /** Arguments have been written anew. */
  write(): void {
    this.#heap.i32[this.#word] = this.#address
  }

  pack(source: number, target: number): void {
    const { type, k, n, row, column, width, kBlock } = this.#layout
    const lanes = lanesOf(type, false)
    const last = (k - 1) * row + (n - 1) * column
    const from = this.#heap.view(source, type, last + 1) as Exclude<TypedArray, BigInt64Array>
    const to = this.#heap.view(target, type, Math.ceil(this.bytes / lanes.size)) as typeof from
    const perBlock = blockOfPanelsBytes(this.#layout) / lanes.size
    for (let first = 0, block = 0; first < k; first += kBlock, block++) {
      const count = Math.min(kBlock, k - first)
      const panel = panelBytes(lanes, width, count) / lanes.size
      for (let start = 0, at = block * perBlock; start < n; start += width, at += panel) {
        const columns = Math.min(width, n - start)
        for (let i = 0; i < count; i++) {
          const line = (first + i) * row + start * column
          for (let j = 0; j < columns; j++) to[at + i * width + j] = from[line + j * column]!
        }
      }
    }
  }
}

/** What is packed for a memory, by the operands' keys. */
type Packs = Map<string, { readonly address: number; version: number }>

const known = new WeakMap<Heap, PackedOperands>()

/** Those of a heap. */
export function packedOperandsOf(heap: Heap): PackedOperands {
  let found = known.get(heap)
  if (!found) known.set(heap, (found = new PackedOperands(heap)))
  return found
}

/** Packed operands of memory that stays as it is. Programs share them, and they go when the memory does. */
export class PackedOperands {
  readonly #heap: Heap
  readonly #packs = new WeakMap<object, Packs>()
  readonly #gone: FinalizationRegistry<Packs>

  constructor(heap: Heap) {
    this.#heap = heap
    this.#gone = new FinalizationRegistry((packs) => {
      for (const { address } of packs.values()) heap.free(address)
    })
  }

  /** The address of an operand's panels, packed if need be; 0 where there is no memory for them. */
  panels(memory: { readonly version: number }, operand: PackedOperand, source: number, offset: number): number {
    let packs = this.#packs.get(memory)
    if (!packs) {
      this.#packs.set(memory, (packs = new Map()))
      this.#gone.register(memory, packs)
    }
    const key = `${offset} ${operand.key}`
    let found = packs.get(key)
    if (!found) {
      const address = this.#room(operand.bytes)
      if (address === 0) return 0
      packs.set(key, (found = { address, version: Number.NaN }))
    }
    if (found.version !== memory.version) {
      operand.pack(source, found.address)
      found.version = memory.version
    }
    return found.address
  }

  /** Panels are a luxury: without room for them, code packs for itself. */
  #room(bytes: number): number {
    try {
      return this.#heap.alloc(bytes)
    } catch (error) {
      if (error instanceof CotangentError && error.code === 'out-of-memory') return 0
      throw error
    }
  }
}
