import type { JwtClaims, JwtHeader } from './claims.ts'
import type { SessionState, StoredSession } from './store.ts'

/** An opaque refresh token, parsed. */
export interface OpaqueToken {
  readonly sessionId: string
  readonly generation: number
  /** Whether its cookie outlives the browser; `undefined`: as the `sessionCookie` option has it. */
  readonly persistent: boolean | undefined
  /** Whether its session has a life of its own, in place of `refreshExpires`. */
  readonly hasOwnLife: boolean
  /** Whether one of our keys has made it. */
  readonly genuine: boolean
}

/** What a store knows of a refresh token that belongs to a session. */
export interface RefreshTokenState {
  readonly denied: boolean
  readonly stored: StoredSession | null
}

/** What the store has said of the session of a token. `null` if it was not asked, or knows of none. */
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
  /** Verified with another issuer's key: our own key must sign nothing in its name. */
  readonly foreign?: boolean
}
