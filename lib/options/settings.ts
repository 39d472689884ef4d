import { createErrors, badOption, errorCodes } from '../errors.ts'
import * as kind from './validators.ts'
import type { Kind } from './validators.ts'
import type { Errors } from '../errors.ts'
import type { JwtErrorCode } from '../types/errors.ts'
import type { CallbackOptions, JwtExtendedOptions, KeyOptions, LocationOptions, CsrfProtection } from '../types/options.ts'
import type { SessionLimit, SplitStore, Store } from '../types/store.ts'
import type { TokenLocation } from '../types/hooks.ts'

/** A callback option, without its `undefined`. */
type Callback<K extends keyof (CallbackOptions & LocationOptions)> = NonNullable<(CallbackOptions & LocationOptions)[K]>

/** Another issuer, its options checked. */
export interface ResolvedIssuer {
  readonly issuer: string
  readonly jwksUri: string | null
  readonly audience: readonly string[] | null
}

/** How one option is checked, and what it is when not given. */
interface Option<T, D> { readonly check: Kind<T>, readonly fallback: D }

function option<T> (check: Kind<T>): Option<T, null>
function option<T, const D> (check: Kind<T>, fallback: D): Option<T, D>
function option<T> (check: Kind<T>, fallback: unknown = null): Option<T, unknown> {
  return { check, fallback }
}

const denylistMethods = ['denyToken', 'denySession', 'isDenied']
const sessionMethods = ['createSession', 'getSession', 'getSessionState', 'replaceSession', 'endSession', 'endSessions', 'listSessions']

function checkMethods (value: unknown, name: string, methods: readonly string[]): void {
  const missing = methods.find(method => typeof (value as Record<string, unknown> | null)?.[method] !== 'function')
  if (missing !== undefined) throw badOption(name, `takes a store such as new RedisStore(client), or false; this one has no method ${missing}`)
}

/** A whole store, or a denylist and sessions apart. */
const store: Kind<Store | SplitStore> = (value, name) => {
  if (typeof value === 'object' && value !== null && 'denylist' in value && 'sessions' in value) {
    checkMethods(value.denylist, `${name}.denylist`, denylistMethods)
    checkMethods(value.sessions, `${name}.sessions`, sessionMethods)
    return value as SplitStore
  }
  checkMethods(value, name, [...denylistMethods, ...sessionMethods, 'checkToken'])
  return value as Store
}

const sessionLimit: Kind<SessionLimit> = (value, name) => {
  const { max, whenFull = 'endOldest', ...others } = (typeof value === 'object' && value !== null ? value : { max: value }) as Record<string, unknown>
  const [unknown] = Object.keys(others)
  if (unknown !== undefined) throw badOption(`${name}.${unknown}`, 'is unknown; maxSessions takes a number, or max and whenFull')
  return Object.freeze({
    max: kind.integer(1)(max, name),
    whenFull: kind.oneOf('endOldest', 'refuse')(whenFull, `${name}.whenFull`)
  })
}

const messages: Kind<Partial<Record<JwtErrorCode, string>>> = (value, name) => {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw kind.wrongKind(name, value, 'an object of messages by error code')
  for (const [code, message] of Object.entries(value)) {
    if (!(errorCodes as string[]).includes(code)) throw badOption(name, `has no error code ${JSON.stringify(code)}; the codes are ${errorCodes.join(', ')}`)
    kind.text(message, `${name}.${code}`)
  }
  return { ...value }
}

const upperCaseMethod: Kind<string> = (value, name) => kind.fieldName(value, name).toUpperCase()

const skipPath: Kind<string> = (value, name) => {
  if (typeof value !== 'string' || !/^(\/|\*)/.test(value) || value.slice(0, -1).includes('*')) {
    throw kind.wrongKind(name, value, "a route pattern that begins with /, such as '/login', or a prefix ending in *, such as '/public/*'")
  }
  return value
}

const severalTexts = kind.oneOrSeveral(kind.text)

const jwksPath: Kind<string> = (value, name) => {
  if (typeof value !== 'string' || !/^\/[\w\-.~/]*$/.test(value)) {
    throw kind.wrongKind(name, value, "a path such as '/.well-known/jwks.json'")
  }
  return value
}

const issuerMembers = ['issuer', 'jwksUri', 'audience']

/** What it is checked for beside its kind is in `tokens/key-sources`. */
const issuerEntry: Kind<ResolvedIssuer> = (value, name) => {
  if (typeof value !== 'object' || value === null) throw kind.wrongKind(name, value, 'an object of issuer, jwksUri, audience')
  const { issuer, jwksUri, audience, ...others } = value as Record<string, unknown>
  const [unknown] = Object.keys(others)
  if (unknown !== undefined) throw badOption(`${name}.${unknown}`, `is unknown; an issuer takes ${issuerMembers.join(', ')}`)
  return Object.freeze({
    issuer: kind.text(issuer, `${name}.issuer`),
    jwksUri: jwksUri === undefined ? null : kind.text(jwksUri, `${name}.jwksUri`),
    audience: audience === undefined ? null : severalTexts(audience, `${name}.audience`)
  })
}

