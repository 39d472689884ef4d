import { createErrors, badOption, errorCodes } from '../errors.ts'
import { isTenant } from '../keys/remote/issuer-template.ts'
import { proofOptions } from './dpop.ts'
import { introspection, resourceMetadata } from './resource.ts'
import { checkOptionNames } from './unknown.ts'
import { refuseUndefined } from './unset.ts'
import * as validate from './validators.ts'
import type { ResolvedProofOptions } from './dpop.ts'
import type { ResolvedMetadata } from './resource.ts'
import type { Validator } from './validators.ts'
import type { Errors } from '../errors.ts'
import type { Messages } from '../types/errors.ts'
import type { CallbackOptions, JwtExtendedOptions, TrustedOrigins, KeyOptions, LocationOptions, CsrfProtection } from '../types/options.ts'
import type { SessionLimit, SplitStore, Store } from '../types/store.ts'
import type { TokenLocation } from '../types/hooks.ts'

/** The function type of a callback option. */
type Callback<K extends keyof (CallbackOptions & LocationOptions)> = NonNullable<(CallbackOptions & LocationOptions)[K]>

/** The checked options of another issuer. */
export interface ResolvedIssuer {
  readonly issuer: string
  readonly jwksUri: string | null
  readonly audience: readonly string[] | null
  readonly tenants: readonly string[] | ((tenant: string) => boolean) | null
}

/** How an option is checked, and its default. */
interface Option<T, D> { readonly check: Validator<T>, readonly fallback: D }

function option<T> (check: Validator<T>): Option<T, null>
function option<T, const D> (check: Validator<T>, fallback: D): Option<T, D>
function option<T> (check: Validator<T>, fallback: unknown = null): Option<T, unknown> {
  return { check, fallback }
}

const denylistMethods = ['denyToken', 'denySession', 'isDenied']
const sessionMethods = ['createSession', 'getSession', 'getSessionState', 'replaceSession', 'endSession', 'endSessions', 'listSessions']

function checkMethods (value: unknown, name: string, methods: readonly string[]): void {
  const missing = methods.find(method => typeof (value as Record<string, unknown> | null)?.[method] !== 'function')
  if (missing !== undefined) throw badOption(name, `takes a store such as new RedisStore(client), or false; this one has no method ${missing}`)
}

/** A whole store, or a denylist and sessions apart. */
const store: Validator<Store | SplitStore> = (value, name) => {
  if (typeof value === 'object' && value !== null && 'denylist' in value && 'sessions' in value) {
    checkMethods(value.denylist, `${name}.denylist`, denylistMethods)
    checkMethods(value.sessions, `${name}.sessions`, sessionMethods)
    return value as SplitStore
  }
  checkMethods(value, name, [...denylistMethods, ...sessionMethods, 'checkToken'])
  return value as Store
}

const sessionLimit: Validator<SessionLimit> = (value, name) => {
  const given: { max?: unknown, whenFull?: unknown } = typeof value === 'object' && value !== null ? value : { max: value }
  checkOptionNames(given, ['max', 'whenFull'], `${name}.`)
  const { max, whenFull = 'endOldest' } = given
  return Object.freeze({
    max: validate.integer(1)(max, name),
    whenFull: validate.oneOf('endOldest', 'refuse')(whenFull, `${name}.whenFull`)
  })
}

const messages: Validator<Messages> = (value, name) => {
  if (typeof value === 'function') return value as Messages
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw validate.wrongKind(name, value, 'an object of messages by error code, or a function (code, details) => string')
  for (const [code, message] of Object.entries(value)) {
    if (!errorCodes.some(known => known === code)) throw badOption(name, `has no error code ${JSON.stringify(code)}; the codes are ${errorCodes.join(', ')}`)
    validate.text(message, `${name}.${code}`)
  }
  return { ...value }
}

const upperCaseMethod: Validator<string> = (value, name) => validate.fieldName(value, name).toUpperCase()

/** Methods that are protected from forgery. */
interface Methods { has (method: string): boolean }

const safeMethods: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE'])

/** All but the safe ones (RFC 9110 §9.2.1), those that an app adds included. */
const unsafeMethods: Methods = { has: method => !safeMethods.has(method) }

const csrfMethods: Validator<Methods> = (value, name) => {
  const methods = validate.setOf(upperCaseMethod)(value, name)
  if (methods.size === 0) throw badOption(name, 'is empty, so no request would be checked; leave it out, or set csrfProtection: false')
  return methods
}

const noOrigin: TrustedOrigins = () => false

