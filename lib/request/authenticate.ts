import { after, isPromise } from '../after.ts'
import { isJwtError } from '../errors.ts'
import { publish } from '../events.ts'
import { kAuthentication } from '../registration.ts'
import { isFresh } from '../tokens/claims.ts'
import { checkDoubleSubmit } from './double-submit.ts'
import { checkFetchMetadata, isWebSocketUpgrade } from './fetch-metadata.ts'
import { refuseRevoked } from './revocation.ts'
import { parseToken } from '../sessions/opaque-tokens.ts'
import type { FastifyRequest } from 'fastify'
import type { Registration } from '../registration.ts'
import type { Settings } from '../options.ts'
import type { VerifiedToken } from '../tokens/verified-cache.ts'
import type { JwtClaims, JwtUser, MaybePromise } from '../types.ts'
import type { Check } from './check.ts'
import type { Locator } from './locate.ts'

/**
 * The one way from a request to an identity: locate, CSRF, verify, type, freshness, revocation, claims check,
 * user, attach. Each step refuses by throwing, and only the last one attaches, so that nothing is attached
 * when anything has failed.
 *
 * @returns Nothing, or a promise where the store or a callback returned one.
 */
export function authenticate (registration: Registration, request: FastifyRequest, check: Check): MaybePromise<void> {
  try {
    const pending = authenticateStrictly(registration, request, check)
    return isPromise(pending) ? pending.catch((error: unknown) => { refuse(request, check, error) }) : undefined
  } catch (error) {
    refuse(request, check, error)
  }
}

/**
 * Reports a refused token. An optional hook lets the request in as nobody; that a store does not answer is no verdict on
 * the token, and goes on.
 */
function refuse (request: FastifyRequest, { optional }: Check, error: unknown): void {
  if (!isJwtError(error) || (error.statusCode ?? 500) >= 500) throw error
  const missing = error.code === 'FST_JWT_MISSING_TOKEN'
  if (!missing) publish('token.refused', { code: error.code, requestId: request.id, method: request.method, route: request.routeOptions.url }, request.log)
  if (optional === false || (optional === 'strict' && !missing)) throw error
  request[kAuthentication] = null
}

function authenticateStrictly (registration: Registration, request: FastifyRequest, check: Check): MaybePromise<void> {
  const { settings } = registration
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
  return after(verify(registration, token, check, now), verified => {
    const { claims } = verified
    if (cookie !== null) checkCsrfToken(request, claims, cookie, settings)
    checkType(claims, check, now, settings)

    return after(check.skipRevocationCheck ? undefined : refuseRevoked(registration, request, verified), () =>
      after(checkClaims(request, verified, settings), () =>
        after(lookUpUser(request, verified, settings), user => {
          request[kAuthentication] = { verified, location, user, token }
        })))
  })
}

/** A JWT by its signature and claims, an opaque refresh token by its session. */
function verify ({ settings, verifier, sessions }: Registration, token: string, { type }: Check, now: number): MaybePromise<VerifiedToken> {
  const opaque = sessions === null || settings.refreshTokenFormat === 'jwt' ? null : parseToken(token)
  if (opaque === null || sessions === null) return verifier.verify(token, now)
  if (type === 'access') throw settings.errors.FST_JWT_ACCESS_REQUIRED()
  return sessions.verifyOpaque(token, opaque, now)
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
