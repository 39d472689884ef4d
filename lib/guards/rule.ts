import { after } from '../after.ts'
import { asksForPublicKeys } from '../keys/jwks-route.ts'
import { kAuthentication } from '../authentication.ts'
import { nearest, runAsHook } from '../authenticate/hooks.ts'
import type { FastifyRequest } from 'fastify'
import type { Settings } from '../options/settings.ts'
import type { HookOptions } from '../authenticate/hook-options.ts'
import type { JwtClaims, MaybePromise } from '../types/claims.ts'
import type { JwtHook } from '../types/hooks.ts'

/** A hook that asks what the bearer of a verified token may do. Made by `role`, `permission`, `scope`, `guard`, `anyOf`, `allOf` and `not`. */
export type Guard = JwtHook

/** What a guard asks for, as a document can say it. @internal */
export type Requirement =
  | { readonly kind: 'role' | 'permission' | 'scope', readonly names: readonly string[], readonly match: 'any' | 'all' }
  | { readonly kind: 'custom', readonly message: string }
  | { readonly kind: 'token', readonly options: HookOptions }
  | { readonly kind: 'anyOf' | 'allOf', readonly of: readonly Requirement[] }
  | { readonly kind: 'not', readonly of: Requirement }

/** What a request lacks. @internal */
export interface Lack {
  readonly message: string
  /** The scopes that would help (RFC 6750 §3). */
  readonly scopes: readonly string[]
}

/**
 * What a guard is made of. `check` gives `null` when the request passes, what it lacks when it does not, and throws where
 * there is nothing to decide on: no verified token, a token refused, a guard of the app's that has failed. What was
 * thrown is never turned into a pass.
 *
 * @internal
 */
export interface Rule {
  readonly requirement: Requirement
  check (request: FastifyRequest, settings: Settings): MaybePromise<Lack | null>
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

function enforce (request: FastifyRequest, rule: Rule): MaybePromise<void> {
  if (asksForPublicKeys(request)) return
  const { settings } = nearest(request)
  return after(rule.check(request, settings), lack => {
    if (lack === null) return
    throw settings.errors.FST_JWT_FORBIDDEN(lack.message, lack.scopes.length === 0 ? undefined : lack.scopes.join(' '))
  })
}

/** Makes the hook of a rule. @internal */
export function toGuard (rule: Rule): Guard {
  const hook: Guard = function (request, _reply, done) {
    runAsHook(request => enforce(request, rule), request, done)
  }
  return Object.defineProperty(hook, kRule, { value: rule })
}
