import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { gzipSync } from 'node:zlib'
import { Dataset, gunzip, jsonLines, readAll, textLines } from 'cotangent/data'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { all } from '../../test/all.ts'
import { readCsv } from '../csv/index.node.ts'
import { hubFile, hubFiles } from './index.node.ts'

// @huggingface/hub is an optional peer; .ci/run installs it apart and names the folder.
const installed = process.env.COTANGENT_PEERS !== undefined
if (!installed) console.warn('tests of the hub are skipped: COTANGENT_PEERS names no folder with @huggingface/hub')

const lines = Array.from({ length: 20_000 }, (_, i) => `line ${i}`).join('\n')
const files: Record<string, Buffer> = {
  'README.md': Buffer.from('# Words'),
  'data/a.jsonl.gz': gzipSync('{"n":1}\n{"n":2}\n'),
  'data/b.jsonl.gz': gzipSync('{"n":3}\n'),
  'data/lines.txt': Buffer.from(lines),
  'table.csv': Buffer.from('x,y\n1,2\n3,4\n'),
}

/** What the hub answers with: pages of the tree, ranges of files, a private repository, and failures that are asked for. */
const seen: { method: string; url: string; range: string | undefined; token: string | undefined }[] = []
let failing = 0
let breaking = 0
function answer(request: IncomingMessage, response: ServerResponse) {
  const url = new URL(request.url!, 'http://hub')
  const { authorization: token, range } = request.headers
  seen.push({ method: request.method!, url: url.pathname, range, token })
  const refuse = (status: number, error: string) =>
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify({ error }))
  if (failing > 0) {
    failing--
    return refuse(503, 'busy')
  }
  if (url.pathname.includes('/me/private/') && token !== 'Bearer hf_secret') return refuse(401, 'Invalid username or password.')
  if (url.pathname.startsWith('/api/datasets/me/words/tree/main')) {
    const entries = [{ type: 'directory', path: 'data', size: 0, oid: '0' }]
    const all = Object.entries(files).map(([path, { length }]) => ({ type: 'file', path, size: length, oid: '1' }))
    const second = url.searchParams.has('cursor')
    if (!second) response.setHeader('link', `<http://${request.headers.host}${url.pathname}?recursive=true&cursor=2>; rel="next"`)
    return response
      .writeHead(200, { 'content-type': 'application/json' })
      .end(JSON.stringify(second ? all.slice(2) : [...entries, ...all.slice(0, 2)]))
  }
  const path = /^\/datasets\/me\/(?:words|private)\/resolve\/(?:main|v1)\/(.*)$/.exec(url.pathname)?.[1]
  const file = path === undefined ? undefined : files[path]
  if (!file) {
    response.setHeader('x-error-code', 'EntryNotFound')
    return refuse(404, 'Entry not found')
  }
  const [, from, to] = /^bytes=(\d+)-(\d*)$/.exec(range ?? 'bytes=0-')!
  const begin = Number(from)
  const end = Math.min(file.length, to ? Number(to) + 1 : file.length)
  response.writeHead(206, { 'content-range': `bytes ${begin}-${end - 1}/${file.length}`, 'content-length': end - begin, etag: '"1"' })
  if (breaking > 0 && end - begin > 1000) {
    breaking--
    response.write(file.subarray(begin, begin + 70_000))
    return setTimeout(() => response.destroy(), 50)
  }
  return response.end(file.subarray(begin, end))
}

const server = createServer(answer)
let endpoint: string
beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})
afterAll(() => server.close())
beforeEach(() => void (seen.length = 0))

test.skipIf(installed)('without @huggingface/hub, the error says what to install', async () => {
  await expect(hubFiles('me/words')).rejects.toMatchObject({ code: 'unsupported', hint: 'npm install @huggingface/hub' })
})

describe.skipIf(!installed)('the hub', () => {
  test('files are listed, and read when they are gone through', async () => {
    const shards = await hubFiles('me/words', { endpoint, match: /\.jsonl\.gz$/ })
    expect(shards).toEqual([
      { path: 'data/a.jsonl.gz', bytes: files['data/a.jsonl.gz']!.length },
      { path: 'data/b.jsonl.gz', bytes: files['data/b.jsonl.gz']!.length },
    ])
    seen.length = 0
    const dataset = Dataset.from(shards).flatMap(({ path }) => jsonLines(gunzip(hubFile('me/words', path, { endpoint }))))
    expect(seen).toEqual([])
    expect(await all(dataset)).toEqual([{ n: 1 }, { n: 2 }, { n: 3 }])
  })

  test('rows of a table, of a revision', async () => {
    expect(await all(readCsv(hubFile('me/words', 'table.csv', { endpoint, revision: 'v1' })))).toEqual([
      { x: 1, y: 2 },
      { x: 3, y: 4 },
    ])
    expect(seen.every(({ url }) => url === '/datasets/me/words/resolve/v1/table.csv')).toBe(true)
  })

  test('parts are asked for by range', async () => {
    const { parts } = hubFile('me/words', 'data/lines.txt', { endpoint })
    expect(await parts!.size()).toBe(lines.length)
    expect(new TextDecoder().decode(await parts!.read(5, 13))).toBe(lines.slice(5, 13))
    expect(seen.at(-1)!.range).toBe('bytes=5-12')
  })

  test('goes on where the connection broke, and asks a busy hub again', async () => {
    breaking = 2
    failing = 1
    const read = await all(textLines(hubFile('me/words', 'data/lines.txt', { endpoint })))
    expect(read.join('\n')).toBe(lines)
    expect([breaking, failing]).toEqual([0, 0])
  })

  test('what cannot be read says why', async () => {
    failing = 2
    await expect(hubFiles('me/words', { endpoint, retries: 1 })).rejects.toMatchObject({ code: 'io-failure' })
    await expect(readAll(hubFile('me/words', 'none.txt', { endpoint }))).rejects.toMatchObject({
      code: 'io-failure',
      message: expect.stringMatching(
        /hf:\/\/datasets\/me\/words\/none.txt cannot be read: there is no such file.*revision and the path/,
      ) as string,
    })
    const secret = { endpoint, kind: 'dataset', retries: 0 } as const
    await expect(readAll(hubFile('me/private', 'README.md', secret))).rejects.toMatchObject({
      hint: expect.stringContaining('give a token') as string,
    })
    const token = 'hf_secret'
    expect(new TextDecoder().decode(await readAll(hubFile('me/private', 'README.md', { ...secret, token })))).toBe('# Words')
  })
})
