import { LruMap } from 'toad-cache'
import type { VerifiedOpaqueToken } from '../sessions/refresh-tokens.ts'
import type { JwtClaims, JwtHeader } from '../types.ts'

/** A token whose signature and unchanging claims have been checked. */
export interface VerifiedToken {
  /** `null` for an opaque token, which has none. */
  readonly header: JwtHeader | null
  readonly claims: JwtClaims
  /** Of an opaque refresh token: its parts, and what the store said when it was verified. */
  readonly opaque?: VerifiedOpaqueToken
  /** Verified with another issuer's key: nothing may be made of it that our own key signs. */
  readonly foreign?: boolean
}

/** What is remembered of verified tokens. */
export interface VerifiedCache<T> {
  get (token: string): T | undefined
  set (token: string, verified: T): void
}

const none: VerifiedCache<never> = { get: () => undefined, set () {} }

/** A number that differs between tokens: of the end of the signature, which is as good as random. */
function fingerprintOf (token: string): number {
  let hash = 0
  for (let i = token.length - 8; i < token.length; i++) hash = Math.imul(hash, 33) ^ token.charCodeAt(i)
  return hash | 1
}

/**
 * Remembers the last `size` verified tokens that came twice, least recently used out first. A token that comes once and
 * never again is not worth the copy, nor what it would push out; a fingerprint of 4 bytes is all that is kept of it.
 *
 * Failures are never stored, so that only who holds valid tokens can fill it. A hit costs one map look-up keyed by the
 * token itself; an entry costs the token, its claims, and about 200 bytes.
 *
 * @param size Tokens remembered; 0 for none.
 */
export function createVerifiedCache<T> (size: number): VerifiedCache<T> {
  if (size === 0) return none
  const tokens = new LruMap<T>(size)
  // A power of two, at least twice the size: the fingerprints of tokens that came once.
  const seenOnce = new Int32Array(2 ** Math.ceil(Math.log2(Math.min(size, 2 ** 20) * 2)))
  const mask = seenOnce.length - 1

  return {
    get: token => tokens.get(token),
    set (token, verified) {
      const fingerprint = fingerprintOf(token)
      const slot = (fingerprint >>> 1) & mask
      if (seenOnce[slot] !== fingerprint) {
        seenOnce[slot] = fingerprint
        return
      }
      // The token is a slice of its header line or cookie jar, which it would keep alive: store a copy.
      tokens.set(Buffer.from(token, 'latin1').toString('latin1'), verified)
    }
  }
}
