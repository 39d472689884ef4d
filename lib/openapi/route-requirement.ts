import { resolveHookOptions } from '../authenticate/hook-options.ts'
import { hookOptionsOf } from '../authenticate/hooks.ts'
import { ruleOf } from '../guards/rule.ts'
import type { HookOptions } from '../authenticate/hook-options.ts'
import type { Requirement } from '../guards/rule.ts'

/** What the hooks of a route ask for, together. */
export interface RouteRequirement {
  /** The token, when a hook other than a guard asks for one, or a guard needs one. */
  readonly token: HookOptions
  /** The guards, all of which must pass. */
  readonly guards: readonly Requirement[]
}

/** One way to be let in: a token, and the names in its claims. */
export interface Alternative {
  readonly token: HookOptions | null
  readonly scopes: readonly string[]
  /** Roles and permissions. */
  readonly roles: readonly string[]
}

const anyToken: Alternative = { token: null, scopes: [], roles: [] }
const accessToken = resolveHookOptions({})

/** More ways than a reader would read are said in words only. */
const maxAlternatives = 16

/** Reads the hooks of a route in the order they run; `null` when none of them is ours. */
export function readHooks (protection: HookOptions | null, hooks: readonly unknown[]): RouteRequirement | null {
  const tokens = [protection, ...hooks.map(hookOptionsOf)].filter(options => options !== null && options !== undefined)
  const guards = hooks.map(ruleOf).flatMap(rule => rule === undefined ? [] : [rule.requirement])
  const required = tokens.filter(options => options.optional === false)
  if (tokens.length === 0 && guards.length === 0) return null
  const token = required[0] ?? tokens[0] ?? accessToken
  return {
    token: {
      ...token,
      fresh: required.some(options => options.fresh),
      // A guard lets in nobody without a token.
      optional: guards.length > 0 ? false : token.optional
    },
    guards
  }
}

function both (left: Alternative, right: Alternative): Alternative {
  return { token: right.token ?? left.token, scopes: [...left.scopes, ...right.scopes], roles: [...left.roles, ...right.roles] }
}

function waysThrough (requirement: Requirement): readonly Alternative[] {
  switch (requirement.kind) {
    case 'role':
    case 'permission':
    case 'scope': {
      const list = requirement.kind === 'scope' ? 'scopes' : 'roles'
      const sets = requirement.match === 'all' ? [requirement.names] : requirement.names.map(name => [name])
      return sets.map(names => ({ ...anyToken, [list]: names }))
    }
    case 'token': return [{ ...anyToken, token: requirement.options }]
    case 'anyOf': return requirement.of.flatMap(waysThrough)
    case 'allOf': return waysThroughAll(requirement.of)
    // What must not be, and what only the app knows, can't be listed.
    case 'not':
    case 'custom': return [anyToken]
  }
}

function waysThroughAll (requirements: readonly Requirement[]): readonly Alternative[] {
  return requirements.reduce<readonly Alternative[]>((ways, requirement) => {
    const product = ways.flatMap(way => waysThrough(requirement).map(other => both(way, other)))
    return product.length > maxAlternatives ? [anyToken] : product
  }, [anyToken])
}

/** The ways into a route, each with its token. */
export function alternativesOf ({ token, guards }: RouteRequirement): readonly (Alternative & { readonly token: HookOptions })[] {
  return waysThroughAll(guards).map(way => ({ ...way, token: way.token ?? token }))
}
