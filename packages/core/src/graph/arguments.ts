import { CotangentError } from '../errors.ts'
import { type Spec, spec as specOf } from '../layout.ts'
import { Tensor } from '../tensor/tensor.ts'
import { isPlain } from '../tree.ts'

/** The arguments of a call: its tensors in order, and what tells programs for such arguments from others. */
interface ReadArguments {
  readonly key: string
  readonly tensors: readonly Tensor[]
}

const identities = new WeakMap<object, number>()
let identified = 0

/** A number for an object that no other object has. */
export function identityOf(x: object): number {
  let id = identities.get(x)
  if (id === undefined) identities.set(x, (id = identified++))
  return id
}

/** Tensors count by their specs, plain values as they are, modules and other objects by identity. */
export function readArguments(args: readonly unknown[]): ReadArguments {
  const tensors: Tensor[] = []
  const key = keyOfAll(args, (x) => {
    tensors.push(x)
    return x.spec.id
  })
  return { key, tensors }
}

/** Arguments but for the sizes of dense tensors, which come apart. */
interface SizedArguments {
  readonly key: string
  /** One after the other. */
  readonly sizes: readonly number[]
}

export function readSizes(args: readonly unknown[]): SizedArguments {
  const sizes: number[] = []
  const key = keyOfAll(args, ({ spec }) => {
    if (!isDense(spec)) return spec.id
    sizes.push(...spec.shape)
    return `${spec.dtype}^${spec.shape.length}`
  })
  return { key, sizes }
}

/** The specs of tensors, with other sizes of those that are dense. */
export function withSizes(tensors: readonly Tensor[], sizes: readonly number[]): Spec[] {
  let next = 0
  return tensors.map(({ spec }) => (isDense(spec) ? specOf(spec.dtype, sizes.slice(next, (next += spec.shape.length))) : spec))
}

const isDense = (spec: Spec): boolean => spec === specOf(spec.dtype, spec.shape)

/** What a tensor counts by. */
type KeyOfTensor = (x: Tensor) => number | string

function keyOfAll(args: readonly unknown[], tensor: KeyOfTensor): string {
  let key = ''
  for (const arg of args) key += `${keyOf(arg, tensor)},`
  return key
}

function keyOf(x: unknown, tensor: KeyOfTensor): string {
  if (x instanceof Tensor) return x.requiresGrad ? `${tensor(x)}g` : `${tensor(x)}`
  if (typeof x === 'object' && x !== null) {
    if (ArrayBuffer.isView(x) || x instanceof ArrayBuffer) refuseNumbers(x)
    if (Array.isArray(x)) return `[${x.map((part) => keyOf(part, tensor))}]`
    if (!isPlain(x)) return `#${identityOf(x)}`
    return `{${Object.entries(x).map(([name, part]) => `${JSON.stringify(name)}:${keyOf(part, tensor)}`)}}`
  }
  if (typeof x === 'function') return `#${identityOf(x)}`
  return typeof x === 'string' ? JSON.stringify(x) : `${typeof x} ${Object.is(x, -0) ? '-0' : String(x)}`
}

function refuseNumbers(x: object): never {
  throw new CotangentError('invalid-argument', {
    op: 'compile',
    message: `a ${x.constructor.name} is an argument, whose numbers would be constants of the program`,
    hint: 'Pass it as a tensor: tensor(values).',
  })
}
