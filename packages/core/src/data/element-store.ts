/** A place that keeps elements beyond the program's end, for `cache`: `FileStore` of `cotangent/node`, or one of your own. */
export interface ElementStore {
  /**
   * The elements of an earlier pass, if they were stored as a whole.
   *
   * @param pipeline What made them, as one line: others must not be mistaken for them.
   */
  open(pipeline: string): Promise<StoredElements | undefined>
  /** Begins to store elements, which are there for `open` when they are finished. */
  create(pipeline: string): Promise<ElementWriter>
}

/** Elements that were written before, as bytes, for reading in any order. */
export interface StoredElements {
  /** For messages. */
  readonly name?: string
  readonly length: number
  read(index: number): Promise<Uint8Array>
  close(): Promise<void>
}

export interface ElementWriter {
  write(element: Uint8Array): Promise<void>
  finish(): Promise<void>
  /** Removes what was written. */
  abandon(): Promise<void>
}
