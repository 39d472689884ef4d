import { after, isPromise } from '../after.ts'
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

type Fields = Readonly<Record<string, unknown>>

function isObject (value: unknown): value is Fields {
  return typeof value === 'object' && value !== null
}

/** What each method of a store must return. The second text is for the log. */
const answers = {
  isDenied: [isBoolean, 'true or false'],
  useOnce: [isBoolean, 'true or false'],
  createSession: [answer => isObject(answer) && isBoolean(answer['created']) && Array.isArray(answer['ended']), '{ created, ended }'],
  getSession: [answer => answer === null || isStoredSession(answer), '{ session, now }, or null'],
  replaceSession: [isBoolean, 'true or false'],
  endSession: [answer => answer === null || typeof answer === 'string', 'an identity, or null'],
  endSessions: [answer => isObject(answer) && Array.isArray(answer['ended']) && isBoolean(answer['more']), '{ ended, more }'],
  listSessions: [answer => isObject(answer) && Array.isArray(answer['sessions']) && answer['next'] !== undefined, '{ sessions, next }']
} satisfies { [method in keyof Store]?: [fits: (answer: unknown) => boolean, wanted: string] }

function isBoolean (answer: unknown): boolean {
  return typeof answer === 'boolean'
}

function isStoredSession (answer: unknown): boolean {
  return isObject(answer) && typeof answer['now'] === 'number' && isObject(answer['session']) &&
    typeof answer['session']['tokenId'] === 'string' && isObject(answer['session']['document'])
}

/**
 * Returns the answer of a store's method, if it is of the type that the method must return. Any other value must neither let a token pass
 * nor become a 500: a forgotten `return` answers `undefined`.
 *
 * @throws {TypeError}
 */
export function checkAnswer<T> (method: keyof typeof answers, answer: T): T {
  const [fits, wanted] = answers[method]
  if (!fits(answer)) throw new TypeError(`${method} of the store must return ${wanted}, or a promise of it`)
  return answer
}

/**
 * A store that fails closed: if it throws, rejects or returns something else than it must, the request is a 503, so that no token passes
 * without an answer.
 */
export function failClosed (store: Store, errors: Errors): Omit<Store, 'open' | 'checkToken' | 'getSessionState' | keyof ReplicatedStore> {
  function ask<T> (question: () => MaybePromise<T>): MaybePromise<T> {
    try {
      const answer = question()
      return isPromise(answer) ? Promise.resolve(answer).catch((cause: unknown) => { throw storeUnavailable(errors, cause) }) : answer
    } catch (cause) {
      throw storeUnavailable(errors, cause)
    }
  }

  function read<T> (method: keyof typeof answers, question: () => MaybePromise<T>): MaybePromise<T> {
    return ask(() => after(question(), answer => checkAnswer(method, answer)))
  }

  return {
    denyToken: (jti, sid, expiresAt) => ask(() => store.denyToken(jti, sid, expiresAt)),
    denySession: (sid, expiresAt) => ask(() => store.denySession(sid, expiresAt)),
    isDenied: (jti, sid) => read('isDenied', () => store.isDenied(jti, sid)),
    useOnce: (id, expiresAt) => read('useOnce', () => store.useOnce(id, expiresAt)),
    createSession: (session, limit) => read('createSession', () => store.createSession(session, limit)),
    getSession: id => read('getSession', () => store.getSession(id)),
    replaceSession: (id, version, change) => read('replaceSession', () => store.replaceSession(id, version, change)),
    endSession: id => read('endSession', () => store.endSession(id)),
    endSessions: (identity, except, limit) => read('endSessions', () => store.endSessions(identity, except, limit)),
    listSessions: (identity, after, limit) => read('listSessions', () => store.listSessions(identity, after, limit))
  }
}
