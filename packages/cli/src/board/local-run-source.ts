import { open, readFile } from 'node:fs/promises'
import { basename } from 'node:path'
import type { LocalRun, MetricRow } from '@cotangent/formats/tracking'
import { CotangentError } from 'cotangent'
import type { EventSource } from './event-source.ts'
import type { RunEvent, Status } from './run-event.ts'

/** The files in a folder of `LocalTracker` that the board reads. */
export const localRunFiles: readonly string[] = ['metrics.jsonl', 'run.json']

/** Follows a file of a run that `LocalTracker` keeps. */
export const openLocalRunFile = (path: string): EventSource => (basename(path) === 'run.json' ? settingsOf(path) : metricsOf(path))

const statuses: Readonly<Record<LocalRun['status'], Status>> = {
  running: 'running',
  finished: 'success',
  failed: 'failure',
  killed: 'failure',
}

/** The file is written anew whenever something of it changes. */
function settingsOf(path: string): EventSource {
  return {
    offset: 0,
    async *read() {
      const { params, status, startTime, endTime } = parse(await readFile(path, 'utf8'), path) as LocalRun
      const at = { step: 0, time: (endTime ?? startTime) / 1000 }
      yield [
        ...(Object.keys(params).length > 0 ? [{ ...at, kind: 'hparams' as const, values: params }] : []),
        { ...at, kind: 'status' as const, status: statuses[status] ?? 'unknown' },
      ]
    },
  }
}

/** Bytes that are read at a time, between which the server answers requests. */
const chunkBytes = 2 ** 18
const newline = 10

function metricsOf(path: string): EventSource {
  let offset = 0
  return {
    get offset() {
      return offset
    },
    async *read() {
      const file = await open(path, 'r')
      try {
        let pending = Buffer.alloc(0)
        for (;;) {
          const { buffer, bytesRead } = await file.read(Buffer.alloc(chunkBytes), 0, chunkBytes, offset + pending.length)
          if (bytesRead === 0) return
          pending = Buffer.concat([pending, buffer.subarray(0, bytesRead)])
          // What follows the last line's end is waited for.
          const whole = pending.lastIndexOf(newline) + 1
          const lines = pending.toString('utf8', 0, whole).split('\n').slice(0, -1)
          const events = lines.flatMap((line) => scalarsOf(line, path))
          pending = pending.subarray(whole)
          offset += whole
          yield events
          await new Promise(setImmediate)
        }
      } finally {
        await file.close()
      }
    },
  }
}

function scalarsOf(line: string, path: string): RunEvent[] {
  const { step, time, metrics } = parse(line, path) as MetricRow
  // What JSON has no numbers for is written as a text.
  return Object.entries(metrics).map(([tag, value]) => ({
    kind: 'scalar',
    tag,
    words: undefined,
    step,
    time: time / 1000,
    value: Number(value),
  }))
}

function parse(text: string, path: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new CotangentError('corrupt-file', {
      message: `${path}: ${(cause as Error).message}`,
      hint: 'Another program has changed it.',
      cause,
    })
  }
}
