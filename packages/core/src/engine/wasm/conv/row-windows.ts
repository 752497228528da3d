import type { FunctionBuilder, Local } from '../function-builder.ts'
import { TILE_ROWS } from '../gemm-kernel.ts'
import { assign, push, when } from '../i32-expression.ts'
import { decodeRow, pushInterior } from './window-position.ts'
import { phaseWords, windowWords } from './window-words.ts'

/** Where rows are walked: arguments and phase, the source, the first row and how many there are. `row` is used up. */
interface Rows {
  readonly args: Local<'i32'>
  readonly phase: Local<'i32'>
  readonly source: Local<'i32'>
  readonly row: Local<'i32'>
  readonly rows: Local<'i32'>
}

/** The windows of the next `TILE_ROWS` rows. Rows are walked in order, so only the first one's number is divided. */
export class RowWindows {
  /** Address of each window's start; what lies there may be padding. */
  readonly bases: readonly Local<'i32'>[]
  readonly positions: readonly (readonly [d: Local<'i32'>, h: Local<'i32'>, w: Local<'i32'>])[]
  /** Whether every tap of all of them sees a pixel. */
  readonly interior: Local<'i32'>
  readonly #f: FunctionBuilder
  readonly #rows: Rows
  /** The row at hand, along each axis. */
  readonly #at: readonly [d: Local<'i32'>, h: Local<'i32'>, w: Local<'i32'>]
  /** Of its line: position along D and H, address, whether it is in the interior. */
  readonly #line: { readonly [name in 'd' | 'h' | 'base' | 'interior']: Local<'i32'> }

  /** Emits what comes before the first `take`. */
  constructor(f: FunctionBuilder, rows: Rows) {
    const local = () => f.local('i32')
    this.bases = f.locals('i32', TILE_ROWS)
    this.positions = this.bases.map(() => [local(), local(), local()] as const)
    this.interior = local()
    this.#f = f
    this.#rows = rows
    this.#at = [local(), local(), local()]
    this.#line = { d: local(), h: local(), base: local(), interior: local() }
    decodeRow(f, rows.phase, rows.row, this.#at)
    this.#startLine()
  }

  /** Emits the step to the next rows; those that are missing behind the last one repeat it. */
  take(): void {
    const f = this.#f
    const { args, phase, rows } = this.#rows
    const line = this.#line
    assign(f, this.interior, 1)
    this.positions.forEach(([d, h, w], i) => {
      assign(f, d, line.d)
      assign(f, h, line.h)
      assign(f, w, ['+', ['*', this.#at[2], windowWords.load(args, 'stepW')], phaseWords.load(phase, 'startW')])
      assign(f, this.bases[i]!, ['+', line.base, ['*', w, windowWords.load(args, 'sourceW')]])
      pushInterior(f, args, phase, { w })
      push(f, ['&', this.interior, line.interior])
      f.op('i32.and')
      f.set(this.interior)
      when(f, ['>', rows, i + 1], () => this.#step())
    })
  }

  #startLine(): void {
    const f = this.#f
    const { args, phase, source, row } = this.#rows
    const [atD, atH] = this.#at
    const { d, h, base, interior } = this.#line
    assign(f, d, ['+', ['*', atD, windowWords.load(args, 'stepD')], phaseWords.load(phase, 'startD')])
    assign(f, h, ['+', ['*', atH, windowWords.load(args, 'stepH')], phaseWords.load(phase, 'startH')])
    assign(f, base, [
      '+',
      ['+', source, ['*', row, windowWords.load(args, 'sourceN')]],
      ['+', ['*', d, windowWords.load(args, 'sourceD')], ['*', h, windowWords.load(args, 'sourceH')]],
    ])
    pushInterior(f, args, phase, { d, h })
    f.set(interior)
  }

  #step(): void {
    const f = this.#f
    const { phase, row } = this.#rows
    const [atD, atH, atW] = this.#at
    /** Moves on along an axis; `carry` runs at its end. */
    const next = (at: Local<'i32'>, size: 'rowsD' | 'rowsH' | 'rowsW', carry: () => void) => {
      f.increment(at, 1)
      when(f, ['==', at, phaseWords.load(phase, size)], () => {
        assign(f, at, 0)
        carry()
      })
    }
    next(atW, 'rowsW', () => {
      next(atH, 'rowsH', () => next(atD, 'rowsD', () => f.increment(row, 1)))
      this.#startLine()
    })
  }
}
