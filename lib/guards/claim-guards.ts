import { badOption } from '../errors.ts'
import { checkOptionNames } from '../options/unknown.ts'
import * as validate from '../options/validators.ts'
import { describeNames } from './describe.ts'
import { claimsOf, toGuard } from './rule.ts'
import type { JwtClaims } from '../types/claims.ts'
import type { Denial, Guard } from './rule.ts'

/** Options of `role`, `permission` and `scope`. */
export interface ClaimGuardOptions {
  /** `'any'`: one of the names is enough. `'all'`: all are needed. Default: `'any'`. */
  match?: 'any' | 'all'
  /**
   * The claim that holds the names: `'https://example.com/roles'`, or a path into nested claims such as
   * `['realm_access', 'roles']`. Default: `roles`, else `role`, for roles; `permissions`; `scope`, else `scp`, for scopes.
   */
  claim?: string | readonly string[]
}

type ClaimKind = 'role' | 'permission' | 'scope'

const defaultClaims: Record<ClaimKind, readonly (readonly string[])[]> = {
  role: [['roles'], ['role']],
  permission: [['permissions']],
  scope: [['scope'], ['scp']]
}

/** The syntax of a scope (RFC 6749 §3.3). It has no spaces, which separate scopes in a list. */
const scopePattern = /^[\x21\x23-\x5b\x5d-\x7e]+$/

const checkScope: validate.Validator<string> = (value, option) => {
  if (typeof value !== 'string' || !scopePattern.test(value)) {
    throw validate.wrongKind(option, value, 'one scope per string: printable ASCII without spaces, quotes and backslashes (RFC 6749 §3.3)')
  }
  return value
}

function readOptions (name: ClaimKind, options: unknown): { match: 'any' | 'all', paths: readonly (readonly string[])[] } {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) throw validate.wrongKind(name, options, 'names, then an object of options')
  checkOptionNames(options, ['match', 'claim'], `${name}.`)
  const { match = 'any', claim }: { match?: unknown, claim?: unknown } = options
  return {
    match: validate.oneOf('any', 'all')(match, `${name}.match`),
    paths: claim === undefined ? defaultClaims[name] : [validate.oneOrSeveral(validate.text)(claim, `${name}.claim`)]
  }
}

/** Reads a claim by its path. Only own properties are claims, so `toString` is not. */
function read (claims: JwtClaims, path: readonly string[]): unknown {
  let value: unknown = claims
  for (const name of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined
    value = (value as Record<string, unknown>)[name]
  }
  return value
}

/** The names in a claim: a string or an array. A string of scopes is separated by spaces (RFC 8693 §4.2). */
function namesIn (claims: JwtClaims, paths: readonly (readonly string[])[], isScope: boolean): readonly unknown[] {
  for (const path of paths) {
    const value = read(claims, path)
    if (Array.isArray(value)) return value
    if (typeof value === 'string') return isScope ? value.split(' ') : [value]
    // A claim of another type holds no names. The next path is only for claims that are missing.
    if (value !== undefined && value !== null) return []
  }
  return []
}

function claimGuard (name: ClaimKind, given: readonly unknown[]): Guard {
  const [first, ...rest] = given
  const listed = Array.isArray(first) || (rest.length === 1 && typeof rest[0] !== 'string')
  if (listed && rest.length > 1) throw badOption(name, 'takes a list of names and an object of options, or each name as an argument')
  const names = validate.oneOrSeveral(name === 'scope' ? checkScope : validate.text)(listed ? first : given, name)
  const { match, paths } = readOptions(name, listed && rest.length === 1 ? rest[0] : {})
  const isScope = name === 'scope'

  const denialFor = (missing: readonly string[]): Denial => Object.freeze({
    message: `Missing ${describeNames(name, missing, match)}`, scopes: isScope ? names : []
  })
  // Created once, so that a denial costs no more than a pass.
  const fullDenial = denialFor(names)

  return toGuard({
    requirement: { kind: name, names, match },
    check (request, settings) {
      const held = namesIn(claimsOf(request, settings), paths, isScope)
      if (match === 'any') return names.some(wanted => held.includes(wanted)) ? null : fullDenial
      const missing = names.filter(wanted => !held.includes(wanted))
      return missing.length === 0 ? null : denialFor(missing)
    }
  })
}

/**
 * Creates a guard that requires a role. The roles of a user are a string or an array in the claim `roles`, or else `role`.
 *
 * ```ts
 * role('admin')
 * role('admin', 'editor') // one of them
 * role(['staff', 'auditor'], { match: 'all' })
 * ```
 *
 * It refuses a request with `FST_JWT_FORBIDDEN`, or `FST_JWT_MISSING_TOKEN` if no hook has verified a token.
 *
 * @returns A preHandler hook. Use it after a hook that verifies a token, such as `jwtRequired`.
 * @throws `FST_JWT_BAD_OPTION` when it is created.
 */
export function role (...names: string[]): Guard
export function role (names: string | readonly string[], options?: ClaimGuardOptions): Guard
export function role (...given: unknown[]): Guard {
  return claimGuard('role', given)
}

/** Creates a guard that requires a permission, in the claim `permissions`. Parameters, result and errors as for `role`. */
export function permission (...names: string[]): Guard
export function permission (names: string | readonly string[], options?: ClaimGuardOptions): Guard
export function permission (...given: unknown[]): Guard {
  return claimGuard('permission', given)
}

/**
 * Creates a guard that requires an OAuth 2.0 scope (RFC 6749 §3.3), in the claim `scope`, or else `scp`: a string of scopes separated by
 * spaces, or an array. Parameters, result and errors as for `role`. The challenge of a refusal names the scopes (RFC 6750 §3.1).
 */
export function scope (...names: string[]): Guard
export function scope (names: string | readonly string[], options?: ClaimGuardOptions): Guard
export function scope (...given: unknown[]): Guard {
  return claimGuard('scope', given)
}
