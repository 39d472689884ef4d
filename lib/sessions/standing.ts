import type { Settings } from '../options/settings.ts'
import type { StoredSession } from '../types/store.ts'

/** What identifies a refresh token. */
export interface PresentedToken {
  readonly tokenId: string
  /** The `gen` claim. */
  readonly generation: number
  /** Whether our own key has signed it. The `gen` claim of any other token is not trusted. */
  readonly ours: boolean
}

/**
 * `current`: the token of the session. `ahead`: issued after the last rotation that the store knows, because the store has lost
 * a rotation (a failover to a lagging replica). `predecessor`: replaced, but still valid, for the same successor. `reused`:
 * replaced and no longer valid, so two parties hold it. `bound`: the session is bound to a device, so a refresh token alone is
 * not enough. `unregistered`: the session was just bound, but the response may have been lost, since no new token was accepted.
 */
export type Standing = 'current' | 'ahead' | 'predecessor' | 'reused' | 'bound' | 'unregistered'

/**
 * Judges a refresh token by its session (RFC 9700 §4.14.2). No other function does. Only the clock of the store is used.
 *
 * A replaced token stays valid until a token of the next generation was accepted (`refreshUntilUsed`): until then, the response
 * may have been lost. It also stays valid for `refreshReuseInterval` after the rotation, for two tabs that refresh at once.
 */
export function standingOf (
  { tokenId, generation, ours }: PresentedToken, { session, now }: StoredSession, { refreshReuseInterval, refreshUntilUsed }: Settings
): Standing {
  const { binding } = session.document
  if (binding !== undefined) {
    const lost = refreshUntilUsed && !session.used && binding.generation === session.generation && tokenId === session.previousTokenId
    return lost ? 'unregistered' : 'bound'
  }
  if (tokenId === session.tokenId) return 'current'
  if (ours && generation > session.generation) return 'ahead'
  if (tokenId !== session.previousTokenId || session.rotatedAt === null) return 'reused'
  const unused = refreshUntilUsed && !session.used
  return unused || now - session.rotatedAt < refreshReuseInterval * 1000 ? 'predecessor' : 'reused'
}