const location = kind.oneOf('headers', 'cookies', 'queryString', 'json')
const protection = kind.oneOf('fetch-metadata', 'double-submit')

/** Every option: its check, and its default where that is not `null`. */
const table = {
  jwksUri: option(kind.text),
  issuers: option(kind.list(issuerEntry)),
  decodeKey: option(kind.callback<NonNullable<KeyOptions['decodeKey']>>()),
  jwksPath: option(jwksPath),

  accessExpires: option(kind.orFalse(kind.lifetime), 900),
  refreshExpires: option(kind.orFalse(kind.lifetime), 2592000),
  leeway: option(kind.seconds, 0),
  encodeNbf: option(kind.boolean, true),
  identityClaim: option(kind.text, 'sub'),
  issuer: option(kind.text),
  audience: option(severalTexts),
  decodeIssuer: option(severalTexts),
  decodeAudience: option(severalTexts),
  maxTokenLength: option(kind.integer(1), 8192),
  cacheSize: option(kind.integer(0), 10000),

  tokenLocation: option(kind.oneOrSeveral<TokenLocation>(location), ['headers']),
  headerName: option(kind.headerName, 'authorization'),
  headerType: option(kind.scheme, 'Bearer'),
  queryStringName: option(kind.text, 'jwt'),
  queryStringValuePrefix: option(kind.anyText, ''),
  jsonKey: option(kind.text, 'access_token'),
  refreshJsonKey: option(kind.text, 'refresh_token'),
  extractToken: option(kind.callback<Callback<'extractToken'>>()),

  accessCookieName: option(kind.fieldName, 'access_token_cookie'),
  refreshCookieName: option(kind.fieldName, 'refresh_token_cookie'),
  accessCookiePath: option(kind.cookiePath, '/'),
  refreshCookiePath: option(kind.cookiePath, '/'),
  cookieDomain: option(kind.cookieDomain),
  cookieSecure: option(kind.oneOf(true, false, 'auto'), 'auto'),
  cookieHttponly: option(kind.boolean, true),
  cookieSamesite: option(kind.oneOf('Strict', 'Lax', 'None'), 'Lax'),
  sessionCookie: option(kind.boolean, false),
  implicitRefresh: option(kind.orFalse(kind.lifetime), false),

  csrfProtection: option(kind.orFalse(kind.oneOrSeveral<CsrfProtection>(protection)), ['fetch-metadata']),
  csrfMethods: option(kind.setOf(upperCaseMethod), new Set(['POST', 'PUT', 'PATCH', 'DELETE'])),
  trustedOrigins: option(kind.setOf(kind.origin), new Set<string>()),
  csrfInCookies: option(kind.boolean, true),
  csrfCheckForm: option(kind.boolean, false),
  accessCsrfCookieName: option(kind.fieldName, 'csrf_access_token'),
  refreshCsrfCookieName: option(kind.fieldName, 'csrf_refresh_token'),
  accessCsrfCookiePath: option(kind.cookiePath, '/'),
  refreshCsrfCookiePath: option(kind.cookiePath, '/'),
  accessCsrfHeaderName: option(kind.headerName, 'x-csrf-token'),
  refreshCsrfHeaderName: option(kind.headerName, 'x-csrf-token'),
  accessCsrfFieldName: option(kind.text, 'csrf_token'),
  refreshCsrfFieldName: option(kind.text, 'csrf_token'),

  additionalClaims: option(kind.callback<Callback<'additionalClaims'>>()),
  additionalHeaders: option(kind.callback<Callback<'additionalHeaders'>>()),
  userIdentity: option(kind.callback<Callback<'userIdentity'>>()),
  userLookup: option(kind.callback<Callback<'userLookup'>>()),
  verifyClaims: option(kind.callback<Callback<'verifyClaims'>>()),
  isRevoked: option(kind.callback<Callback<'isRevoked'>>()),

  store: option(kind.orFalse(store)),
  refreshReuseInterval: option(kind.seconds, 10),
  refreshUntilUsed: option(kind.boolean, true),
  maxSessions: option(sessionLimit),
  refreshTokenFormat: option(kind.oneOf('jwt', 'opaque'), 'jwt'),
  sessionMaxAge: option(kind.orFalse(kind.lifetime), false),

  // `null`: as the registration above says.
  protect: option(kind.boolean),
  skipPaths: option(kind.list(skipPath), []),
  messages: option(messages),
  realm: option(kind.printable)
} satisfies { [Name in Exclude<keyof JwtExtendedOptions, KeyOption>]-?: Option<unknown, unknown> }

type Table = typeof table

/** Keys are checked where they are loaded (`tokens/keys`), since what fits depends on the algorithm. */
const keyOptions = ['secretKey', 'algorithm', 'privateKey', 'publicKey', 'keyId', 'keys', 'decodeAlgorithms'] as const
type KeyOption = typeof keyOptions[number]

