import { isRefusal } from '../errors.ts'
import { checkTimes } from '../jwt/verify.ts'
import { checkClaims, checkFresh, checkRevocation, checkType, lookUpUser, newAttempt, verify } from './authenticate.ts'
import { checkCallOptionNames } from '../options/unknown.ts'
import { resolveHookOptions } from './hook-options.ts'
import { askIsRevoked } from './revocation.ts'
import type { FastifyRequest } from 'fastify'
import type { Registration } from '../registration.ts'
import type { AuthenticatedToken, AuthenticateOptions } from '../types/app-jwt.ts'
import type { VerifiedToken } from '../types/verified-token.ts'
import type { Check, Step } from './attempt.ts'

/** Does the checks of a hook for a token that did not come in a request. Attaches nothing. */
export async function authenticateToken (registration: Registration, token: string, given: AuthenticateOptions): Promise<AuthenticatedToken> {
  const { settings, sessions, instance } = registration
  const { request, ...asked } = checkCallOptionNames(given, ['type', 'fresh', 'request'])
  const options = resolveHookOptions(asked)
  // A value of another type is an invalid token, not a mistake of the caller: it may come from a client.
  if (typeof token !== 'string') throw settings.errors.FST_JWT_INVALID_TOKEN('malformed')
  // The steps of the pipeline, except those that need a request.
  const pipeline: readonly (Step | false)[] = [
    verify,
    checkType,
    options.fresh && checkFresh,
    checkRevocation,
    registration.proofs !== null && (({ verified }) => { registration.proofs?.refuseWithoutRequest((verified as VerifiedToken).claims) }),
    settings.verifyClaims !== null && checkClaims,
    settings.userLookup !== null && lookUpUser
  ]
  const check: Check = { ...options, registration, locators: [], steps: pipeline.filter(step => step !== false) }
  // Callbacks get `null`, as their documentation says.
  const attempt = newAttempt(check, (request ?? null) as FastifyRequest, token)
  try {
    for (const step of check.steps) await step(attempt)
  } catch (error) {
    if (isRefusal(error)) await sessions?.endReused(error, instance.log)
    throw error
  }
  const { claims, header } = attempt.verified as VerifiedToken
  // The times are checked again after the last wait.
  checkTimes(claims, settings)
  if (options.fresh) checkFresh(attempt)
  sessions?.learn(claims, attempt)
  return { claims, header, user: attempt.user }
}

/**
 * Calls `isRevoked`, `verifyClaims` and `userLookup` for a new token before it is sent, as a hook does for an incoming token.
 *
 * @throws As the hooks do.
 */
export async function askCallbacks (registration: Registration, token: string, request: FastifyRequest): Promise<void> {
  const { settings: { isRevoked, verifyClaims, userLookup }, verifier } = registration
  if (isRevoked === null && verifyClaims === null && userLookup === null) return
  const attempt = newAttempt({ ...resolveHookOptions({}), registration, locators: [], steps: [] }, request, token)
  const verified = attempt.verified = await verifier.verify(token, request)
  if (isRevoked !== null) await askIsRevoked(registration, request, verified)
  if (verifyClaims !== null) await checkClaims(attempt)
  if (userLookup !== null) await lookUpUser(attempt)
}
