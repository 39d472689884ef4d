import { isPromise } from '../after.ts'
import { KnownPairs } from './known-pairs.ts'
import type { FastifyBaseLogger } from 'fastify'
import type { Settings } from '../options/settings.ts'
import type { JwtClaims } from '../types/claims.ts'
import type { ReplicatedStore, SessionState, SessionStore } from '../types/store.ts'
import type { SessionAnswer } from '../types/verified-token.ts'

/** Remembers that the successor of a refresh token was accepted: its predecessor is not needed any more. */
export interface UsageMarker {
  /**
   * Whether a pair of tokens has nothing more to tell the store: its session was there, and its use is written down, or needs not be. A
   * store that holds its denials in memory is asked about each pair until then.
   *
   * @param generation `undefined` for a session of another issuer.
   */
  isKnown (sid: string, generation: number | undefined): boolean
  /** Told that the store does not refuse a session of another issuer. */
  rememberOther (sid: string, epoch: number): void
  /**
   * Told of a token that was accepted: it has passed everything, its proof and the callbacks included. Otherwise a thief without the key
   * of a bound token could end its session. Writes once for each generation, and the request does not wait: if it fails, the next
   * accepted token writes it.
   *
   * @param answer What the store has said of its session.
   */
  learn (claims: JwtClaims, answer: SessionAnswer): void
}

/** In place of the generation of a session that has none. */
const noGeneration = -1

/** @param given The store as the app gave it. */
export function createUsageMarker (
  { refreshUntilUsed }: Settings, store: Pick<SessionStore, 'replaceSession'>, given: ReplicatedStore, log: FastifyBaseLogger
): UsageMarker {
  /** Sessions whose mark is being written. */
  const writing = new Set<string>()

  // A store that holds its denials in memory need not be asked about a pair for ever.
  const known = given.judge === undefined ? null : new KnownPairs()

  function failed (sid: string, error: unknown): void {
    writing.delete(sid)
    log.warn({ err: error, sessionId: sid }, 'The use of a new token pair could not be written down; the next request tries again')
  }

  function markUsed (sid: string, { used, version }: SessionState): void {
    if (used || !refreshUntilUsed || writing.has(sid)) return
    try {
      const pending = store.replaceSession(sid, version, { used: true })
      if (!isPromise(pending)) return
      writing.add(sid)
      pending.then(() => { writing.delete(sid) }, (error: unknown) => { failed(sid, error) })
    } catch (error) {
      failed(sid, error)
    }
  }

  return {
    isKnown: (sid, generation = noGeneration) => known?.has(sid, generation, given.epoch ?? 0) === true,
    rememberOther (sid, epoch) { known?.add(sid, noGeneration, epoch) },

    learn ({ sid, gen: generation, jti }, { stored, state, epoch }) {
      if (sid === undefined) return
      if (stored !== null) {
        if (jti === stored.session.tokenId) markUsed(sid, stored.session)
        return
      }
      if (state === null || generation === undefined) return
      // An earlier pair has been replaced by one that somebody has; of a later one the store has lost the rotation.
      if (generation === state.generation && !state.used && refreshUntilUsed) markUsed(sid, state)
      else known?.add(sid, generation, epoch)
    }
  }
}
