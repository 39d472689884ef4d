import { after, isPromise } from '../after.ts'
import { checkTimes } from '../jwt/verify.ts'
import { reused } from './end.ts'
import { bindingOf, hashOf, isGenuine, opaqueCsrfToken, parseToken } from './opaque-tokens.ts'
import type { Settings } from '../options/settings.ts'
import type { OpaqueToken, RefreshTokenState, VerifiedToken } from '../types/verified-token.ts'
import type { JwtClaims, MaybePromise } from '../types/claims.ts'
import type { Store } from '../types/store.ts'

/** Checks refresh tokens against the store. */
export interface RefreshTokenChecks {
  /** Parses an opaque refresh token; `null` for any other token, and with `refreshTokenFormat: 'jwt'`. */
  parseOpaque (token: string): OpaqueToken | null
  /**
   * Verifies an opaque refresh token against its session in the store.
   *
   * @throws `FST_JWT_REVOKED` if there is no session, `FST_JWT_INVALID_TOKEN`, `FST_JWT_EXPIRED`, `FST_JWT_STORE_UNAVAILABLE`
   */
  verifyOpaque (token: string, parsed: OpaqueToken): MaybePromise<VerifiedToken>
  /**
   * Refuses a refresh token that is denied, or that is not the current one of its session. Takes one round trip to the store.
   *
   * @param known The answer of the store, if an opaque token was verified before.
   * @throws `FST_JWT_REVOKED`, `FST_JWT_REUSED`, `FST_JWT_STORE_UNAVAILABLE`
   */
  refuseReplaced (jti: string | null, sid: string, known: RefreshTokenState | undefined): MaybePromise<void>
}

/**
 * Creates the checks of tokens against a store.
 *
 * @param clockSkew How far the clocks of this process and of the store may differ, in milliseconds.
 */
export function createRefreshTokenChecks (
  settings: Settings, store: Pick<Store, 'isDenied' | 'getSession'>, clockSkew: number
): RefreshTokenChecks {
  const { errors, refreshTokenFormat, identityClaim } = settings
  const reuseInterval = settings.refreshReuseInterval * 1000
  const binding = bindingOf(settings)

  /** Sends both questions at once, so that they take one round trip. */
  function stateOf (jti: string | null, sid: string): MaybePromise<RefreshTokenState> {
    const denied = store.isDenied(jti, sid)
    if (!isPromise(denied)) return after(store.getSession(sid), session => ({ denied, session }))
    // `async` turns a throw into a rejection, so that the rejection of `denied` is handled in any case.
    const session = (async () => store.getSession(sid))()
    return Promise.all([denied, session]).then(([denied, session]) => ({ denied, session }))
  }

  /** A refresh token must be the current one of its session, or one replaced within the reuse interval. */
  function checkState ({ denied, session }: RefreshTokenState, jti: string | null): void {
    if (denied || session === null) throw errors.FST_JWT_REVOKED()
    if (jti === session.current.tokenId) return
    // The clock skew is added, since the store decides again by its own clock when it rotates.
    const raced = reuseInterval > 0 && jti === session.previousTokenId &&
      session.rotatedAt !== null && Date.now() - session.rotatedAt < reuseInterval + clockSkew
    if (!raced) throw reused(session, errors)
  }

  return {
    parseOpaque: token => refreshTokenFormat === 'opaque' ? parseToken(token) : null,

    verifyOpaque (token, parsed) {
      const jti = hashOf(token)
      return after(stateOf(jti, parsed.sessionId), ({ denied, session }) => {
        if (session === null) throw errors.FST_JWT_REVOKED()
        if (!isGenuine(parsed, session.current.salt, binding)) throw errors.FST_JWT_INVALID_TOKEN('malformed')
        const { issuedAt, expiresAt } = session.current
        const claims: JwtClaims = Object.freeze({
          [identityClaim]: session.identity,
          identity: session.identity,
          type: 'refresh' as const,
          jti,
          iat: issuedAt,
          ...(expiresAt === null ? {} : { exp: expiresAt }),
          sid: session.id,
          auth_time: Math.floor(session.createdAt / 1000),
          csrf: opaqueCsrfToken(token)
        })
        checkTimes(claims, settings)
        return { header: null, claims, opaque: { parsed, denied, session } }
      })
    },

    refuseReplaced: (jti, sid, known) => after(known ?? stateOf(jti, sid), state => { checkState(state, jti) })
  }
}
