import { after, isPromise } from '../after.ts'
import { isRefusal } from '../errors.ts'
import { publishRefused } from '../events.ts'
import { asksForPublicKeys } from '../keys/jwks-route.ts'
import { kAuthentication } from '../authentication.ts'
import type { Authentication } from '../authentication.ts'
import type { VerifiedToken } from '../types/verified-token.ts'
import { checkTimesAgain, isFresh } from '../jwt/claims.ts'
import { checkDoubleSubmit } from './double-submit.ts'
import { checkFetchMetadata, isWebSocketUpgrade } from './fetch-metadata.ts'
import { refuseRevoked } from './revocation.ts'
import type { FastifyRequest } from 'fastify'
import type { Registration } from '../registration.ts'
import type { Settings } from '../options/settings.ts'
import type { TokenVerifier } from '../jwt/verify.ts'
import type { JwtClaims, JwtUser, MaybePromise, TokenType } from '../types/claims.ts'
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
  if (!isRefusal(error)) throw error
  const missing = error.code === 'FST_JWT_MISSING_TOKEN'
  if (!missing) publishRefused(error.code, request)
  const refused = optional === false || (optional === 'strict' && !missing)
  if (refused && !asksForPublicKeys(request)) throw error
  request[kAuthentication] = undefined
}

function authenticateStrictly (registration: Registration, request: FastifyRequest, check: Check): MaybePromise<void> {
  const { settings, verifier } = registration

  // Locate: the first place that holds a token decides. What was verified before, spelt the same, is not taken apart again.
  let text: string | undefined
  let seen: VerifiedToken | undefined
  let locator: Locator | undefined
  for (locator of check.locators) {
    const found = locator.find(request)
    if (found === undefined) continue
    seen = recall(verifier, locator, found, request)
    text = seen === undefined ? locator.read(found) : found
    if (text === undefined) continue
    if (text !== found) seen = verifier.recall(text, locator.start)
    break
  }
  if (text === undefined || locator === undefined) throw settings.errors.FST_JWT_MISSING_TOKEN()

  const guarded = locator.cookie === null ? null : checkOrigin(request, locator.cookie, settings)
  if (seen === undefined) {
    const verified = verify(registration, request, text, locator.start, check)
    if (isPromise(verified)) return admitLater(verified, registration, request, check, locator, guarded)
    seen = verified
  } else {
    checkTimesAgain(seen.claims, settings)
  }
  return admit(registration, request, check, { verified: seen, location: locator.location, user: null }, guarded)
}

/** What was verified before. A cookie is known by the header that it was cut out of, too. */
function recall (verifier: TokenVerifier, { cookie, start }: Locator, found: string, request: FastifyRequest): VerifiedToken | undefined {
  const source = cookie === null ? undefined : request.raw.headers.cookie
  return cookie === null || source === undefined ? verifier.recall(found, start) : verifier.recallPart(found, source, cookie)
}

/** Apart from the steps it goes on with, so that those create nothing when there is nothing to wait for. */
function admitLater (
  pending: Promise<VerifiedToken>, registration: Registration, request: FastifyRequest, check: Check, { location }: Locator, guarded: TokenType | null
): Promise<void> {
  return pending.then(verified => admit(registration, request, check, { verified, location, user: null }, guarded))
}

/** From a verified token to an identity on the request. */
function admit (
  registration: Registration, request: FastifyRequest, check: Check, authentication: Authentication, guarded: TokenType | null
): MaybePromise<void> {
  const { settings } = registration
  const { verified } = authentication
  if (guarded !== null) checkDoubleSubmit(request, verified.claims, guarded, settings)
  checkType(verified.claims, check, settings)

  const revocation = check.skipRevocationCheck ? undefined : refuseRevoked(registration, request, verified)
  if (revocation === undefined && settings.verifyClaims === null && settings.userLookup === null) {
    request[kAuthentication] = authentication
    return
  }
  return askApp(revocation, request, authentication, settings)
}

/** What the app itself has to say, one after the other: claims check, user, attach. */
function askApp (revocation: MaybePromise<void>, request: FastifyRequest, authentication: Authentication, settings: Settings): MaybePromise<void> {
  const { verified } = authentication
  return after(revocation, () =>
    after(checkClaims(request, verified, settings), () =>
      after(lookUpUser(request, verified, settings), user => {
        request[kAuthentication] = { ...authentication, user }
      })))
}

/** A token not seen before: a JWT by its signature and claims, an opaque refresh token by its session. */
function verify (
  { settings, verifier, sessions }: Registration, request: FastifyRequest, text: string, start: number, { type }: Check
): MaybePromise<VerifiedToken> {
  const now = Date.now()
  const opaque = sessions?.parseOpaque(text, start) ?? null
  if (opaque === null || sessions === null) return verifier.verify(text, now, request, start)
  if (type === 'access') throw settings.errors.FST_JWT_ACCESS_REQUIRED()
  return sessions.verifyOpaque(text.slice(start), opaque, now)
}

/**
 * Refuses cross-origin requests that would act with the user's cookie; a WebSocket needs no more than a GET for that.
 *
 * @returns The cookie whose `csrf` claim must come along, which is looked at when it is verified. `null` where nothing must: a
 * WebSocket upgrade can carry no header of the page's, and has been checked by origin.
 */
function checkOrigin (request: FastifyRequest, cookie: TokenType, { csrfProtection, csrfMethods, trustedOrigins, errors }: Settings): TokenType | null {
  if (csrfProtection === false) return null
  const upgrades = isWebSocketUpgrade(request)
  const writes = csrfMethods.has(request.method)
  if (upgrades || (writes && csrfProtection.includes('fetch-metadata'))) checkFetchMetadata(request, trustedOrigins, errors)
  return writes && !upgrades && csrfProtection.includes('double-submit') ? cookie : null
}

function checkType (claims: JwtClaims, { type, fresh }: Check, { errors }: Settings): void {
  if (type === 'access' && claims.type !== 'access') throw errors.FST_JWT_ACCESS_REQUIRED()
  if (type === 'refresh' && claims.type !== 'refresh') throw errors.FST_JWT_REFRESH_REQUIRED()
  if (fresh && !isFresh(claims, Date.now())) throw errors.FST_JWT_FRESH_REQUIRED()
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
