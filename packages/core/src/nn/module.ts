import type { DType } from '../dtype.ts'
import { isFloat } from '../dtype.ts'
import type { Shape } from '../layout.ts'
import type { ShapeRule } from '../shape-types.ts'
import { changes } from '../tensor/changes.ts'
import { modes } from '../tensor/modes.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { isPlain } from '../tree.ts'
import { Buffer, Parameter } from './parameter.ts'
import { loadState, type LoadOptions, type LoadReport, stateOf, type StateDict, type StateSource } from './state-dict.ts'

/** Called before `forward` with its arguments; an array that it returns takes their place. */
export type PreForwardHook<M extends Module = Module> = (module: M, inputs: readonly unknown[]) => readonly unknown[] | undefined
/** Called after `forward`; what it returns, if anything, takes the output's place. */
export type ForwardHook<M extends Module = Module> = (module: M, inputs: readonly unknown[], output: unknown) => unknown

/** A module that takes one tensor to another, so that it can be part of a chain. */
export interface TensorModule extends Module {
  forward(input: Tensor): Tensor
}

/** A place that holds a parameter, buffer or child, which can be read and set. */
export interface Slot {
  /** `layers.0.weight`. */
  readonly name: string
  readonly value: Parameter | Buffer | Module
  readonly set: (value: unknown) => void
}

/**
 * The base of all layers and models: a plain class. Its parameters, buffers and children are its fields, also within arrays,
 * Maps and plain objects (not within `#private` fields, which is where a
 * module keeps another that is not part of it); there is nothing to register.
 *
 *     class Net extends nn.Module {
 *       hidden = new nn.Linear(784, 128)
 *       out = new nn.Linear(128, 10)
 *       forward(x: Tensor) {
 *         return this.out.forward(this.hidden.forward(x).relu())
 *       }
 *     }
 *
 * A subclass may state its shape rule as `declare readonly $out`; see `Sequential`.
 */
export abstract class Module implements ShapeRule {
  declare readonly $in: unknown
  declare readonly $out: unknown

  #training = true
  #before: PreForwardHook[] = []
  #after: ForwardHook[] = []

