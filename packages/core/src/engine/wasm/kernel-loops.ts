import { dtypeInfo } from '../../dtype.ts'
import type { Place } from './emit-memory.ts'
import type { FunctionBuilder, Local } from './function-builder.ts'
import { assign, define, type I32, push } from './i32-expression.ts'
import type { DescriptorLayout } from './kernel-descriptor.ts'
import type { KernelPlan } from './kernel-plan.ts'

/** What a function does: whole rows; reductions over a chunk of the row, whose results go to memory; or the rest of the row. */
export type Part = 'whole' | 'chunk' | 'finish'

/** The last vector of a row, or one of the last. */
export interface Tail {
  /** Lanes that exist; may be more than a vector has. */
  readonly remaining: Local<'i32'>
}

/** An axis of the tasks that is not one of the kernel: its size, and the position along it. */
interface TaskAxis {
  readonly size: Local<'i32'>
  readonly position: Local<'i32'>
}

/**
 * The loops of a kernel's function `(begin, end, thread, descriptor)`: over tasks, over the vector axis, over reduction axes.
 * It keeps each access's address up to date; what happens at each position is its user's business.
 */
export class KernelLoops {
  readonly descriptor: Local<'i32'>
  /** The position along each axis. */
  readonly counters: readonly Local<'i32'>[]
  /** Set where the vectors being emitted reach beyond the row. */
  tail: Tail | undefined
  /** The part [start, stop) of the outermost inner axis that a chunk has. */
  range: { start: Local<'i32'>; stop: Local<'i32'> } | undefined
  /** Where the chunk's results go, or the first chunk's lie; for the first vector of the block. */
  partials: Local<'i32'> | undefined
  /** First position of the block on the vector axis. */
  blockStart: Local<'i32'> | undefined
  /** In a tile: by access, the address at each position of the tile axis (none where it is the same at all). */
  tilePointers: Local<'i32'>[][] = []
  /** Emits what is done with a block, where that is not vector by vector. */
  sweep: ((start: Local<'i32'>, stop: Local<'i32'>) => void) | undefined
  /** The row that places are in where rows are pipelined: this one (0), the next (1) or the one before (2). */
  stage: 0 | 1 | 2 = 0
  readonly #f: FunctionBuilder
  readonly #plan: KernelPlan
  readonly #layout: DescriptorLayout
  readonly #part: Part
  /** The next task. */
  readonly begin: Local<'i32'>
  readonly end: Local<'i32'>
  /** By access: its address at the innermost open loop. Where rows are pipelined, also those in the next row, and in the one before. */
  pointers: Local<'i32'>[] = []
  /** By access: bytes between lanes, where they are strided. */
  #steps: (Local<'i32'> | undefined)[] = []

  constructor(f: FunctionBuilder, plan: KernelPlan, layout: DescriptorLayout, part: Part) {
    this.#f = f
    this.#plan = plan
    this.#layout = layout
    this.#part = part
    this.begin = f.param('i32')
    this.end = f.param('i32')
    f.param('i32')
    this.descriptor = f.param('i32')
    this.counters = [...plan.kernel.parallel, ...plan.kernel.reduce].map(() => f.local('i32'))
  }

