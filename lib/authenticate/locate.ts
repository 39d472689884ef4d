import { badOption } from '../errors.ts'
import { refusePromise } from '../refuse-promise.ts'
import type { FastifyRequest } from 'fastify'
import type { Settings } from '../options/settings.ts'
import type { TokenType } from '../types/claims.ts'
import type { HookOptions } from './hook-options.ts'
import type { FoundLocation, TokenLocation } from '../types/hooks.ts'

/** One place to look for a token. */
export interface Locator {
  readonly location: FoundLocation
  /** The token type of the cookie; `null` for other places. CSRF protection needs it, since a browser sends cookies by itself. */
  readonly cookie: TokenType | null
  /** Whether the token comes with the scheme `DPoP` (RFC 9449 §7.1). */
  readonly bound: boolean
  /**
   * The token in this place, or `undefined` if there is none.
   *
   * @throws `FST_JWT_BAD_REQUEST` if the place is malformed.
   */
  find (request: FastifyRequest): string | undefined
  /** Other values in this place, besides the token that was found. */
  others (request: FastifyRequest, found: string): string[]
  /** Why no token was found in this place, for the log. It shows nothing of a value except the scheme of a header. */
  describe (request: FastifyRequest): string
}

/** Removes white space (RFC 9110 §5.6.3) at both ends. `trim` would also remove a no-break space. */
function withoutSpaces (value: string): string {
  let start = 0
  let end = value.length
  while (start < end && isSpace(value.charCodeAt(start))) start++
  while (end > start && isSpace(value.charCodeAt(end - 1))) end--
  return value.slice(start, end)
}

function isSpace (code: number): boolean {
  return code === 0x20 || code === 0x09
}

const noOthers = (): string[] => []

