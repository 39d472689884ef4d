import type { JwtClaims, JwtHeader } from './claims.ts'
import type { SessionState, StoredSession } from './store.ts'

/** An opaque refresh token, parsed. */
export interface OpaqueToken {
  readonly sessionId: string
  readonly generation: number
  /** Whether its cookie outlives the browser; `undefined`: the `sessionCookie` option decides. */
  readonly persistent: boolean | undefined
  /** Whether its session has its own lifetime, in place of `refreshExpires`. */
  readonly hasOwnLife: boolean
  /** Whether one of our keys has made it. */
  readonly genuine: boolean
}

/** What a store knows about a refresh token of a session. */
export interface RefreshTokenState {
  readonly denied: boolean
  readonly stored: StoredSession | null
}

/** The store's answer about the session of a token. `null` if the store was not asked, or has no such session. */
export interface SessionAnswer {
  /** For a refresh token. */
  stored: StoredSession | null
  /** For an access token. */
  state: SessionState | null
  /** `Store.epoch` when it was asked. */
  epoch: number
}

/** A token whose signature and unchanging claims have been checked. */
export interface VerifiedToken {
  /** `null` for an opaque token, which has none. */
  readonly header: JwtHeader | null
  readonly claims: JwtClaims
  /** For an opaque refresh token: the store's answer when it was verified. */
  readonly opaque?: RefreshTokenState
  /** Verified with another issuer's key: no token of our own may be created from it. */
  readonly foreign?: boolean
}
