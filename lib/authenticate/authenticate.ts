import { after } from '../after.ts'
import { kAuthentication } from '../authentication.ts'
import { isRefusal } from '../errors.ts'
import { isFresh } from '../jwt/claims.ts'
import { checkTimes } from '../jwt/verify.ts'
import { refuseCrossOrigin, refuseWithoutCsrfToken } from './csrf.ts'
import { createLocators } from './locate.ts'
import { opaqueTokenLength } from '../sessions/opaque-tokens.ts'
import { conclude, mayTryNext, weigh, wrongType } from './refusal.ts'
import { refuseRevoked } from './revocation.ts'
import type { FastifyRequest } from 'fastify'
import type { PreparedHook, Registration } from '../registration.ts'
import type { MaybePromise } from '../types/claims.ts'
import type { OpaqueToken, VerifiedToken } from '../types/verified-token.ts'
import type { Attempt, Check, Step } from './attempt.ts'
import type { HookOptions } from './hook-options.ts'
import type { Locator } from './locate.ts'

/** Prepares a hook for a registration. @throws `FST_JWT_BAD_OPTION` */
export function prepareHook (options: HookOptions, registration: Registration): PreparedHook {
  const { settings } = registration
  const locators = createLocators(settings, options)
  if (locators.some(({ location }) => location === 'queryString')) registration.hideQueryToken()
  const cookies = settings.csrfProtection !== false && locators.some(({ cookie }) => cookie !== null)
  // The pipeline. The order in this list is the order in time, and that of the functions below.
  const pipeline: readonly (Step | false)[] = [
    locate,
    cookies && checkOrigin,
    verify,
    cookies && checkCsrfToken,
    checkType,
    options.fresh && checkFresh,
    !options.skipRevocationCheck && checkRevocation,
    registration.proofs !== null && checkPossession,
    settings.verifyClaims !== null && checkClaims,
    settings.userLookup !== null && lookUpUser,
    attach
  ]
  const check: Check = Object.freeze({ ...options, registration, locators, steps: pipeline.filter(step => step !== false) })
  return Object.freeze({
    needsBody: locators.some(({ location }) => location === 'json') ? 'token' : cookies && settings.csrfCheckForm ? 'CSRF token' : null,
    authenticate: (request: FastifyRequest) => authenticate(check, request)
  })
}

/**
 * The one way from a request to an identity. Each step refuses by throwing, and only the last one attaches, so nothing is
 * attached if anything has failed.
 *
 * @returns Nothing; a promise only if the store or a callback returned one.
 */
function authenticate (check: Check, request: FastifyRequest): MaybePromise<void> {
  return proceed(newAttempt(check, request, ''))
}

export function newAttempt (check: Check, request: FastifyRequest, token: string): Attempt {
  return { check, request, step: 0, place: 0, end: check.locators.length, token, others: null, verified: null, stored: null, state: null, epoch: 0, user: null, provenKey: null, refusal: null, rank: -1, waited: false }
}

function proceed (attempt: Attempt): MaybePromise<void> {
  const { steps } = attempt.check
  try {
    while (attempt.step < steps.length) {
      const pending = (steps[attempt.step++] as Step)(attempt)
      if (pending !== undefined) return resume(attempt, pending)
    }
  } catch (error) {
    return refuse(attempt, error)
  }
}

/** Separate function, so that the synchronous path allocates no closure. */
function resume (attempt: Attempt, pending: Promise<void>): Promise<void> {
  attempt.waited = true
  return pending.then(() => proceed(attempt), (error: unknown) => refuse(attempt, error))
}

const locatorOf = ({ check, place }: Attempt): Locator => check.locators[place] as Locator

/** Finds the next token to try: another value of the same cookie, or what the next place holds. */
function locate (attempt: Attempt): void {
  const { check: { registration: { settings: { errors } } }, request } = attempt
  // These are the answers for the previous token.
  attempt.stored = attempt.state = attempt.user = attempt.provenKey = null
  const other = attempt.others?.shift()
  if (other !== undefined) {
    attempt.token = other
    return
  }
  for (; attempt.place < attempt.end; attempt.place++) {
    const token = locatorOf(attempt).find(request)
    if (token === undefined) continue
    attempt.token = token
    return
  }
  throw attempt.refusal ?? errors.FST_JWT_MISSING_TOKEN()
}

/** Only for a token in a cookie, which a browser sends for any page. */
function checkOrigin (attempt: Attempt): void {
  if (locatorOf(attempt).cookie !== null) refuseCrossOrigin(attempt.request, attempt.check.registration.settings)
}

