import { CotangentError } from '../errors.ts'
import { quoteName } from '../io/array-record.ts'
import { Tensor } from '../tensor/tensor.ts'
import { isPlain } from '../tree.ts'
import type { Field } from './field.ts'
import { limits, numberToFile, type TreeFile } from './format.ts'

/** Trees of arguments and results: tensors stand for themselves by their number, plain values are constants. */
export type SavedTree =
  | { readonly kind: 'tensor'; readonly at: number }
  | { readonly kind: 'list'; readonly parts: readonly SavedTree[] }
  | { readonly kind: 'object'; readonly parts: readonly (readonly [string, SavedTree])[] }
  | { readonly kind: 'constant'; readonly value: string | number | boolean | null | undefined }

/** @param place The number of a tensor. @param what Names the tree for errors. */
export function treeToFile(tree: unknown, place: (x: Tensor) => number, what: string, depth = 0): TreeFile {
  if (tree instanceof Tensor) return { tensor: place(tree) }
  const refuse = (problem: string, hint: string): never => {
    throw new CotangentError('invalid-argument', { op: 'exportProgram', message: `${what} ${problem}`, hint })
  }
  if (depth > limits.depth) refuse(`is nested more than ${limits.depth} deep`, 'Flatten it.')
  if (tree === undefined) return { undefined: true }
  if (typeof tree === 'number') return { number: numberToFile(tree) }
  if (tree === null || typeof tree === 'boolean' || typeof tree === 'string') return { constant: tree }
  if (Array.isArray(tree)) return { list: tree.map((part) => treeToFile(part, place, what, depth + 1)) }
  if (!isPlain(tree))
    return refuse(
      `holds ${typeof tree === 'object' ? `a ${tree.constructor.name}` : `a ${typeof tree}`}, which a file cannot hold`,
      'Let the function use it from outside, and pass tensors, plain values, and arrays and plain objects of them.',
    )
  if (Object.hasOwn(tree, '__proto__')) refuse('has a field __proto__', 'Rename it.')
  return { object: Object.entries(tree).map(([key, part]) => [key, treeToFile(part, place, what, depth + 1)] as const) }
}

/** @param tensors How many tensors there are to be named. */
export function treeFromFile(field: Field, tensors: number, depth = 0): SavedTree {
  field.check(depth <= limits.depth, `is nested more than ${limits.depth} deep`)
  const parts = field.object([], ['tensor', 'list', 'object', 'constant', 'number', 'undefined'])
  field.check(Object.keys(parts).length === 1, 'is not of one kind')
  if (parts.tensor) return { kind: 'tensor', at: parts.tensor.integer(0, tensors - 1) }
  if (parts.list) return { kind: 'list', parts: parts.list.list(limits.values).map((part) => treeFromFile(part, tensors, depth + 1)) }
  if (parts.constant) return { kind: 'constant', value: parts.constant.leaf() }
  if (parts.number) return { kind: 'constant', value: Number(parts.number.number()) }
  if (parts.undefined) return { kind: 'constant', value: undefined }
  const names = new Set<string>()
  const entries = parts.object!.list(limits.values).map((entry) => {
    const [key, part] = entry.list(2, 2)
    const name = key!.text()
    key!.check(name !== '__proto__' && !names.has(name), 'is not allowed')
    names.add(name)
    return [name, treeFromFile(part!, tensors, depth + 1)] as const
  })
  return { kind: 'object', parts: entries }
}

/** The tree with `leaf` in the place of its tensors. */
export function fillTree(tree: SavedTree, leaf: (at: number) => unknown): unknown {
  if (tree.kind === 'tensor') return leaf(tree.at)
  if (tree.kind === 'list') return tree.parts.map((part) => fillTree(part, leaf))
  if (tree.kind === 'object') return Object.fromEntries(tree.parts.map(([key, part]) => [key, fillTree(part, leaf)]))
  return tree.value
}

/** Takes the tensors of arguments that have to be as the tree says; plain values have to be those of the export. */
export function matchTree(tree: SavedTree, given: unknown, path: string, enter: (at: number, x: Tensor) => void): void {
  const refuse = (wanted: string): never => {
    const shown =
      given instanceof Tensor
        ? 'a tensor'
        : typeof given === 'string'
          ? quoteName(given)
          : Array.isArray(given)
            ? 'an array'
            : typeof given === 'object'
              ? given === null
                ? 'null'
                : 'an object'
              : String(given)
    throw new CotangentError('invalid-argument', {
      op: 'run',
      message: `${path} is ${shown}, not ${wanted}`,
      hint: 'A loaded program takes arguments like those that it was exported with: see its inputs.',
    })
  }
  if (tree.kind === 'tensor') {
    if (!(given instanceof Tensor)) return refuse('a tensor')
    enter(tree.at, given)
  } else if (tree.kind === 'list') {
    if (!Array.isArray(given) || given.length !== tree.parts.length) return refuse(`an array of ${tree.parts.length}`)
    tree.parts.forEach((part, i) => matchTree(part, given[i], `${path}[${i}]`, enter))
  } else if (tree.kind === 'object') {
    if (typeof given !== 'object' || given === null || Array.isArray(given) || given instanceof Tensor) return refuse('an object')
    const own = given as Record<string, unknown>
    for (const [key, part] of tree.parts) matchTree(part, Object.hasOwn(own, key) ? own[key] : undefined, `${path}.${key}`, enter)
  } else if (!Object.is(tree.value, given))
    refuse(`${typeof tree.value === 'string' ? quoteName(tree.value) : String(tree.value)}, a constant of the program`)
}
