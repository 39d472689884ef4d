import { after } from '../after.ts'
import { badOption } from '../errors.ts'
import { checkOptionNames } from '../options/unknown.ts'
import * as validate from '../options/validators.ts'
import { claimsOf, toGuard } from './rule.ts'
import type { FastifyRequest } from 'fastify'
import type { JwtClaims, MaybePromise } from '../types/claims.ts'
import type { Guard } from './rule.ts'

/** A check by the app. `true` passes; `false`, `null` and `undefined` refuse. It may return a promise. */
export type GuardFunction = (request: FastifyRequest, claims: JwtClaims) => MaybePromise<boolean | null | undefined>

/** Options of `guard`. */
export interface GuardOptions {
  /** The message of a refusal. Default: `'Access denied'`. */
  message?: string
}

/**
 * Creates a guard from a function of the app, synchronous or asynchronous:
 *
 * ```ts
 * const isAuthor = guard(async (request, claims) => await db.authorOf(request.params.id) === claims.identity)
 * ```
 *
 * Only `true` passes. `false` is `FST_JWT_FORBIDDEN`. If it throws, the error goes to the app's error handler, also inside `not`. Without
 * a verified token it is not called: `FST_JWT_MISSING_TOKEN`.
 *
 * @param check Gets the request, and the claims of the verified token.
 * @throws `FST_JWT_BAD_OPTION` when it is created, if `check` is not a function.
 */
export function guard (check: GuardFunction, options: GuardOptions = {}): Guard {
  validate.callback<GuardFunction>()(check, 'guard')
  checkOptionNames(options, ['message'], 'guard.')
  const { message = 'Access denied' } = options
  const denial = Object.freeze({ message: validate.text(message, 'guard.message'), scopes: [] })

  return toGuard({
    requirement: { kind: 'custom', message: denial.message },
    check: (request, settings) => after(check(request, claimsOf(request, settings)), (verdict: unknown) => {
      if (verdict === true) return null
      // A truthy value may be a function that nobody called. It is neither a pass nor a refusal: `not` would turn a refusal into a pass.
      if (verdict) throw badOption('guard', 'must return true or false, or a promise of it')
      return denial
    })
  })
}