const trustedOrigins: Validator<TrustedOrigins> = (value, name) => {
  if (typeof value === 'function') return value as TrustedOrigins
  const origins = validate.setOf(validate.origin)(value, name)
  return origin => origins.has(origin)
}

const skipPath: Validator<string> = (value, name) => {
  if (typeof value !== 'string' || !/^(\/|\*)/.test(value) || value.slice(0, -1).includes('*')) {
    throw validate.wrongKind(name, value, "a route pattern that begins with /, such as '/login', or a prefix ending in *, such as '/public/*'")
  }
  return value
}

const severalTexts = validate.oneOrSeveral(validate.text)

const jwksPath: Validator<string> = (value, name) => {
  if (typeof value !== 'string' || !/^\/[\w\-.~/]*$/.test(value)) {
    throw validate.wrongKind(name, value, "a path such as '/.well-known/jwks.json'")
  }
  return value
}

const tenantList = validate.list<string>((value, name) => {
  if (typeof value !== 'string' || !isTenant(value)) throw validate.wrongKind(name, value, 'a name of letters, digits, _ and -')
  return value
})

const tenants: Validator<NonNullable<ResolvedIssuer['tenants']>> = (value, name) =>
  typeof value === 'function' ? value as (tenant: string) => boolean : tenantList(value, name)

const issuerMembers = ['issuer', 'jwksUri', 'audience', 'tenants']

/** Checks types only. `jwt/verifier.ts` checks the URLs, and that no issuer is given twice. */
const issuerEntry: Validator<ResolvedIssuer> = (value, name) => {
  if (typeof value !== 'object' || value === null) throw validate.wrongKind(name, value, 'an object of issuer, jwksUri, audience, tenants')
  checkOptionNames(value, issuerMembers, `${name}.`)
  const given: { issuer?: unknown, jwksUri?: unknown, audience?: unknown, tenants?: unknown } = value
  refuseUndefined(given, ['jwksUri', 'audience'], `${name}.`)
  const { issuer, jwksUri, audience, tenants: approved } = given
  return Object.freeze({
    issuer: validate.text(issuer, `${name}.issuer`),
    jwksUri: jwksUri === undefined ? null : validate.text(jwksUri, `${name}.jwksUri`),
    audience: audience === undefined ? null : severalTexts(audience, `${name}.audience`),
    tenants: approved === undefined ? null : tenants(approved, `${name}.tenants`)
  })
}

const host: Validator<string> = (value, name) => {
  if (typeof value !== 'string' || !/^(\*\.)?[a-z\d-]+(\.[a-z\d-]+)*$/.test(value)) throw validate.wrongKind(name, value, "a host in lower case, such as 'accounts.example.net' or '*.example.net'")
  return value
}

const initiators = validate.list(host)

/** The checked `deviceBinding` option. */
export interface ResolvedDeviceBinding {
  readonly includeSite: boolean
  readonly allowedRefreshInitiators: readonly string[]
}

const deviceBinding: Validator<ResolvedDeviceBinding | false> = (value, name) => {
  if (value === false) return false
  const given = value === true ? {} : value
  if (typeof given !== 'object' || given === null) throw validate.wrongKind(name, value, 'true, false, or an object of includeSite, allowedRefreshInitiators')
  checkOptionNames(given, ['includeSite', 'allowedRefreshInitiators'], `${name}.`)
  const { includeSite = false, allowedRefreshInitiators = [] }: { includeSite?: unknown, allowedRefreshInitiators?: unknown } = given
  return Object.freeze({
    includeSite: validate.boolean(includeSite, `${name}.includeSite`),
    allowedRefreshInitiators: initiators(allowedRefreshInitiators, `${name}.allowedRefreshInitiators`)
  })
}

const deviceBindingPath: Validator<string> = (value, name) => {
  if (typeof value !== 'string' || !/^(\/[\w\-.~]+)+$/.test(value)) throw validate.wrongKind(name, value, "a path such as '/device-binding', without a slash at its end")
  return value
}

const location = validate.oneOf('headers', 'cookies', 'queryString', 'json')
const protection = validate.oneOf('fetch-metadata', 'double-submit')

