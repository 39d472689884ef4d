import type { FastifyRequest } from 'fastify'
import type { Errors } from '../errors.ts'

/** Whether a request asks for a WebSocket (RFC 6455 §4.1), which a page of any origin can open with cookies. */
export function isWebSocketUpgrade (request: FastifyRequest): boolean {
  const upgrade = request.headers.upgrade
  return upgrade !== undefined && upgrade.toLowerCase() === 'websocket'
}

/** Whether an origin is that of the host the request was sent to, behind a trusted proxy too. */
function isOwnOrigin (origin: string, request: FastifyRequest): boolean {
  if (!URL.canParse(origin)) return false
  const { protocol, host, origin: serialised } = new URL(origin)
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
export function checkFetchMetadata (request: FastifyRequest, trustedOrigins: ReadonlySet<string>, errors: Errors): void {
  const { origin } = request.headers
  if (origin !== undefined && trustedOrigins.has(origin)) return
  const site = request.headers['sec-fetch-site']
  if (site !== undefined) {
    if (site === 'same-origin' || site === 'none') return
  } else if (origin === undefined || isOwnOrigin(origin, request)) {
    return
  }
  throw errors.FST_JWT_CSRF('Cross-origin request refused')
}
