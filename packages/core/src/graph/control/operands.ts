/**
 * What control flow works on, or gives: groups that stand one behind the other, in the order in which they are given.
 */
export class Operands<N extends string, T> {
  readonly all: readonly T[]
  readonly #groups: ReadonlyMap<N, { readonly first: number; readonly count: number }>

  constructor(groups: Readonly<Record<N, readonly T[]>>) {
    const places = new Map<N, { readonly first: number; readonly count: number }>()
    const all: T[] = []
    for (const [name, group] of Object.entries(groups) as [N, readonly T[]][]) {
      places.set(name, { first: all.length, count: group.length })
      all.push(...group)
    }
    this.all = all
    this.#groups = places
  }

  /** The positions of some groups. */
  positions(...names: readonly N[]): number[] {
    return names.flatMap((name) => {
      const { first, count } = this.#groups.get(name)!
      return Array.from({ length: count }, (_, i) => first + i)
    })
  }

  /** Of `values`, one for each operand, those for a group. */
  of<U>(name: N, values: readonly U[]): U[] {
    return this.positions(name).map((i) => values[i]!)
  }

  /** One value for each operand: those that are wanted, from the list of their group if it has one; else null. */
  spread<U>(lists: Readonly<Partial<Record<N, readonly U[]>>>, wanted: readonly boolean[]): (U | null)[] {
    const spread: (U | null)[] = this.all.map(() => null)
    for (const [name, list] of Object.entries(lists) as [N, readonly U[]][]) {
      const places = this.positions(name).filter((i) => wanted[i])
      places.forEach((at, i) => (spread[at] = list[i]!))
    }
    return spread
  }
}
