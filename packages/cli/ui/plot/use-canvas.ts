import type { RefObject } from 'preact'
import { useEffect } from 'preact/hooks'
import { isDark } from '../theme.ts'

/** Draws on a canvas of a size in CSS pixels, sharply on every screen, and again whenever something in `inputs` or the colours change. */
export function useCanvas(
  canvas: RefObject<HTMLCanvasElement | null>,
  size: { width: number; height: number },
  draw: (ctx: CanvasRenderingContext2D) => void,
  inputs: readonly unknown[],
): void {
  const { width, height } = size
  useEffect(() => {
    const element = canvas.current
    if (!element || width <= 0) return
    element.width = Math.round(width * devicePixelRatio)
    element.height = Math.round(height * devicePixelRatio)
    const ctx = element.getContext('2d')!
    ctx.scale(devicePixelRatio, devicePixelRatio)
    draw(ctx)
  }, [width, height, isDark.value, ...inputs])
}
