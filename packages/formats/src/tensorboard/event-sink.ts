/** Where an `EventWriter` puts its records: whole ones, in order. Both may throw; what was not appended is offered again. */
export interface EventSink {
  /** Appends bytes. It is synchronous, so that a loop without an `await` loses nothing when its process is killed. */
  append(bytes: Uint8Array): void
  /** Makes sure that what was appended survives. */
  flush(): Promise<void>
  close(): Promise<void>
}
