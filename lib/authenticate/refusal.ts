import { after } from '../after.ts'
import { kAuthentication } from '../authentication.ts'
import { logs, publishRefused } from '../events.ts'
import { isForOwnRoute } from '../own-route.ts'
import { readPayload } from '../jwt/unverified.ts'
import { describeIgnoredCookies, reportUnreadBody } from './locate.ts'
import type { MaybePromise } from '../types/claims.ts'
import type { JwtError } from '../types/errors.ts'
import type { Attempt, Check } from './attempt.ts'

/** The refusal of a token of the wrong type, which is meant for other routes. */
export function wrongType ({ type, registration: { settings: { errors } } }: Check): JwtError {
  return type === 'access' ? errors.FST_JWT_ACCESS_REQUIRED() : errors.FST_JWT_REFRESH_REQUIRED()
}

/**
 * Whether a refused token is not of the type that the hook asks for. This includes an expired one: a front end sends its access token
 * with every request, also with a refresh.
 */
function isOfOtherType ({ check, token }: Attempt, { code }: JwtError): boolean {
  if (code === 'FST_JWT_ACCESS_REQUIRED' || code === 'FST_JWT_REFRESH_REQUIRED') return true
  if (check.type === 'any' || (code !== 'FST_JWT_EXPIRED' && code !== 'FST_JWT_NOT_YET_VALID')) return false
  // Times are checked after the signature, so these claims are verified. An opaque token has no claims, and is a refresh token.
  const { type = 'access' } = readPayload(token) ?? { type: 'refresh' }
  return type !== check.type
}

/** From this rank on, a refusal decides: no other place is tried. */
const decides = 2

/** Whether a genuine token is no longer valid. A client refreshes it. */
function isOver ({ code }: JwtError): boolean {
  return code === 'FST_JWT_EXPIRED' || code === 'FST_JWT_STALE'
}

/**
 * The rank of a refusal. A token of the expected type ranks above one of the other type. Within each group, an expired or stale token ranks
 * higher, since the client refreshes it, and a reused one highest, since its session must end.
 */
function rankOf (attempt: Attempt, error: JwtError): number {
  const weight = error.code === 'FST_JWT_REUSED' ? 2 : isOver(error) ? 1 : 0
  return weight + (isOfOtherType(attempt, error) ? 0 : decides)
}

/** Keeps the refusal with the higher rank, or the first of two equal ones. @returns The one to answer with, if no other token passes. */
export function weigh (attempt: Attempt, error: JwtError): JwtError {
  const rank = rankOf(attempt, error)
  if (attempt.refusal !== null && rank <= attempt.rank) return attempt.refusal
  attempt.rank = rank
  attempt.refusal = error
  return error
}

/**
 * Whether to try another token of the request: a further value of the same cookie, since a browser may send several, or else the token in
 * the next place, if no refusal decides yet.
 *
 * If a hook accepts both types, an expired access cookie must not hide the refresh cookie beside it: a browser may keep the expired one a
 * second too long. Other locations are not tried, because a token there may belong to another user.
 */
export function mayTryNext (attempt: Attempt, refusal: JwtError): boolean {
  const { check: { locators, type }, place, request, token } = attempt
  const locator = locators[place]
  if (locator === undefined || place >= attempt.end) return false
  attempt.others ??= locator.others(request, token)
  if (attempt.others.length > 0) return true
  attempt.others = null
  attempt.place++
  if (attempt.rank < decides) return true
  if (type !== 'any' || !isOver(refusal)) return false
  const end = locators.findIndex(({ location }, index) => index > place && location !== locator.location)
  if (end !== -1) attempt.end = end
  return attempt.place < attempt.end
}

/** Whether the token may be in a body that is not parsed yet: then the user is unknown. */
function mayBeInBody ({ check: { locators }, place, request }: Attempt): boolean {
  return locators.slice(0, place).some(({ location }) => location === 'json') && reportUnreadBody(request)
}

/**
 * A browser that could not refresh a bound session sends the request without its cookie, and says so in a header. The user is still signed
 * in, so the answer is a 503.
 */
function skippedRefresh ({ check, request }: Attempt, { code }: JwtError): JwtError | null {
  const { deviceBinding, errors } = check.registration.settings
  if (deviceBinding === false || request.headers['secure-session-skipped'] === undefined) return null
  return code === 'FST_JWT_MISSING_TOKEN' || code === 'FST_JWT_EXPIRED' || (check.type === 'any' && code === 'FST_JWT_DEVICE_BOUND') ? errors.FST_JWT_DEVICE_REFRESH_SKIPPED() : null
}

/** Logs which places were searched, and why they hold no token. */
function reportMissing ({ check: { locators, registration: { settings } }, request }: Attempt): void {
  if (!logs(request.log, 'debug')) return
  const places = [...locators.map(locator => locator.describe(request)), ...describeIgnoredCookies(settings, request)]
  request.log.debug(`No JWT was found: ${places.join('; ')}`)
}

/** Refuses a request without an accepted token, or lets it pass as anonymous. */
export function conclude (attempt: Attempt, refusal: JwtError): MaybePromise<void> {
  const { check: { optional, registration: { sessions } }, request } = attempt
  const missing = refusal.code === 'FST_JWT_MISSING_TOKEN'
  return after(sessions?.endReused(refusal, request.log), () => {
    if (missing) reportMissing(attempt)
    else publishRefused(refusal, request)
    const refused = mayBeInBody(attempt) || optional === false || (optional === 'strict' && !missing)
    if (refused && !isForOwnRoute(request)) throw skippedRefresh(attempt, refusal) ?? refusal
    request[kAuthentication] = undefined
  })
}
