import type { Settings } from '../options/settings.ts'
import type { TokenIssuer } from '../jwt/create.ts'
import type { CreateSessionOptions } from '../types/app-jwt.ts'
import type { AdditionalClaims } from '../types/claims.ts'
import type { RotatedToken } from '../types/store.ts'

/** Seconds for which a denial outlives its token: clocks differ, and a token may be issued while its session ends. */
const margin = 60

/** The identity and the start of a session. */
export interface Login {
  readonly identity: string
  readonly sid: string
  /** When the user logged in, the `auth_time` claim, seconds since the epoch. */
  readonly login: number
}

/** Creates the tokens of a session, and decides when they expire. */
export interface SessionTokenIssuer {
  /** `exp` of an access token created now. Times are seconds since the epoch; `null` for never. */
  accessExpiry (now: number, login: number): number | null
  /** `exp` of a refresh token created now. */
  refreshExpiry (now: number, login: number): number | null
  /** Creates an access token. */
  access (login: Login, now: number, claims: AdditionalClaims, fresh: NonNullable<CreateSessionOptions['fresh']>): string
  /** Creates a refresh token with the `jti` and times of the record, so that it is the same each time. */
  refresh (login: Login, current: RotatedToken): string
  /** When the record of a session may be deleted, in milliseconds since the epoch: `leeway` after the `exp` of its refresh token. */
  recordExpiry (exp: number | null): number | null
  /** When every server refuses a token with this `exp`, in milliseconds since the epoch: `leeway` and a margin later. */
  surelyExpired (exp: number | null): number | null
}

/** Creates the functions behind the tokens of sessions. */
export function createSessionTokenIssuer (settings: Settings, issuer: TokenIssuer): SessionTokenIssuer {
  const { accessExpires, refreshExpires, sessionMaxAge, leeway } = settings

  /** Now plus a lifetime, but not after the end of the session. */
  function expiry (now: number, life: number | false, login: number): number | null {
    const end = Math.min(life === false ? Infinity : now + life, sessionMaxAge === false ? Infinity : login + sessionMaxAge)
    return end === Infinity ? null : Math.floor(end)
  }
  const accessExpiry = (now: number, login: number): number | null => expiry(now, accessExpires, login)

  return {
    accessExpiry,
    refreshExpiry: (now, login) => expiry(now, refreshExpires, login),
    access: ({ identity, sid, login }, now, claims, fresh) => issuer.access(identity, { claims, fresh },
      { sid, auth_time: login, iat: now, exp: accessExpiry(now, login) }),
    refresh: ({ identity, sid, login }, { tokenId, issuedAt, expiresAt }) => issuer.refresh(identity, {},
      { sid, auth_time: login, jti: tokenId, iat: issuedAt, exp: expiresAt }),
    recordExpiry: exp => exp === null ? null : (exp + leeway) * 1000,
    surelyExpired: exp => exp === null ? null : (exp + leeway + margin) * 1000
  }
}
