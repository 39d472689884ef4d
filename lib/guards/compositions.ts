import { after, isPromise } from '../after.ts'
import { badOption, isJwtError } from '../errors.ts'
import { hookOptionsOf, nearest } from '../authenticate/hooks.ts'
import { describe } from './describe.ts'
import { ruleOf, toGuard } from './rule.ts'
import type { FastifyRequest } from 'fastify'
import type { Settings } from '../options/settings.ts'
import type { MaybePromise } from '../types/claims.ts'
import type { JwtHook } from '../types/hooks.ts'
import type { JwtError } from '../types/errors.ts'
import type { Guard, Lack, Requirement, Rule } from './rule.ts'

/** The rule of a hook that requires a token, such as `freshJwtRequired`: it passes, or throws its refusal. */
function ruleOfHook (composition: string, hook: unknown): Rule | undefined {
  const options = hookOptionsOf(hook)
  if (options === undefined) return undefined
  if (options.optional !== false) throw badOption(composition, 'got an optional hook, which passes whoever comes; use one that requires a token')
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

/** A refusal of one alternative leaves the others; a fault of the app or of a store does not. */
function asRefusal (error: unknown): JwtError {
  if (isJwtError(error) && (error.statusCode === 401 || error.statusCode === 403)) return error
  throw error
}

function attempt (rule: Rule, request: FastifyRequest, settings: Settings): MaybePromise<Lack | JwtError | null> {
  try {
    const result = rule.check(request, settings)
    return isPromise(result) ? result.catch(asRefusal) : result
  } catch (error) {
    return asRefusal(error)
  }
}

/** `Missing role: a` and `Missing scope: b` to `Missing role: a or scope: b`. */
function joinMessages (lacks: readonly Lack[]): string {
  const messages = [...new Set(lacks.map(lack => lack.message))]
  return messages.map((message, index) => index === 0 ? message : message.replace(/^Missing /, '')).join(' or ')
}

/**
 * A guard that passes when one of its members does, tried in order. Members are guards, and hooks that require a token:
 * `anyOf(role('admin'), freshJwtRequired)`.
 *
 * @throws `FST_JWT_BAD_OPTION` at once, for anything else.
 */
export function anyOf (...members: JwtHook[]): Guard {
  const rules = rulesOf('anyOf', members)

  function check (request: FastifyRequest, settings: Settings, index: number, lacks: readonly Lack[], refusal: JwtError | null): MaybePromise<Lack | null> {
    const rule = rules[index]
    if (rule === undefined) {
      // A better token helps more than a better reason, so a refused token is what is answered.
      if (refusal !== null) throw refusal
      return { message: joinMessages(lacks), scopes: [...new Set(lacks.flatMap(lack => lack.scopes))] }
    }
    return after(attempt(rule, request, settings), result => {
      if (result === null) return null
      return result instanceof Error
        ? check(request, settings, index + 1, lacks, refusal ?? result)
        : check(request, settings, index + 1, [...lacks, result], refusal)
    })
  }

  return toGuard({
    requirement: { kind: 'anyOf', of: rules.map(rule => rule.requirement) },
    check: (request, settings) => check(request, settings, 0, [], null)
  })
}

/**
 * A guard that passes when all of its members do, asked in order until one refuses. Members as of `anyOf`.
 *
 * @throws `FST_JWT_BAD_OPTION` at once, for anything else.
 */
export function allOf (...members: JwtHook[]): Guard {
  const rules = rulesOf('allOf', members)

  function check (request: FastifyRequest, settings: Settings, index: number): MaybePromise<Lack | null> {
    const rule = rules[index]
    if (rule === undefined) return null
    return after(rule.check(request, settings), lack => lack === null ? check(request, settings, index + 1) : lack)
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
    case 'custom': return false
  }
}

/**
 * A guard that passes a verified token that another guard does not: `not(role('suspended'))`. Without a verified token, or
 * when the guard within throws, it refuses, too.
 *
 * @throws `FST_JWT_BAD_OPTION` at once, when it is given no guard, or one that asks for a token: a token that is refused
 *   must not be a reason to pass.
 */
export function not (member: Guard): Guard {
  const rule = ruleOf(member)
  if (rule === undefined || asksForToken(rule.requirement)) {
    throw badOption('not', 'takes one guard, without a hook that requires a token in it: a refused token must not be a reason to pass')
  }
  const lack: Lack = Object.freeze({ message: `Not for ${describe(rule.requirement)}`, scopes: [] })
  return toGuard({
    requirement: { kind: 'not', of: rule.requirement },
    check: (request, settings) => after(rule.check(request, settings), inner => inner === null ? lack : null)
  })
}
