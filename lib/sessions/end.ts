import { publish } from '../events.ts'
import type { FastifyBaseLogger } from 'fastify'
import type { Errors } from '../errors.ts'
import type { JwtEvents } from '../events.ts'
import type { MaybePromise } from '../types/claims.ts'
import type { JwtError } from '../types/errors.ts'
import type { SessionRecord, SessionStore } from '../types/store.ts'

type Cause = NonNullable<JwtEvents['session.revoked']['cause']>

/** Ends sessions, each with all of its tokens. */
export interface SessionEnder {
  /** @returns Whether there was such a session. */
  end (id: string, cause: Cause, log: FastifyBaseLogger): Promise<boolean>
  /**
   * Ends the session of a reused refresh token. Thief and owner can't be told apart, so it ends for both (RFC 9700 §4.14.2).
   *
   * @param refusal The error of the request. Nothing happens unless `reused` has created it.
   */
  endReused (refusal: JwtError, log: FastifyBaseLogger): MaybePromise<void>
}

/** On a refusal: the session whose refresh token has been reused. */
const kReusedSession = Symbol('fastify-jwt-extended.reusedSession')

/**
 * The error for a reused refresh token. Its session ends only when the request is refused, because another cookie of the same
 * name may hold the current token.
 */
export function reused (session: SessionRecord, errors: Errors): JwtError {
  return Object.defineProperty(errors.FST_JWT_REUSED(), kReusedSession, { value: session })
}

export function createSessionEnder (store: Pick<SessionStore, 'endSession'>): SessionEnder {
  const end: SessionEnder['end'] = async (id, cause, log) => {
    const identity = await store.endSession(id)
    if (identity !== null) publish('session.revoked', { sessionId: id, cause }, log)
    return identity !== null
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