/**
 * Parses an opaque refresh token; `null` for any other token. With introspection, a token of this form may be another issuer's, so one of
 * our keys must have made it.
 */
function readOpaque ({ token, check: { registration: { sessions, settings } } }: Attempt): OpaqueToken | null {
  const parsed = sessions?.parseOpaque(token) ?? null
  return settings.introspection === null || parsed?.genuine === true ? parsed : null
}

/** Verifies a JWT by its signature, claims and times, and an opaque refresh token by its session. */
export function verify (attempt: Attempt): MaybePromise<void> {
  const { token, request, check: { type, registration: { verifier, sessions } } } = attempt
  const opaque = token.length === opaqueTokenLength ? readOpaque(attempt) : null
  if (opaque !== null && type === 'access') throw wrongType(attempt.check)
  const result = opaque === null || sessions === null ? verifier.verify(token, request) : sessions.verifyOpaque(token, opaque)
  if (!('claims' in result)) return result.then(verified => { attempt.verified = verified })
  attempt.verified = result
}

const verifiedOf = ({ verified }: Attempt): VerifiedToken => verified as VerifiedToken

/** Double submit, only for a token in a cookie. */
function checkCsrfToken (attempt: Attempt): void {
  const { cookie } = locatorOf(attempt)
  if (cookie !== null) refuseWithoutCsrfToken(attempt.request, verifiedOf(attempt).claims, cookie, attempt.check.registration.settings)
}

export function checkType (attempt: Attempt): void {
  const { type: wanted } = attempt.check
  if (wanted !== 'any' && verifiedOf(attempt).claims.type !== wanted) throw wrongType(attempt.check)
}

export function checkFresh (attempt: Attempt): void {
  if (!isFresh(verifiedOf(attempt).claims)) throw attempt.check.registration.settings.errors.FST_JWT_FRESH_REQUIRED()
}

export function checkRevocation (attempt: Attempt): MaybePromise<void> {
  return refuseRevoked(attempt.check.registration, attempt.request, verifiedOf(attempt), attempt)
}

/** Proof of possession of a bound token (RFC 9449 §7.1). It is the last check of the token itself, since it uses up the proof. */
function checkPossession (attempt: Attempt): MaybePromise<void> {
  const { token, request, check: { registration: { proofs } } } = attempt
  const proven = proofs?.checkToken(request, token, verifiedOf(attempt).claims, locatorOf(attempt)) ?? null
  return proven === null ? undefined : after(proven, key => { attempt.provenKey = key })
}

export function checkClaims (attempt: Attempt): MaybePromise<void> {
  const { request, check: { registration: { settings: { verifyClaims, errors } } } } = attempt
  const { claims, header } = verifiedOf(attempt)
  return after(verifyClaims?.(claims, request, header), accepted => {
    if (accepted !== true) throw errors.FST_JWT_CLAIMS_REJECTED()
  })
}

export function lookUpUser (attempt: Attempt): MaybePromise<void> {
  const { request, check: { registration: { settings: { userLookup, errors } } } } = attempt
  const { claims, header } = verifiedOf(attempt)
  return after(userLookup?.(claims, request, header), user => {
    if (user === null || user === undefined) throw errors.FST_JWT_USER_NOT_FOUND()
    attempt.user = user
  })
}

/** The only place where a request gets an identity. If a step has waited, the times are checked again. Only now is the token accepted. */
function attach (attempt: Attempt): void {
  const { request, user, stored, state, provenKey, check: { fresh, registration: { settings, sessions, store } }, waited } = attempt
  const verified = verifiedOf(attempt)
  if (waited) {
    checkTimes(verified.claims, settings)
    if (fresh) checkFresh(attempt)
  }
  // If the pair is recorded as used, there is nothing to do, unless denials are in memory.
  if (stored !== null || (state !== null && (!state.used || store?.judge !== undefined))) sessions?.learn(verified.claims, attempt)
  request[kAuthentication] = { verified, location: locatorOf(attempt).location, user, stored, provenKey }
}

/** Tries another token if there is one. Otherwise the request is refused, or anonymous. */
function refuse (attempt: Attempt, error: unknown): MaybePromise<void> {
  // A fault, or a store that does not answer, says nothing about the token.
  if (!isRefusal(error)) throw error
  const refusal = weigh(attempt, error)
  if (!mayTryNext(attempt, refusal)) return conclude(attempt, refusal)
  attempt.step = 0
  return proceed(attempt)
}
