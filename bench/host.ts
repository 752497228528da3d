/** The child process that a JavaScript peer lives in: reads one JSON request a line, answers one JSON line. `node host.ts NAME OPTIONS`. */
import { createInterface } from 'node:readline'
import type { Work } from './case.ts'
import { build, type Peer, type PeerOptions, type Prepared } from './peer.ts'
import { peakMemory, restartPeak } from './resident.ts'

type Request = { id: number; time: Work; iterations: number } | { id: number; memory: Work } | { id: number; release: true }
/** `note` and `threads`: what the peer chose for this case, where it has a choice. */
export type Reply = { id: number; seconds?: number; bytes?: number; note?: string; threads?: number; error?: string }
export type Greeting = { version: string; threads: number } | { error: string }

// Replies own stdout; a library that greets its users there is sent to stderr.
const reply = (message: Reply | Greeting) => process.stdout.write(`${JSON.stringify(message)}\n`)
console.log = console.info = console.error

const [name, options] = process.argv.slice(2) as [string, string]

let current: { key: string; prepared: Prepared } | undefined

function release(): void {
  current?.prepared.dispose?.()
  current = undefined
}

async function time(peer: Peer, work: Work, iterations: number): Promise<number> {
  const key = JSON.stringify(work)
  if (current?.key !== key) {
    release()
    current = { key, prepared: await build(peer.builders, work) }
  }
  const { prepared } = current
  if (prepared.time) return (await prepared.time(iterations)) / iterations
  const start = performance.now()
  for (let i = 0; i < iterations; i++) {
    const pending = prepared.step()
    if (pending) await pending
  }
  await prepared.finish?.()
  return (performance.now() - start) / 1e3 / iterations
}

/** Bytes that building a case and three steps of it take, at most. */
async function memory(peer: Peer, work: Work): Promise<number> {
  const before = restartPeak()
  const prepared = await build(peer.builders, work)
  for (let i = 0; i < 3; i++) await prepared.step()
  await prepared.finish?.()
  return peakMemory() - before
}

const firstLine = (error: unknown) => (error instanceof Error ? error.message : String(error)).split('\n')[0]!

let peer: Peer
try {
  peer = ((await import(`./peers/${name}.ts`)) as { default: Peer }).default
  reply(await peer.open(JSON.parse(options) as PeerOptions))
} catch (error) {
  reply({ error: firstLine(error) })
  process.exit(0)
}

for await (const line of createInterface({ input: process.stdin })) {
  const request = JSON.parse(line) as Request
  try {
    if ('release' in request) {
      release()
      reply({ id: request.id })
    } else if ('memory' in request) {
      reply({ id: request.id, bytes: await memory(peer, request.memory) })
    } else {
      reply({ id: request.id, seconds: await time(peer, request.time, request.iterations) })
    }
  } catch (error) {
    reply({ id: request.id, error: firstLine(error) })
  }
}
process.exit(0)
