import { after, isPromise } from '../after.ts'
import { badOption } from '../errors.ts'
import { storeUnavailable } from '../stores/fail-closed.ts'
import type { FastifyRequest } from 'fastify'
import type { Errors } from '../errors.ts'
import type { Registration } from '../registration.ts'
import type { MaybePromise } from '../types/claims.ts'
import type { TokenState } from '../types/store.ts'
import type { Sessions } from '../sessions/sessions.ts'
import type { SessionAnswer, VerifiedToken } from '../types/verified-token.ts'

/**
 * Refuses a token that the store or the `isRevoked` option calls revoked.
 *
 * @param known Gets what the store says of the session. The caller tells `sessions.learn` of it once the token has passed everything.
 * @param ask Whether the store has to be asked, although it could answer from memory: for a token that another one is made of.
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
 * Whether an access token needs no question, since the store holds its denials in memory. Of a session it asks once for each pair of
 * tokens: whether it is there, and to write down that the pair is used. Of another issuer's session it asks once: it may have been
 * revoked before the denials were held, and its issuer still makes tokens.
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

/** Asks the store, synchronously if it can answer so. It fails closed: no answer is a 503. */
function askStore (registration: Registration, verified: VerifiedToken, known: SessionAnswer): MaybePromise<void> {
  const { store, sessions, settings: { errors } } = registration
  const { jti = null, sid = null, type } = verified.claims
  if (store === null || sessions === null || (jti === null && sid === null)) return
  if (type === 'refresh' && sid !== null) return after(sessions.refuseReplaced(verified, sid), stored => { known.stored = stored })
  known.epoch = store.epoch ?? 0
  let answer: MaybePromise<boolean | TokenState>
  try {
    answer = sid === null ? store.isDenied(jti, null) : store.checkToken(jti, sid)
  } catch (cause) {
    throw storeUnavailable(errors, cause)
  }
  // Nothing is created for a store that answers at once.
  if (isPromise(answer)) return answer.then(state => { judge(state, sessions, verified, errors, known) }, (cause: unknown) => { throw storeUnavailable(errors, cause) })
  judge(answer, sessions, verified, errors, known)
}

/** What the store says of an access token, and of a token of no session. An answer that is none must not open doors. */
function judge (answer: boolean | TokenState, sessions: Sessions, { claims: { sid, gen }, foreign }: VerifiedToken, errors: Errors, known: SessionAnswer): void {
  if (answer === false) return
  if (answer === true || answer === 'denied') throw errors.FST_JWT_REVOKED()
  const unknown = answer === 'unknown'
  if (!unknown && (typeof answer !== 'object' || answer === null)) throw storeUnavailable(errors, new TypeError('The store gave no answer that can be understood'))
  // Only our sessions write `gen`.
  if (gen === undefined) {
    sessions.rememberOther(sid as string, known.epoch)
    return
  }
  if (unknown) {
    // The record of one of our sessions is gone before its tokens: the store has lost data.
    if (sessions.complete && foreign !== true) throw errors.FST_JWT_REVOKED()
    return
  }
  if (gen < answer.staleBefore) throw errors.FST_JWT_STALE()
  known.state = answer
}

/** What the app says itself. Only `false` is a pass: a forgotten `return` must not open doors. */
export function askIsRevoked ({ settings: { isRevoked, errors } }: Registration, request: FastifyRequest, { claims, header }: VerifiedToken): MaybePromise<void> {
  return after(isRevoked?.(claims, request, header), (revoked: unknown) => {
    if (revoked === true) throw errors.FST_JWT_REVOKED()
    if (revoked !== false) throw badOption('isRevoked', 'must return true or false, or a promise of it')
  })
}
