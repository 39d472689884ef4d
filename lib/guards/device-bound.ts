import { kAuthentication } from '../authentication.ts'
import { badOption } from '../errors.ts'
import { hookName } from '../hook-name.ts'
import { isForOwnRoute } from '../own-route.ts'
import { forEveryServer, nearest, requireFastify, runAsHook } from '../authenticate/hooks.ts'
import { checkOptionNames } from '../options/unknown.ts'
import { lifetime } from '../options/validators.ts'
import { claimsOf, toGuard } from './rule.ts'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Settings } from '../options/settings.ts'
import type { Duration, JwtClaims } from '../types/claims.ts'
import type { JwtHook } from '../types/hooks.ts'
import type { Denial, Guard } from './rule.ts'
import type { Requirement } from './requirement.ts'

const requirement: Requirement = Object.freeze({ kind: 'device' })

const denial: Denial = Object.freeze({ message: 'Missing device binding', scopes: [] })

/** The claims of a token of a bound session; `null` for any other. @throws `FST_JWT_MISSING_TOKEN` */
function provedClaims (request: FastifyRequest, settings: Settings): JwtClaims | null {
  const claims = claimsOf(request, settings)
  // A claim of another issuer proves nothing.
  return claims.bound === true && request[kAuthentication]?.verified.foreign !== true ? claims : null
}

/**
 * A guard that requires a session bound to a device: `preHandler: [jwtRequired, deviceBound]`. Any other session is `FST_JWT_FORBIDDEN`.
 * It accepts copied cookies until the access token expires; `deviceProof` asks for a new proof.
 */
export const deviceBound: Guard = toGuard({
  requirement,
  check: (request, settings) => provedClaims(request, settings) === null ? denial : null
})

/** Options of `deviceProof`. */
export interface DeviceProofOptions {
  /** How old the last proof may be: seconds (at least 10) or a duration. Default: 60. */
  maxAge?: Duration
}

/** Seconds. In this time, the browser can send a proof and repeat the request. */
const leastAge = 10

/**
 * A relative URL, since a proxy may have cut off the beginning of the path. It begins with a dot, so that no part of it is read as a host.
 */
function toItself ({ url }: FastifyRequest): string {
  const [path = '', ...query] = url.split('?')
  return [`./${path.slice(path.lastIndexOf('/') + 1)}`, ...query].join('?')
}

/**
 * Creates a hook that requires a recent proof of the device, for example before a payment. Without one, it deletes the access cookie and
 * redirects the request to itself (307), so that the browser has to send a proof first. A thief with copied cookies can't.
 *
 * ```ts
 * app.post('/transfer', { onRequest: [jwtRequired, deviceProof({ maxAge: '1m' })] }, transfer)
 * ```
 *
 * Use it as `onRequest` hook, after one that requires a token. A session that is not bound is `FST_JWT_FORBIDDEN`.
 *
 * @throws `FST_JWT_BAD_OPTION` when it is created.
 */
export function deviceProof (options: DeviceProofOptions = {}): JwtHook {
  checkOptionNames(options, ['maxAge'], 'deviceProof.')
  const maxAge = lifetime(options.maxAge ?? 60, 'deviceProof.maxAge')
  if (maxAge < leastAge) throw badOption('deviceProof.maxAge', `must be at least ${leastAge} seconds, or a slow browser would never be done`)

  /** Whether the browser has to send a proof first. */
  function isDue (request: FastifyRequest): boolean {
    const { settings } = nearest(request)
    const claims = provedClaims(request, settings)
    // The browser can replace only a token in a cookie.
    if (claims === null || request[kAuthentication]?.location !== 'cookies') throw settings.errors.FST_JWT_FORBIDDEN(denial.message)
    return Date.now() / 1000 - Number(claims.iat) > maxAge
  }

  function sendBack (request: FastifyRequest, reply: FastifyReply): void {
    nearest(request).cookies.unset(reply, 'access')
    reply.redirect(toItself(request), 307)
  }

  const hook = forEveryServer(function (request, reply, done) {
    requireFastify(done, 'deviceProof()')
    let due = false
    runAsHook(request => { due = !isForOwnRoute(request) && isDue(request) }, request, error => {
      if (error === undefined && due) sendBack(request, reply)
      else done(error)
    })
  })
  return Object.defineProperties(hook, { name: { value: hookName({ guard: requirement }) } })
}
