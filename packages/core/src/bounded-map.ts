/** A map of so many entries at most: the oldest goes when another one comes. Telling which was used last would cost every look-up. */
export class BoundedMap<K, V> extends Map<K, V> {
  readonly limit: number

  constructor(limit: number) {
    super()
    this.limit = limit
  }

  override set(key: K, value: V): this {
    if (this.size >= this.limit && !this.has(key)) this.delete(this.keys().next().value!)
    return super.set(key, value)
  }
}
