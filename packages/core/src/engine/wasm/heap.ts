import { type DType, dtypeInfo, type TypedArray } from '../../dtype.ts'
import { CotangentError, formatBytes } from '../../errors.ts'

const PAGE = 65536
/** Bytes of the allocation grid; every pointer is a multiple of it. */
const UNIT = 64
const UNITS_A_PAGE = PAGE / UNIT
const MIN_GROWTH = 16 * 2 ** 20
/** Each power of two of sizes is cut into 32 classes, so a class is at most 3% wide. */
const SUB_BITS = 5
const SUBS = 1 << SUB_BITS
/** 2^26 units are 4 GiB: exponents 5..26, and one row for all sizes below 32 units. */
const ROWS = 26 - SUB_BITS + 2
const PROBES = 4

const NONE = -1
const USED = -2

interface HeapOptions {
  /** Bytes reserved at once; default 16 MiB. */
  initialBytes?: number
  /** Bytes the heap may grow to; default and upper bound 4 GiB (what a 32-bit address reaches). */
  maximumBytes?: number
  /** Bytes reserved beyond which growth first asks `onPressure`; default a quarter of the maximum. */
  softLimit?: number
  /** False for one thread; the default is shared wherever the runtime allows it. */
  shared?: boolean
  /** Called before growth past `softLimit` and before giving up. Frees what it can and returns true for another try. */
  onPressure?: (bytesNeeded: number) => boolean
  /** Receives, once, the reason why the memory is not shared. */
  notice?: (message: string) => void
}

interface HeapStats {
  /** Bytes in live blocks, rounding and headers included. */
  bytesInUse: number
  /** Largest `bytesInUse` since the start. */
  peakBytes: number
  /** Size of the WebAssembly memory now. */
  bytesReserved: number
  /** Size that it may grow to. */
  bytesLimit: number
  /** Live blocks. */
  blocks: number
  /** Gaps between them, the tail included. */
  freeBlocks: number
}

/**
 * The memory that every CPU tensor lives in: one growable `WebAssembly.Memory`, shared between threads where the runtime
 * has shared memory, with a two-level segregated-fit allocator (Masmano et al., "TLSF: a new dynamic memory allocator for
 * real-time systems", 2004). `alloc` and `free` take constant time.
 *
 * Pointers are byte addresses (numbers below 2^32), multiples of 64, never 0. At least 64 bytes after a block are readable
 * and in bounds, so SIMD loops may over-read their tail; writing there is an error that `free` detects.
 *
 * All bookkeeping is kept in JavaScript arrays. The memory itself holds only the number of each block, in the 64 bytes
 * before it, so a kernel that writes out of bounds cannot damage the lists. Only the thread that made the heap allocates.
 */
export class Heap {
  readonly memory: WebAssembly.Memory
  readonly shared: boolean
  readonly bytesLimit: number
  softLimit: number
  onPressure: ((bytesNeeded: number) => boolean) | undefined

  #views: Views
  #i32: Int32Array

  // Blocks in use and free ones, by number. The neighbours are those in memory; `next` and `previous` link a free list.
  #start: Int32Array = new Int32Array(1024)
  #size: Int32Array = new Int32Array(1024)
  #before: Int32Array = new Int32Array(1024)
  #after: Int32Array = new Int32Array(1024)
  #next: Int32Array = new Int32Array(1024)
  #previous: Int32Array = new Int32Array(1024)
  #ids = 0
  #freeIds = NONE
  #last = NONE

  readonly #heads = new Int32Array(ROWS * SUBS).fill(NONE)
  readonly #subs = new Int32Array(ROWS)
  #rows = 0

  #units: number
  #unitsInUse = 0
  #peakUnits = 0
  #blocks = 0
  #freeBlocks = 0
  #relieving = false

