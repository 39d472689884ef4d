import { badOption, errorCodes } from '../errors.ts'
import { isTenant } from '../keys/remote/issuer-template.ts'
import { proofOptions } from './dpop.ts'
import { introspection, resourceMetadata } from './resource.ts'
import { checkOptionNames } from './unknown.ts'
import { refuseUndefined } from './unset.ts'
import * as validate from './validators.ts'
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
export interface Option<T, D> { readonly check: Validator<T>, readonly fallback: D }

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

/** One store, or a denylist and sessions in two places. */
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

/** Methods whose requests are checked for CSRF. */
interface Methods { has (method: string): boolean }

const safeMethods: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE'])

/** All methods except the safe ones (RFC 9110 §9.2.1), including methods that an app adds. */
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

/** Checks types only. `jwt/issuer-sources.ts` checks the URLs, and that no issuer is given twice. */
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
export const table = {
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

  // `null`: as in the enclosing registration.
  protect: option(validate.boolean),
  skipPaths: option(validate.list(skipPath), []),
  messages: option(messages),
  realm: option(validate.printable)
} satisfies { [Name in Exclude<keyof JwtExtendedOptions, KeyOption>]-?: Option<unknown, unknown> }

type Table = typeof table

/** Checked in `keys/local.ts`, since what they take depends on the algorithm. */
export const keyOptions = ['secretKey', 'algorithm', 'privateKey', 'publicKey', 'keyId', 'keys', 'decodeAlgorithms'] as const
type KeyOption = typeof keyOptions[number]

/** The type that an option's validator returns, or `null` if `null` is the default. */
type Checked<O> = O extends Option<infer T, infer D> ? (D extends null ? T | null : T) : never

/** Every option, checked and with its default. Nothing is left to decide on a request. */
export type Settings = {
  readonly [Name in keyof Table]: Checked<Table[Name]>
} & {
  /** The options of local keys, unchecked. */
  readonly keyOptions: Pick<KeyOptions, KeyOption>
  /** The `leeway` for `nbf`, in seconds. */
  readonly notBeforeLeeway: number
  readonly errors: Errors
}
