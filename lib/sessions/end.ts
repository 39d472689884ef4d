import { publish } from '../events.ts'
import type { FastifyBaseLogger } from 'fastify'
import type { Errors } from '../errors.ts'
import type { JwtEvents } from '../events.ts'
import type { SessionTokenIssuer } from './session-tokens.ts'
import type { SessionRecord, SessionStore } from '../types/store.ts'

/** Ends sessions. All tokens of a session are refused as soon as it ends. */
export interface SessionEnder {
  /**
   * Ends a session.
   *
   * @param cause Why, for the event.
   * @returns Whether there was such a session.
   */
  end (id: string, cause: JwtEvents['session.revoked']['cause'], log: FastifyBaseLogger): Promise<boolean>
  /**
   * Ends the session of a refresh token that was reused. Nothing tells the thief from the owner, so it ends for both
   * (RFC 9700 §4.14.2).
   *
   * @throws `FST_JWT_REUSED`
   */
  refuseReused (session: SessionRecord, log: FastifyBaseLogger): Promise<never>
}

export function createSessionEnder (store: Pick<SessionStore, 'endSession'>, tokens: SessionTokenIssuer, errors: Errors): SessionEnder {
  const end: SessionEnder['end'] = async (id, cause, log) => {
    const now = Math.floor(Date.now() / 1000)
    // The denial must outlive an access token that is issued at this moment.
    const ended = await store.endSession(id, tokens.surelyExpired(tokens.accessExpiry(now, now)))
    if (ended) publish('session.revoked', { sessionId: id, cause }, log)
    return ended
  }

  return {
    end,
    async refuseReused ({ id, identity }, log) {
      await end(id, 'reused', log)
      publish('refresh.reused', { sessionId: id, identity }, log)
      throw errors.FST_JWT_REUSED()
    }
  }
}