  constructor(options: HeapOptions = {}) {
    const isolation = options.shared === false ? undefined : reasonAgainstSharing()
    const maximumPages = Math.max(1, Math.min(65536, Math.floor((options.maximumBytes ?? 65536 * PAGE) / PAGE)))
    const initialPages = Math.max(1, Math.min(maximumPages, Math.ceil((options.initialBytes ?? MIN_GROWTH) / PAGE)))
    this.shared = options.shared !== false && isolation === undefined
    if (isolation !== undefined) options.notice?.(isolation)
    const [memory, pages] = createMemory(initialPages, maximumPages, this.shared)
    this.memory = memory
    this.bytesLimit = pages * PAGE
    this.softLimit = options.softLimit ?? this.bytesLimit / 4
    this.onPressure = options.onPressure
    this.#views = viewsOf(memory.buffer)
    this.#i32 = this.#views.i32
    // The last unit is never handed out: it is the readable slack of the last block.
    this.#units = initialPages * UNITS_A_PAGE - 1
    this.#last = this.#newBlock(0, this.#units, NONE, NONE)
    this.#insert(this.#last)
  }

  get u8(): Uint8Array {
    return this.#views.u8
  }
  get i32(): Int32Array {
    return this.#views.i32
  }
  get f64(): Float64Array {
    return this.#views.f64
  }

