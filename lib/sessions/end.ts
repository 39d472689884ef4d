import { publish } from '../events.ts'
import type { FastifyBaseLogger } from 'fastify'
import type { Errors } from '../errors.ts'
import type { JwtEvents } from '../events.ts'
import type { JwtError } from '../types/errors.ts'
import type { MaybePromise } from '../types/claims.ts'
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
   * @param refusal Why the request is refused. Nothing happens unless it is `FST_JWT_REUSED` of `reused`.
   */
  endReused (refusal: JwtError, log: FastifyBaseLogger): MaybePromise<void>
}

/** On a refusal: the session whose refresh token has been reused. */
const kReusedSession = Symbol('fastify-jwt-extended.reusedSession')

/**
 * The refusal of a reused refresh token. Its session ends when the request is refused, and not before: another cookie of the
 * same name may hold the current token.
 */
export function reused (session: SessionRecord, errors: Errors): JwtError {
  return Object.assign(errors.FST_JWT_REUSED(), { [kReusedSession]: session })
}

export function createSessionEnder (store: Pick<SessionStore, 'endSession'>, tokens: SessionTokenIssuer): SessionEnder {
  const end: SessionEnder['end'] = async (id, cause, log) => {
    const now = Math.floor(Date.now() / 1000)
    // The denial must outlive an access token that is issued at this moment.
    const ended = await store.endSession(id, tokens.surelyExpired(tokens.accessExpiry(now, now)))
    if (ended) publish('session.revoked', { sessionId: id, cause }, log)
    return ended
  }

  return {
    end,
    endReused (refusal: JwtError & { readonly [kReusedSession]?: SessionRecord }, log) {
      const session = refusal[kReusedSession]
      if (session === undefined) return
      return end(session.id, 'reused', log).then(() => {
        publish('refresh.reused', { sessionId: session.id, identity: session.identity }, log)
      })
    }
  }
}
