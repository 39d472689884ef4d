import { resolveHookOptions } from '../authenticate/hook-options.ts'
import { hookOptionsOf } from '../authenticate/hooks.ts'
import { ruleOf } from '../guards/rule.ts'
import type { Asked } from '../hook-name.ts'
import type { HookOptions } from '../authenticate/hook-options.ts'
import type { Requirement } from '../guards/requirement.ts'

/** What all hooks of a route require together. */
export interface RouteRequirement {
  /** The token that a hook or a guard requires. */
  readonly token: HookOptions
  /** The guards, all of which must pass. */
  readonly guards: readonly Requirement[]
}

/** One way to satisfy a route: a token, and the names in its claims. */
export interface Alternative {
  /** `null`: the token that the other hooks of the route require. */
  readonly token: HookOptions | null
  readonly scopes: readonly string[]
  /** Roles and permissions. */
  readonly roles: readonly string[]
}

const anyToken: Alternative = { token: null, scopes: [], roles: [] }
const accessToken = resolveHookOptions({})

/** If there are more alternatives than anyone would read, they are only described in words. */
const maxAlternatives = 16

/** What a function asks for if it is a hook or a guard of this package. */
export function askedOf (hook: unknown): Asked[] {
  const [options, rule] = [hookOptionsOf(hook), ruleOf(hook)]
  return options !== undefined ? [{ hook: options }] : rule !== undefined ? [{ guard: rule.requirement }] : []
}

/** What the hooks of a route ask for together, in the order in which they run; `null` if none of them is ours. */
export function combineHooks (protection: HookOptions | null, hooks: readonly Asked[]): RouteRequirement | null {
  const tokens = [...protection === null ? [] : [protection], ...hooks.flatMap(asked => 'hook' in asked ? [asked.hook] : [])]
  const guards = hooks.flatMap(asked => 'guard' in asked ? [asked.guard] : [])
  const required = tokens.filter(options => options.optional === false)
  if (tokens.length === 0 && guards.length === 0) return null
  const token = required[0] ?? tokens[0] ?? accessToken
  return {
    token: {
      ...token,
      fresh: required.some(options => options.fresh),
      // A guard refuses every request without a token.
      optional: guards.length > 0 ? false : token.optional
    },
    guards
  }
}

function combine (left: Alternative, right: Alternative): Alternative {
  return { token: right.token ?? left.token, scopes: [...left.scopes, ...right.scopes], roles: [...left.roles, ...right.roles] }
}

function alternatives (requirement: Requirement): readonly Alternative[] {
  switch (requirement.kind) {
    case 'role':
    case 'permission':
    case 'scope': {
      const list = requirement.kind === 'scope' ? 'scopes' : 'roles'
      const sets = requirement.match === 'all' ? [requirement.names] : requirement.names.map(name => [name])
      return sets.map(names => ({ ...anyToken, [list]: names }))
    }
    case 'token': return [{ ...anyToken, token: requirement.options }]
    case 'anyOf': return requirement.of.flatMap(alternatives)
    case 'allOf': return allAlternatives(requirement.of)
    // OpenAPI cannot express a negation, a device, or a check of the app.
    case 'not':
    case 'device':
    case 'custom': return [anyToken]
  }
}

function allAlternatives (requirements: readonly Requirement[]): readonly Alternative[] {
  return requirements.reduce<readonly Alternative[]>((ways, requirement) => {
    const product = ways.flatMap(way => alternatives(requirement).map(other => combine(way, other)))
    return product.length > maxAlternatives ? [anyToken] : product
  }, [anyToken])
}

/** The alternative ways to satisfy a route, each with its token. */
export function alternativesOf ({ token, guards }: RouteRequirement): readonly (Alternative & { readonly token: HookOptions })[] {
  return allAlternatives(guards).map(way => ({ ...way, token: way.token ?? token }))
}
