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

/** Whether an origin is that of the request's own host, also behind a trusted proxy. */
function isOwnOrigin (origin: string, request: FastifyRequest): boolean {
  if (!URL.canParse(origin)) return false
  const { protocol, host, origin: serialised } = new URL(origin)
  // A Host header is a host and a port (RFC 9110 §7.2). A URL parser would cut off a path or user information.
  if (!/^https?:$/.test(protocol) || !/^[^/?#@\\\s]+$/.test(request.host)) return false
  // A browser writes an origin in one spelling, without path and user information (RFC 6454 §6.2).
  if (serialised !== origin) return false
  // `Host` may contain the default port, `Origin` never does. So their parsed forms are compared.
  const own = `${protocol}//${request.host}`
  return host !== '' && URL.canParse(own) && new URL(own).host === host
}

/**
 * Refuses a cross-origin request of a browser by its Fetch Metadata, as OWASP's CSRF cheat sheet and Go's `CrossOriginProtection` do: a
 * trusted `Origin` passes. Otherwise `Sec-Fetch-Site` must be `same-origin` or `none`. Without that header, the `Origin` must be that of
 * the host. A request with neither header is not from a browser, and passes.
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
