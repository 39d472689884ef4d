import { after } from '../after.ts'
import { checkOptionNames } from '../options/unknown.ts'
import * as validate from '../options/validators.ts'
import { claimsOf, toGuard } from './rule.ts'
import type { FastifyRequest } from 'fastify'
import type { JwtClaims, MaybePromise } from '../types/claims.ts'
import type { Guard } from './rule.ts'

/** A check of the app's own: `true` passes; `false`, or a promise of it, refuses. */
export type GuardFunction = (request: FastifyRequest, claims: JwtClaims) => MaybePromise<boolean | null | undefined>

/** Options of `guard`. */
export interface GuardOptions {
  /** What the refusal says. Default: `'Access denied'`. */
  message?: string
}

/**
 * A guard of the app's own, synchronous or not:
 *
 * ```ts
 * const isAuthor = guard(async (request, claims) => await db.authorOf(request.params.id) === claims.identity)
 * ```
 *
 * Only `true` passes. What it throws is answered as the app's error handling says, and never a pass, within `not` either.
 *
 * @throws `FST_JWT_BAD_OPTION` at once, when it is given no function.
 */
export function guard (check: GuardFunction, options: GuardOptions = {}): Guard {
  validate.callback<GuardFunction>()(check, 'guard')
  checkOptionNames(options, ['message'], 'guard.')
  const { message = 'Access denied' } = options
  const lack = Object.freeze({ message: validate.text(message, 'guard.message'), scopes: [] })

  return toGuard({
    requirement: { kind: 'custom', message: lack.message },
    check: (request, settings) => after(check(request, claimsOf(request, settings)), (verdict: unknown) => {
      if (verdict === true) return null
      // A truthy value may be a function nobody called: not a pass, nor, within `not`, a refusal.
      if (verdict) throw new TypeError('A guard must return true or false, or a promise of it')
      return lack
    })
  })
}
