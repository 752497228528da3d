import { userLine } from '../autograd/anomaly.ts'
import { backward, type BackwardOptions } from '../autograd/backward.ts'
import { type Edge, TapeNode } from '../autograd/tape.ts'
import type { DType, TypedArray } from '../dtype.ts'
import { dtypeInfo, isFloat } from '../dtype.ts'
import type { Engine } from '../engine/engine.ts'
import { CotangentError } from '../errors.ts'
import type { Shape, Spec } from '../layout.ts'
import type { Methods } from '../op/methods.ts'
import { changes } from './changes.ts'
import { fromRaw, type Nested, nest, type Element } from './elements.ts'
import { formatTensor } from './format.ts'
import { modes } from './modes.ts'
import { Placeholder, type Storage } from './storage.ts'

export interface Tensor<S extends Shape = Shape> extends Methods<S> {}

/**
 * An n-dimensional array of numbers on an engine. `S` is its shape as a type: `number` stands for a size that is not known.
 *
 * A tensor is a view of memory: reshaping, transposing and slicing share it. Its methods are the op table's.
 */
export class Tensor<S extends Shape = Shape> {
  /** Dtype, shape and strides. */
  readonly spec: Spec
  /** Where the first element lies, in elements from the start of the storage. */
  readonly offset: number
  #grad: Tensor<S> | null = null
  /** Nobody but this tensor has seen its gradient, so its memory goes back when another one takes its place. */
  #ownsGrad = false
  readonly #memory: Storage | Placeholder
  #edge: Edge | null = null

  /** Not for users: see `tensor`, `zeros`, and the other creation functions. */
  constructor(spec: Spec, memory: Storage | Placeholder, offset: number) {
    this.spec = spec
    this.#memory = memory
    this.offset = offset
  }

  get shape(): S {
    const { shapeWatcher } = modes
    return (shapeWatcher ? shapeWatcher.shape(this.spec.shape) : this.spec.shape) as S
  }

  get dtype(): DType {
    return this.spec.dtype
  }

  /** Number of axes. */
  get rank(): S['length'] {
    return this.spec.shape.length
  }

  /** Number of elements. */
  get size(): number {
    const { shapeWatcher } = modes
    return shapeWatcher ? shapeWatcher.size(this.spec.size) : this.spec.size
  }

  get engine(): Engine {
    return this.storage.engine
  }

  /** Storage, or what stands for it. */
  get memory(): Storage | Placeholder {
    return this.#memory
  }

  /** The memory it reads. Throws while tracing, where there is none yet. */
  get storage(): Storage {
    const memory = this.#memory
    if (memory.isPlaceholder) {
      const { message, hint } = (memory as Placeholder).refusal
      throw new CotangentError('tracer-read', {
        message: `${message}; read at ${userLine(new Error().stack)}`,
        shapes: [this.shape],
        dtypes: [this.dtype],
        hint,
      })
    }
    return memory as Storage
  }

  get isTracer(): boolean {
    return this.#memory.isPlaceholder
  }

  /** Counts the writes in place to the memory behind this tensor. */
  get version(): number {
    return this.#memory.version
  }

  // Gradients

  /** The gradient that `backward` left here; only on leaves that require one. */
  get grad(): Tensor<S> | null {
    this.#ownsGrad = false
    return this.unseenGrad
  }

  set grad(gradient: Tensor<S> | null) {
    if (modes.tracer) modes.tracer.setGrad(this as unknown as Tensor, gradient as Tensor | null)
    else this.leaveGrad(gradient, { owned: false })
  }

  /** Not for users: `grad`, for those who keep nothing of it. */
  get unseenGrad(): Tensor<S> | null {
    return modes.tracer ? (modes.tracer.gradOf(this as unknown as Tensor) as Tensor<S> | null) : this.#grad
  }

