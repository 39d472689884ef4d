import { isJwtError } from '../errors.ts'
import { kAuthentication } from '../registration.ts'
import { isFresh } from '../tokens/claims.ts'
import { checkDoubleSubmit } from './double-submit.ts'
import { checkFetchMetadata, isWebSocketUpgrade } from './fetch-metadata.ts'
import type { FastifyRequest } from 'fastify'
import type { Registration } from '../registration.ts'
import type { Settings } from '../options.ts'
import type { VerifiedToken } from '../tokens/verified-cache.ts'
import type { JwtClaims, JwtUser, MaybePromise } from '../types.ts'
import type { Check } from './check.ts'
import type { Locator } from './locate.ts'

/** Goes on with a value at once when it is there, else when it has come: a synchronous path makes no promise. */
export function after<T, R> (value: MaybePromise<T>, next: (value: T) => MaybePromise<R>): MaybePromise<R> {
  return isPromise(value) ? value.then(next) : next(value)
}

function isPromise<T> (value: MaybePromise<T>): value is Promise<T> {
  return typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function'
}

/**
 * The one way from a request to an identity: locate, CSRF, verify, type, freshness, revocation, claims check,
 * user, attach. Each step refuses by throwing, and only the last one attaches, so that nothing is attached
 * when anything has failed.
 *
 * @returns Nothing, or a promise where the store or a callback returned one.
 */
export function authenticate (registration: Registration, request: FastifyRequest, check: Check): MaybePromise<void> {
  if (check.optional === false) return authenticateStrictly(registration, request, check)
  try {
    const pending = authenticateStrictly(registration, request, check)
    return isPromise(pending) ? pending.catch((error: unknown) => { beAnonymous(request, check, error) }) : undefined
  } catch (error) {
    beAnonymous(request, check, error)
  }
}

/** An optional hook lets a refused request in as nobody; that the store does not answer is no verdict on the token. */
function beAnonymous (request: FastifyRequest, check: Check, error: unknown): void {
  const pardoned = isJwtError(error) && (check.optional === 'strict' ? error.code === 'FST_JWT_MISSING_TOKEN' : (error.statusCode ?? 500) < 500)
  if (!pardoned) throw error
  request[kAuthentication] = null
}

function authenticateStrictly (registration: Registration, request: FastifyRequest, check: Check): MaybePromise<void> {
  const { settings, verifier } = registration
  const now = Date.now()

  // Locate: the first place that holds a token decides.
  let token: string | undefined
  let locator: Locator | undefined
  for (locator of check.locators) {
    token = locator.read(request)
    if (token !== undefined) break
  }
  if (token === undefined || locator === undefined) throw settings.errors.FST_JWT_MISSING_TOKEN()
  const { location, cookie } = locator

  if (cookie !== null) checkOrigin(request, settings)
  const verified = verifier.verify(token, now)
  const { claims } = verified
  if (cookie !== null) checkCsrfToken(request, claims, cookie, settings)
  checkType(claims, check, now, settings)

  return after(check.skipRevocationCheck ? undefined : refuseRevoked(registration, request, verified), () =>
    after(checkClaims(request, verified, settings), () =>
      after(lookUpUser(request, verified, settings), user => {
        request[kAuthentication] = { verified, location, user, token }
      })))
}

/** Cross-origin requests that would act with the user's cookie; a WebSocket needs no more than a GET for that. */
function checkOrigin (request: FastifyRequest, settings: Settings): void {
  if (settings.csrfProtection === false) return
  if (isWebSocketUpgrade(request) || (settings.csrfMethods.has(request.method) && settings.csrfProtection.includes('fetch-metadata'))) {
    checkFetchMetadata(request, settings.trustedOrigins, settings.errors)
  }
}

/** Double submit needs the verified claims. A WebSocket upgrade can carry no header of the page's, and has been checked by origin. */
function checkCsrfToken (request: FastifyRequest, claims: JwtClaims, cookie: NonNullable<Locator['cookie']>, settings: Settings): void {
  if (settings.csrfProtection === false || !settings.csrfProtection.includes('double-submit')) return
  if (settings.csrfMethods.has(request.method) && !isWebSocketUpgrade(request)) checkDoubleSubmit(request, claims, cookie, settings)
}

function checkType (claims: JwtClaims, { type, fresh }: Check, now: number, { errors }: Settings): void {
  if (type === 'access' && claims.type !== 'access') throw errors.FST_JWT_ACCESS_REQUIRED()
  if (type === 'refresh' && claims.type !== 'refresh') throw errors.FST_JWT_REFRESH_REQUIRED()
  if (fresh && !isFresh(claims, now)) throw errors.FST_JWT_FRESH_REQUIRED()
}

/** Asks the `isRevoked` option. @throws `FST_JWT_REVOKED` */
export function refuseRevoked ({ settings }: Registration, request: FastifyRequest, { claims, header }: VerifiedToken): MaybePromise<void> {
  const { isRevoked, errors } = settings
  if (isRevoked === null) return
  return after(isRevoked(claims, request, header), revoked => {
    if (revoked) throw errors.FST_JWT_REVOKED()
  })
}

function checkClaims (request: FastifyRequest, { claims, header }: VerifiedToken, { verifyClaims, errors }: Settings): MaybePromise<void> {
  if (verifyClaims === null) return
  return after(verifyClaims(claims, request, header), accepted => {
    if (accepted !== true) throw errors.FST_JWT_CLAIMS_REJECTED()
  })
}

function lookUpUser (request: FastifyRequest, { claims, header }: VerifiedToken, { userLookup, errors }: Settings): MaybePromise<JwtUser | null> {
  if (userLookup === null) return null
  return after(userLookup(claims, request, header), user => {
    if (user === null || user === undefined) throw errors.FST_JWT_USER_NOT_FOUND()
    return user
  })
}
