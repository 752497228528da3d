/** Nested arrays and plain objects of leaves: what `grad`, `tidy` and `compile` accept and return. */
export type Tree<T> = T | readonly Tree<T>[] | { readonly [key: string]: Tree<T> }

/** Whether it is a plain object, whose values are parts of the tree. */
export const isPlain = (x: unknown): x is Record<string, unknown> =>
  typeof x === 'object' && x !== null && (Object.getPrototypeOf(x) === Object.prototype || Object.getPrototypeOf(x) === null)

/** Replaces every leaf for which `isLeaf` holds; everything else stays as it is. */
export function mapTree<T, U>(tree: unknown, isLeaf: (x: unknown) => x is T, change: (leaf: T) => U): unknown {
  if (isLeaf(tree)) return change(tree)
  if (Array.isArray(tree)) return tree.map((part) => mapTree(part, isLeaf, change))
  if (isPlain(tree)) return Object.fromEntries(Object.entries(tree).map(([key, part]) => [key, mapTree(part, isLeaf, change)]))
  return tree
}

/** The leaves, in order. */
export function leavesOf<T>(tree: unknown, isLeaf: (x: unknown) => x is T): T[] {
  const leaves: T[] = []
  mapTree(tree, isLeaf, (leaf) => leaves.push(leaf))
  return leaves
}
