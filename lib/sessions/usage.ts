import { isPromise } from '../after.ts'
import { KnownPairs } from './known-pairs.ts'
import type { FastifyBaseLogger } from 'fastify'
import type { Settings } from '../options/settings.ts'
import type { JwtClaims } from '../types/claims.ts'
import type { ReplicatedStore, SessionState, SessionStore } from '../types/store.ts'
import type { SessionAnswer } from '../types/verified-token.ts'

/** Records that a token of the current generation was accepted: the previous refresh token is no longer needed. */
export interface UsageMarker {
  /**
   * Whether a token pair needs no query to the store: its session exists, and its use is recorded or need not be. Until then, a store
   * that holds its denials in memory is queried about the pair.
   *
   * @param generation `undefined` for a session of another issuer.
   */
  isKnown (sid: string, generation: number | undefined): boolean
  /** Remembers that the store does not refuse a session of another issuer. */
  rememberOther (sid: string, epoch: number): void
  /**
   * Records the use of an accepted token. Call it after every check has passed, including the proof and the callbacks: otherwise a
   * thief without the key of a bound token could end its session. It writes once for each generation, and the request does not wait.
   * If the write fails, the next accepted token repeats it.
   *
   * @param answer What the store has answered about its session.
   */
  learn (claims: JwtClaims, answer: SessionAnswer): void
}

/** Stands for the generation of a session that has none. */
const noGeneration = -1

/** @param given The store as the app gave it. */
export function createUsageMarker (
  { refreshUntilUsed }: Settings, store: Pick<SessionStore, 'replaceSession'>, given: ReplicatedStore, log: FastifyBaseLogger
): UsageMarker {
  /** Sessions whose mark is being written. */
  const writing = new Set<string>()

  // Only a store that holds its denials in memory can skip the query for a known pair.
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
      // An earlier pair was replaced already. If the pair is later, the store has lost its rotation. Neither is written.
      if (generation === state.generation && !state.used && refreshUntilUsed) markUsed(sid, state)
      else known?.add(sid, generation, epoch)
    }
  }
}
