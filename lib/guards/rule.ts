import { after, isPromise } from '../after.ts'
import { isForOwnRoute } from '../own-route.ts'
import { kAuthentication } from '../authentication.ts'
import { hookName } from '../hook-name.ts'
import { forEveryServer, nearest, requireFastify, runAsHook } from '../authenticate/hooks.ts'
import type { Requirement } from './requirement.ts'
import type { FastifyRequest } from 'fastify'
import type { Settings } from '../options/settings.ts'
import type { JwtClaims, MaybePromise } from '../types/claims.ts'
import type { JwtHook } from '../types/hooks.ts'

/**
 * A hook that checks what the user of a verified token may do. Created by `role`, `permission`, `scope`, `guard`, `anyOf`,
 * `allOf` and `not`; `deviceBound` is one.
 */
export type Guard = JwtHook

/** Why a guard refuses a request. @internal */
export interface Denial {
  /** The message of the error. */
  readonly message: string
  /** The scopes that are needed, for the challenge (RFC 6750 §3). */
  readonly scopes: readonly string[]
}

/** The parts of a guard. @internal */
export interface Rule {
  readonly requirement: Requirement
  /**
   * @returns `null` if the request passes.
   * @throws If it can't decide: no verified token, a refused token, or a failure. Such an error never becomes a pass, not even in `not`.
   */
  check (request: FastifyRequest, settings: Settings): MaybePromise<Denial | null>
}

/** On a guard: its rule. A registered symbol, so that another copy of this package recognises it. */
const kRule = Symbol.for('fastify-jwt-extended.guard.1')

/** The rule of a guard; `undefined` for any other function. @internal */
export function ruleOf (hook: unknown): Rule | undefined {
  return typeof hook === 'function' ? (hook as { readonly [kRule]?: Rule })[kRule] : undefined
}

/** The claims of a verified token. @throws `FST_JWT_MISSING_TOKEN` @internal */
export function claimsOf (request: FastifyRequest, { errors }: Settings): JwtClaims {
  const authentication = request[kAuthentication]
  if (authentication === undefined) throw errors.FST_JWT_MISSING_TOKEN()
  return authentication.verified.claims
}

/**
 * Checks a rule. If it refuses or fails, the request is left as it was: a hook in it may have attached an identity.
 *
 * @internal
 */
export function checkOrRestore (rule: Rule, request: FastifyRequest, settings: Settings): MaybePromise<Denial | null> {
  const before = request[kAuthentication]

  function settle (denial: Denial | null): Denial | null {
    if (denial !== null) request[kAuthentication] = before
    return denial
  }

  function fail (error: unknown): never {
    request[kAuthentication] = before
    throw error
  }

  try {
    const result = rule.check(request, settings)
    return isPromise(result) ? result.then(settle, fail) : settle(result)
  } catch (error) {
    return fail(error)
  }
}

function enforce (request: FastifyRequest, rule: Rule): MaybePromise<void> {
  if (isForOwnRoute(request)) return
  const { settings } = nearest(request)
  return after(checkOrRestore(rule, request, settings), denial => {
    if (denial === null) return
    throw settings.errors.FST_JWT_FORBIDDEN(denial.message, denial.scopes.length === 0 ? undefined : denial.scopes.join(' '))
  })
}

/** Creates the hook of a rule. @internal */
export function toGuard (rule: Rule): Guard {
  const hook: Guard = forEveryServer(function (request, _reply, done) {
    requireFastify(done, "role('admin')")
    runAsHook(request => enforce(request, rule), request, done)
  })
  return Object.defineProperties(hook, { [kRule]: { value: rule }, name: { value: hookName({ guard: rule.requirement }) } })
}
