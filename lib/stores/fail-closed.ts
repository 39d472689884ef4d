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

function isBoolean (answer: unknown): boolean {
  return typeof answer === 'boolean'
}

function isState (answer: unknown): answer is Fields {
  return isObject(answer) && isBoolean(answer['used']) && [answer['version'], answer['generation'], answer['staleBefore']].every(Number.isFinite)
}

function isSession (answer: unknown): boolean {
  return isState(answer) && [answer['id'], answer['identity'], answer['tokenId']].every(text => typeof text === 'string') &&
    isObject(answer['document']) && isObject(answer['document']['token'])
}

/** Whether a method has returned what it must return. `checkToken` is checked where its answer is judged. */
const fits = {
  isDenied: isBoolean,
  useOnce: isBoolean,
  createSession: (answer: unknown) => isObject(answer) && isBoolean(answer['created']) && Array.isArray(answer['ended']),
  getSession: (answer: unknown) => answer === null || (isObject(answer) && isSession(answer['session']) && Number.isFinite(answer['now'])),
  getSessionState: (answer: unknown) => answer === null || isState(answer),
  replaceSession: isBoolean,
  endSession: (answer: unknown) => answer === null || typeof answer === 'string',
  endSessions: (answer: unknown) => isObject(answer) && Array.isArray(answer['ended']) && isBoolean(answer['more']),
  listSessions: (answer: unknown) =>
    isObject(answer) && Array.isArray(answer['sessions']) && answer['sessions'].every(isSession) && answer['next'] !== undefined
}

/** The same in words, for the log. */
const wanted: Readonly<Record<keyof typeof fits | 'checkToken', string>> = {
  isDenied: 'true or false',
  useOnce: 'true or false',
  checkToken: "'denied', 'unknown' or the state of a session",
  createSession: '{ created, ended }',
  getSession: '{ session, now }, or null',
  getSessionState: 'the state of a session, or null',
  replaceSession: 'true or false',
  endSession: 'an identity, or null',
  endSessions: '{ ended, more }',
  listSessions: '{ sessions, next }'
}

/**
 * Returns the answer of a store's method, if it is of the type that the method must return. Any other value must neither let a token pass
 * nor become a 500: a forgotten `return` answers `undefined`.
 *
 * @throws {TypeError}
 */
export function checkAnswer<T> (method: keyof typeof fits, answer: T): T {
  if (!fits[method](answer)) throw wrongAnswer(method)
  return answer
}

/** The error for an answer that a method must not return. */
export function wrongAnswer (method: keyof typeof wanted): TypeError {
  return new TypeError(`${method} of the store must return ${wanted[method]}, or a promise of it`)
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

  function read<T> (method: keyof typeof fits, question: () => MaybePromise<T>): MaybePromise<T> {
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