  /** The elements at `pointer` as a typed array on the heap, not a copy; on an unshared heap, growth detaches it. */
  view(pointer: number, dtype: DType, length: number): TypedArray {
    return new dtypeInfo[dtype].array(this.#views.buffer, pointer, length)
  }

  /**
   * A block of at least `bytes` bytes, contents undefined.
   * Throws `out-of-memory` when the heap cannot grow and `onPressure` frees nothing.
   */
  alloc(bytes: number): number {
    if (!(bytes >= 0 && bytes <= this.bytesLimit)) this.#refuse(bytes)
    const units = bytes <= UNIT ? 2 : ((bytes + 2 * UNIT - 1) / UNIT) >>> 0
    let id = this.#find(units)
    if (id === NONE) id = this.#makeRoom(units, bytes)
    this.#remove(id)
    const rest = this.#size[id]! - units
    if (rest >= 2) {
      const start = this.#start[id]! + units
      const after = this.#after[id]!
      this.#size[id] = units
      const tail = this.#newBlock(start, rest, id, after)
      this.#after[id] = tail
      if (after === NONE) this.#last = tail
      else this.#before[after] = tail
      this.#insert(tail)
    }
    this.#next[id] = USED
    this.#blocks++
    this.#unitsInUse += this.#size[id]!
    if (this.#unitsInUse > this.#peakUnits) this.#peakUnits = this.#unitsInUse
    const pointer = (this.#start[id]! + 1) * UNIT
    this.#i32[(pointer >>> 2) - 1] = id
    return pointer
  }

  /** Gives a block back. Throws `engine-failure` for anything that is not a live block, e.g. one that is free already. */
  free(pointer: number): void {
    let id = this.#idOf(pointer)
    const before = this.#before[id]!
    const after = this.#after[id]!
    this.#blocks--
    this.#unitsInUse -= this.#size[id]!
    if (after !== NONE && this.#next[after] !== USED) {
      this.#remove(after)
      this.#absorb(id, after)
    }
    if (before !== NONE && this.#next[before] !== USED) {
      this.#remove(before)
      this.#absorb(before, id)
      id = before
    }
    this.#insert(id)
  }

  /** Usable bytes of a live block: what was asked for, rounded up to 64. */
  sizeOf(pointer: number): number {
    return (this.#size[this.#idOf(pointer)]! - 1) * UNIT
  }

  get stats(): HeapStats {
    return {
      bytesInUse: this.#unitsInUse * UNIT,
      peakBytes: this.#peakUnits * UNIT,
      bytesReserved: (this.#units + 1) * UNIT,
      bytesLimit: this.bytesLimit,
      blocks: this.#blocks,
      freeBlocks: this.#freeBlocks,
    }
  }

  #idOf(pointer: number): number {
    const unit = pointer / UNIT - 1
    const id = this.#i32[(pointer >>> 2) - 1]!
    if (id >= 0 && id < this.#ids && this.#start[id] === unit && this.#next[id] === USED) return id
    for (let i = 0; i < this.#ids; i++) {
      if (this.#start[i] === unit && this.#next[i] === USED) {
        throw new CotangentError('engine-failure', {
          op: 'heap',
          message: `the bytes before the block at 0x${pointer.toString(16)} were overwritten`,
          hint: 'A kernel wrote past the end of the block below it.',
        })
      }
    }
    throw new CotangentError('engine-failure', {
      op: 'heap',
      message: `0x${pointer.toString(16)} is not a live block`,
      hint: 'It was freed before, or never allocated.',
    })
  }

  #newBlock(start: number, size: number, before: number, after: number): number {
    let id = this.#freeIds
    if (id !== NONE) {
      this.#freeIds = this.#next[id]!
    } else {
      id = this.#ids++
      if (id === this.#start.length) this.#widen()
    }
    this.#start[id] = start
    this.#size[id] = size
    this.#before[id] = before
    this.#after[id] = after
    return id
  }

  #widen(): void {
    const double = (old: Int32Array) => {
      const wide = new Int32Array(old.length * 2)
      wide.set(old)
      return wide
    }
    this.#start = double(this.#start)
    this.#size = double(this.#size)
    this.#before = double(this.#before)
    this.#after = double(this.#after)
    this.#next = double(this.#next)
    this.#previous = double(this.#previous)
  }

  /** Merges block `b` into `a`, its neighbour below; both are off the free lists. */
  #absorb(a: number, b: number): void {
    const after = this.#after[b]!
    this.#size[a] = this.#size[a]! + this.#size[b]!
    this.#after[a] = after
    if (after === NONE) this.#last = a
    else this.#before[after] = a
    this.#start[b] = NONE
    this.#next[b] = this.#freeIds
    this.#freeIds = b
  }

  #insert(id: number): void {
    const c = classOf(this.#size[id]!)
    const head = this.#heads[c]!
    this.#next[id] = head
    this.#previous[id] = NONE
    if (head !== NONE) this.#previous[head] = id
    this.#heads[c] = id
    this.#subs[c >>> SUB_BITS]! |= 1 << (c & (SUBS - 1))
    this.#rows |= 1 << (c >>> SUB_BITS)
    this.#freeBlocks++
  }

  #remove(id: number): void {
    const next = this.#next[id]!
    const previous = this.#previous[id]!
    if (next !== NONE) this.#previous[next] = previous
    this.#freeBlocks--
    if (previous !== NONE) {
      this.#next[previous] = next
      return
    }
    const c = classOf(this.#size[id]!)
    this.#heads[c] = next
    if (next !== NONE) return
    const row = c >>> SUB_BITS
    const bits = this.#subs[row]! & ~(1 << (c & (SUBS - 1)))
    this.#subs[row] = bits
    if (bits === 0) this.#rows &= ~(1 << row)
  }

  /** A free block of at least `units`, still on its list, or `NONE`. */
  #find(units: number): number {
    // Blocks of the request's own class may be too small, but a training step asks for the sizes that it has just freed.
    const c = classOf(units)
    for (let id = this.#heads[c]!, probes = PROBES; id !== NONE && probes > 0; id = this.#next[id]!, probes--) {
      if (this.#size[id]! >= units) return id
    }
    let row = (c + 1) >>> SUB_BITS
    let bits = row < ROWS ? this.#subs[row]! & (-1 << ((c + 1) & (SUBS - 1))) : 0
    if (bits === 0) {
      const rows = this.#rows & (-1 << (row + 1))
      if (rows === 0) return NONE
      row = lowestBit(rows)
      bits = this.#subs[row]!
    }
    return this.#heads[(row << SUB_BITS) + lowestBit(bits)]!
  }

  /** `#find` without its shortcut: every block of the request's own class too. */
  #findAnywhere(units: number): number {
    let id = this.#heads[classOf(units)]!
    while (id !== NONE && this.#size[id]! < units) id = this.#next[id]!
    return id === NONE ? this.#find(units) : id
  }

  #makeRoom(units: number, bytes: number): number {
    let id = this.#findAnywhere(units)
    if (id !== NONE) return id
    if ((this.#units + 1 + this.#missing(units)) * UNIT > this.softLimit) {
      id = this.#relieve(units, bytes)
      if (id !== NONE) return id
    }
    if (this.#grow(this.#missing(units))) return this.#last
    id = this.#relieve(units, bytes)
    if (id !== NONE) return id
    // What came back may lie at the end, where less growth is enough now.
    return this.#grow(this.#missing(units)) ? this.#last : this.#refuse(bytes)
  }

  /** Asks for memory back until a block fits or nothing more comes. */
  #relieve(units: number, bytes: number): number {
    if (this.#relieving || this.onPressure === undefined) return NONE
    this.#relieving = true
    try {
      for (;;) {
        const inUse = this.#unitsInUse
        if (!this.onPressure(bytes) || this.#unitsInUse >= inUse) return NONE
        const id = this.#findAnywhere(units)
        if (id !== NONE) return id
      }
    } finally {
      this.#relieving = false
    }
  }

  /** Units that growth has to add so that the last block holds `units`. */
  #missing(units: number): number {
    return this.#next[this.#last] === USED ? units : units - this.#size[this.#last]!
  }

  #grow(units: number): boolean {
    const reserved = (this.#units + 1) / UNITS_A_PAGE
    const needed = Math.ceil(units / UNITS_A_PAGE)
    const room = this.bytesLimit / PAGE - reserved
    if (needed > room) return false
    const wanted = Math.min(room, Math.max(needed, MIN_GROWTH / PAGE, reserved >>> 1))
    const pages = this.#growMemory(wanted) ? wanted : needed < wanted && this.#growMemory(needed) ? needed : 0
    if (pages === 0) return false
    const added = pages * UNITS_A_PAGE
    const last = this.#last
    if (this.#next[last] === USED) {
      const id = this.#newBlock(this.#units, added, last, NONE)
      this.#after[last] = id
      this.#last = id
    } else {
      this.#remove(last)
      this.#size[last] = this.#size[last]! + added
    }
    this.#insert(this.#last)
    this.#units += added
    return true
  }

  #growMemory(pages: number): boolean {
    try {
      this.memory.grow(pages)
    } catch (error) {
      // The only error that `grow` has: the host does not give that much.
      if (error instanceof RangeError) return false
      throw error
    }
    this.#views = viewsOf(this.memory.buffer)
    this.#i32 = this.#views.i32
    return true
  }

  #refuse(bytes: number): never {
    if (!(bytes >= 0))
      throw new CotangentError('invalid-argument', {
        op: 'heap',
        message: `cannot allocate ${bytes} bytes`,
        hint: 'Sizes are numbers of at least 0.',
      })
    const { bytesInUse, bytesReserved, blocks } = this.stats
    throw new CotangentError('out-of-memory', {
      op: 'heap',
      message:
        `${formatBytes(bytes)} requested, ${formatBytes(bytesInUse)} in use in ${blocks} blocks, ` +
        `${formatBytes(bytesReserved)} reserved of ${formatBytes(this.bytesLimit)}`,
      hint: 'Use a smaller batch, or free tensors that are no longer needed.',
    })
  }
}

type Views = ReturnType<typeof viewsOf>

function viewsOf(buffer: ArrayBuffer) {
  return {
    buffer,
    u8: new Uint8Array(buffer),
    i32: new Int32Array(buffer),
    f64: new Float64Array(buffer),
  }
}

/** Free list of blocks of `units`: linear up to 32 units, then 32 classes for each power of two. */
function classOf(units: number): number {
  if (units < SUBS) return units
  const exponent = 31 - Math.clz32(units)
  return ((exponent - SUB_BITS) << SUB_BITS) + (units >>> (exponent - SUB_BITS))
}

const lowestBit = (bits: number): number => 31 - Math.clz32(bits & -bits)

function reasonAgainstSharing(): string | undefined {
  if (typeof SharedArrayBuffer === 'undefined' || globalThis.crossOriginIsolated === false) {
    return (
      'This page is not cross-origin isolated, so there is no shared memory and Cotangent runs on one thread. Serve it with the ' +
      'headers Cross-Origin-Opener-Policy: same-origin and Cross-Origin-Embedder-Policy: require-corp to use all cores.'
    )
  }
  return undefined
}

/** Some hosts refuse to reserve 4 GiB of addresses (32-bit systems, containers with limits): take the most that they give. */
function createMemory(initial: number, maximum: number, shared: boolean): [WebAssembly.Memory, number] {
  for (let pages = maximum; ; pages = Math.max(initial, pages >>> 1)) {
    try {
      return [new WebAssembly.Memory({ initial, maximum: pages, shared }), pages]
    } catch (cause) {
      if (pages > initial) continue
      throw new CotangentError('out-of-memory', { op: 'heap', message: `cannot reserve ${formatBytes(initial * PAGE)}`, cause })
    }
  }
}
