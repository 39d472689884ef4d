import type { Settings } from '../options/settings.ts'
import type { TokenIssuer } from '../jwt/create.ts'
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

/** How long the tokens of a session live, and the tokens themselves. */
export interface SessionTokenIssuer {
  /** `exp` of an access token made now. All times are seconds since the epoch; `null` for never. */
  accessExpiry (now: number, login: number): number | null
  /** `exp` of a refresh token made now. */
  refreshExpiry (now: number, login: number): number | null
  access (login: Login, now: number, claims: AdditionalClaims, fresh: NonNullable<CreateSessionOptions['fresh']>): string
  /** The same token, `jti` and times, whenever it is asked for. */
  refresh (login: Login, current: RotatedToken): string
  /** When the record of a session may go, in milliseconds since the epoch: the `exp` of its refresh token, and `leeway`. */
  recordExpiry (exp: number | null): number | null
  /** When a token with this `exp` is surely refused for its age, in milliseconds since the epoch. */
  surelyExpired (exp: number | null): number | null
}

export function createSessionTokenIssuer (settings: Settings, issuer: TokenIssuer): SessionTokenIssuer {
  const { accessExpires, refreshExpires, sessionMaxAge, leeway } = settings

  /** After this life, but no later than the session may last. */
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