/** Every option: its validator, and its default if that is not `null`. */
const table = {
  jwksUri: option(validate.text),
  issuers: option(validate.list(issuerEntry)),
  decodeKey: option(validate.callback<NonNullable<KeyOptions['decodeKey']>>()),
  jwksMaxAge: option(validate.lifetime, 600),
  // Never less than jwksMaxAge.
  jwksMaxStale: option(validate.lifetime, 3600),
  jwksFetch: option(validate.callback<NonNullable<KeyOptions['jwksFetch']>>()),
  jwksPath: option(jwksPath),

  accessExpires: option(validate.orFalse(validate.lifetime), 900),
  refreshExpires: option(validate.orFalse(validate.lifetime), 2592000),
  leeway: option(validate.seconds, 0),
  encodeNbf: option(validate.boolean, true),
  identityClaim: option(validate.text, 'sub'),
  issuer: option(validate.text),
  audience: option(severalTexts),
  decodeIssuer: option(severalTexts),
  decodeAudience: option(severalTexts),
  maxTokenLength: option(validate.integer(1), 8192),
  cacheSize: option(validate.integer(0), 50000),

  tokenLocation: option(validate.oneOrSeveral<TokenLocation>(location), ['headers']),
  headerName: option(validate.headerName, 'authorization'),
  headerType: option(validate.scheme, 'Bearer'),
  queryStringName: option(validate.text, 'jwt'),
  queryStringValuePrefix: option(validate.anyText, ''),
  jsonKey: option(validate.text, 'access_token'),
  refreshJsonKey: option(validate.text, 'refresh_token'),
  extractToken: option(validate.callback<Callback<'extractToken'>>()),

  accessCookieName: option(validate.fieldName, 'access_token_cookie'),
  refreshCookieName: option(validate.fieldName, 'refresh_token_cookie'),
  accessCookiePath: option(validate.cookiePath, '/'),
  refreshCookiePath: option(validate.cookiePath, '/'),
  cookieDomain: option(validate.cookieDomain),
  cookieSecure: option(validate.oneOf(true, false, 'auto'), 'auto'),
  cookieHttponly: option(validate.boolean, true),
  cookieSamesite: option(validate.oneOf('Strict', 'Lax', 'None'), 'Lax'),
  cookiePartitioned: option(validate.boolean, false),
  sessionCookie: option(validate.boolean, false),
  implicitRefresh: option(validate.orFalse(validate.lifetime), false),

  csrfProtection: option(validate.orFalse(validate.oneOrSeveral<CsrfProtection>(protection)), ['fetch-metadata']),
  csrfMethods: option(csrfMethods, unsafeMethods),
  trustedOrigins: option(trustedOrigins, noOrigin),
  csrfInCookies: option(validate.boolean, true),
  csrfCheckForm: option(validate.boolean, false),
  accessCsrfCookieName: option(validate.fieldName, 'csrf_access_token'),
  refreshCsrfCookieName: option(validate.fieldName, 'csrf_refresh_token'),
  accessCsrfCookiePath: option(validate.cookiePath, '/'),
  refreshCsrfCookiePath: option(validate.cookiePath, '/'),
  accessCsrfHeaderName: option(validate.headerName, 'x-csrf-token'),
  refreshCsrfHeaderName: option(validate.headerName, 'x-csrf-token'),
  accessCsrfFieldName: option(validate.text, 'csrf_token'),
  refreshCsrfFieldName: option(validate.text, 'csrf_token'),

  additionalClaims: option(validate.callback<Callback<'additionalClaims'>>()),
  additionalHeaders: option(validate.callback<Callback<'additionalHeaders'>>()),
  userIdentity: option(validate.callback<Callback<'userIdentity'>>()),
  userLookup: option(validate.callback<Callback<'userLookup'>>()),
  verifyClaims: option(validate.callback<Callback<'verifyClaims'>>()),
  isRevoked: option(validate.callback<Callback<'isRevoked'>>()),

  store: option(validate.orFalse(store)),
  refreshReuseInterval: option(validate.seconds, 10),
  refreshUntilUsed: option(validate.boolean, true),
  maxSessions: option(sessionLimit),
  refreshTokenFormat: option(validate.oneOf('jwt', 'opaque'), 'jwt'),
  sessionMaxAge: option(validate.orFalse(validate.lifetime), false),
  deviceBinding: option(deviceBinding, false),
  deviceBindingPath: option(deviceBindingPath, '/device-binding'),

  // `null`: bound tokens are refused.
  dpop: option(validate.orFalse(proofOptions)),

  resourceMetadata: option(resourceMetadata),
  requireAccessTokenType: option(validate.boolean, false),
  introspection: option(introspection),

  // `null`: as the registration above says.
  protect: option(validate.boolean),
  skipPaths: option(validate.list(skipPath), []),
  messages: option(messages),
  realm: option(validate.printable)
} satisfies { [Name in Exclude<keyof JwtExtendedOptions, KeyOption>]-?: Option<unknown, unknown> }

type Table = typeof table