  /** Whether layers that differ in training and use (dropout, batch norm) are to train. Set it by `train()` and `eval()`. */
  get training(): boolean {
    const training = this.#training
    modes.tracer?.guard(`${this.constructor.name}.training`, () => this.#training === training, { lasting: true })
    return training
  }

  set training(training: boolean) {
    if (training !== this.#training) changes.count++
    this.#training = training
  }

  abstract forward(...inputs: never[]): unknown

  // Parts

  /** Modules, parameters and buffers among this module's own fields. */
  #own(): Slot[] {
    const found: Slot[] = []
    const visit = (value: unknown, path: readonly string[], set: (value: unknown) => void): void => {
      if (value instanceof Module || value instanceof Parameter || value instanceof Buffer) found.push({ name: path.join('.'), value, set })
      else if (Array.isArray(value)) value.forEach((part, i) => visit(part, [...path, String(i)], (v) => void (value[i] = v)))
      else if (value instanceof Map) for (const [key, part] of value) visit(part, [...path, String(key)], (v) => void value.set(key, v))
      else if (isPlain(value)) for (const [key, part] of Object.entries(value)) visit(part, [...path, key], (v) => void (value[key] = v))
    }
    const hidden = this.unnamedFields
    for (const [key, value] of Object.entries(this)) {
      visit(value, hidden.includes(key) ? [] : [key], (v) => void ((this as Record<string, unknown>)[key] = v))
    }
    return found
  }

  /** Fields whose own names do not become part of their members' names, as `layers` of a `Sequential`. */
  protected get unnamedFields(): readonly string[] {
    return []
  }

  /** Every parameter, buffer and module below this one, depth first. A shared one appears wherever it is held. */
  *slots(prefix = ''): Generator<Slot> {
    for (const slot of this.#own()) {
      const name = prefix + slot.name
      yield { ...slot, name }
      if (slot.value instanceof Module) yield* slot.value.slots(`${name}.`)
    }
  }

  /** The modules that this one holds itself, by name. */
  namedChildren(): Map<string, Module> {
    return new Map(this.#own().flatMap(({ name, value }) => (value instanceof Module ? [[name, value]] : [])))
  }

  /** The modules that this one holds itself, each once. */
  children(): Module[] {
    return [...new Set(this.namedChildren().values())]
  }

  /** This module (named '') and all below it, each once. */
  namedModules(): Map<string, Module> {
    return byFirstName(new Map([[this as Module, '']]), this.slots(), (value) => value instanceof Module)
  }

  /** This module and all below it, each once. */
  modules(): Module[] {
    return [...this.namedModules().values()]
  }

  /** All parameters by name, each once, also if it is shared. */
  namedParameters(): Map<string, Parameter> {
    return byFirstName(new Map(), this.slots(), (value) => value instanceof Parameter)
  }

  /** All parameters, each once: what optimisers are made with. */
  parameters(): Parameter[] {
    return [...this.namedParameters().values()]
  }

  /** All buffers by name, each once. */
  namedBuffers(): Map<string, Buffer> {
    return byFirstName(new Map(), this.slots(), (value) => value instanceof Buffer)
  }

  /** All buffers, each once. */
  buffers(): Buffer[] {
    return [...this.namedBuffers().values()]
  }

  // Changes to all parts

  /** Calls `change` with every module below this one, and then with this one; returns this one. */
  apply(change: (module: Module) => void): this {
    for (const module of this.modules().reverse()) change(module)
    return this
  }

  /** Sets this module and all below it to training, or (false) to use. */
  train(training = true): this {
    for (const module of this.modules()) module.training = training
    return this
  }

  /** Sets this module and all below it to use: dropout does nothing, batch norm takes its running statistics. */
  eval(): this {
    return this.train(false)
  }

  /** Stops all parameters from requiring gradients. */
  freeze(): this {
    for (const parameter of this.parameters()) parameter.requiresGrad = false
    return this
  }

  /** Makes all parameters require gradients. */
  unfreeze(): this {
    for (const parameter of this.parameters()) parameter.requiresGrad = true
    return this
  }

  /** Forgets the gradients of all parameters. */
  zeroGrad(): this {
    for (const parameter of this.parameters()) parameter.grad = null
    return this
  }

  /**
   * Replaces all float parameters and buffers by ones of `dtype`, without their gradients. Do it before you make an optimiser,
   * which would go on with the old ones.
   */
  to(dtype: DType): this {
    const made = new Map<Tensor, Tensor>()
    for (const { value, set } of Array.from(this.slots())) {
      if (value instanceof Module || !isFloat(value.dtype) || value.dtype === dtype) continue
      let changed = made.get(value)
      if (!changed) {
        const cast = value.detach().cast(dtype)
        changed =
          value instanceof Buffer
            ? new Buffer(cast, { persistent: value.persistent })
            : new Parameter(cast, { requiresGrad: value.requiresGrad })
        made.set(value, changed)
      }
      set(changed)
    }
    return this
  }

  // State

  /** All parameters and persistent buffers by name, sharing their memory: save them with `saveSafetensors`. */
  stateDict(): StateDict {
    return stateOf(this)
  }

  /**
   * Copies tensors into the parameters and buffers of the same names.
   *
   * @returns The names that were missing and those that nothing here is called; with `strict` (default) there are none.
   * @throws {CotangentError} `invalid-argument` that lists everything that does not fit, before anything is changed.
   */
  loadStateDict(state: StateSource, options: LoadOptions = {}): LoadReport {
    return loadState(this, state, options)
  }

  // Hooks

  /** Calls `hook` before each `forward` of this module; returns a function that removes it. */
  registerForwardPreHook(hook: PreForwardHook<this>): () => void {
    return this.#hook(this.#before, hook as unknown as PreForwardHook)
  }

  /** Calls `hook` after each `forward` of this module; returns a function that removes it. */
  registerForwardHook(hook: ForwardHook<this>): () => void {
    return this.#hook(this.#after, hook as unknown as ForwardHook)
  }

  /** While there are hooks, a field stands before the class's `forward`; without, calls cost nothing. */
  #hook<H>(hooks: H[], hook: H): () => void {
    if (this.#before.length + this.#after.length === 0) {
      Object.defineProperty(this, 'forward', {
        value: (...inputs: unknown[]) => this.#hookedForward(inputs),
        configurable: true,
        enumerable: false,
      })
    }
    hooks.push(hook)
    return () => {
      const at = hooks.indexOf(hook)
      if (at < 0) return
      hooks.splice(at, 1)
      if (this.#before.length + this.#after.length === 0) delete (this as Partial<Module>).forward
    }
  }

  #hookedForward(given: readonly unknown[]): unknown {
    const inputs = this.#before.slice().reduce((args, hook) => hook(this, args) ?? args, given)
    const forward = (Object.getPrototypeOf(this) as Module).forward as (...args: readonly unknown[]) => unknown
    const output = forward.apply(this, inputs as never[])
    return this.#after.slice().reduce((result, hook) => hook(this, inputs, result) ?? result, output)
  }

  // Texts

  /** The options of this layer, as `toString` shows them in brackets. */
  describe(): string {
    return ''
  }

  /**
   * Multiply-adds of one `forward` of this module itself (not of those below it), for `summary`; 0 where they do not count,
   * as in elementwise layers.
   */
  macs(_inputs: readonly Shape[], _output: Shape): number {
    return 0
  }

  /** Names and texts of the parts, as `toString` shows them below this module. */
  protected parts(): [name: string, text: string][] {
    return [...this.namedChildren()].map(([name, child]) => [name, child.toString()])
  }

  /** The tree of modules, as PyTorch writes it. */
  toString(): string {
    const own = this.describe()
    const lines = this.parts().map(([name, text]) => `  (${name}): ${text.replaceAll('\n', '\n  ')}`)
    const head = `${this.constructor.name}(`
    if (lines.length === 0) return `${head}${own})`
    return [`${head}${own}`, ...lines, ')'].join('\n')
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return this.toString()
  }
}

function byFirstName<T>(seen: Map<T, string>, slots: Iterable<Slot>, wanted: (value: Slot['value']) => boolean): Map<string, T> {
  for (const { name, value } of slots) if (wanted(value) && !seen.has(value as T)) seen.set(value as T, name)
  return new Map([...seen].map(([value, name]) => [name, value]))
}
