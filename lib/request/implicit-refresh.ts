import { kCookiesTouched } from '../cookies.ts'
import { kAuthentication, registrationOf } from '../registration.ts'
import { ownedClaims } from '../options.ts'
import { after } from '../after.ts'
import { refuseRevoked } from './revocation.ts'
import { isJwtError } from '../errors.ts'
import type { onSendHookHandler } from 'fastify'
import type { Registration } from '../registration.ts'
import type { JwtClaims, MaybePromise } from '../types.ts'

/** Until when the access tokens of a login are renewed, in seconds since the epoch. */
function renewableUntil (claims: JwtClaims, refreshExpires: number | false): number {
  const login = claims.auth_time ?? claims.iat
  // A token that can't say when its login was would be renewed for ever.
  if (login === undefined) return 0
  return refreshExpires === false ? Infinity : login + refreshExpires
}

/**
 * Renews an access cookie that is about to expire, on the way out: its own claims and `sid` stay, it is never
 * fresh, and never outlives `refreshExpires` after the login. Not after an error, nor when the app has set or cleared
 * token cookies itself.
 */
export function implicitRefreshHook (registration: Registration): onSendHookHandler {
  const { settings, issuer, cookies } = registration
  const { implicitRefresh, accessExpires, refreshExpires, identityClaim } = settings
  if (implicitRefresh === false || accessExpires === false) throw new TypeError('implicitRefresh is off')
  const ownClaims: ReadonlySet<string> = new Set([...ownedClaims, identityClaim, 'iss', 'aud'])

  function renewed (claims: JwtClaims, exp: number): string {
    const kept = Object.fromEntries(Object.entries(claims).filter(([name]) => !ownClaims.has(name)))
    const authTime = claims.auth_time ?? claims.iat
    return issuer.renew(claims.identity, kept, {
      exp,
      ...(claims.sid === undefined ? {} : { sid: claims.sid }),
      ...(authTime === undefined ? {} : { auth_time: authTime })
    })
  }

  return function implicitRefreshOnSend (request, reply, payload, done) {
    const authentication = request[kAuthentication]
    const { exp } = authentication?.verified.claims ?? {}
    if (
      authentication === null || authentication.location !== 'cookies' || authentication.verified.claims.type !== 'access' ||
      exp === undefined || reply.statusCode >= 400 || reply[kCookiesTouched] || registrationOf(request.server) !== registration
    ) {
      done(null, payload)
      return
    }
    const { verified } = authentication
    const now = Date.now() / 1000
    const until = Math.min(Math.floor(now + accessExpires), renewableUntil(verified.claims, refreshExpires))
    if (exp - now > implicitRefresh || until <= exp) {
      done(null, payload)
      return
    }
    // The handler may just have revoked the token: then it is not renewed.
    let pending: MaybePromise<void>
    try {
      pending = after(refuseRevoked(registration, request, verified), () => {
        cookies.set(reply, 'access', renewed(verified.claims, until))
      })
    } catch (error) {
      finish(error)
      return
    }
    if (pending === undefined) done(null, payload)
    else pending.then(() => { done(null, payload) }, finish)

    /** The answer stands as it is when there is nothing to renew any more; a fault is the app's to see. */
    function finish (error: unknown): void {
      if (!isJwtError(error)) request.log.error({ err: error }, 'The access cookie could not be renewed')
      done(null, payload)
    }
  }
}
