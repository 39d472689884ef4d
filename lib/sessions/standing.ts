import type { Settings } from '../options/settings.ts'
import type { StoredSession } from '../types/store.ts'

/** A refresh token, by what identifies it. */
export interface PresentedToken {
  readonly tokenId: string
  /** The `gen` claim. */
  readonly generation: number
  /** Whether our own key has signed it. Another one's may say what it likes. */
  readonly ours: boolean
}

/**
 * `current`: the token of the session. `ahead`: issued after the last rotation that the store knows, which has lost one since
 * (a failover to a replica that lags). `predecessor`: replaced, but good for the same successor once more. `reused`: replaced
 * before that, so two parties hold it. `bound`: the session is bound to a device, and no refresh token alone is enough.
 * `unregistered`: it was just bound, but the answer that said so may have been lost, since none of its tokens was accepted.
 */
export type Standing = 'current' | 'ahead' | 'predecessor' | 'reused' | 'bound' | 'unregistered'

/**
 * Judges a refresh token by its session (RFC 9700 §4.14.2). The only place that does, and only by the clock of the store.
 *
 * A replaced token stays good until a token of its successor was accepted: until then, the answer may have been lost on its
 * way. After that it stays good for `refreshReuseInterval`, for two tabs that refresh at once.
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
