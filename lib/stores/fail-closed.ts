import { isPromise } from '../after.ts'
import type { Errors } from '../errors.ts'
import type { MaybePromise } from '../types/claims.ts'
import type { JwtError } from '../types/errors.ts'
import type { ReplicatedStore, Store } from '../types/store.ts'

/** The 503 for a store that failed. The reason is the error's `cause`, which is logged and not sent to the client. */
export function storeUnavailable (errors: Errors, cause: unknown): JwtError {
  const error = errors.FST_JWT_STORE_UNAVAILABLE()
  error.cause = cause
  return error
}

/** A store that fails closed: if it throws or rejects, the request is a 503, so that no token passes without an answer. */
export function failClosed (store: Store, errors: Errors): Omit<Store, 'open' | 'checkToken' | 'getSessionState' | keyof ReplicatedStore> {
  function ask<T> (question: () => MaybePromise<T>): MaybePromise<T> {
    try {
      const answer = question()
      return isPromise(answer) ? Promise.resolve(answer).catch((cause: unknown) => { throw storeUnavailable(errors, cause) }) : answer
    } catch (cause) {
      throw storeUnavailable(errors, cause)
    }
  }

  return {
    denyToken: (jti, sid, expiresAt) => ask(() => store.denyToken(jti, sid, expiresAt)),
    denySession: (sid, expiresAt) => ask(() => store.denySession(sid, expiresAt)),
    isDenied: (jti, sid) => ask(() => store.isDenied(jti, sid)),
    useOnce: (id, expiresAt) => ask(() => store.useOnce(id, expiresAt)),
    createSession: (session, limit) => ask(() => store.createSession(session, limit)),
    getSession: id => ask(() => store.getSession(id)),
    replaceSession: (id, version, change) => ask(() => store.replaceSession(id, version, change)),
    endSession: id => ask(() => store.endSession(id)),
    endSessions: (identity, except, limit) => ask(() => store.endSessions(identity, except, limit)),
    listSessions: (identity, after, limit) => ask(() => store.listSessions(identity, after, limit))
  }
}
