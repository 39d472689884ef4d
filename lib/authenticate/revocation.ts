import { after, isPromise } from '../after.ts'
import { storeUnavailable } from '../stores/fail-closed.ts'
import type { FastifyRequest } from 'fastify'
import type { Errors } from '../errors.ts'
import type { Registration } from '../registration.ts'
import type { MaybePromise } from '../types/claims.ts'
import type { VerifiedToken } from '../types/verified-token.ts'

/**
 * Refuses a token that the store or the `isRevoked` option calls revoked.
 *
 * @throws `FST_JWT_REVOKED`, `FST_JWT_REUSED`, `FST_JWT_STORE_UNAVAILABLE`
 */
export function refuseRevoked (registration: Registration, request: FastifyRequest, verified: VerifiedToken): MaybePromise<void> {
  const stored = askStore(registration, verified)
  return registration.settings.isRevoked === null ? stored : askApp(stored, registration, request, verified)
}

/** Asks the store, synchronously if it can answer so. Fails closed: no answer is a 503. */
function askStore ({ store, sessions, settings: { errors } }: Registration, { claims, opaque }: VerifiedToken): MaybePromise<void> {
  const { jti = null, sid = null, type } = claims
  if (store === null || sessions === null || (jti === null && sid === null)) return
  if (type === 'refresh' && sid !== null) return sessions.refuseReplaced(jti, sid, opaque)
  let denied: MaybePromise<boolean>
  try {
    denied = store.isDenied(jti, sid)
  } catch (cause) {
    throw storeUnavailable(errors, cause)
  }
  if (denied === false) return
  return refuseDenied(denied, errors)
}

/** Only `false` is a pass: a store of the app's own that forgets to answer must not open doors. */
function refuseDenied (denied: unknown, errors: Errors): MaybePromise<void> {
  if (denied === false) return
  if (denied === true) throw errors.FST_JWT_REVOKED()
  if (!isPromise(denied)) throw storeUnavailable(errors, new TypeError('isDenied must answer true or false'))
  return denied.then(answer => refuseDenied(answer, errors), (cause: unknown) => { throw storeUnavailable(errors, cause) })
}

/** What the app says itself. Only `false` is a pass: a forgotten `return` must not open doors. */
function askApp (stored: MaybePromise<void>, { settings: { isRevoked, errors } }: Registration, request: FastifyRequest, { claims, header }: VerifiedToken): MaybePromise<void> {
  return after(stored, () => after(isRevoked?.(claims, request, header), (revoked: unknown) => {
    if (revoked === true) throw errors.FST_JWT_REVOKED()
    if (revoked !== false) throw new TypeError('The isRevoked option must return true or false, or a promise of it')
  }))
}
