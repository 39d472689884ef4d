import { badOption } from '../errors.ts'
import { checkOptionNames } from '../options/unknown.ts'
import * as validate from '../options/validators.ts'
import type { TokenType } from '../types/claims.ts'
import type { TokenLocation, VerifyOptions } from '../types/hooks.ts'

/** The options of a hook, checked and complete. They do not depend on a registration. */
export interface HookOptions {
  readonly type: TokenType | 'any'
  readonly fresh: boolean
  readonly optional: boolean | 'strict'
  /** `null`: those of the instance. */
  readonly locations: readonly TokenLocation[] | null
  readonly skipRevocationCheck: boolean
}

const table = {
  type: { check: validate.oneOf('access', 'refresh', 'any'), fallback: 'access' },
  fresh: { check: validate.boolean, fallback: false },
  optional: { check: validate.oneOf(true, false, 'strict'), fallback: false },
  locations: { check: validate.oneOrSeveral<TokenLocation>(validate.oneOf('headers', 'cookies', 'queryString', 'json')), fallback: null },
  skipRevocationCheck: { check: validate.boolean, fallback: false }
} as const satisfies { [Name in keyof Required<VerifyOptions>]: { check: validate.Validator<unknown>, fallback: unknown } }

/** One object for each combination of options, so that `request.verifyJwt` finds the check that it prepared before. */
const combinations = new Map<string, HookOptions>()

/** Checks the options of a hook. @throws `FST_JWT_BAD_OPTION` */
export function resolveHookOptions (options: VerifyOptions): HookOptions {
  if (typeof options !== 'object' || options === null) throw validate.wrongKind('verifyJwt', options, 'an object of options')
  checkOptionNames(options, Object.keys(table), 'verifyJwt.')
  const read = <T>(name: keyof typeof table, { check, fallback }: { check: validate.Validator<T>, fallback: T }): T => {
    const value = options[name]
    return value === undefined ? fallback : check(value, `verifyJwt.${name}`)
  }
  const resolved: HookOptions = {
    type: read<TokenType | 'any'>('type', table.type),
    fresh: read<boolean>('fresh', table.fresh),
    optional: read<boolean | 'strict'>('optional', table.optional),
    locations: read<readonly TokenLocation[] | null>('locations', table.locations),
    skipRevocationCheck: read<boolean>('skipRevocationCheck', table.skipRevocationCheck)
  }
  if (resolved.fresh && resolved.type !== 'access') throw badOption('verifyJwt.fresh', "goes with type: 'access' only, since a refresh token is never fresh")
  const key = JSON.stringify(resolved)
  const known = combinations.get(key)
  if (known !== undefined) return known
  combinations.set(key, Object.freeze(resolved))
  return resolved
}
