import { sameShape, type Shape } from '../../layout.ts'
import type { BuiltProgram } from '../built-program.ts'
import { BuiltTemplate } from './built-template.ts'
import { LEAST, SizeLaw } from './size-law.ts'

/** Sizes of all axes of the dense tensors among the arguments, one after the other. */
type Sizes = Shape

/** Of a function, for one way to call it. */
export interface Maker {
  /** Whether all that a program was traced under is still so. */
  holds(built: BuiltProgram): boolean
  /** Traces the function. */
  trace(sizes: Sizes): BuiltProgram
  /** Gives what was traced operations. */
  optimize(traced: BuiltProgram): BuiltProgram
}

interface Made {
  readonly sizes: Sizes
  readonly traced: BuiltProgram
  readonly built: BuiltProgram
}

/** Programs for arguments that differ in one size, which several axes may have. */
interface Line {
  readonly sizes: Sizes
  /** Where in `sizes` that size is. */
  readonly axes: readonly number[]
  readonly traces: SizeLaw<BuiltProgram>
  /** One for each way in which passes decide. */
  readonly programs: SizeLaw<BuiltProgram>[]
}

/** Programs and lines that are remembered. */
const REMEMBERED = 8

const lawOf = (size: number, built: BuiltProgram) =>
  new SizeLaw((items: readonly BuiltProgram[], sizes) => new BuiltTemplate(items, sizes), size, built)

/**
 * The programs of a function for arguments that differ in nothing but sizes. When some have been made, those for further sizes
 * follow: the function is not traced again, and where passes have been seen to decide alike, they need not run either.
 *
 * What the library makes of sizes follows laws that are told from samples; other JavaScript may make anything of them. If it has
 * looked at one that changes, nothing follows.
 */
export class SizeFamily {
  /** Whether laws hold even where the function's own JavaScript looks at sizes. */
  readonly #trusting: boolean
  readonly #lines: Line[] = []
  /** Programs that belong to no line yet. */
  readonly #single: Made[] = []
  #obstacle: string | null = null

  constructor({ trusting }: { readonly trusting: boolean }) {
    this.#trusting = trusting
  }

  /** Why nothing follows, for people. */
  get obstacle(): string | null {
    return this.#obstacle
  }

  /** Whether it matters which sizes the function looks at when it is traced next. */
  get watches(): boolean {
    return !this.#trusting && this.#single.length + this.#lines.length > 0 && !this.#obstacle
  }

  /** The program for these sizes, if it follows. */
  derive(sizes: Sizes, maker: Maker): BuiltProgram | null {
    const same = this.#single.find((made) => sameShape(made.sizes, sizes) && maker.holds(made.traced))
    if (same) return same.built
    for (const line of this.#lines) {
      if (this.#obstacle) return null
      const size = sizeAt(line.sizes, line.axes, sizes)
      if (size === null || !maker.holds(line.traces.base)) continue
      if (!line.traces.covers(size) && !line.traces.widen(size, (other) => this.#probe(line, other, maker))) continue
      if (this.#obstacle) return null
      const found = programAt(line, size, maker)
      if (found) return found
    }
    return null
  }

  /** Takes note of a program that was traced. */
  add(made: Made, maker: Maker): void {
    if (this.#obstacle || made.sizes.length === 0) return
    for (const line of this.#lines) {
      const size = sizeAt(line.sizes, line.axes, made.sizes)
      if (size === null || !maker.holds(line.traces.base) || !line.traces.take(size, made.traced)) continue
      addProgram(line, size, made.built)
      return this.#checkReads(line)
    }
    for (const [i, other] of this.#single.entries()) {
      const axes = axesBetween(other.sizes, made.sizes)
      if (!axes || !maker.holds(other.traced)) continue
      const size = made.sizes[axes[0]!]!
      const before = other.sizes[axes[0]!]!
      const line: Line = { sizes: made.sizes, axes, traces: lawOf(before, other.traced), programs: [lawOf(before, other.built)] }
      if (!line.traces.take(size, made.traced)) continue
      addProgram(line, size, made.built)
      this.#single.splice(i, 1)
      this.#lines.unshift(line)
      this.#lines.length = Math.min(this.#lines.length, REMEMBERED)
      return this.#checkReads(line)
    }
    this.#single.unshift(made)
    this.#single.length = Math.min(this.#single.length, REMEMBERED)
  }

  #probe(line: Line, size: number, maker: Maker): BuiltProgram | null {
    try {
      const traced = maker.trace(withSize(line, size))
      this.#checkReads(line, traced)
      return traced
    } catch {
      // The function does not take this size, which nobody has asked for: sizes up to it are traced as they come.
      return null
    }
  }

  #checkReads({ traces }: Line, ...more: readonly BuiltProgram[]): void {
    if (this.#trusting) return
    const reads = [...traces.items, ...more].flatMap((built) => (built.reads === undefined ? [] : [built.reads]))
    if (reads.includes(null))
      this.#obstacle = 'its code is bundled with the library, so that it cannot be told whether it looks at that size'
    else if (reads.some((seen) => seen!.join() !== reads[0]!.join())) this.#obstacle = 'its JavaScript looks at that size'
  }
}

/** The program at a size that the line's traces cover. */
function programAt(line: Line, size: number, maker: Maker): BuiltProgram | null {
  const made = (other: number) => {
    const traced = line.traces.at(other)
    return traced && maker.optimize(traced)
  }
  for (const law of line.programs) {
    const found = law.at(size)
    if (found) return found
  }
  for (const law of line.programs) {
    const found = law.widen(size, made) ? law.at(size) : null
    if (found) return found
  }
  const built = made(size)
  if (built) addProgram(line, size, built)
  return built
}

function addProgram({ programs }: Line, size: number, built: BuiltProgram): void {
  if (programs.some((law) => law.take(size, built))) return
  programs.unshift(lawOf(size, built))
  programs.length = Math.min(programs.length, REMEMBERED)
}

const withSize = ({ sizes, axes }: Line, size: number): Sizes => sizes.map((n, i) => (axes.includes(i) ? size : n))

/** The size along some axes, if others are as in `base`. */
function sizeAt(base: Sizes, axes: readonly number[], sizes: Sizes): number | null {
  const size = sizes[axes[0]!]!
  return size >= LEAST && sizes.every((n, i) => n === (axes.includes(i) ? size : base[i])) ? size : null
}

/** The axes on which two differ, if all of them have one size in each. */
function axesBetween(a: Sizes, b: Sizes): readonly number[] | null {
  const axes = a.flatMap((n, i) => (n === b[i] ? [] : [i]))
  const [first] = axes
  if (first === undefined || a[first]! < LEAST || b[first]! < LEAST) return null
  return axes.every((i) => a[i] === a[first] && b[i] === b[first]) ? axes : null
}
