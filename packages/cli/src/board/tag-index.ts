import type { RunList } from './protocol.ts'
import { type Kind, kinds, type TagWords } from './run-event.ts'
import type { Run } from './run.ts'

/** Numbers for tags, handed out as they appear and never again: addresses stay short, and a page's stay valid. */
export class TagIndex {
  readonly tags: RunList['tags'] = []
  readonly #ids = new Map<string, number>()

  /** The ids of all tags of a run. */
  of(run: Run): number[] {
    return kinds.flatMap((kind) => [...run.of(kind).keys()].map((name) => this.#id(kind, name, run.words.get(name))))
  }

  #id(kind: Kind, name: string, words?: TagWords): number {
    const key = `${kind} ${name}`
    let id = this.#ids.get(key)
    if (id === undefined) {
      this.#ids.set(key, (id = this.tags.length))
      this.tags.push({ id, kind, name, displayName: '', description: '' })
    }
    if (words) Object.assign(this.tags[id]!, words)
    return id
  }
}
