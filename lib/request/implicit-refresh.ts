import { kCookiesTouched } from '../cookies.ts'
import { badOption, isJwtError } from '../errors.ts'
import { kAuthentication, registrationOf } from '../registration.ts'
import { ownedClaims } from '../options.ts'
import { after } from '../after.ts'
import { refuseRevoked } from './revocation.ts'
import type { onSendHookHandler } from 'fastify'
import type { Settings } from '../options.ts'
import type { Registration } from '../registration.ts'
import type { JwtClaims, MaybePromise } from '../types.ts'

/** Until when the access tokens of a login are renewed, in seconds since the epoch. */
function renewableUntil (claims: JwtClaims, { refreshExpires, sessionMaxAge }: Settings): number {
  const login = claims.auth_time ?? claims.iat
  // A token that can't say when its login was would be renewed for ever.
  if (login === undefined) return 0
  const longest = refreshExpires === false ? Infinity : refreshExpires
  return Math.floor(login + (claims.sid === undefined || sessionMaxAge === false ? longest : Math.min(longest, sessionMaxAge)))
}

/**
 * Renews an access cookie that is about to expire, on the way out: its own claims and `sid` stay, it is never
 * fresh, and never outlives `refreshExpires` after the login. Not after an error, nor when the app has set or cleared
 * token cookies itself.
 */
export function implicitRefreshHook (registration: Registration): onSendHookHandler {
  const { settings, issuer, verifier, cookies } = registration
  const { implicitRefresh, accessExpires, identityClaim } = settings
  if (implicitRefresh === false || accessExpires === false) throw new TypeError('implicitRefresh is off')
  if (verifier.keys.signing === null) {
    throw badOption('implicitRefresh', 'needs a key that signs, and a public key alone only verifies; give privateKey, or leave implicitRefresh out')
  }
  const ownClaims: ReadonlySet<string> = new Set([...ownedClaims, identityClaim, 'iss', 'aud'])

  function renewed (claims: JwtClaims, exp: number): string {
    const kept = Object.fromEntries(Object.entries(claims).filter(([name]) => !ownClaims.has(name)))
    const authTime = claims.auth_time ?? claims.iat
    return issuer.renew(claims.identity, kept, {
      exp,
      // A page that is open holds the CSRF token it was given, in a form field or a variable.
      ...(claims.csrf === undefined ? {} : { csrf: claims.csrf }),
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
    // Renewed, another issuer's token would become one of our own.
    if (verified.foreign === true) {
      done(null, payload)
      return
    }
    const now = Date.now() / 1000
    const until = Math.min(Math.floor(now + accessExpires), renewableUntil(verified.claims, settings))
    if (exp - now > implicitRefresh || until <= exp) {
      done(null, payload)
      return
    }
    // The handler may just have revoked the token: then it is not renewed.
    let pending: MaybePromise<void>
    try {
      pending = after(refuseRevoked(registration, request, verified), () => {
        const token = renewed(verified.claims, until)
        // One from another issuer can be valid here when ours in its place is not.
        return after(verifier.verify(token, Date.now(), request), () => { cookies.set(reply, 'access', token) })
      })
    } catch (error) {
      finish(error)
      return
    }
    if (pending === undefined) done(null, payload)
    else pending.then(() => { done(null, payload) }, finish)

    /** The answer stands as it is when there is nothing to renew any more; a fault is the app's to see. */
    function finish (error: unknown): void {
      if (!isJwtError(error) || (error.statusCode ?? 500) >= 500) request.log.error({ err: error }, 'The access cookie could not be renewed')
      done(null, payload)
    }
  }
}
