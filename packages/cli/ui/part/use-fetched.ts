import { useEffect, useRef, useState } from 'preact/hooks'

interface Fetched<T> {
  value: T | undefined
  error: string | undefined
}

/**
 * The same thing is fetched again no sooner than this many milliseconds after the last time, and than so many times what that took: live runs
 * change all the time, and large ones take the server a while.
 */
const pause = 1000
const rest = 4

/**
 * Keeps what `fetcher` gives up to date. While something new is on its way, what was there before stays.
 *
 * @param question what is asked for: another question is asked at once.
 * @param version of the answer: a higher one is asked for after a pause.
 * @param active when false, nothing is fetched.
 */
export function useFetched<T>(fetcher: (signal: AbortSignal) => Promise<T>, question: string, version: number, active = true): Fetched<T> {
  const [state, setState] = useState<Fetched<T>>({ value: undefined, error: undefined })
  const asked = useRef({ question: '', version: -1, next: 0 })
  useEffect(() => {
    const { current: last } = asked
    if (!active || (last.question === question && last.version === version)) return undefined
    const abort = new AbortController()
    const wait = last.question === question ? Math.max(0, last.next - performance.now()) : 0
    const timer = setTimeout(async () => {
      const started = performance.now()
      try {
        const value = await fetcher(abort.signal)
        if (abort.signal.aborted) return
        const now = performance.now()
        asked.current = { question, version, next: now + Math.max(pause, rest * (now - started)) }
        setState({ value, error: undefined })
      } catch (error) {
        if (!abort.signal.aborted) setState((before) => ({ ...before, error: (error as Error).message }))
      }
    }, wait)
    return () => {
      clearTimeout(timer)
      abort.abort()
    }
  }, [question, version, active])
  return state
}
