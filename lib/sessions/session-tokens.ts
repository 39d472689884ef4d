import { createOpaqueToken, hashOf } from './opaque-tokens.ts'
import type { TokenIssuer } from '../jwt/create.ts'
import type { TokenVerifier } from '../jwt/verify.ts'
import type { Settings } from '../options/settings.ts'
import type { CreateSessionOptions } from '../types/app-jwt.ts'
import type { AdditionalClaims } from '../types/claims.ts'
import type { RotatedToken } from '../types/store.ts'

/** What is known of a token outlives it by so much: clocks differ, and it may be issued as its session ends. Seconds. */
const margin = 60

/** Who a session belongs to and since when. */
export interface Login {
  readonly identity: string
  readonly sid: string
  /** Time of the login, the `auth_time` claim, seconds since the epoch. */
  readonly login: number
}

/** How long the tokens of a session live, and the tokens themselves. Times are seconds since the epoch; `null` is never. */
export interface SessionTokenIssuer {
  /** `exp` of an access token made now. */
  accessExpiry (now: number, login: number): number | null
  /** `exp` of a refresh token made now. */
  refreshExpiry (now: number, login: number): number | null
  access (login: Login, generation: number, now: number, claims: AdditionalClaims, fresh: NonNullable<CreateSessionOptions['fresh']>): string
  /**
   * The refresh token of a generation: the same, whenever it is asked for.
   *
   * @param tokenId Its id, if it is there already: of an opaque token this tells which key has made it.
   */
  refresh (login: Login, generation: number, token: RotatedToken, tokenId: string): string
  /** The id of an opaque token that is to be made. */
  opaqueId (sid: string, generation: number, salt: string): string
  /** How long a record is kept for a token with this `exp`, in milliseconds since the epoch. */
  retention (exp: number | null): number | null
}

export function createSessionTokenIssuer (settings: Settings, issuer: TokenIssuer, verifier: TokenVerifier): SessionTokenIssuer {
  const { accessExpires, refreshExpires, sessionMaxAge, leeway } = settings

  /** After this life, but no later than the session may last. */
  function expiry (now: number, life: number | false, login: number): number | null {
    const end = Math.min(life === false ? Infinity : now + life, sessionMaxAge === false ? Infinity : login + sessionMaxAge)
    return end === Infinity ? null : Math.floor(end)
  }
  const accessExpiry = (now: number, login: number): number | null => expiry(now, accessExpires, login)

  function opaqueTokens (sid: string, generation: number, salt: string): string[] {
    return verifier.keys.opaqueKeys.map(key => createOpaqueToken(key, sid, generation, salt))
  }

  return {
    accessExpiry,
    refreshExpiry: (now, login) => expiry(now, refreshExpires, login),
    access: ({ identity, sid, login }, gen, now, claims, fresh) => issuer.access(identity, { claims, fresh },
      { sid, gen, auth_time: login, iat: now, exp: accessExpiry(now, login) }),
    refresh ({ identity, sid, login }, gen, { issuedAt, expiresAt, salt }, tokenId) {
      if (salt === '') return issuer.refresh(identity, {}, { sid, gen, auth_time: login, jti: tokenId, iat: issuedAt, exp: expiresAt })
      const token = opaqueTokens(sid, gen, salt).find(candidate => hashOf(candidate) === tokenId)
      if (token === undefined) throw settings.errors.FST_JWT_REVOKED()
      return token
    },
    opaqueId: (sid, generation, salt) => hashOf(opaqueTokens(sid, generation, salt)[0] as string),
    retention: exp => exp === null ? null : (exp + leeway + margin) * 1000
  }
}

/** The later of two times, where `null` is never. */
export function laterOf (first: number | null, second: number | null): number | null {
  return first === null || second === null ? null : Math.max(first, second)
}