/** Checked in `keys/local.ts`, since what they take depends on the algorithm. */
const keyOptions = ['secretKey', 'algorithm', 'privateKey', 'publicKey', 'keyId', 'keys', 'decodeAlgorithms'] as const
type KeyOption = typeof keyOptions[number]

/** The type that an option's validator returns, or `null` if `null` is the default. */
type Checked<O> = O extends Option<infer T, infer D> ? (D extends null ? T | null : T) : never

/** Every option, checked and complete, so that nothing is left to decide on a request. */
export type Settings = {
  readonly [Name in keyof Table]: Checked<Table[Name]>
} & {
  /** The options of local keys, unchecked. */
  readonly keyOptions: Pick<KeyOptions, KeyOption>
  /** The `leeway` for `nbf`, in seconds. */
  readonly notBeforeLeeway: number
  readonly errors: Errors
}

/** Seconds. The clock of an issuer may be a little ahead of ours, and then its new tokens are not valid yet. */
const defaultNotBeforeLeeway = 5

const optionNames: readonly string[] = [...keyOptions, ...Object.keys(table)]

/** Keys, and what is required of a token. Any other option that is `undefined` is an option not given. */
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

/** The claims that only this package may write. */
export const ownedClaims = [
  'sub', 'identity', 'iat', 'exp', 'nbf', 'jti', 'type', 'fresh', 'csrf', 'sid', 'gen', 'persistent', 'bound', 'auth_time'
] as const

/** Options that say how cookies are set, or how they are protected. `trustedOrigins` is for `crossOriginProtection`, too. */
const cookieOnly = /^(?:cookie|sessionCookie$|csrf|(?:access|refresh)(?:Csrf|Cookie))/

/** Checks the options that depend on each other. */
function checkTogether (settings: Settings, given: ReadonlyMap<string, unknown>): void {
  const cookies = settings.tokenLocation.includes('cookies')
  const doubleSubmit = settings.csrfProtection !== false && settings.csrfProtection.includes('double-submit')

  // 'identity' is allowed: it was Flask-JWT-Extended's default before version 4.
  if (!['sub', 'identity'].includes(settings.identityClaim) && [...ownedClaims, 'iss', 'aud'].includes(settings.identityClaim)) {
    throw badOption('identityClaim', `can't be '${settings.identityClaim}', which has another meaning; use 'sub' or a claim of your own`)
  }
  if (settings.accessCookieName === settings.refreshCookieName) {
    throw badOption('refreshCookieName', 'is the same as accessCookieName: one cookie would overwrite the other; give them different names')
  }
  checkCookiePrefix('accessCookieName', settings.accessCookieName, 'accessCookiePath', settings)
  checkCookiePrefix('refreshCookieName', settings.refreshCookieName, 'refreshCookiePath', settings)
  if (doubleSubmit && settings.csrfInCookies) {
    checkCookiePrefix('accessCsrfCookieName', settings.accessCsrfCookieName, 'accessCsrfCookiePath', settings)
    checkCookiePrefix('refreshCsrfCookieName', settings.refreshCsrfCookieName, 'refreshCsrfCookiePath', settings)
    const names = [settings.accessCookieName, settings.refreshCookieName, settings.accessCsrfCookieName, settings.refreshCsrfCookieName]
    if (new Set(names).size < names.length) {
      throw badOption('accessCsrfCookieName', 'and the other cookie names must all differ, or one cookie would overwrite another')
    }
  }
  if (settings.cookiePartitioned && settings.cookieSecure !== true) {
    throw badOption('cookiePartitioned', 'needs cookieSecure: true, or browsers drop the cookie; set cookieSecure')
  }
  if (settings.cookieSamesite === 'None' && settings.cookieSecure !== true) {
    throw badOption('cookieSamesite', "is 'None', which needs cookieSecure: true, or browsers drop the cookie; set cookieSecure")
  }
  for (const name of given.keys()) {
    const csrfOnly = /^(access|refresh)Csrf|^csrf(InCookies|CheckForm)$/.test(name)
    if (csrfOnly && !doubleSubmit) throw badOption(name, "does nothing without double submit; add csrfProtection: 'double-submit'")
  }
  for (const name of ['jwksMaxAge', 'jwksMaxStale', 'jwksFetch']) {
    if (given.get(name) !== undefined && settings.jwksUri === null && settings.issuers === null) throw badOption(name, "has no effect, since no keys are fetched; set 'issuers' or 'jwksUri', or leave it out")
  }
  if (settings.jwksMaxStale < settings.jwksMaxAge) throw badOption('jwksMaxStale', 'is shorter than jwksMaxAge, so keys would expire sooner if the issuer is down than if it is up; make it longer')
  if (settings.implicitRefresh !== false && !cookies) throw badOption('implicitRefresh', "renews cookies; add 'cookies' to tokenLocation")
  if (settings.skipPaths.length > 0 && settings.protect !== true) throw badOption('skipPaths', 'does nothing without protect: true; set protect')
  if (settings.dpop) checkProofs(settings)
  if (settings.deviceBinding !== false) checkDeviceBinding(settings, settings.deviceBinding)
  else if (given.get('deviceBindingPath') !== undefined) throw badOption('deviceBindingPath', 'does nothing without deviceBinding: true; add it')
  if (settings.store === false) {
    for (const name of ['refreshReuseInterval', 'refreshUntilUsed', 'refreshTokenFormat', 'sessionMaxAge', 'maxSessions', 'deviceBinding']) {
      if (given.get(name) !== undefined) throw badOption(name, 'needs a store for sessions; leave store out, or give one')
    }
  }
  // With `extractToken`, an app may set cookies that it reads itself.
  if (!cookies && settings.extractToken === null) {
    const idle = [...given].find(([name, value]) => value !== undefined && cookieOnly.test(name))?.[0]
    if (idle !== undefined) throw badOption(idle, "has no effect, since tokenLocation does not have 'cookies'; add it there, or leave this option out")
  }
}

