import { hasTokenCookies } from './token-cookies.ts'
import { badOption, isRefusal } from '../errors.ts'
import { registrationOf } from '../registration.ts'
import { ownedClaims } from '../options/cross-checks.ts'
import { after } from '../after.ts'
import { refuseRevoked } from '../authenticate/revocation.ts'
import { isForOwnRoute } from '../own-route.ts'
import { mayBeShared } from './shared-cache.ts'
import type { FastifyReply, FastifyRequest, onSendHookHandler } from 'fastify'
import type { Settings } from '../options/settings.ts'
import type { Registration } from '../registration.ts'
import { kAuthentication } from '../authentication.ts'
import type { VerifiedToken } from '../types/verified-token.ts'
import type { JwtClaims, MaybePromise } from '../types/claims.ts'

/** The time until which access tokens are renewed after a login. Times are seconds since the epoch. */
function renewableUntil (login: number, { claims }: VerifiedToken, { refreshExpires, sessionMaxAge }: Settings): number {
  const longest = refreshExpires === false ? Infinity : refreshExpires
  return Math.floor(login + (claims.sid === undefined || sessionMaxAge === false ? longest : Math.min(longest, sessionMaxAge)))
}

/**
 * Creates the hook that renews an access cookie before it expires. The new token keeps the app's claims and `sid`, is not
 * fresh, and ends at the latest `refreshExpires` after the login. Error responses renew nothing. Neither do responses that a
 * shared cache may store, nor those whose token cookies the app has set or cleared. A token with its own `expiresIn` is not
 * renewed.
 *
 * @param implicitRefresh Seconds before `exp` from which on a token is renewed.
 * @throws `FST_JWT_BAD_OPTION` if nothing could be renewed.
 */
export function implicitRefreshHook (registration: Registration, implicitRefresh: number): onSendHookHandler {
  const { settings, issuer, verifier, cookies, sessions } = registration
  const { accessExpires, identityClaim } = settings
  if (accessExpires === false) throw badOption('implicitRefresh', 'has nothing to renew if accessExpires is false; leave one of them out')
  if (implicitRefresh >= accessExpires) throw badOption('implicitRefresh', `must be shorter than accessExpires (${accessExpires} seconds), or every response would renew the cookie`)
  if (verifier.keys.signing === null) {
    throw badOption('implicitRefresh', 'needs a key that signs, but a public key can only verify; give privateKey, or leave implicitRefresh out')
  }
  const ownClaims: ReadonlySet<string> = new Set([...ownedClaims, identityClaim, 'iss', 'aud'])
  const lifetime = Math.floor(accessExpires)

  /** Keeps the record of the session until the new token has expired. */
  function extendSession ({ claims: { sid, gen } }: VerifiedToken, exp: number): MaybePromise<void> {
    return sid === undefined || gen === undefined ? undefined : sessions?.extend(sid, exp)
  }

  function renewed ({ claims }: VerifiedToken, login: number, exp: number): string {
    const kept = Object.fromEntries(Object.entries(claims).filter(([name]) => !ownClaims.has(name)))
    return issuer.renew(claims.identity, kept, {
      exp,
      auth_time: login,
      // The CSRF token stays: an open page holds it in a form field or a variable.
      ...(claims.csrf === undefined ? {} : { csrf: claims.csrf }),
      ...(claims.sid === undefined ? {} : { sid: claims.sid }),
      ...(claims.gen === undefined ? {} : { gen: claims.gen }),
      ...(typeof claims.persistent === 'boolean' ? { persistent: claims.persistent } : {})
    })
  }

  /** Whether the lifetime is `accessExpires`. A token with its own `expiresIn` is not renewed. */
  function hasOurLifetime ({ exp = 0, iat = 0 }: JwtClaims): boolean {
    return exp - iat === lifetime
  }

  /** The token to renew; `null` for none. */
  function renewable (request: FastifyRequest, reply: FastifyReply): { verified: VerifiedToken, login: number, until: number } | null {
    const { verified, location } = request[kAuthentication] ?? {}
    // Renewing another issuer's token would turn it into one of ours.
    if (verified === undefined || verified.foreign === true || location !== 'cookies' || verified.claims.type !== 'access') return null
    // No other user may get this cookie (RFC 9111 §7.3). Caches merge the fields of a 304 into the stored response.
    if (reply.statusCode === 304 || reply.statusCode >= 400 || mayBeShared(reply) || isForOwnRoute(request)) return null
    if (hasTokenCookies(reply) || registrationOf(request.server) !== registration) return null
    const { claims } = verified
    const { exp, auth_time: login = claims.iat } = claims
    // Without the time of the login, a token could be renewed for ever.
    if (exp === undefined || login === undefined || !hasOurLifetime(claims)) return null
    const now = Date.now() / 1000
    const until = Math.min(Math.floor(now + lifetime), renewableUntil(login, verified, settings))
    return exp - now > implicitRefresh || until <= exp ? null : { verified, login, until }
  }

  return function implicitRefreshOnSend (request, reply, payload, done) {
    const found = renewable(request, reply)
    if (found === null) {
      done(null, payload)
      return
    }
    const { verified, login, until } = found
    // The handler or another server may have revoked the token. The store is always queried: a new token would outlive a mistake.
    let pending: MaybePromise<void>
    const known = { stored: null, state: null, epoch: 0 }
    try {
      pending = after(refuseRevoked(registration, request, verified, known, true), () => {
        // A hook with skipRevocationCheck has not queried the store.
        sessions?.learn(verified.claims, known)
        return after(extendSession(verified, until), () => {
          const token = renewed(verified, login, until)
          // Claims from an older configuration may be refused now.
          return after(verifier.verify(token, request), () => { cookies.set(reply, 'access', token) })
        })
      })
    } catch (error) {
      finish(error)
      return
    }
    if (pending === undefined) done(null, payload)
    else pending.then(() => { done(null, payload) }, finish)

    /** Sends the response unchanged. A refused token is not renewed; a failure is logged. */
    function finish (error: unknown): void {
      if (!isRefusal(error)) request.log.error({ err: error }, 'The access cookie could not be renewed')
      done(null, payload)
    }
  }
}
