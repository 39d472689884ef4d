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

/** Until when access tokens are renewed after a login. Both are seconds since the epoch. */
function renewableUntil (login: number, { claims }: VerifiedToken, { refreshExpires, sessionMaxAge }: Settings): number {
  const longest = refreshExpires === false ? Infinity : refreshExpires
  return Math.floor(login + (claims.sid === undefined || sessionMaxAge === false ? longest : Math.min(longest, sessionMaxAge)))
}

/**
 * Creates the hook that renews an access cookie before it expires. The new token keeps the app's claims and `sid`, is not
 * fresh, and ends at the latest `refreshExpires` after the login. Errors renew nothing, and neither do replies whose token
 * cookies the app has set or cleared itself.
 *
 * @param implicitRefresh Seconds before `exp` from which on a token is renewed.
 * @throws `FST_JWT_BAD_OPTION` if nothing could be renewed.
 */
export function implicitRefreshHook (registration: Registration, implicitRefresh: number): onSendHookHandler {
  const { settings, issuer, verifier, cookies } = registration
  const { accessExpires, identityClaim } = settings
  if (accessExpires === false) throw badOption('implicitRefresh', 'has nothing to renew if accessExpires is false; leave one of them out')
  if (implicitRefresh >= accessExpires) throw badOption('implicitRefresh', `must be shorter than accessExpires (${accessExpires} seconds), or every response would renew the cookie`)
  if (verifier.keys.signing === null) {
    throw badOption('implicitRefresh', 'needs a key that signs, but a public key can only verify; give privateKey, or leave implicitRefresh out')
  }
  const ownClaims: ReadonlySet<string> = new Set([...ownedClaims, identityClaim, 'iss', 'aud'])

  function renewed ({ claims }: VerifiedToken, login: number, exp: number): string {
    const kept = Object.fromEntries(Object.entries(claims).filter(([name]) => !ownClaims.has(name)))
    return issuer.renew(claims.identity, kept, {
      exp,
      auth_time: login,
      // The CSRF token stays: an open page holds it in a form field or a variable.
      ...(claims.csrf === undefined ? {} : { csrf: claims.csrf }),
      ...(claims.sid === undefined ? {} : { sid: claims.sid })
    })
  }

  return function implicitRefreshOnSend (request, reply, payload, done) {
    const authentication = request[kAuthentication]
    const { type, exp, iat, auth_time: login = iat } = authentication?.verified.claims ?? {}
    // Without the time of the login, a token could be renewed for ever.
    if (
      authentication === undefined || authentication.location !== 'cookies' || type !== 'access' || exp === undefined ||
      login === undefined || reply.statusCode >= 400 || hasTokenCookies(reply) || registrationOf(request.server) !== registration
    ) {
      done(null, payload)
      return
    }
    const { verified } = authentication
    // Renewing another issuer's token would turn it into one of ours.
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
    // The handler may have revoked the token.
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

    /** Sends the response unchanged. A refused token is simply not renewed; a failure is logged. */
    function finish (error: unknown): void {
      if (!isRefusal(error)) request.log.error({ err: error }, 'The access cookie could not be renewed')
      done(null, payload)
    }
  }
}
