import { createHash } from 'node:crypto'
import { Worker } from 'node:worker_threads'
import type { Hash } from './digest.ts'
import { cut } from './whole-file.node.ts'

/** Below this, starting a thread takes longer than hashing. */
const threadBytes = 2 ** 20

// A thread of its own, from source text: bundlers need no support for it, and it runs uncompiled.
const source = `
const { createHash } = require('node:crypto')
const { parentPort, workerData } = require('node:worker_threads')
const hash = createHash('sha256')
for (const piece of workerData.parts) hash.update(piece)
parentPort.postMessage({ digest: hash.digest('hex'), pieces: workerData.pieces }, [...new Set(workerData.pieces.map((piece) => piece.buffer))])
`

/**
 * SHA-256 without holding up the calling thread, and without copies: the memory of the pieces is lent to another thread for the
 * time, so they must not share it with anything that is used meanwhile.
 */
export const nodeHash: Hash = async (pieces) => {
  const bytes = pieces.reduce((sum, { length }) => sum + length, 0)
  return bytes < threadBytes ? { digest: hashNow(pieces), pieces } : hashElsewhere(pieces)
}

/** SHA-256 here and now, of whatever memory: for loading, where nothing else is to be done. */
export const nodeHashNow: Hash = async (pieces) => ({ digest: hashNow(pieces), pieces })

function hashNow(pieces: readonly Uint8Array[]): string {
  const hash = createHash('sha256')
  for (const piece of pieces) for (const part of cut(piece)) hash.update(part)
  return hash.digest('hex')
}

function hashElsewhere(pieces: readonly Uint8Array[]): Promise<Awaited<ReturnType<Hash>>> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(source, {
      eval: true,
      name: 'cotangent hash',
      execArgv: [],
      env: {},
      workerData: { pieces, parts: pieces.flatMap((piece) => [...cut(piece)]) },
      transferList: [...new Set(pieces.map((piece) => piece.buffer as ArrayBuffer))],
    })
    worker.once('message', resolve)
    worker.once('error', reject)
    // Without effect where the message has come.
    worker.once('exit', () => reject(new Error('the thread that makes the digest has ended')))
  })
}
