import { formatShape } from '../errors.ts'
import { notice } from '../notice.ts'
import { Tensor } from '../tensor/tensor.ts'
import { isPlain } from '../tree.ts'

/** Programs of one function that are normal. */
const NORMAL = 8

/** What one call was like: each argument by its path, as text. */
type Call = ReadonlyMap<string, string>

/** Watches how often a function is traced, and tells once which argument is to blame when it is too often. */
export class Recompiles {
  readonly #name: string
  readonly #calls: Call[] = []
  readonly #guards: string[] = []
  #obstacle: string | null = null
  #told = false

  constructor(name: string) {
    this.#name = name || 'a function'
  }

  /**
   * @param guards What had changed in programs for such arguments.
   * @param obstacle Why programs for other sizes do not follow without tracing, if that is known.
   */
  traced(args: readonly unknown[], guards: readonly string[], obstacle: string | null): void {
    if (this.#told) return
    this.#obstacle = obstacle
    const call = new Map<string, string>()
    args.forEach((arg, i) => describe(`args[${i}]`, arg, call))
    this.#calls.push(call)
    this.#guards.push(...guards)
    if (this.#calls.length <= NORMAL) return
    this.#told = true
    notice(`Cotangent: compile() has traced ${this.#name} ${this.#calls.length} times. ${this.#reason()}`)
    this.#calls.length = 0
  }

  #reason(): string {
    const paths = new Set(this.#calls.flatMap((call) => [...call.keys()]))
    let worst = { path: '', values: [''] }
    for (const path of paths) {
      const values = [...new Set(this.#calls.map((call) => call.get(path) ?? 'absent'))]
      if (values.length > worst.values.length) worst = { path, values }
    }
    const { path, values } = worst
    const guard = mostFrequent(this.#guards)
    if (guard && guard.count >= values.length)
      return `What keeps changing: ${guard.what}. Keep it as it is, or compile one function for each.`
    if (values.length === 1) return 'Its programs were dropped, by clear() or for want of room (cacheSize).'
    const [before, after] = values.slice(-2)
    return `${path} keeps changing (${before}, then ${after}). ${remedyFor(after!, this.#obstacle)}`
  }
}

function describe(path: string, x: unknown, into: Map<string, string>): void {
  if (x instanceof Tensor) {
    const { dtype, shape, strides, contiguous } = x.spec
    const laidOut = contiguous ? '' : ` of strides ${formatShape(strides)}`
    into.set(path, `${dtype} ${formatShape(shape)}${laidOut}${x.requiresGrad ? ' that requires a gradient' : ''}`)
  } else if (Array.isArray(x)) {
    into.set(`${path}.length`, String(x.length))
    x.forEach((part, i) => describe(`${path}[${i}]`, part, into))
  } else if (isPlain(x)) {
    for (const [name, part] of Object.entries(x)) describe(`${path}.${name}`, part, into)
  } else if (typeof x === 'function' || (typeof x === 'object' && x !== null)) {
    into.set(path, `${typeof x === 'function' ? 'function' : x.constructor.name} ${ordinalOf(x)}`)
  } else {
    into.set(path, typeof x === 'string' ? JSON.stringify(x) : String(x))
  }
}

function remedyFor(value: string, obstacle: string | null): string {
  if (value.includes('strides')) return 'Pass x.contiguous().'
  if (/^\w+ \[/.test(value) && obstacle)
    return `It is traced for each, as ${obstacle}. If it computes alike at all sizes, say so: compile(f, { dynamic: true }).`
  if (/^\w+ \[/.test(value)) return 'Each shape takes a program of its own: pad it to a few sizes, or leave out the last, smaller batch.'
  if (/ #\d+$/.test(value)) return 'Objects count by identity: make it once, outside of the loop.'
  return 'Plain values are constants of a program: pass what changes as a tensor.'
}

const ordinals = new WeakMap<object, number>()
let objects = 0

function ordinalOf(x: object): string {
  let ordinal = ordinals.get(x)
  if (ordinal === undefined) ordinals.set(x, (ordinal = ++objects))
  return `#${ordinal}`
}

function mostFrequent(names: readonly string[]): { what: string; count: number } | null {
  const counts = new Map<string, number>()
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1)
  const [most] = [...counts].sort((a, b) => b[1] - a[1])
  return most ? { what: most[0], count: most[1] } : null
}