/** `Bearer <token>` (RFC 6750 §2.1) or `DPoP <token>` in a header; the scheme without regard to case (RFC 9110 §11.1). */
function headerLocator ({ headerName, errors }: Settings, headerType: string, bound: boolean): Locator {
  const prefix = headerType === '' ? '' : `${headerType} `
  const lowerCaseScheme = headerType.toLowerCase()

  /** Reads every spelling except the one that nearly all clients send. */
  function readUnusual (value: string): string | undefined {
    const trimmed = withoutSpaces(value)
    if (headerType === '') return trimmed === '' ? undefined : onePart(trimmed)
    const scheme = trimmed.slice(0, headerType.length)
    const rest = trimmed.slice(headerType.length)
    if (scheme.toLowerCase() !== lowerCaseScheme || (rest !== '' && rest[0] !== ' ')) return undefined
    return onePart(withoutSpaces(rest))
  }

  function onePart (token: string): string {
    if (token === '') throw errors.FST_JWT_BAD_REQUEST(`No token after ${headerType}`)
    // The verifier has a better message for `[object Object]`, with or without quotes.
    if (!token.includes(' ') || /^["']?\[object \w+\]["']?$/.test(token)) return token
    throw errors.FST_JWT_BAD_REQUEST(token.toLowerCase().startsWith(`${lowerCaseScheme} `)
      ? `${headerType} appears twice before the token`
      : 'More than one part where one token belongs')
  }

  return {
    location: 'headers',
    cookie: null,
    bound,
    others: noOthers,
    describe ({ headers }) {
      const value = headers[headerName]
      if (typeof value !== 'string') return `no header ${headerName}`
      if (headerType === '' || value === '') return `header ${headerName} is empty`
      // Any other first word may be a secret.
      const scheme = /^([a-z][a-z-]{0,15}) /i.exec(value)?.[1]
      return `header ${headerName} ${scheme === undefined ? 'has no scheme' : `has the scheme '${scheme}'`}, and takes '${headerType} <token>'`
    },
    find (request) {
      const value = request.headers[headerName]
      if (value === undefined) return undefined
      if (typeof value !== 'string') throw errors.FST_JWT_BAD_REQUEST('More than one header where one belongs')
      const usual = value.length > prefix.length && value.startsWith(prefix) && !value.includes(' ', prefix.length)
      return usual ? value.slice(prefix.length) : readUnusual(value)
    }
  }
}

/** How many values of one cookie are tried at most. More are an attack. */
const maxCookieValues = 8

/**
 * A token cookie. `request.cookies` is read if `@fastify/cookie` has run, else the header itself.
 *
 * A browser sends several cookies of one name if they differ in domain or path: longer paths first, then older cookies (RFC 6265 §5.4). The
 * further values are read only if the first one came from the header, since an app may have replaced it in `request.cookies`.
 */
function cookieLocator (settings: Settings, type: TokenType): Locator {
  const name = type === 'access' ? settings.accessCookieName : settings.refreshCookieName
  const { errors } = settings

  /** All values of the cookie that are not empty. */
  function valuesIn ({ headers, server }: FastifyRequest): string[] {
    return (headers.cookie ?? '').split(';').flatMap(pair => server.parseCookie(pair)[name] || [])
  }

  return {
    location: 'cookies',
    cookie: type,
    bound: false,
    describe: ({ headers }) => headers.cookie === undefined ? `no cookies (${name} is looked for)` : `no cookie ${name} among the cookies`,
    find (request) {
      const cookies = request.cookies ?? request.server.parseCookie(request.headers.cookie ?? '')
      // A hook of the app may have put anything there.
      const value: unknown = cookies[name]
      // An empty cookie may come before a non-empty one of the same name.
      if (value === '') return valuesIn(request)[0]
      if (value === undefined || value === null) return undefined
      if (typeof value !== 'string') throw errors.FST_JWT_BAD_REQUEST(`Cookie ${name} is not a string`)
      return value
    },
    others (request, found) {
      const values = valuesIn(request)
      return values[0] === found ? [...new Set(values)].slice(1, maxCookieValues) : []
    }
  }
}

/** For the log of a request without a token: our cookies in it, if cookies are not a location. */
export function describeIgnoredCookies ({ tokenLocation, accessCookieName, refreshCookieName }: Settings, { headers }: FastifyRequest): string[] {
  if (tokenLocation.includes('cookies')) return []
  const names = (headers.cookie ?? '').split(';').map(pair => pair.split('=', 1)[0]?.trim())
  return [accessCookieName, refreshCookieName].filter(name => names.includes(name))
    .map(name => `cookie ${name} came, but tokenLocation lacks 'cookies'`)
}

function queryLocator (settings: Settings): Locator {
  const { queryStringName: name, queryStringValuePrefix: prefix, errors } = settings
  return {
    location: 'queryString',
    cookie: null,
    bound: false,
    others: noOthers,
    describe: () => `no query parameter ${name}`,
    find (request) {
      const value = fieldOf(request.query, name)
      if (value === undefined || value === '') return undefined
      if (typeof value !== 'string') throw errors.FST_JWT_BAD_REQUEST(`Query parameter ${name} is not one string`)
      if (!value.startsWith(prefix)) throw errors.FST_JWT_BAD_REQUEST(`Query parameter ${name} lacks its prefix`)
      if (value === prefix) throw errors.FST_JWT_BAD_REQUEST(`No token after the prefix of query parameter ${name}`)
      return value.slice(prefix.length)
    }
  }
}

function jsonLocator (settings: Settings, type: TokenType): Locator {
  const name = type === 'access' ? settings.jsonKey : settings.refreshJsonKey
  return {
    location: 'json',
    cookie: null,
    bound: false,
    others: noOthers,
    describe: request => isJson(request) ? `no field ${name} in the body` : 'no JSON body',
    find (request) {
      if (!isJson(request)) return undefined
      const value = fieldOf(request.body, name)
      if (value === undefined || value === null || value === '') return undefined
      if (typeof value !== 'string') throw settings.errors.FST_JWT_BAD_REQUEST(`Body field ${name} is not a string`)
      return value
    }
  }
}

/** An own field of a parsed query or body, which may be of any type. */
export function fieldOf (container: unknown, name: string): unknown {
  return typeof container === 'object' && container !== null && Object.hasOwn(container, name)
    ? (container as Record<string, unknown>)[name]
    : undefined
}

/** Whether the `Content-Type` is JSON, or has the suffix `+json` (RFC 6839 §3.1). */
function isJson (request: FastifyRequest): boolean {
  return /^application\/(?:[^\s;]+\+)?json\s*(?:;|$)/i.test(request.headers['content-type'] ?? '')
}

function isUrlEncoded (request: FastifyRequest): boolean {
  return /^application\/x-www-form-urlencoded\s*(?:;|$)/i.test(request.headers['content-type'] ?? '')
}

/** Whether the `Content-Type` is that of an HTML form. */
export function isForm (request: FastifyRequest): boolean {
  return isUrlEncoded(request) || /^multipart\/form-data\s*(?:;|$)/i.test(request.headers['content-type'] ?? '')
}

/** Methods whose body Fastify does not parse. */
const bodyless: ReadonlySet<string> = new Set(['GET', 'HEAD', 'TRACE'])

/** Whether the request has a body that is not read yet, because the hook runs before Fastify parses it. */
function isBodyUnread ({ body, raw, method, headers }: FastifyRequest): boolean {
  if (body !== undefined || raw.readableDidRead || bodyless.has(method)) return false
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length']) > 0
}

/**
 * Logs an error if a hook needs the body but runs before it is parsed.
 *
 * @returns Whether that is so.
 */
export function reportUnreadBody (request: FastifyRequest): boolean {
  const unread = (isJson(request) || isUrlEncoded(request)) && isBodyUnread(request)
  if (unread) request.log.error('A JWT hook looked for a token or CSRF token in the body, which is not parsed in onRequest. Use the hook as preValidation or preHandler')
  return unread
}

function extractLocator (extractToken: NonNullable<Settings['extractToken']>, type: TokenType | 'any', errors: Settings['errors']): Locator {
  return {
    location: 'extractToken',
    cookie: null,
    bound: false,
    others: noOthers,
    describe: () => 'extractToken returned none',
    find (request) {
      const token: unknown = extractToken(request, type)
      if (token === undefined || token === null || token === '') return undefined
      refusePromise(token, 'extractToken', 'a string or undefined')
      // For example `request.query.token as string`, if a client sends the parameter twice.
      if (typeof token !== 'string') throw errors.FST_JWT_BAD_REQUEST('What should hold a token is not one string')
      return token
    }
  }
}

const byLocation: Record<TokenLocation, (settings: Settings, types: readonly TokenType[]) => Locator[]> = {
  headers: settings => [
    headerLocator(settings, settings.headerType, false),
    ...(settings.dpop ? [headerLocator(settings, 'DPoP', true)] : [])
  ],
  cookies: (settings, types) => types.map(type => cookieLocator(settings, type)),
  queryString: settings => [queryLocator(settings)],
  json: (settings, types) => types.map(type => jsonLocator(settings, type))
}

/**
 * The places where a hook looks for a token, in order of precedence.
 *
 * @throws `FST_JWT_BAD_OPTION`
 */
export function createLocators (settings: Settings, { type, locations }: HookOptions): readonly Locator[] {
  if (locations?.includes('cookies') === true && !settings.tokenLocation.includes('cookies')) {
    throw badOption('verifyJwt.locations', "names 'cookies', which tokenLocation does not; add it there, too, so that cookies are parsed")
  }
  const types: readonly TokenType[] = type === 'any' ? ['access', 'refresh'] : [type]
  const places = (locations ?? settings.tokenLocation).flatMap(location => byLocation[location](settings, types))
  return settings.extractToken === null ? places : [extractLocator(settings.extractToken, type, settings.errors), ...places]
}
