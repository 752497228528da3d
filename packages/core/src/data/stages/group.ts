import { checkCount } from '../check.ts'
import { run, wait } from '../later.ts'
import { applyTo, type Place, span } from '../place.ts'
import { loadStep, loadValue, type SavedStep, saveStep, saveValue } from '../saved-value.ts'
import { type Stage, stageOver, type Step } from '../stage.ts'

/** What tells groups apart. */
export type GroupKey = string | number | boolean | bigint | null

interface GroupSpec<T, K extends GroupKey, U> {
  readonly name: string
  readonly input: Stage<T>
  readonly keyOf: (value: T) => K | PromiseLike<K>
  /** Elements of a group at which it is handed out. */
  readonly sizeOf: (key: K) => number
  /** Leaves out groups that are not full at the end. */
  readonly dropLast: boolean
  readonly make: (key: K, elements: T[]) => U | PromiseLike<U>
}

interface Group<K, T> {
  readonly key: K
  readonly values: T[]
  place: Place | undefined
}

interface GroupState {
  readonly groups: readonly { readonly key: unknown; readonly values: readonly unknown[]; readonly place: Place | null }[]
  readonly held: SavedStep | null
}

/** Collects elements by key; hands a group out when it is full, and at the end those that are left, in the order of their first elements. */
export function groupStage<T, K extends GroupKey, U>({ name, input, keyOf, sizeOf, dropLast, make }: GroupSpec<T, K, U>): Stage<U> {
  return stageOver<T, U, GroupState>({
    name,
    input,
    length: undefined,
    pass: (cursor, _, saved) => {
      const groups = new Map<K, Group<K, T>>()
      for (const { key, values, place } of saved?.groups ?? []) {
        const group = { key: loadValue(key) as K, values: values.map(loadValue) as T[], place: place ?? undefined }
        groups.set(group.key, group)
      }
      // Only the group that an element came to last can be full.
      let last = [...groups.values()].find(({ key, values }) => values.length >= sizeOf(key))
      let held: Step<T> | undefined = saved?.held ? loadStep(saved.held) : undefined
      function* next() {
        for (;;) {
          if (last && last.values.length >= sizeOf(last.key)) return yield* handOut(last)
          held ??= yield* wait(cursor.next())
          if (!held) break
          yield* add(held)
        }
        const [rest] = groups.values()
        if (!rest || dropLast) return undefined
        return yield* handOut(rest)
      }
      function* add(step: Step<T>) {
        try {
          const key = yield* wait(applyTo(name, step, keyOf))
          checkCount(name, `the size of group ${String(key)}`, sizeOf(key), { infinite: true })
          const group = groups.get(key) ?? { key, values: [], place: undefined }
          groups.set(key, group)
          group.values.push(step.value)
          group.place = span(group.place, step.place)
          last = group
        } finally {
          held = undefined
        }
      }
      function* handOut(group: Group<K, T>) {
        const { key, values, place } = group
        try {
          const value = yield* wait(applyTo(name, { value: values, place }, (elements) => make(key, elements)))
          return { value, place }
        } finally {
          groups.delete(key)
          last = undefined
        }
      }
      return {
        next: () => run(next()),
        state: () => ({
          groups: [...groups.values()].map(({ key, values, place }) => ({
            key: saveValue(key),
            values: values.map(saveValue),
            place: place ?? null,
          })),
          held: held ? saveStep(held) : null,
        }),
      }
    },
  })
}
