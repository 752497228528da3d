import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { CotangentError } from '../../errors.ts'
import { Heap } from './heap.ts'

const MiB = 2 ** 20

function errorOf(body: () => unknown): CotangentError {
  try {
    body()
  } catch (error) {
    if (error instanceof CotangentError) return error
    throw error
  }
  throw new Error('nothing was thrown')
}

describe('Heap', () => {
  it('never overlaps blocks, aligns them, keeps slack, and coalesces', () => {
    const size = fc.oneof(fc.nat(300), fc.nat(50_000), fc.nat(3_000_000))
    const command = fc.record({ alloc: fc.boolean(), size, pick: fc.nat() })
    fc.assert(
      fc.property(fc.array(command, { maxLength: 200 }), (commands) => {
        const heap = new Heap({ initialBytes: 4 * MiB, maximumBytes: 64 * MiB })
        const live: { pointer: number; size: number; mark: number }[] = []
        let inUse = 0
        const release = (index: number) => {
          const [block] = live.splice(index, 1)
          const { pointer, size: bytes, mark } = block!
          expect(heap.u8.subarray(pointer, pointer + bytes).every((b) => b === mark)).toBe(true)
          inUse -= bytes
          heap.free(pointer)
        }
        commands.forEach((c, i) => {
          if (!c.alloc && live.length) {
            release(c.pick % live.length)
          } else if (inUse + c.size < 32 * MiB) {
            const pointer = heap.alloc(c.size)
            const mark = i & 255
            expect(pointer % 64).toBe(0)
            expect(pointer).toBeGreaterThan(0)
            expect(heap.sizeOf(pointer)).toBeGreaterThanOrEqual(c.size)
            for (const other of live) {
              expect(pointer >= other.pointer + other.size + 64 || pointer + c.size + 64 <= other.pointer).toBe(true)
            }
            expect(pointer + c.size + 64).toBeLessThanOrEqual(heap.stats.bytesReserved)
            heap.u8.fill(mark, pointer, pointer + c.size)
            live.push({ pointer, size: c.size, mark })
            inUse += c.size
          }
          expect(heap.stats.blocks).toBe(live.length)
          expect(heap.stats.bytesInUse).toBeGreaterThanOrEqual(inUse)
        })
        while (live.length) release(live.length >> 1)
        expect(heap.stats).toMatchObject({ bytesInUse: 0, blocks: 0, freeBlocks: 1 })
        // The one gap is all there is: a block of that size fits without growth.
        const { bytesReserved } = heap.stats
        heap.alloc(bytesReserved - 128)
        expect(heap.stats).toMatchObject({ bytesReserved, freeBlocks: 0 })
      }),
      { numRuns: 40 },
    )
  })

  it('gives a freed block to the next request of its size', () => {
    const heap = new Heap()
    for (const size of [0, 1, 64, 1000, 12_345, 1_234_567]) {
      const a = heap.alloc(size)
      heap.alloc(100)
      heap.free(a)
      expect(heap.alloc(size)).toBe(a)
    }
  })

  it('allocates empty blocks at addresses of their own', () => {
    const heap = new Heap()
    const pointers = [heap.alloc(0), heap.alloc(0), heap.alloc(0)]
    expect(new Set(pointers).size).toBe(3)
    pointers.forEach((p) => heap.free(p))
    expect(heap.stats.blocks).toBe(0)
  })

  it('keeps contents when it grows, in big steps', () => {
    const heap = new Heap({ initialBytes: MiB })
    const first = heap.alloc(1000)
    heap.u8.fill(7, first, first + 1000)
    const early = heap.view(first, 'uint8', 1000)
    const reserved = new Set<number>()
    for (let i = 0; i < 60; i++) {
      heap.alloc(MiB)
      reserved.add(heap.stats.bytesReserved)
    }
    expect(reserved.size).toBeLessThan(6)
    expect(heap.u8.length).toBe(heap.stats.bytesReserved)
    expect(heap.u8.subarray(first, first + 1000).every((b) => b === 7)).toBe(true)
    expect(early[999]).toBe(7)
  })

  it('views elements of each type', () => {
    const heap = new Heap()
    const p = heap.alloc(64)
    heap.i32[p / 4] = 0x3fc00000
    expect(heap.view(p, 'float32', 2)[0]).toBe(1.5)
    expect(heap.view(p, 'bfloat16', 2)[1]).toBe(0x3fc0)
    expect(heap.view(p, 'int64', 8)).toBeInstanceOf(BigInt64Array)
    expect(heap.view(p, 'float64', 0).length).toBe(0)
  })

  it('reaches the last byte of 4 GiB', () => {
    const heap = new Heap()
    const low = heap.alloc(2 ** 31)
    const high = heap.alloc(2 ** 31 - 20 * MiB)
    expect(high).toBeGreaterThan(2 ** 31)
    const end = high + 2 ** 31 - 20 * MiB
    heap.u8[end - 1] = 9
    expect(heap.view(end - 1, 'uint8', 1)[0]).toBe(9)
    expect(errorOf(() => heap.alloc(40 * MiB)).code).toBe('out-of-memory')
    heap.free(low)
    heap.free(high)
    expect(heap.stats.freeBlocks).toBe(1)
  })

  it('says what was asked for and what is in use when it is full', () => {
    const heap = new Heap({ initialBytes: MiB, maximumBytes: 4 * MiB })
    const p = heap.alloc(3 * MiB)
    const error = errorOf(() => heap.alloc(2 * MiB))
    expect(error.code).toBe('out-of-memory')
    expect(error.message).toContain('2 MiB requested, 3 MiB in use in 1 blocks')
    expect(error.message).toContain('of 4 MiB')
    expect(errorOf(() => heap.alloc(1e12)).code).toBe('out-of-memory')
    expect(errorOf(() => heap.alloc(-1)).code).toBe('invalid-argument')
    expect(errorOf(() => heap.alloc(Number.NaN)).code).toBe('invalid-argument')
    heap.free(p)
    heap.alloc(4 * MiB - 128)
  })

  it('asks for memory back before it gives up, and before it grows beyond the soft limit', () => {
    const heap = new Heap({ initialBytes: MiB, maximumBytes: 64 * MiB, softLimit: 40 * MiB })
    const dead: number[] = []
    const asked: number[] = []
    heap.onPressure = (bytes) => {
      asked.push(bytes)
      const pointer = dead.pop()
      if (pointer === undefined) return false
      heap.free(pointer)
      return true
    }
    for (let i = 0; i < 35; i++) dead.push(heap.alloc(MiB))
    expect(asked).toEqual([])
    const { bytesReserved } = heap.stats
    const big = heap.alloc(20 * MiB)
    expect(asked.length).toBeGreaterThan(0)
    expect(new Set(asked)).toEqual(new Set([20 * MiB]))
    expect(heap.stats.bytesReserved).toBe(bytesReserved)
    heap.free(big)
    const huge = heap.alloc(63 * MiB)
    expect(dead).toEqual([])
    expect(errorOf(() => heap.alloc(2 * MiB)).code).toBe('out-of-memory')
    heap.free(huge)
  })

  it('does not ask again inside a pressure callback', () => {
    const heap = new Heap({ initialBytes: MiB, maximumBytes: 2 * MiB })
    let calls = 0
    heap.onPressure = () => {
      calls++
      heap.alloc(8 * MiB)
      return true
    }
    expect(errorOf(() => heap.alloc(4 * MiB)).code).toBe('out-of-memory')
    expect(errorOf(() => heap.alloc(1.9 * MiB + 0.1 * MiB)).code).toBe('out-of-memory')
    expect(calls).toBe(1)
  })

  it('refuses to free what is not a live block', () => {
    const heap = new Heap()
    const p = heap.alloc(100)
    const q = heap.alloc(100)
    heap.free(p)
    expect(errorOf(() => heap.free(p)).message).toContain('not a live block')
    for (const pointer of [0, 64, q + 64, q + 4, 2 ** 33, Number.NaN]) expect(errorOf(() => heap.free(pointer)).code).toBe('engine-failure')
    heap.free(q)
    expect(heap.stats.blocks).toBe(0)
  })

  it('notices a kernel that wrote past the end of a block', () => {
    const heap = new Heap()
    const p = heap.alloc(64)
    const q = heap.alloc(64)
    heap.u8.fill(255, p, p + 128)
    expect(errorOf(() => heap.free(q)).message).toContain('overwritten')
  })

  it('counts the peak', () => {
    const heap = new Heap()
    const p = heap.alloc(MiB)
    heap.free(p)
    expect(heap.stats.peakBytes).toBe(MiB + 64)
  })

  it('works unshared, and says why where the page forces it', () => {
    const heap = new Heap({ shared: false, initialBytes: MiB })
    expect(heap.shared).toBe(false)
    const p = heap.alloc(10)
    heap.u8[p] = 5
    heap.alloc(40 * MiB)
    expect(heap.u8[p]).toBe(5)

    const notices: string[] = []
    const host = globalThis as { crossOriginIsolated?: boolean }
    host.crossOriginIsolated = false
    try {
      expect(new Heap({ notice: (n) => notices.push(n) }).shared).toBe(false)
    } finally {
      delete host.crossOriginIsolated
    }
    expect(notices).toHaveLength(1)
    expect(notices[0]).toContain('cross-origin isolated')
  })
})
