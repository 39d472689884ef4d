import { badOption, conceal } from '../errors.ts'
import { readPayload } from '../jwt/unverified.ts'
import { opaqueCsrfToken, parseOpaqueToken } from '../sessions/opaque-tokens.ts'
import type { CookieSerializeOptions } from '@fastify/cookie'
import { requireUnsent } from './setter-arguments.ts'
import { keepPrivate } from './shared-cache.ts'
import type { FastifyReply, onSendHookHandler } from 'fastify'
import type { Settings } from '../options/settings.ts'
import type { TokenType } from '../types/claims.ts'

/** On a reply: its token cookies were set or cleared. Not a decorator, which would cost every reply a little. */
const kTouched = Symbol.for('fastify-jwt-extended.tokenCookies.1')

declare module 'fastify' {
  interface FastifyReply {
    [kTouched]?: true
  }
}

/** Whether token cookies of a reply were set or cleared. */
export function hasTokenCookies (reply: FastifyReply): boolean {
  return reply[kTouched] === true
}

/** Hook: keeps the response private even if the app has set cache fields after the cookie. */
export const keepCookiesPrivate: onSendHookHandler = function keepCookiesPrivate (_request, reply, payload, done) {
  if (hasTokenCookies(reply)) keepPrivate(reply)
  done(null, payload)
}

/** RFC 6265bis §5.6: browsers silently drop a cookie whose name and value together are longer. */
const maxCookieBytes = 4096

/** RFC 6265bis §5.5: browsers keep cookies for at most 400 days. In seconds. */
const maxCookieAge = 400 * 24 * 60 * 60

/** Seconds by which the cookie of a bound session expires before its token: more than it takes to reach the browser. */
const boundCookieMargin = 10

/** Sets and clears token cookies. */
export interface TokenCookies {
  /** @throws `FST_JWT_BAD_OPTION` if a reply can set no cookies. */
  requireCookies (reply: FastifyReply): void
  /** Sets the cookie of a token, and its CSRF cookie. @throws `FST_JWT_COOKIE_TOO_LARGE` */
  set (reply: FastifyReply, type: TokenType, token: string): void
  /** Clears the cookie, and its CSRF cookie, with the attributes they are set with. */
  unset (reply: FastifyReply, type: TokenType): void
  /** @throws `FST_JWT_COOKIE_TOO_LARGE` if browsers would drop the cookie of a token. */
  checkSize (type: TokenType, token: string): void
  /** Whether the cookies of a reply are Secure. */
  isSecure (reply: FastifyReply): boolean
  /** Name and attributes of the access cookie on a reply, as `Set-Cookie` spells them, without Max-Age. */
  describeAccess (reply: FastifyReply): { name: string, attributes: string }
  /** The double-submit CSRF token of an unverified token; `null` if it has none. */
  csrfOf (token: string): string | null
}

interface CookiePlan {
  readonly name: string
  readonly attributes: CookieSerializeOptions
  readonly csrfName: string
  readonly csrfAttributes: CookieSerializeOptions
  /** Max-Age of an opaque token, which has no readable `exp`, in seconds. */
  readonly defaultAge: number
}

