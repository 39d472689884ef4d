import { after } from '../after.ts'
import { kAuthentication } from '../authentication.ts'
import { publishRefused } from '../events.ts'
import { asksForPublicKeys } from '../keys/jwks-route.ts'
import { reportUnreadBody } from './locate.ts'
import type { FastifyRequest } from 'fastify'
import type { MaybePromise } from '../types/claims.ts'
import type { JwtError } from '../types/errors.ts'
import type { Attempt, Check } from './attempt.ts'

/**
 * Whether another token of the request may still pass: a further value of the same cookie, since a browser may send several,
 * or what the next place holds, since a token of the wrong type is meant for other routes.
 */
export function mayTryNext (attempt: Attempt): boolean {
  const { check: { locators }, place, request, token, refusal } = attempt
  const locator = locators[place]
  if (locator === undefined) return false
  attempt.others ??= locator.others(request, token)
  if (attempt.others.length > 0) return true
  attempt.others = null
  attempt.place++
  return isWrongType(refusal)
}

/** The refusal to answer with: a client refreshes an expired token, and a token of the wrong type says least. */
export function moreHelpful (first: JwtError | null, second: JwtError): JwtError {
  return first === null || isWrongType(first) || second.code === 'FST_JWT_EXPIRED' ? second : first
}

function isWrongType (refusal: JwtError | null): boolean {
  return refusal?.code === 'FST_JWT_ACCESS_REQUIRED' || refusal?.code === 'FST_JWT_REFRESH_REQUIRED'
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
