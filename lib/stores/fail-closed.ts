import { isPromise } from '../after.ts'
import type { Errors } from '../errors.ts'
import type { JwtError } from '../types/errors.ts'
import type { MaybePromise } from '../types/claims.ts'
import type { Store } from '../types/store.ts'

/** The 503 of a store that failed. What went wrong is the error's `cause`, for the log and not for the client. */
export function storeUnavailable (errors: Errors, cause: unknown): JwtError {
  const error = errors.FST_JWT_STORE_UNAVAILABLE()
  error.cause = cause
  return error
}

/**
 * Wraps a store so that it fails closed: every error, thrown or rejected, becomes `FST_JWT_STORE_UNAVAILABLE` (503). So no
 * token is accepted without an answer. The error of the store is the `cause`, for the log but not for the client.
 */
export function failClosed (store: Store, errors: Errors): Omit<Store, 'open' | 'close'> {
  function unavailable (cause: unknown): never {
    throw storeUnavailable(errors, cause)
  }

  function ask<T> (question: () => MaybePromise<T>): MaybePromise<T> {
    try {
      const answer = question()
      return isPromise(answer) ? Promise.resolve(answer).catch(unavailable) : answer
    } catch (error) {
      return unavailable(error)
    }
  }

  return {
    denyToken: (jti, sid, expiresAt) => ask(() => store.denyToken(jti, sid, expiresAt)),
    isDenied: (jti, sid) => ask(() => store.isDenied(jti, sid)),
    createSession: session => ask(() => store.createSession(session)),
    getSession: id => ask(() => store.getSession(id)),
    rotateSession: (id, rotation) => ask(() => store.rotateSession(id, rotation)),
    endSession: (id, denyUntil) => ask(() => store.endSession(id, denyUntil)),
    listSessions: identity => ask(() => store.listSessions(identity))
  }
}
