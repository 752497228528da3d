import type { RefObject } from 'preact'
import { useEffect, useState } from 'preact/hooks'

/** The inner width of an element in whole CSS pixels, 0 before it is known. */
export function useWidth(element: RefObject<HTMLElement | null>): number {
  const [width, setWidth] = useState(0)
  useEffect(() => {
    const observer = new ResizeObserver(([entry]) => setWidth(Math.floor(entry!.contentRect.width)))
    observer.observe(element.current!)
    return () => observer.disconnect()
  }, [element])
  return width
}

/** Is the element on the screen, or nearly? */
export function useSeen(element: RefObject<HTMLElement | null>): boolean {
  const [seen, setSeen] = useState(false)
  useEffect(() => {
    const observer = new IntersectionObserver(([entry]) => setSeen(entry!.isIntersecting), { rootMargin: '200px' })
    observer.observe(element.current!)
    return () => observer.disconnect()
  }, [element])
  return seen
}
