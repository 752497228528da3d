import { isLibraryFrame } from '../../autograd/anomaly.ts'
import type { Shape } from '../../layout.ts'
import type { ShapeWatcher } from '../../tensor/modes.ts'
import type { Graph } from '../graph.ts'

/** Frames that are looked through for whoever asked for a shape. */
const FRAMES = 8
/** The frames of `calledByUser`, the watcher's method and the tensor's getter. */
const BEHIND_GETTER = 3
/** The frames of `calledByUser` and the trap of a shape. */
const BEHIND_TRAP = 2

/**
 * The sizes that the user's own JavaScript looks at while a function is traced. What the library looks at follows laws that
 * programs of several sizes tell; code of others may do anything with a number.
 */
export class SizeReads implements ShapeWatcher {
  /** In order. */
  readonly seen: number[] = []
  #open = true

  shape(shape: Shape): Shape {
    if (!calledByUser(BEHIND_GETTER)) return shape
    return new Proxy(shape, {
      get: (target, key) => {
        const value: unknown = Reflect.get(target, key)
        if (this.#open && typeof value === 'number' && key !== 'length' && calledByUser(BEHIND_TRAP)) this.seen.push(value)
        return value
      },
    })
  }

  size(count: number): number {
    if (calledByUser(BEHIND_GETTER)) this.seen.push(count)
    return count
  }

  /** Shapes that are looked at later do not count. */
  close(): void {
    this.#open = false
  }
}

/**
 * Whether it was the user's code that asked, if need be through functions of the language.
 *
 * @param behind How many frames lie between it and this function, this one included.
 */
function calledByUser(behind: number): boolean {
  const limit = Error.stackTraceLimit
  Error.stackTraceLimit = FRAMES
  const { stack } = new Error()
  Error.stackTraceLimit = limit
  const caller = framesOf(stack)[behind]
  return caller !== undefined && !isLibraryFrame(caller)
}

/** The lines of a stack, without those of functions of the language. */
const framesOf = (stack: string | undefined): string[] =>
  (stack ?? '').split('\n').filter((line) => /^\s*at |@/.test(line) && !line.includes('(<anonymous>)'))

/**
 * Whether the stacks of a graph's ops tell the library's code from the user's: they do not where both are bundled into one file.
 */
export function tellsUsers({ nodes }: Graph): boolean {
  return nodes.some(({ origin }) => {
    const frames = framesOf(origin.stack)
    const user = frames.findIndex((line) => !isLibraryFrame(line))
    // The library calls the user's function, which calls the library.
    return user >= 0 && frames.slice(user).some(isLibraryFrame)
  })
}
