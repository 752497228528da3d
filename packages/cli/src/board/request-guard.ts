import type { IncomingMessage } from 'node:http'
import { hostname, networkInterfaces } from 'node:os'
import { BoardError } from './board-error.ts'

/**
 * The page may run its own scripts, styles and requests, and nothing else: event files hold text and pictures that others wrote.
 */
export const securityHeaders = {
  'Content-Security-Policy': [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' data:",
    "media-src 'self'",
    "connect-src 'self'",
    "font-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; '),
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Referrer-Policy': 'no-referrer',
  'X-Content-Type-Options': 'nosniff',
} as const

/** Names by which a server that listens on `host` may be called. */
export function namesOf(host: string): ReadonlySet<string> {
  const names = new Set(['localhost', '127.0.0.1', '::1', host.toLowerCase()])
  if (host !== '0.0.0.0' && host !== '::') return names
  for (const address of Object.values(networkInterfaces()).flatMap((all) => all ?? [])) names.add(address.address.toLowerCase())
  return names.add(hostname().toLowerCase())
}

/**
 * Refuses what is not a plain look at the board from its own page. A page elsewhere can make a browser send requests here, under a
 * name of its own that it lets point to this machine (DNS rebinding): its name gives it away. Nothing is ever changed by a
 * request, so methods that change things are refused outright.
 */
export function checkRequest(request: IncomingMessage, names: ReadonlySet<string>): void {
  if (request.method !== 'GET' && request.method !== 'HEAD') throw new BoardError(405, `the board is read by GET, not ${request.method}`)
  const { host, origin } = request.headers
  if (!names.has(nameOf(host))) {
    throw new BoardError(
      403,
      `the board is not called ${JSON.stringify(host ?? '')}`,
      'open it by the address that it printed, or add --allow-host NAME',
    )
  }
  if (origin !== undefined && !names.has(nameOf(origin.replace(/^https?:\/\//, '')))) {
    throw new BoardError(403, `pages of ${JSON.stringify(origin)} may not read the board`)
  }
  if (request.headers['sec-fetch-site'] === 'cross-site' && request.headers['sec-fetch-mode'] !== 'navigate') {
    throw new BoardError(403, 'pages of other sites may not read the board')
  }
}

/** `[::1]:6006` is `::1`. */
const nameOf = (host: string | undefined): string => {
  const name = /^(?:\[([^\]]*)\]|([^:]*))(?::\d+)?$/.exec(host ?? '')
  return (name?.[1] ?? name?.[2] ?? '').toLowerCase()
}
