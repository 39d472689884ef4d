import { LruMap } from 'toad-cache'
import type { SessionRecord } from '../sessions/store.ts'
import type { JwtClaims, JwtHeader } from '../types.ts'

/** A token whose signature and unchanging claims have been checked. */
export interface VerifiedToken {
  /** `null` for an opaque token, which has none. */
  readonly header: JwtHeader | null
  readonly claims: JwtClaims
  /** The session of an opaque token, which was read to verify it. */
  readonly session?: SessionRecord
}

/** The tokens verified under one set of keys; a new set of keys gets a new cache. */
export interface VerifiedCache {
  get (token: string): VerifiedToken | undefined
  set (token: string, verified: VerifiedToken): void
}

const none: VerifiedCache = { get: () => undefined, set () {} }

/**
 * Remembers the last `size` verified tokens, least recently used out first. Failures are never stored,
 * so that only who holds valid tokens can fill it. A hit and a miss cost one map look-up keyed by the token
 * itself; an entry costs the token, its claims, and about 200 bytes.
 *
 * @param size Tokens remembered; 0 for none.
 */
export function createVerifiedCache (size: number): VerifiedCache {
  if (size === 0) return none
  const tokens = new LruMap<VerifiedToken>(size)
  return {
    get: token => tokens.get(token),
    // The token is a slice of its header line or cookie jar, which it would keep alive: store a copy.
    set: (token, verified) => { tokens.set(Buffer.from(token, 'latin1').toString('latin1'), verified) }
  }
}
