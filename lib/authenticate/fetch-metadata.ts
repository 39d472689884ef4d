import { refusePromise } from '../refuse-promise.ts'
import type { FastifyRequest } from 'fastify'
import type { Errors } from '../errors.ts'
import type { TrustedOrigins } from '../types/options.ts'

/**
 * Whether a request opens a WebSocket, which a page of any origin can do with cookies: a GET with `Upgrade` over HTTP/1.1
 * (RFC 6455 §4.1), a CONNECT with `:protocol` over HTTP/2 (RFC 8441 §4).
 */
export function isWebSocketUpgrade ({ method, headers }: FastifyRequest): boolean {
  if (method === 'GET') return headers.upgrade !== undefined && headers.upgrade.toLowerCase() === 'websocket'
  return method === 'CONNECT' && String(headers[':protocol']).toLowerCase() === 'websocket'
}

/** Whether an origin is that of the host the request was sent to, behind a trusted proxy too. */
function isOwnOrigin (origin: string, request: FastifyRequest): boolean {
  if (!URL.canParse(origin)) return false
  const { protocol, host, origin: serialised } = new URL(origin)
  // A Host header is a host and a port (RFC 9110 §7.2). A parser would cut a path or user information off.
  if (!/^https?:$/.test(protocol) || !/^[^/?#@\\\s]+$/.test(request.host)) return false
  // What has a path, user information or another spelling was not written by a browser (RFC 6454 §6.2).
  if (serialised !== origin) return false
  // The default port may be spelt in Host and never is in Origin; both are compared in the parsed form.
  const own = `${protocol}//${request.host}`
  return host !== '' && URL.canParse(own) && new URL(own).host === host
}

/**
 * Refuses a cross-origin request of a browser by its Fetch Metadata, as OWASP's CSRF cheat sheet and Go's
 * `CrossOriginProtection` do: a trusted `Origin` passes; else `Sec-Fetch-Site` must be `same-origin` or
 * `none`; without it, an `Origin` must be that of the host; with neither it is no browser, and passes.
 *
 * @throws `FST_JWT_CSRF`
 */
export function checkFetchMetadata (request: FastifyRequest, trustedOrigins: TrustedOrigins, errors: Errors): void {
  const { origin } = request.headers
  if (origin !== undefined) {
    const trusted: unknown = trustedOrigins(origin, request)
    refusePromise(trusted, 'trustedOrigins', 'true or false')
    if (trusted === true) return
  }
  const site = request.headers['sec-fetch-site']
  if (site !== undefined) {
    if (site === 'same-origin' || site === 'none') return
  } else if (origin === undefined || isOwnOrigin(origin, request)) {
    return
  }
  throw errors.FST_JWT_CSRF('Cross-origin request refused')
}
