import { after, isPromise } from '../after.ts'
import { badOption, isJwtError } from '../errors.ts'
import { hookOptionsOf, nearest } from '../authenticate/hooks.ts'
import { describe } from './describe.ts'
import { checkOrRestore, ruleOf, toGuard } from './rule.ts'
import type { FastifyRequest } from 'fastify'
import type { Settings } from '../options/settings.ts'
import type { MaybePromise } from '../types/claims.ts'
import type { JwtHook } from '../types/hooks.ts'
import type { JwtError } from '../types/errors.ts'
import type { Denial, Guard, Rule } from './rule.ts'
import type { Requirement } from './requirement.ts'

/** The rule of a hook that requires a token, such as `freshJwtRequired`. Its check passes, or throws the error of the hook. */
function ruleOfHook (composition: string, hook: unknown): Rule | undefined {
  const options = hookOptionsOf(hook)
  if (options === undefined) return undefined
  if (options.optional !== false) throw badOption(composition, 'got an optional hook, which lets every request pass; use one that requires a token')
  return {
    requirement: { kind: 'token', options },
    check: request => after(nearest(request).prepare(options).authenticate(request), () => null)
  }
}

function rulesOf (composition: string, members: readonly unknown[]): readonly Rule[] {
  if (members.length === 0) throw badOption(composition, 'takes at least one guard')
  return members.map(member => {
    const rule = ruleOf(member) ?? ruleOfHook(composition, member)
    if (rule === undefined) {
      throw badOption(composition, 'takes guards, and hooks of this package that require a token, as separate arguments; wrap a function of your own in guard()')
    }
    return rule
  })
}

/** Returns a 401 or 403, so that the other alternatives are tried. Throws all other errors, which are failures. */
function asRefusal (error: unknown): JwtError {
  if (isJwtError(error) && (error.statusCode === 401 || error.statusCode === 403)) return error
  throw error
}

function attempt (rule: Rule, request: FastifyRequest, settings: Settings): MaybePromise<Denial | JwtError | null> {
  try {
    const result = checkOrRestore(rule, request, settings)
    return isPromise(result) ? result.catch(asRefusal) : result
  } catch (error) {
    return asRefusal(error)
  }
}

/** Joins `Missing role: a` and `Missing scope: b` to `Missing role: a or scope: b`. */
function joinMessages (denials: readonly Denial[]): string {
  const messages = [...new Set(denials.map(denial => denial.message))]
  return messages.map((message, index) => index === 0 ? message : message.replace(/^Missing /, '')).join(' or ')
}

/**
 * Creates a guard that passes if one of its members does: `anyOf(role('admin'), freshJwtRequired)`. A refused member does not change the
 * request.
 *
 * @param members Guards, and hooks that require a token. They are tried in order.
 * @throws `FST_JWT_BAD_OPTION` when it is created, for any other member.
 */
export function anyOf (...members: JwtHook[]): Guard {
  const rules = rulesOf('anyOf', members)

  function check (request: FastifyRequest, settings: Settings, index: number, denials: readonly Denial[], refusal: JwtError | null): MaybePromise<Denial | null> {
    const rule = rules[index]
    if (rule === undefined) {
      // If a token was refused, its 401 is the answer: another token may satisfy the guards, too.
      if (refusal !== null) throw refusal
      return { message: joinMessages(denials), scopes: [...new Set(denials.flatMap(denial => denial.scopes))] }
    }
    return after(attempt(rule, request, settings), result => {
      if (result === null) return null
      return result instanceof Error
        ? check(request, settings, index + 1, denials, refusal ?? result)
        : check(request, settings, index + 1, [...denials, result], refusal)
    })
  }

  return toGuard({
    requirement: { kind: 'anyOf', of: rules.map(rule => rule.requirement) },
    check: (request, settings) => check(request, settings, 0, [], null)
  })
}

/**
 * Creates a guard that passes if all of its members do.
 *
 * @param members As for `anyOf`. The first refusal is the response.
 * @throws `FST_JWT_BAD_OPTION` when it is created, for any other member.
 */
export function allOf (...members: JwtHook[]): Guard {
  const rules = rulesOf('allOf', members)

  function check (request: FastifyRequest, settings: Settings, index: number): MaybePromise<Denial | null> {
    const rule = rules[index]
    if (rule === undefined) return null
    return after(rule.check(request, settings), denial => denial === null ? check(request, settings, index + 1) : denial)
  }

  return toGuard({
    requirement: { kind: 'allOf', of: rules.map(rule => rule.requirement) },
    check: (request, settings) => check(request, settings, 0)
  })
}

function asksForToken (requirement: Requirement): boolean {
  switch (requirement.kind) {
    case 'token': return true
    case 'anyOf':
    case 'allOf': return requirement.of.some(asksForToken)
    case 'not': return asksForToken(requirement.of)
    case 'role':
    case 'permission':
    case 'scope':
    case 'device':
    case 'custom': return false
  }
}

/**
 * Creates a guard that passes if another guard refuses: `not(role('suspended'))`. It does not pass without a verified token, or if the
 * other guard throws.
 *
 * @throws `FST_JWT_BAD_OPTION` when it is created, if `member` is not a guard, or contains a hook that requires a token: otherwise a
 *   refused token would be a reason to pass.
 */
export function not (member: Guard): Guard {
  const rule = ruleOf(member)
  if (rule === undefined || asksForToken(rule.requirement)) {
    throw badOption('not', 'takes one guard that contains no hook that requires a token, since a refused token must not be a reason to pass')
  }
  const denial: Denial = Object.freeze({ message: `Not for ${describe(rule.requirement)}`, scopes: [] })
  return toGuard({
    requirement: { kind: 'not', of: rule.requirement },
    check: (request, settings) => after(checkOrRestore(rule, request, settings), inner => inner === null ? denial : null)
  })
}
