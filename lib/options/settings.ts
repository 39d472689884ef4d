import { createErrors } from '../errors.ts'
import { checkTogether } from './cross-checks.ts'
import { keyOptions, table } from './table.ts'
import { checkOptionNames } from './unknown.ts'
import { refuseUndefined } from './unset.ts'
import type { ResolvedProofOptions } from './dpop.ts'
import type { ResolvedMetadata } from './resource.ts'
import type { Option, Settings } from './table.ts'
import type { JwtExtendedOptions } from '../types/options.ts'

export type { ResolvedDeviceBinding, ResolvedIssuer, Settings } from './table.ts'

/** Seconds. The clock of an issuer may be a little ahead of ours, and then its new tokens are not valid yet. */
const defaultNotBeforeLeeway = 5

const optionNames: readonly string[] = [...keyOptions, ...Object.keys(table)]

/**
 * Options that must not be `undefined`: keys, and what is required of a token. Any other option that is `undefined` counts as not given.
 */
const notUndefined = [
  'secretKey', 'privateKey', 'publicKey', 'jwksUri', 'issuer', 'audience', 'decodeIssuer', 'decodeAudience'
] as const

/** Checks every option and fills in the defaults. @throws `FST_JWT_BAD_OPTION` with the option and the remedy. */
export function resolveOptions (options: JwtExtendedOptions): Settings {
  checkOptionNames(options, optionNames)
  refuseUndefined(options, notUndefined)
  const given = new Map(Object.entries(options))
  // One literal with all names: V8 turns an object that gets so many properties one by one into a hash table, and looking
  // up options is a good part of the cost of a request with a cached token.
  const settings: Record<string, unknown> = { ...table, keyOptions: undefined, notBeforeLeeway: undefined, errors: undefined }
  for (const [name, { check, fallback }] of Object.entries<Option<unknown, unknown>>(table)) {
    const value = given.get(name)
    settings[name] = value === undefined ? fallback : check(value, name)
  }
  settings['keyOptions'] = Object.fromEntries(keyOptions.flatMap(name => options[name] === undefined ? [] : [[name, options[name]]]))
  settings['notBeforeLeeway'] = given.get('leeway') === undefined ? defaultNotBeforeLeeway : settings['leeway']
  if (given.get('jwksMaxStale') === undefined) settings['jwksMaxStale'] = Math.max(settings['jwksMaxAge'] as number, settings['jwksMaxStale'] as number)
  settings['errors'] = createErrors((settings['messages'] ?? {}), {
    realm: settings['realm'] as string ?? undefined,
    scheme: settings['headerType'] as string || undefined,
    dpop: settings['dpop'] as ResolvedProofOptions || null,
    resourceMetadata: (settings['resourceMetadata'] as ResolvedMetadata | null)?.url
  })
  settings['decodeIssuer'] ??= settings['issuer'] === null ? null : [settings['issuer']]
  settings['decodeAudience'] ??= settings['audience']
  const resolved = Object.freeze(settings) as Settings
  checkTogether(resolved, given)
  return resolved
}