/** Decides names and attributes once. Only Max-Age differs between replies. */
export function createTokenCookies (settings: Settings): TokenCookies {
  const { errors, sessionCookie } = settings
  const withCsrfCookies = settings.csrfInCookies && settings.csrfProtection !== false && settings.csrfProtection.includes('double-submit')
  const shared: CookieSerializeOptions = {
    // The `parseOptions` of @fastify/cookie must not apply: a Domain for the app's own cookies would send tokens to more hosts.
    ...Object.fromEntries(['domain', 'expires', 'maxAge', 'partitioned', 'priority'].map(name => [name, undefined])),
    ...(settings.cookieDomain === null ? {} : { domain: settings.cookieDomain }),
    ...(settings.cookiePartitioned ? { partitioned: true } : {}),
    secure: settings.cookieSecure,
    sameSite: settings.cookieSamesite.toLowerCase() as Lowercase<typeof settings.cookieSamesite>,
    signed: false
  }
  let warned = false

  function plan (type: TokenType): CookiePlan {
    const access = type === 'access'
    const lives = [access ? settings.accessExpires : settings.refreshExpires, settings.sessionMaxAge].filter(life => life !== false)
    return {
      name: access ? settings.accessCookieName : settings.refreshCookieName,
      attributes: { ...shared, httpOnly: settings.cookieHttponly, path: access ? settings.accessCookiePath : settings.refreshCookiePath },
      csrfName: access ? settings.accessCsrfCookieName : settings.refreshCsrfCookieName,
      // Scripts must be able to read it. Pages of other origins cannot.
      csrfAttributes: { ...shared, httpOnly: false, path: access ? settings.accessCsrfCookiePath : settings.refreshCsrfCookiePath },
      defaultAge: Math.floor(Math.min(...lives, maxCookieAge))
    }
  }
  const plans: Record<TokenType, CookiePlan> = { access: plan('access'), refresh: plan('refresh') }

  /**
   * Max-Age in seconds: the rest of the token's lifetime, so that both end together. `null` for a cookie that ends with the
   * browser. The cookie of a bound session expires earlier, because its browser refreshes only if the cookie is gone or about to expire.
   */
  function ageOf (token: string, defaultAge: number): number | null {
    const payload = readPayload(token)
    const opaque = payload === null ? parseOpaqueToken(token, []) : null
    const persistent = payload === null ? opaque?.persistent : payload['persistent']
    if (typeof persistent === 'boolean' ? !persistent : sessionCookie) return null
    // Only the store knows how long such a session lasts.
    if (payload === null) return opaque?.hasOwnLife === true ? maxCookieAge : defaultAge
    if (typeof payload['exp'] !== 'number') return maxCookieAge
    const left = Math.max(Math.ceil(payload['exp'] - Date.now() / 1000), 0)
    const margin = payload['bound'] === true ? boundCookieMargin : 0
    return Math.min(Math.max(left - margin, Math.min(left, 1)), maxCookieAge)
  }

  /** If cookies are a token location, @fastify/cookie is registered, and every reply can set cookies. */
  const areLocation = settings.tokenLocation.includes('cookies')

  function requireCookies (reply: FastifyReply): void {
    if (!areLocation && typeof reply === 'object' && typeof reply.setCookie !== 'function') {
      throw conceal(badOption('tokenLocation', "lacks 'cookies', so that no cookie can be set; add it"))
    }
  }

  /** Decides as @fastify/cookie does. */
  function isSecure (reply: FastifyReply): boolean {
    return settings.cookieSecure === 'auto' ? reply.request.protocol === 'https' : settings.cookieSecure
  }

  function warnOfPlainHttp (reply: FastifyReply): void {
    if (warned || settings.cookieSecure !== 'auto' || process.env['NODE_ENV'] !== 'production' || reply.request.protocol === 'https') return
    warned = true
    reply.log.warn('A token cookie was set over plain HTTP in production, without Secure. Serve HTTPS; behind a proxy that does, set trustProxy; or set cookieSecure: true')
  }

  function checkOne (name: string, value: string): void {
    const bytes = Buffer.byteLength(name) + Buffer.byteLength(value)
    if (bytes > maxCookieBytes) {
      throw errors.FST_JWT_COOKIE_TOO_LARGE(`Cookie ${name} would have ${bytes} bytes, but browsers drop cookies of more than ${maxCookieBytes}; put fewer claims into the token`)
    }
  }

  function setOne (reply: FastifyReply, name: string, value: string, attributes: CookieSerializeOptions, maxAge: number | null): void {
    checkOne(name, value)
    clearHostOnly(reply, name, attributes)
    reply.setCookie(name, value, maxAge === null ? attributes : { ...attributes, maxAge })
  }

  function clearOne (reply: FastifyReply, name: string, attributes: CookieSerializeOptions): void {
    clearHostOnly(reply, name, attributes)
    reply.clearCookie(name, attributes)
  }

  /** A host-only cookie, set before `cookieDomain` was, would be sent in front of the new one (RFC 6265 §5.4). */
  function clearHostOnly (reply: FastifyReply, name: string, { domain, ...attributes }: CookieSerializeOptions): void {
    if (domain !== undefined) reply.clearCookie(name, attributes)
  }

  function touch (reply: FastifyReply): void {
    keepPrivate(reply)
    reply[kTouched] = true
  }

  function csrfOf (token: string): string | null {
    const payload = readPayload(token)
    if (payload !== null) return typeof payload['csrf'] === 'string' ? payload['csrf'] : null
    return parseOpaqueToken(token, []) === null ? null : opaqueCsrfToken(token)
  }

  return {
    requireCookies,

    set (reply, type, token) {
      requireUnsent(reply)
      warnOfPlainHttp(reply)
      const { name, attributes, csrfName, csrfAttributes, defaultAge } = plans[type]
      const maxAge = ageOf(token, defaultAge)
      setOne(reply, name, token, attributes, maxAge)
      if (withCsrfCookies) {
        const csrf = csrfOf(token)
        if (csrf !== null) setOne(reply, csrfName, csrf, csrfAttributes, maxAge)
      }
      touch(reply)
    },

    unset (reply, type) {
      requireUnsent(reply)
      const { name, attributes, csrfName, csrfAttributes } = plans[type]
      clearOne(reply, name, attributes)
      if (withCsrfCookies) clearOne(reply, csrfName, csrfAttributes)
      touch(reply)
    },

    isSecure,

    describeAccess (reply) {
      const { name, attributes } = plans.access
      // The function that writes Set-Cookie writes this too, so the two can't differ.
      return { name, attributes: reply.server.serializeCookie(name, '', { ...attributes, secure: isSecure(reply) }).slice(`${name}=; `.length) }
    },

    checkSize (type, token) { checkOne(plans[type].name, token) },

    csrfOf
  }
}