  /** Loads where accesses start; comes before any loop. */
  locateAccesses(): void {
    const plan = this.#plan
    const layout = this.#layout
    const f = this.#f
    this.pointers = plan.accesses.map(({ buffer }, a) =>
      define(f, ['+', this.word(layout.pointers + 4 * buffer), this.word(layout.offsets[a]!)]),
    )
    this.#steps = plan.accesses.map(({ lanes }, a) =>
      lanes === 'strided' ? define(f, this.word(layout.strides[a]![plan.vectorAxis]!)) : undefined,
    )
  }

  /** The tasks from `begin` to `end`: each is emitted by `task` around its body, which calls `rows` for vectors of rows, or a row. */
  tasks(task: (body: () => void) => void, rows: (copies: number) => void): void {
    const plan = this.#plan
    const taskAxis = (at: number): TaskAxis => ({ size: define(this.#f, this.word(at)), position: this.#f.local('i32') })
    const chunk = this.#part === 'chunk' || plan.swept ? taskAxis(this.#layout.chunks) : undefined
    const block = plan.lanesAreRows && (plan.outer.length || chunk || plan.chunked) ? taskAxis(this.#layout.blocks) : undefined
    if (plan.lanesAreRows && !block) return task(() => this.#block(this.begin, this.end, rows))
    const body = () => {
      if (plan.chunked) this.#locatePartials()
      if (chunk) this.#locateChunk(chunk)
      if (block) this.#block(block.position, undefined, rows)
      else rows(1)
    }
    this.#outerLoop([...(chunk ? [chunk] : []), ...(block ? [block] : [])], () => task(body))
  }

  /** A word of the descriptor. */
  word(at: number): I32 {
    return ['load', this.descriptor, at]
  }

  extent(axis: number): I32 {
    return this.word(this.#layout.extents[axis]!)
  }

  /** Walks the vector axis from `start` to `stop`: whole groups of vectors first, then single ones. `accesses` are positions among the pointers. */
  vector(start: I32, stop: Local<'i32'>, accesses: readonly number[], body: (copies: number) => void): void {
    const plan = this.#plan
    const f = this.#f
    const counter = this.counters[plan.vectorAxis]!
    const count = plan.accesses.length
    assign(f, counter, start)
    const moving = accesses.filter((a) => plan.accesses[a % count]!.lanes !== 'same')
    const bytes = (a: number, elements: I32): I32 => ['*', elements, this.#steps[a % count] ?? this.#elementBytes(a)]
    this.#withPointers(
      moving,
      (a, pointer) => (start === 0 ? pointer : ['+', pointer, bytes(a, start)]),
      () => {
        const group = plan.unroll * plan.lanes
        const step = (elements: number) => {
          f.increment(counter, elements)
          for (const a of moving)
            this.#advance(a, this.#steps[a % count] ? ['*', this.#steps[a % count]!, elements] : elements * this.#elementBytes(a))
        }
        const groupsEnd = define(f, ['-', stop, group - 1])
        f.while(
          () => push(f, ['<', counter, groupsEnd]),
          () => {
            body(plan.unroll)
            step(group)
          },
        )
        f.release(groupsEnd)
        const remaining = f.local('i32')
        f.while(
          () => push(f, ['<', counter, stop]),
          () => {
            assign(f, remaining, ['-', stop, counter])
            this.tail = { remaining }
            body(1)
            this.tail = undefined
            step(plan.lanes)
          },
        )
        f.release(remaining)
      },
    )
  }

  /** Bytes from one position along the axis to the next. */
  stride(access: number, axis: number): I32 {
    return this.word(this.#layout.strides[access]![axis]!)
  }

  /** Walks one axis, or the range [start, stop) of it, position by position. */
  scalar(
    axis: number,
    range: { start: Local<'i32'>; stop: Local<'i32'> } | undefined,
    accesses: readonly number[],
    body: () => void,
  ): void {
    const f = this.#f
    const counter = this.counters[axis]!
    const moving = accesses.filter((a) => this.#plan.accesses[a]!.strides[axis] !== 0)
    const stop = define(f, range?.stop ?? this.extent(axis))
    const strides = moving.map((a) => define(f, this.stride(a, axis)))
    assign(f, counter, range?.start ?? 0)
    this.#withPointers(
      moving,
      (a, pointer) => (range ? ['+', pointer, ['*', range.start, strides[moving.indexOf(a)]!]] : pointer),
      () => {
        f.for(counter, stop, 1, () => {
          body()
          moving.forEach((a, i) => this.#advance(a, strides[i]!))
        })
      },
    )
    f.release(stop, ...strides)
  }

  /** Where an access's vector `copy` is, within the open loops. */
  place(access: number, copy: number): Place {
    const { dtype, lanes } = this.#plan.accesses[access]!
    const tiled = this.#plan.tile !== undefined
    const pointer = this.tilePointers[access]?.[copy] ?? this.pointers[access + this.stage * this.#plan.accesses.length]!
    return { dtype, lanes, pointer, step: this.#steps[access], vector: tiled ? 0 : copy, remaining: this.tail?.remaining }
  }

  /** Sets where the results of the task's chunk are. */
  #locatePartials(): void {
    const { chunks, partials, taskBytes } = this.#layout
    this.partials ??= this.#f.local('i32')
    const task: I32 = this.#part === 'finish' ? ['*', this.begin, this.word(chunks)] : this.begin
    assign(this.#f, this.partials, ['+', this.word(partials), ['*', task, this.word(taskBytes)]])
  }

  /** Sets what the task's chunk is. */
  #locateChunk(chunk: TaskAxis): void {
    const f = this.#f
    const { chunkLength, extents } = this.#layout
    this.range ??= { start: f.local('i32'), stop: f.local('i32') }
    const { start, stop } = this.range
    assign(f, start, ['*', chunk.position, this.word(chunkLength)])
    assign(f, stop, ['min', ['+', start, this.word(chunkLength)], this.word(extents[this.#plan.inner[0]!]!)])
  }

  /** Walks the outer axes, and others within (innermost first), from the task `begin` to the task `end`. */
  #outerLoop(within: readonly TaskAxis[], body: () => void): void {
    const plan = this.#plan
    const f = this.#f
    const task = define(f, this.begin)
    const divide = (by: I32, position: Local<'i32'>) => {
      push(f, task)
      push(f, by)
      f.op('i32.rem_u')
      f.set(position)
      push(f, task)
      push(f, by)
      f.op('i32.div_u')
      f.set(task)
    }
    for (const { size, position } of within) divide(size, position)
    plan.outer.toReversed().forEach((axis, i) => {
      if (i === plan.outer.length - 1) assign(f, this.counters[axis]!, task)
      else divide(this.extent(axis), this.counters[axis]!)
    })
    plan.accesses.forEach(({ strides }, a) => {
      for (const axis of plan.outer) {
        if (strides[axis] !== 0) this.#advance(a, ['*', this.counters[axis]!, this.stride(a, axis)])
      }
    })
    f.while(
      () => push(f, ['<u', this.begin, this.end]),
      () => {
        body()
        const next = (at: number): void => {
          const axis = within[at]
          if (!axis) return this.#nextRow(plan.outer.length - 1)
          f.increment(axis.position, 1)
          push(f, ['==', axis.position, axis.size])
          f.if(() => {
            assign(f, axis.position, 0)
            next(at + 1)
          })
        }
        next(0)
        f.increment(this.begin, 1)
      },
    )
  }

  #advance(access: number, bytes: I32): void {
    assign(this.#f, this.pointers[access]!, ['+', this.pointers[access]!, bytes])
  }

  #nextRow(at: number): void {
    const { outer, accesses } = this.#plan
    const axis = outer[at]
    if (axis === undefined) return
    const counter = this.counters[axis]!
    this.#f.increment(counter, 1)
    accesses.forEach(({ strides }, a) => {
      if (strides[axis] !== 0) this.#advance(a, this.stride(a, axis))
    })
    if (at === 0) return
    push(this.#f, ['==', counter, this.extent(axis)])
    this.#f.if(() => {
      assign(this.#f, counter, 0)
      accesses.forEach(({ strides }, a) => {
        if (strides[axis] !== 0) this.#advance(a, ['-', 0, ['*', this.extent(axis), this.stride(a, axis)]])
      })
      this.#nextRow(at - 1)
    })
  }

  /** Blocks `first` up to `last` (or that one alone) of the vector axis, whose lanes are rows. */
  #block(first: Local<'i32'>, last: Local<'i32'> | undefined, rows: (copies: number) => void): void {
    const plan = this.#plan
    const f = this.#f
    const length = this.word(this.#layout.blockLength)
    const start = define(f, ['*', first, length])
    this.blockStart = start
    const stop = define(f, ['min', ['*', last ?? ['+', first, 1], length], this.extent(plan.vectorAxis)])
    const all = [...plan.accesses.keys()]
    if (this.sweep) this.sweep(start, stop)
    else if (plan.tile === undefined) this.vector(start, stop, all, rows)
    else this.#tile(plan.tile, start, stop, all, rows)
    f.release(start, stop)
  }

  /** Walks the tile axis, as many positions at once as a vector has lanes, then one by one; the vector axis within. */
  #tile(tile: number, start: Local<'i32'>, stop: Local<'i32'>, accesses: readonly number[], rows: (copies: number) => void): void {
    const plan = this.#plan
    const f = this.#f
    const left = define(f, this.extent(tile))
    const moving = accesses.filter((a) => plan.accesses[a]!.strides[tile] !== 0)
    const strides = moving.map((a) => define(f, this.stride(a, tile)))
    const walk = (positions: number) => {
      f.while(
        () => push(f, ['>=', left, positions]),
        () => {
          this.vector(start, stop, accesses, () => {
            this.tilePointers = plan.accesses.map((_, a) => {
              const at = moving.indexOf(a)
              return at < 0 || positions === 1
                ? []
                : Array.from({ length: positions }, (_, i) => define(f, ['+', this.pointers[a]!, ['*', strides[at]!, i]]))
            })
            rows(positions)
            f.release(...this.tilePointers.flat())
            this.tilePointers = []
          })
          moving.forEach((a, i) => this.#advance(a, ['*', strides[i]!, positions]))
          f.increment(left, -positions)
        },
      )
    }
    this.#withPointers(
      moving,
      (_, pointer) => pointer,
      () => {
        walk(plan.lanes)
        walk(1)
      },
    )
    f.release(left, ...strides)
  }

  #elementBytes(access: number): number {
    const { accesses } = this.#plan
    return dtypeInfo[accesses[access % accesses.length]!.dtype].size
  }

  /** Gives accesses pointers of their own while `body` is emitted. */
  #withPointers(accesses: readonly number[], start: (access: number, pointer: Local<'i32'>) => I32, body: () => void): void {
    const saved = this.pointers
    this.pointers = [...saved]
    const own = accesses.map((a) => {
      this.pointers[a] = define(this.#f, start(a, saved[a]!))
      return this.pointers[a]
    })
    body()
    this.#f.release(...own)
    this.pointers = saved
  }
}
