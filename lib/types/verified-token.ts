import type { JwtClaims, JwtHeader } from './claims.ts'
import type { SessionRecord } from './store.ts'

/** The parts of an opaque refresh token. */
export interface OpaqueToken {
  readonly sessionId: string
  readonly secret: Buffer
  readonly tag: Buffer
}

/** What a store says of a session's refresh token. */
export interface RefreshTokenState {
  readonly denied: boolean
  readonly session: SessionRecord | null
}

/** An opaque refresh token that has been verified, with the answer of the store. */
export interface VerifiedOpaqueToken extends RefreshTokenState {
  readonly parsed: OpaqueToken
  readonly session: SessionRecord
}

/** A token whose signature and claims have been checked, except for its times. */
export interface VerifiedToken {
  /** `null` for an opaque token, which has none. */
  readonly header: JwtHeader | null
  readonly claims: JwtClaims
  /** For an opaque refresh token only. */
  readonly opaque?: VerifiedOpaqueToken
  /** Verified with an external key: no token of ours may be created from it. */
  readonly foreign?: boolean
}
