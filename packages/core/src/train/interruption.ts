interface HostProcess {
  once(signal: 'SIGINT', listener: () => void): unknown
  off(signal: 'SIGINT', listener: () => void): unknown
}

/**
 * Whether somebody wants a training to end: by its signal, or by Ctrl-C. A second Ctrl-C ends the program, as it would without.
 */
export function interruption({ signal, interruptible = true }: { readonly signal?: AbortSignal; readonly interruptible?: boolean }) {
  const { process } = globalThis as { process?: Partial<HostProcess> }
  const host = interruptible && process?.once && process.off ? (process as HostProcess) : undefined
  let interrupted = false
  const interrupt = () => {
    interrupted = true
  }
  host?.once('SIGINT', interrupt)
  return {
    get happened(): boolean {
      return interrupted || (signal?.aborted ?? false)
    },
    /** Leaves Ctrl-C to others again. */
    end: () => void host?.off('SIGINT', interrupt),
  }
}
