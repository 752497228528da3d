import { CotangentError } from '../errors.ts'
import { Tensor } from '../tensor/tensor.ts'

/** The arguments of a call: its tensors in order, and what tells programs for such arguments from others. */
export interface ReadArguments {
  readonly key: string
  readonly tensors: readonly Tensor[]
}

const identities = new WeakMap<object, number>()
let identified = 0

/** A number for an object that no other object has. */
function identityOf(x: object): number {
  let id = identities.get(x)
  if (id === undefined) identities.set(x, (id = identified++))
  return id
}

/** Tensors count by their specs, plain values as they are, modules and other objects by identity. */
export function readArguments(args: readonly unknown[]): ReadArguments {
  const tensors: Tensor[] = []
  let key = ''
  for (const arg of args) key += `${keyOf(arg, tensors)},`
  return { key, tensors }
}

function keyOf(x: unknown, tensors: Tensor[]): string {
  if (x instanceof Tensor) {
    tensors.push(x)
    return x.requiresGrad ? `${x.spec.id}g` : `${x.spec.id}`
  }
  if (typeof x === 'object' && x !== null) {
    if (ArrayBuffer.isView(x) || x instanceof ArrayBuffer) refuseNumbers(x)
    if (Array.isArray(x)) return `[${x.map((part) => keyOf(part, tensors))}]`
    const prototype: unknown = Object.getPrototypeOf(x)
    if (prototype !== Object.prototype && prototype !== null) return `#${identityOf(x)}`
    return `{${Object.entries(x).map(([name, part]) => `${JSON.stringify(name)}:${keyOf(part, tensors)}`)}}`
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
