import { checkCount } from '../check.ts'
import { finallyDo, later, recover } from '../later.ts'
import { badRecord } from '../place.ts'
import { type Stage, stageOver } from '../stage.ts'
import { WorkerFunctionError, type WorkerModule, WorkerPool } from '../worker-pool.ts'
import type { MapFunction } from './map.ts'
import { parallelPass, type ParallelState } from './parallel.ts'

/** How a function of a module is run on worker threads: how many of them, how far ahead, and in which order results come. */
export interface MapInWorkersOptions {
  /** Workers of this pipeline's own, which live as long as a pass; default one less than there are cores. */
  readonly workers?: number
  /** Elements that each worker has been given or has made before they are asked for; default 2. */
  readonly ahead?: number
  /** `false` hands elements on as they are done, in whatever order; default true. */
  readonly ordered?: boolean
  /** Seed of the function's `generator`; default the dataset's. */
  readonly seed?: number | bigint
}

export function mapInWorkersStage<T, U>(
  input: Stage<T>,
  target: WorkerModule | WorkerPool<MapFunction<T, U>>,
  { workers, ahead = 2, ordered = true, seed }: MapInWorkersOptions,
): Stage<U> {
  const op = 'mapInWorkers'
  checkCount(op, 'ahead', ahead)
  if (workers !== undefined) checkCount(op, 'workers', workers)
  return stageOver<T, U, ParallelState>({
    name: op,
    input,
    length: input.length,
    pass: (cursor, opening, saved) => {
      const pool =
        target instanceof WorkerPool ? target : new WorkerPool<MapFunction<T, U>>(target, workers === undefined ? {} : { workers })
      const key = opening.key(seed)
      const changes = parallelPass<T, U>(cursor, saved, {
        atOnce: ahead * pool.workers,
        ordered,
        apply: (step, index) =>
          recover(
            () => later(pool.run(step.value as never, index, key)),
            (error) => {
              if (!(error instanceof WorkerFunctionError)) throw error
              throw badRecord(op, error.message.replace(/\.$/, ''), { place: step.place, cause: error.cause })
            },
          ),
      })
      return {
        next: () => changes.next(),
        state: () => changes.state!(),
        close: () =>
          finallyDo(
            () => changes.close!(),
            () => (target instanceof WorkerPool ? undefined : later(pool.close())),
          ),
      }
    },
  })
}
