import type { JwtClaims, JwtHeader } from './claims.ts'
import type { SessionRecord } from './store.ts'

/** An opaque refresh token, parsed. */
export interface OpaqueToken {
  readonly sessionId: string
  readonly secret: Buffer
  readonly tag: Buffer
}

/** What a store knows of a refresh token that belongs to a session. */
export interface RefreshTokenState {
  readonly denied: boolean
  readonly session: SessionRecord | null
}

/** What was found out while an opaque refresh token was verified. */
export interface VerifiedOpaqueToken extends RefreshTokenState {
  readonly parsed: OpaqueToken
  readonly session: SessionRecord
}

/** A token whose signature and unchanging claims have been checked. */
export interface VerifiedToken {
  /** `null` for an opaque token, which has none. */
  readonly header: JwtHeader | null
  readonly claims: JwtClaims
  /** For an opaque refresh token: its parts, and the store's answer when it was verified. */
  readonly opaque?: VerifiedOpaqueToken
  /** Verified with another issuer's key: our own key must sign nothing in its name. */
  readonly foreign?: boolean
}
