import { after } from '../after.ts'
import { badOption } from '../errors.ts'
import { storeUnavailable, wrongAnswer } from '../stores/fail-closed.ts'
import type { FastifyRequest } from 'fastify'
import type { Errors } from '../errors.ts'
import type { Registration } from '../registration.ts'
import type { MaybePromise } from '../types/claims.ts'
import type { SessionState, TokenState } from '../types/store.ts'
import type { Sessions } from '../sessions/sessions.ts'
import type { SessionAnswer, VerifiedToken } from '../types/verified-token.ts'

/**
 * Refuses a token that is revoked according to the store or the `isRevoked` option.
 *
 * @param known Receives the store's answer about the session. The caller passes it to `sessions.learn` after all checks.
 * @param ask Whether to query the store even if it could answer from memory: for a token from which another one is created.
 * @returns Nothing; a promise only if the store or the callback returned one.
 * @throws `FST_JWT_REVOKED`, `FST_JWT_STALE`, `FST_JWT_REUSED`, `FST_JWT_STORE_UNAVAILABLE`
 */
export function refuseRevoked (
  registration: Registration, request: FastifyRequest, verified: VerifiedToken, known: SessionAnswer, ask = false
): MaybePromise<void> {
  const asked = !ask && passesFromMemory(registration, verified) ? undefined : askStore(registration, verified, known)
  return registration.settings.isRevoked === null ? asked : after(asked, () => askIsRevoked(registration, request, verified))
}

/**
 * Whether an access token passes without a query, because the store holds its denials in memory. The store is still queried once for each
 * pair of tokens of a session: to check that the session exists, and to record that the pair is used. It is queried once for the session of
 * another issuer: the session may have been revoked before the denials were held, and its issuer still creates tokens.
 *
 * @throws `FST_JWT_REVOKED`
 */
function passesFromMemory ({ store, sessions, settings: { errors } }: Registration, { claims }: VerifiedToken): boolean {
  if (store?.judge === undefined || claims.type === 'refresh') return false
  const { jti = null, sid = null, gen: generation, iat: issuedAt } = claims
  const verdict = store.judge({ jti, sid, generation, issuedAt })
  if (verdict === 'denied') throw errors.FST_JWT_REVOKED()
  return verdict === 'passes' && (sid === null || sessions?.isKnown(sid, generation) === true)
}

/** Queries the store, synchronously if the store is synchronous. It fails closed: no answer is a 503. */
function askStore (registration: Registration, verified: VerifiedToken, known: SessionAnswer): MaybePromise<void> {
  const { store, sessions, settings: { errors } } = registration
  const { jti = null, sid = null, type } = verified.claims
  if (store === null || sessions === null || (jti === null && sid === null)) return
  if (type === 'refresh' && sid !== null) return after(sessions.refuseReplaced(verified, sid), stored => { known.stored = stored })
  known.epoch = store.epoch ?? 0
  let answer: MaybePromise<boolean | TokenState>
  try {
    answer = sid === null ? store.isDenied(jti, null) : store.checkToken(jti, sid)
    // No closure is created for a store that answers synchronously.
    if (typeof answer === 'object' && answer !== null && 'then' in answer) {
      return Promise.resolve(answer).then(state => { judge(state, sessions, verified, errors, known) }, (cause: unknown) => { throw storeUnavailable(errors, cause) })
    }
  } catch (cause) {
    throw storeUnavailable(errors, cause)
  }
  judge(answer, sessions, verified, errors, known)
}

/**
 * Judges the store's answer about an access token, or a token without a session. An answer that makes no sense must not let the token pass.
 */
function judge (answer: boolean | TokenState, sessions: Sessions, { claims: { sid, gen }, foreign }: VerifiedToken, errors: Errors, known: SessionAnswer): void {
  if (answer === 'denied' || answer === true) throw errors.FST_JWT_REVOKED()
  if (sid === undefined && answer === false) return
  const unknown = answer === 'unknown'
  if (sid === undefined || (!unknown && !isState(answer))) {
    throw storeUnavailable(errors, wrongAnswer(sid === undefined ? 'isDenied' : 'checkToken'))
  }
  // Only our sessions write `gen`.
  if (gen === undefined) {
    sessions.rememberOther(sid, known.epoch)
    return
  }
  if (unknown) {
    // The record of one of our sessions is gone, but its tokens are still valid: the store has lost data.
    if (sessions.complete && foreign !== true) throw errors.FST_JWT_REVOKED()
    return
  }
  if (gen < answer.staleBefore) throw errors.FST_JWT_STALE()
  known.state = answer
}

/** Whether a store has answered with the state of a session. With `NaN`, no token would count as stale. */
function isState (answer: boolean | TokenState): answer is SessionState {
  return typeof answer === 'object' && answer !== null && Number.isFinite(answer.staleBefore)
}

/** Calls the `isRevoked` option. Only `false` passes: a forgotten `return` must not accept a token. */
export function askIsRevoked ({ settings: { isRevoked, errors } }: Registration, request: FastifyRequest, { claims, header }: VerifiedToken): MaybePromise<void> {
  return after(isRevoked?.(claims, request, header), (revoked: unknown) => {
    if (revoked === true) throw errors.FST_JWT_REVOKED()
    if (revoked !== false) throw badOption('isRevoked', 'must return true or false, or a promise of it')
  })
}