  /** Not for users: sets `grad`; `owned` says that nobody else has it, nor a view of it. */
  leaveGrad(gradient: Tensor<S> | null, { owned }: { readonly owned: boolean }): void {
    if (this.#ownsGrad && gradient !== this.#grad) this.#grad!.storage.release()
    this.#grad = gradient
    this.#ownsGrad = owned
    changes.count++
  }

  /** Whether ops on this tensor are recorded for `backward`. */
  get requiresGrad(): boolean {
    return this.#edge !== null
  }

  set requiresGrad(value: boolean) {
    this.setRequiresGrad(value)
  }

  /** Marks a leaf as one to differentiate by (or not); returns it. */
  setRequiresGrad(value = true): this {
    if (value && !isFloat(this.dtype)) {
      throw new CotangentError('no-gradient', {
        message: `a ${this.dtype} tensor cannot require gradients`,
        hint: 'Cast it to a float dtype first.',
      })
    }
    if (!value && this.#edge && !this.isLeaf) {
      throw new CotangentError('no-gradient', { message: 'only a leaf can stop requiring gradients', hint: 'Use x.detach().' })
    }
    changes.count++
    if (value) this.#edge ??= { node: new TapeNode('leaf', { leaf: this as unknown as Tensor }), index: 0 }
    else this.#edge = null
    return this
  }

  /** Whether it was made by the user (or without recording) rather than by a recorded op. */
  get isLeaf(): boolean {
    return this.#edge === null || this.#edge.node.leaf !== undefined
  }

  /** Where its gradient comes from; null if it requires none. */
  get edge(): Edge | null {
    return this.#edge
  }

  /** Not for users: makes this the output of a recorded op. */
  attach(edge: Edge): void {
    this.#edge = edge
  }

  /**
   * Adds the gradients of this tensor with respect to every leaf that it was computed from to the leaves' `.grad`.
   * A tensor that is not a single number needs `gradient`, of its own shape.
   */
  backward(options: BackwardOptions = {}): void {
    backward([this as unknown as Tensor], options)
  }

  /** The same values, cut off from the recorded ops. Shares memory. */
  detach(): Tensor<S> {
    const memory = this.#memory instanceof Placeholder ? this.#memory.detached() : this.#memory
    return new Tensor<S>(this.spec, memory, this.offset)
  }

  /**
   * Calls `hook` with this tensor's gradient whenever one is computed; what it returns, if anything, takes the gradient's place.
   *
   * @returns A function that removes the hook.
   */
  registerHook(hook: (gradient: Tensor<S>) => Tensor<S> | undefined): () => void {
    if (!this.#edge) {
      throw new CotangentError('no-gradient', {
        message: 'a tensor that does not require gradients can have no gradient hook',
        hint: 'Set requiresGrad first.',
      })
    }
    const { node, index } = this.#edge
    node.hooks ??= []
    const hooks = (node.hooks[index] ??= [])
    hooks.push(hook as never)
    return () => void hooks.splice(hooks.indexOf(hook as never), 1)
  }

  // Reading

  /** The elements in row-major order, in the dtype's typed array (float16 and bfloat16 as float32). Works on every engine. */
  async data(): Promise<TypedArray> {
    modes.tracer?.look?.(this as unknown as Tensor)
    const dense = this.#dense()
    return fromRaw(await dense.engine.read(dense.storage.buffer, this.dtype, dense.offset, this.size), this.dtype)
  }

  /** `data()` without waiting; only where the engine is synchronous (CPU). */
  dataSync(): TypedArray {
    modes.tracer?.look?.(this as unknown as Tensor)
    const dense = this.#dense()
    if (!dense.engine.synchronous) {
      throw new CotangentError('async-only', {
        message: `the ${dense.engine.name} engine cannot be read synchronously`,
        hint: 'Use `await t.data()`.',
      })
    }
    return fromRaw(dense.engine.readSync(dense.storage.buffer, this.dtype, dense.offset, this.size), this.dtype)
  }

  /** The one element as a number (bool as 0 or 1). Synchronous engines only; elsewhere `await t.data()`. */
  item(): number {
    if (this.size !== 1) {
      throw new CotangentError('shape-mismatch', {
        op: 'item',
        message: `a tensor of ${this.size} elements is not one number`,
        shapes: [this.shape],
        hint: 'Reduce or index it first, or use toArray().',
      })
    }
    return Number(this.dataSync()[0])
  }

  /** Nested JavaScript arrays: numbers, booleans for bool, bigints for int64. Synchronous engines only. */
  toArray(): Nested<Element> {
    return nest(this.dataSync(), this.shape, this.dtype)
  }

  /** NumPy-style text, as `console.log` shows it. */
  toString(): string {
    return formatTensor(this as unknown as Tensor)
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return this.toString()
  }

  get [Symbol.toStringTag](): string {
    return 'Tensor'
  }

  // Memory

  /** Bytes of its elements. */
  get bytes(): number {
    return this.size * dtypeInfo[this.dtype].size
  }

  /**
   * Gives the memory back now; the tensor and its views cannot be used afterwards. Never needed: memory of tensors that
   * cannot be reached any more comes back by itself.
   */
  dispose(): void {
    if (!(this.#memory instanceof Placeholder)) this.#memory.release()
  }

  [Symbol.dispose](): void {
    this.dispose()
  }

  get released(): boolean {
    return this.#memory.released
  }

  #dense(): Tensor {
    return this.spec.contiguous ? (this as unknown as Tensor) : this.detach().contiguous()
  }
}
