import { badOption } from '../errors.ts'
import { internalOf } from '../fastify-internals.ts'
import type { FastifyRequest } from 'fastify'
import type { Settings } from '../options/settings.ts'
import type { TokenType } from '../types/claims.ts'
import type { FoundLocation, TokenLocation } from '../types/hooks.ts'

/** One place to look for a token. */
export interface Locator {
  readonly location: FoundLocation
  /** The cookie's token type when the token comes in a cookie, which a browser sends by itself; else `null`. */
  readonly cookie: TokenType | null
  /** Where in what `read` gives the token begins: what stands before it is the same for all. */
  readonly start: number
  /**
   * What stands where a token may stand, or `undefined` when nothing does.
   *
   * @throws `FST_JWT_BAD_REQUEST` when that is no text.
   */
  find (request: FastifyRequest): string | undefined
  /**
   * What was found, in the one spelling that ends with the token, or `undefined` when it is something else.
   *
   * @throws `FST_JWT_BAD_REQUEST` when it is malformed.
   */
  read (found: string): string | undefined
}

/** Without the white space of RFC 9110 §5.6.3 around it; `trim` would take off a no-break space, too. */
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

/** Where nothing stands but the token. */
function asItIs (found: string): string {
  return found
}

/** `Bearer <token>` (RFC 6750 §2.1) in a header; the scheme without regard to case (RFC 9110 §11.1). */
function headerLocator (settings: Settings): Locator {
  const { headerName, headerType, errors } = settings
  const prefix = headerType === '' ? '' : `${headerType} `
  const lowerCaseScheme = headerType.toLowerCase()

  /** Everything but the one spelling nearly all clients send. */
  function readUnusual (value: string): string | undefined {
    const trimmed = withoutSpaces(value)
    if (headerType !== '') {
      const scheme = trimmed.slice(0, headerType.length)
      const rest = trimmed.slice(headerType.length)
      if (scheme.toLowerCase() !== lowerCaseScheme || (rest !== '' && rest[0] !== ' ')) return undefined
      return onePart(withoutSpaces(rest))
    }
    return trimmed === '' ? undefined : onePart(trimmed)
  }

  function onePart (token: string): string {
    if (token === '') throw errors.FST_JWT_BAD_REQUEST(`No token after ${headerType}`)
    if (token.includes(' ')) throw errors.FST_JWT_BAD_REQUEST('More than one part where one token belongs')
    return token
  }

  return {
    location: 'headers',
    cookie: null,
    start: prefix.length,
    find (request) {
      const value = request.headers[headerName]
      if (value !== undefined && typeof value !== 'string') throw errors.FST_JWT_BAD_REQUEST('More than one header where one belongs')
      return value
    },
    read (value) {
      if (value.startsWith(prefix) && value.length > prefix.length && !value.includes(' ', prefix.length)) return value
      const token = readUnusual(value)
      return token === undefined ? undefined : prefix + token
    }
  }
}

/** A token cookie. `request.cookies` is read where `@fastify/cookie` has run, else the header itself. */
function cookieLocator (settings: Settings, type: TokenType): Locator {
  const name = type === 'access' ? settings.accessCookieName : settings.refreshCookieName
  return {
    location: 'cookies',
    cookie: type,
    start: 0,
    find (request) {
      const cookies = request.cookies ?? request.server.parseCookie(request.headers.cookie ?? '')
      return cookies[name] || undefined
    },
    read: asItIs
  }
}

function queryLocator (settings: Settings): Locator {
  const { queryStringName: name, queryStringValuePrefix: prefix, errors } = settings
  return {
    location: 'queryString',
    cookie: null,
    start: prefix.length,
    find (request) {
      const value = fieldOf(request.query, name)
      if (value === undefined || value === '') return undefined
      if (typeof value !== 'string') throw errors.FST_JWT_BAD_REQUEST(`Query parameter ${name} is not one string`)
      return value
    },
    read (value) {
      if (!value.startsWith(prefix)) throw errors.FST_JWT_BAD_REQUEST(`Query parameter ${name} lacks its prefix`)
      if (value === prefix) throw errors.FST_JWT_BAD_REQUEST(`No token after the prefix of query parameter ${name}`)
      return value
    }
  }
}