/** Defaults are written in plain form above; here a value has the form its check returns. */
type Checked<O> = O extends Option<infer T, infer D> ? (D extends null ? T | null : T) : never

/** Every option checked and in its final form: what is looked up on a request is decided here. */
export type Settings = {
  readonly [Name in keyof Table]: Checked<Table[Name]>
} & {
  /** The keys as they were given. */
  readonly keyOptions: Pick<KeyOptions, KeyOption>
  readonly errors: Errors
}

const optionNames: readonly string[] = [...keyOptions, ...Object.keys(table)]

/** Checks every option. @throws `FST_JWT_BAD_OPTION`, naming option and remedy. */
export function resolveOptions (options: JwtExtendedOptions): Settings {
  const given = new Map(Object.entries(options))
  for (const name of given.keys()) {
    if (!optionNames.includes(name)) throw badOption(name, `is unknown; the options are ${optionNames.join(', ')}`)
  }
  // All names at once, from a literal: V8 makes a hash table of an object that is given so many one by one, and looking one
  // up in it is a good part of what a request with a token seen before costs.
  const settings: Record<string, unknown> = { ...table, keyOptions: undefined, errors: undefined }
  for (const [name, { check, fallback }] of Object.entries<Option<unknown, unknown>>(table)) {
    const value = given.get(name)
    settings[name] = value === undefined ? fallback : check(value, name)
  }
  settings['keyOptions'] = Object.fromEntries(keyOptions.flatMap(name => options[name] === undefined ? [] : [[name, options[name]]]))
  settings['errors'] = createErrors((settings['messages'] ?? {}), settings['realm'] as string ?? undefined)
  settings['decodeIssuer'] ??= settings['issuer'] === null ? null : [settings['issuer']]
  settings['decodeAudience'] ??= settings['audience']
  const resolved = Object.freeze(settings) as Settings
  checkTogether(resolved, given)
  return resolved
}

/** The claims this package writes or reads itself, in the order of the design, §2.3. */
export const ownedClaims = [
  'sub', 'identity', 'iat', 'exp', 'nbf', 'jti', 'type', 'fresh', 'csrf', 'sid', 'gen', 'auth_time'
] as const

/** What can't be said of one option alone. */
function checkTogether (settings: Settings, given: ReadonlyMap<string, unknown>): void {
  const cookies = settings.tokenLocation.includes('cookies')
  const doubleSubmit = settings.csrfProtection !== false && settings.csrfProtection.includes('double-submit')

  // 'identity' was Flask-JWT-Extended's own default before version 4.
  if (!['sub', 'identity'].includes(settings.identityClaim) && [...ownedClaims, 'iss', 'aud'].includes(settings.identityClaim)) {
    throw badOption('identityClaim', `can't be '${settings.identityClaim}', a claim with a meaning of its own; take 'sub' or a name of your own`)
  }
  if (settings.accessCookieName === settings.refreshCookieName) {
    throw badOption('refreshCookieName', 'is the same as accessCookieName, so that one cookie would overwrite the other; give them different names')
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
  if (settings.cookieSamesite === 'None' && settings.cookieSecure === false) {
    throw badOption('cookieSamesite', "'None' needs cookieSecure: true, or browsers drop the cookie; set cookieSecure")
  }
  for (const name of given.keys()) {
    const csrfOnly = /^(access|refresh)Csrf|^csrf(InCookies|CheckForm)$/.test(name)
    if (csrfOnly && !doubleSubmit) throw badOption(name, "does nothing without double submit; add csrfProtection: 'double-submit'")
  }
  if (settings.implicitRefresh !== false && !cookies) throw badOption('implicitRefresh', "renews cookies; add 'cookies' to tokenLocation")
  if (settings.skipPaths.length > 0 && settings.protect !== true) throw badOption('skipPaths', 'does nothing without protect: true; add it')
  if (settings.store === false) {
    for (const name of ['refreshReuseInterval', 'refreshUntilUsed', 'refreshTokenFormat', 'sessionMaxAge', 'maxSessions']) {
      if (given.get(name) !== undefined) throw badOption(name, 'needs a store for sessions; leave store out, or give one')
    }
  }
}

/** The `__Host-` and `__Secure-` name prefixes of RFC 6265bis §4.1.3, which browsers enforce by dropping the cookie. */
function checkCookiePrefix (option: string, name: string, pathOption: 'accessCookiePath' | 'refreshCookiePath' | 'accessCsrfCookiePath' | 'refreshCsrfCookiePath', settings: Settings): void {
  const prefix = /^__(host|secure)-/i.exec(name)?.[1]?.toLowerCase()
  if (prefix === undefined) return
  if (settings.cookieSecure !== true) throw badOption(option, `'${name}' needs cookieSecure: true, or browsers drop the cookie`)
  if (prefix === 'host' && settings[pathOption] !== '/') throw badOption(option, `'${name}' needs ${pathOption}: '/', or browsers drop the cookie`)
  if (prefix === 'host' && settings.cookieDomain !== null) throw badOption(option, `'${name}' allows no cookieDomain, or browsers drop the cookie`)
}