/** What proofs of possession need (RFC 9449 §7.1). */
function checkProofs ({ tokenLocation, headerName, headerType, store }: Settings): void {
  if (store === false) throw badOption('dpop', 'records used proofs in the store, and store is false; leave store out, or give one')
  const denylist = store !== null && 'denylist' in store ? store.denylist : store
  if (denylist !== null && typeof denylist.useOnce !== 'function') throw badOption('dpop', 'needs a store with the method useOnce, which this one lacks; see the store contract')
  if (!tokenLocation.includes('headers')) throw badOption('dpop', "takes tokens in the Authorization header; add 'headers' to tokenLocation")
  if (headerName !== 'authorization') throw badOption('dpop', `takes tokens in the Authorization header (RFC 9449 §7.1), and headerName is '${headerName}'; leave headerName out`)
  if (headerType === '' || headerType.toLowerCase() === 'dpop') throw badOption('headerType', "must be another scheme than that of bound tokens, such as 'Bearer', with the dpop option")
}

/** Seconds. A browser refreshes a cookie when two minutes are left of it, and signs six times in nine minutes at most. */
export const leastBoundCookieLife = 300

/** What binding to devices needs. */
function checkDeviceBinding ({ tokenLocation, accessExpires, cookieSecure, cookieDomain }: Settings, { includeSite }: ResolvedDeviceBinding): void {
  if (!tokenLocation.includes('cookies')) throw badOption('deviceBinding', "binds a cookie; add 'cookies' to tokenLocation")
  if (accessExpires === false || accessExpires < leastBoundCookieLife) {
    throw badOption('accessExpires', `must be at least ${leastBoundCookieLife} seconds with deviceBinding, since browsers refresh a cookie early and sign only a few times in a row`)
  }
  if (cookieSecure === false) throw badOption('deviceBinding', 'needs cookies that are Secure; leave cookieSecure out, or set it to true')
  if (includeSite !== (cookieDomain !== null)) {
    throw badOption('deviceBinding', includeSite
      ? 'has includeSite, but the other hosts of the site get no cookie; set cookieDomain, too'
      : 'binds one host, but cookieDomain sends the cookie to others, which could not refresh it; set includeSite: true, or leave cookieDomain out')
  }
}

/** The `__Host-` and `__Secure-` name prefixes of RFC 6265bis §4.1.3, which browsers enforce by dropping the cookie. */
function checkCookiePrefix (option: string, name: string, pathOption: 'accessCookiePath' | 'refreshCookiePath' | 'accessCsrfCookiePath' | 'refreshCsrfCookiePath', settings: Settings): void {
  const prefix = /^__(host|secure)-/i.exec(name)?.[1]?.toLowerCase()
  if (prefix === undefined) return
  if (settings.cookieSecure !== true) throw badOption(option, `is '${name}', a prefix that needs cookieSecure: true, or browsers drop the cookie`)
  if (prefix === 'host' && settings[pathOption] !== '/') throw badOption(option, `is '${name}', a prefix that needs ${pathOption}: '/', or browsers drop the cookie`)
  if (prefix === 'host' && settings.cookieDomain !== null) throw badOption(option, `is '${name}', a prefix that allows no cookieDomain, or browsers drop the cookie`)
}