function jsonLocator (settings: Settings, type: TokenType): Locator {
  const name = type === 'access' ? settings.jsonKey : settings.refreshJsonKey
  return {
    location: 'json',
    cookie: null,
    start: 0,
    find (request) {
      if (!isJson(request)) return undefined
      requireBody(request, "The 'json' location")
      const value = fieldOf(request.body, name)
      if (value === undefined || value === null || value === '') return undefined
      if (typeof value !== 'string') throw settings.errors.FST_JWT_BAD_REQUEST(`Body field ${name} is not a string`)
      return value
    },
    read: asItIs
  }
}

/** An own field of a parsed query or body, which may be of any type. */
export function fieldOf (container: unknown, name: string): unknown {
  return typeof container === 'object' && container !== null && Object.hasOwn(container, name)
    ? (container as Record<string, unknown>)[name]
    : undefined
}

/** Whether a request says that its body is JSON, of a suffix of RFC 6839 §3.1 too. */
function isJson (request: FastifyRequest): boolean {
  return /^application\/(?:[^\s;]+\+)?json\s*(?:;|$)/i.test(request.headers['content-type'] ?? '')
}

/** Whether a request says that its body is what an HTML form sends. */
export function isForm (request: FastifyRequest): boolean {
  return /^(?:application\/x-www-form-urlencoded|multipart\/form-data)\s*(?:;|$)/i.test(request.headers['content-type'] ?? '')
}

/** Fastify's own methods of which it parses no body. */
const standardBodyless: ReadonlySet<unknown> = new Set(['GET', 'HEAD', 'TRACE'])

/** Whether Fastify parses no body of a method, whatever the headers say: the app may have added methods of both kinds. */
function isBodyless ({ method, server }: FastifyRequest): boolean {
  const bodyless = fieldOf(internalOf(server, 'fastify.acceptedHTTPMethods'), 'bodyless')
  return (bodyless instanceof Set ? bodyless : standardBodyless).has(method)
}

/**
 * A hook that needs the body (JSON, or a form) in a phase that has none yet would find no token, ever. That is
 * certain when a body was announced and nobody has begun to read it.
 *
 * @throws `FST_JWT_BAD_OPTION`
 */
export function requireBody (request: FastifyRequest, who: string): void {
  if (request.body !== undefined || request.raw.readableDidRead) return
  if (isBodyless(request)) return
  const { headers } = request
  const announced = headers['transfer-encoding'] !== undefined || Number(headers['content-length']) > 0
  // A multipart body may be left unread on purpose, for the handler to stream.
  if (announced && !/^multipart\//i.test(String(headers['content-type']))) {
    throw badOption('tokenLocation', `${who} needs the body, which is not parsed yet; use the hook as preValidation or preHandler`)
  }
}

function extractLocator (settings: Settings, type: TokenType | 'any'): Locator[] {
  const { extractToken, errors } = settings
  if (extractToken === null) return []
  return [{
    location: 'extractToken',
    cookie: null,
    start: 0,
    find (request) {
      const token: unknown = extractToken(request, type)
      if (token === undefined || token === null || token === '') return undefined
      if (token instanceof Promise) {
        // Nobody will wait for it: that it rejects as well must not end the process.
        token.catch(() => {})
        throw new TypeError('The extractToken option must return a string or undefined, synchronously')
      }
      // `request.query.token as string`, and a client that sends it twice.
      if (typeof token !== 'string') throw errors.FST_JWT_BAD_REQUEST('What should hold a token is not one string')
      return token
    },
    read: asItIs
  }]
}

const byLocation: Record<TokenLocation, (settings: Settings, types: readonly TokenType[]) => Locator[]> = {
  headers: settings => [headerLocator(settings)],
  cookies: (settings, types) => types.map(type => cookieLocator(settings, type)),
  queryString: settings => [queryLocator(settings)],
  json: (settings, types) => types.map(type => jsonLocator(settings, type))
}

/** Where a hook looks for a token, in order of precedence: the first place that holds one decides. */
export function createLocators (
  settings: Settings, type: TokenType | 'any', locations: readonly TokenLocation[]
): readonly Locator[] {
  const types: readonly TokenType[] = type === 'any' ? ['access', 'refresh'] : [type]
  return [...extractLocator(settings, type), ...locations.flatMap(location => byLocation[location](settings, types))]
}
