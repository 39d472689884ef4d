import { after, isPromise } from '../after.ts'
import { bindingNotSupported, checkIssuerAndAudience } from '../jwt/claims.ts'
import { checkTimes } from '../jwt/verify.ts'
import { reused } from './end.ts'
import { hashOf, opaqueCsrfToken, parseOpaqueToken } from './opaque-tokens.ts'
import { standingOf } from './standing.ts'
import type { TokenVerifier } from '../jwt/verify.ts'
import type { Settings } from '../options/settings.ts'
import type { JwtClaims, MaybePromise } from '../types/claims.ts'
import type { Store, StoredSession } from '../types/store.ts'
import type { OpaqueToken, RefreshTokenState, VerifiedToken } from '../types/verified-token.ts'

/** Checks refresh tokens against the store. */
export interface RefreshTokenChecks {
  /** Parses an opaque refresh token; `null` for any other token. */
  parseOpaque (token: string): OpaqueToken | null
  /**
   * Verifies an opaque refresh token by its session.
   *
   * @throws `FST_JWT_REVOKED` if there is no such session, `FST_JWT_INVALID_TOKEN`, `FST_JWT_EXPIRED`, `FST_JWT_STORE_UNAVAILABLE`
   */
  verifyOpaque (token: string, parsed: OpaqueToken): MaybePromise<VerifiedToken>
  /**
   * Refuses a refresh token that was replaced, that is denied, or whose session is denied, gone or bound to a device. The store is
   * queried once.
   *
   * @returns The session of the token.
   * @throws `FST_JWT_REVOKED`, `FST_JWT_REUSED`, `FST_JWT_DEVICE_BOUND`, `FST_JWT_STORE_UNAVAILABLE`
   */
  refuseReplaced (verified: VerifiedToken, sid: string): MaybePromise<StoredSession>
}

export function createRefreshTokenChecks (
  settings: Settings, store: Pick<Store, 'isDenied' | 'getSession'>, verifier: TokenVerifier
): RefreshTokenChecks {
  const { errors, identityClaim } = settings

  /** Sends both queries at once, so they cost one round trip. */
  function stateOf (jti: string | null, sid: string): MaybePromise<RefreshTokenState> {
    const denied = store.isDenied(jti, sid)
    if (!isPromise(denied)) return after(store.getSession(sid), stored => ({ denied, stored }))
    // The async function turns a throw into a rejection: otherwise a rejection of the first promise would be unhandled.
    const stored = (async () => store.getSession(sid))()
    return Promise.all([denied, stored]).then(([denied, stored]) => ({ denied, stored }))
  }

  /** The claims that a JWT would have, from the record. */
  function claimsOf (token: string, jti: string, persistent: boolean | undefined, { session: { id, identity, generation, document } }: StoredSession): JwtClaims {
    const { issuedAt, expiresAt } = document.token
    const { iss, aud, jkt } = document
    if (typeof jkt === 'string' && settings.dpop === null) throw bindingNotSupported(errors)
    const claims = {
      [identityClaim]: identity,
      identity,
      type: 'refresh' as const,
      jti,
      iat: issuedAt,
      ...(expiresAt === null ? {} : { exp: expiresAt }),
      ...(typeof iss === 'string' ? { iss } : {}),
      ...(aud === undefined ? {} : { aud: aud as string | string[] }),
      sid: id,
      gen: generation,
      ...(persistent === undefined ? {} : { persistent }),
      auth_time: Math.floor(document.createdAt / 1000),
      ...(typeof jkt === 'string' ? { cnf: Object.freeze({ jkt }) } : {}),
      csrf: opaqueCsrfToken(token)
    }
    checkIssuerAndAudience(claims, settings)
    return Object.freeze(claims)
  }

  return {
    parseOpaque: token => parseOpaqueToken(token, verifier.keys.opaqueKeys),

    verifyOpaque (token, parsed) {
      const { opaqueKeys, verification } = verifier.keys
      // If only the public half of a key is left, its tags can't be verified, and the store decides.
      if (!parsed.genuine && opaqueKeys.length === verification.length) throw errors.FST_JWT_INVALID_TOKEN('malformed')
      const jti = hashOf(token)
      return after(stateOf(jti, parsed.sessionId), ({ denied, stored }) => {
        if (stored === null) throw errors.FST_JWT_REVOKED()
        const { tokenId, previousTokenId } = stored.session
        if (!parsed.genuine && jti !== tokenId && jti !== previousTokenId) throw errors.FST_JWT_INVALID_TOKEN('malformed')
        const claims = claimsOf(token, jti, parsed.persistent, stored)
        checkTimes(claims, settings)
        return { header: null, claims: { ...claims, gen: parsed.generation }, opaque: { denied, stored } }
      })
    },

    refuseReplaced ({ claims: { jti, gen = 0 }, foreign, opaque }, sid) {
      return after(opaque ?? stateOf(jti ?? null, sid), ({ denied, stored }) => {
        if (denied || stored === null) throw errors.FST_JWT_REVOKED()
        const standing = standingOf({ tokenId: jti ?? '', generation: gen, ours: foreign !== true }, stored, settings)
        if (standing === 'reused') throw reused(stored.session, errors)
        if (standing === 'bound') throw errors.FST_JWT_DEVICE_BOUND()
        return stored
      })
    }
  }
}
