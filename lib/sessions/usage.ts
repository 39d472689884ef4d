import { isPromise } from '../after.ts'
import type { FastifyBaseLogger } from 'fastify'
import type { Settings } from '../options/settings.ts'
import type { SessionState, SessionStore } from '../types/store.ts'

/** Remembers that the successor of a refresh token has arrived: its predecessor is not needed any more. */
export interface UsageMarker {
  /**
   * Told that a token of the current generation has come in. Writes once for each generation, and the request does not wait:
   * if it fails, the next token that comes in writes it.
   */
  markUsed (sid: string, state: SessionState): void
}

export function createUsageMarker ({ refreshUntilUsed }: Settings, store: Pick<SessionStore, 'replaceSession'>, log: FastifyBaseLogger): UsageMarker {
  /** Sessions whose mark is being written. */
  const writing = new Set<string>()

  function failed (sid: string, error: unknown): void {
    writing.delete(sid)
    log.warn({ err: error, sessionId: sid }, 'The use of a new token pair could not be written down; the next request tries again')
  }

  return {
    markUsed (sid, { used, version }) {
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
  }
}
