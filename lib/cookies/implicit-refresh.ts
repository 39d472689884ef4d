import { hasTokenCookies } from './token-cookies.ts'
import { badOption, isRefusal } from '../errors.ts'
import { registrationOf } from '../registration.ts'
import { ownedClaims } from '../options/settings.ts'
import { after } from '../after.ts'
import { refuseRevoked } from '../authenticate/revocation.ts'
import type { onSendHookHandler } from 'fastify'
import type { Settings } from '../options/settings.ts'
import type { Registration } from '../registration.ts'
import { kAuthentication } from '../authentication.ts'
import type { VerifiedToken } from '../types/verified-token.ts'
import type { MaybePromise } from '../types/claims.ts'

/** Until when the access tokens of a login are renewed; both in seconds since the epoch. */
function renewableUntil (login: number, { claims }: VerifiedToken, { refreshExpires, sessionMaxAge }: Settings): number {
  const longest = refreshExpires === false ? Infinity : refreshExpires
  return Math.floor(login + (claims.sid === undefined || sessionMaxAge === false ? longest : Math.min(longest, sessionMaxAge)))
}

/**
 * Renews an access cookie that is about to expire, on the way out: its own claims and `sid` stay, it is never
 * fresh, and never outlives `refreshExpires` after the login. Not after an error, nor when the app has set or cleared
 * token cookies itself.
 */
export function implicitRefreshHook (registration: Registration, implicitRefresh: number): onSendHookHandler {
  const { settings, issuer, verifier, cookies } = registration
  const { accessExpires, identityClaim } = settings
  if (accessExpires === false) throw badOption('implicitRefresh', 'has nothing to renew when accessExpires is false; leave one of them out')
  if (implicitRefresh >= accessExpires) throw badOption('implicitRefresh', `must be shorter than accessExpires (${accessExpires} seconds), or every response would renew the cookie`)
  if (verifier.keys.signing === null) {
    throw badOption('implicitRefresh', 'needs a key that signs, and a public key alone only verifies; give privateKey, or leave implicitRefresh out')
  }
  const ownClaims: ReadonlySet<string> = new Set([...ownedClaims, identityClaim, 'iss', 'aud'])

  function renewed ({ claims }: VerifiedToken, login: number, exp: number): string {
    const kept = Object.fromEntries(Object.entries(claims).filter(([name]) => !ownClaims.has(name)))
    return issuer.renew(claims.identity, kept, {
      exp,
      auth_time: login,
      // A page that is open holds the CSRF token it was given, in a form field or a variable.
      ...(claims.csrf === undefined ? {} : { csrf: claims.csrf }),
      ...(claims.sid === undefined ? {} : { sid: claims.sid })
    })
  }

  return function implicitRefreshOnSend (request, reply, payload, done) {
    const authentication = request[kAuthentication]
    const { type, exp, iat, auth_time: login = iat } = authentication?.verified.claims ?? {}
    // A token that can't say when its login was would be renewed for ever.
    if (
      authentication === undefined || authentication.location !== 'cookies' || type !== 'access' || exp === undefined ||
      login === undefined || reply.statusCode >= 400 || hasTokenCookies(reply) || registrationOf(request.server) !== registration
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
    const until = Math.min(Math.floor(now + accessExpires), renewableUntil(login, verified, settings))
    if (exp - now > implicitRefresh || until <= exp) {
      done(null, payload)
      return
    }
    // The handler may just have revoked the token: then it is not renewed.
    let pending: MaybePromise<void>
    try {
      pending = after(refuseRevoked(registration, request, verified), () => {
        const token = renewed(verified, login, until)
        // One from another issuer can be valid here when ours in its place is not.
        return after(verifier.verify(token, request), () => { cookies.set(reply, 'access', token) })
      })
    } catch (error) {
      finish(error)
      return
    }
    if (pending === undefined) done(null, payload)
    else pending.then(() => { done(null, payload) }, finish)

    /** The answer stands as it is when there is nothing to renew any more; a fault is the app's to see. */
    function finish (error: unknown): void {
      if (!isRefusal(error)) request.log.error({ err: error }, 'The access cookie could not be renewed')
      done(null, payload)
    }
  }
}
