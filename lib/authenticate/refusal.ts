import { after } from '../after.ts'
import { kAuthentication } from '../authentication.ts'
import { publishRefused } from '../events.ts'
import { asksForPublicKeys } from '../keys/jwks-route.ts'
import { readPayload } from '../jwt/unverified.ts'
import { reportUnreadBody } from './locate.ts'
import type { FastifyRequest } from 'fastify'
import type { MaybePromise } from '../types/claims.ts'
import type { JwtError } from '../types/errors.ts'
import type { Attempt, Check } from './attempt.ts'

/** The refusal of a token of the wrong type, which is meant for other routes. */
export function wrongType ({ type, registration: { settings: { errors } } }: Check): JwtError {
  return type === 'access' ? errors.FST_JWT_ACCESS_REQUIRED() : errors.FST_JWT_REFRESH_REQUIRED()
}

/**
 * Whether a token was refused that is not of the type the hook asks for. An expired one counts, too: a front end sends its
 * access token with every request, also with the one that brings it the next.
 */
export function isOfOtherType ({ check, token }: Attempt, { code }: JwtError): boolean {
  if (code === 'FST_JWT_ACCESS_REQUIRED' || code === 'FST_JWT_REFRESH_REQUIRED') return true
  if (check.type === 'any' || (code !== 'FST_JWT_EXPIRED' && code !== 'FST_JWT_NOT_YET_VALID')) return false
  // Times are checked after the signature, so that the claims can be believed. An opaque token has none, and is a refresh token.
  const { type = 'access' } = readPayload(token) ?? { type: 'refresh' }
  return type !== check.type
}

/**
 * Whether another token of the request may still pass: a further value of the same cookie, since a browser may send several,
 * or what the next place holds, since a token of the other type is meant for other routes.
 */
export function mayTryNext (attempt: Attempt): boolean {
  const { check: { locators }, place, request, token, ofOtherType } = attempt
  const locator = locators[place]
  if (locator === undefined) return false
  attempt.others ??= locator.others(request, token)
  if (attempt.others.length > 0) return true
  attempt.others = null
  attempt.place++
  return ofOtherType
}

/** The refusal to answer with: a client refreshes an expired token, and a token of the other type says least. */
export function moreHelpful ({ refusal: first, ofOtherType }: Attempt, second: JwtError): JwtError {
  return first === null || ofOtherType || second.code === 'FST_JWT_EXPIRED' ? second : first
}

/** The end of a request without a token that passes. */
export function conclude ({ optional, locators, registration: { sessions } }: Check, request: FastifyRequest, refusal: JwtError): MaybePromise<void> {
  const missing = refusal.code === 'FST_JWT_MISSING_TOKEN'
  return after(sessions?.endReused(refusal, request.log), () => {
    if (!missing) publishRefused(refusal.code, request)
    // Nobody knows who it is if the token may be in a body that was not read.
    const unread = missing && locators.some(({ location }) => location === 'json') && reportUnreadBody(request)
    const refused = optional === false || (optional === 'strict' && !missing) || unread
    if (refused && !asksForPublicKeys(request)) throw refusal
    request[kAuthentication] = undefined
  })
}
