import { readClaims } from '../jwt/claims.ts'
import { deepFreeze } from '../jwt/freeze.ts'
import { readHeader } from '../jwt/unverified.ts'
import { checkTimes } from '../jwt/verify.ts'
import { VerifiedCache } from '../jwt/verified-cache.ts'
import { readJson } from '../keys/remote/fetch-json.ts'
import type { TokenVerifier } from '../jwt/verify.ts'
import type { ResolvedIntrospection } from '../options/resource.ts'
import type { Settings } from '../options/settings.ts'
import type { MaybePromise } from '../types/claims.ts'
import type { JwtError } from '../types/errors.ts'
import type { VerifiedToken } from '../types/verified-token.ts'

/** Milliseconds for an answer. */
const timeout = 5000

/** The answer of an issuer about a token. */
interface Answer {
  readonly verified: VerifiedToken
  /** Milliseconds since the epoch. */
  readonly askedAt: number
  /** How long it may be used again. */
  readonly seconds: number
}

/** Whether an answer may be used again. If the clock was set back, it does not last longer. */
function isUsable ({ askedAt, seconds }: Answer): boolean {
  return Math.abs(Date.now() - askedAt) < seconds * 1000
}

/** The characters of a token (RFC 6749 appendix A.12). */
const tokenCharacters = /^[\x20-\x7e]+$/

/** How long a response may be used again, in seconds (RFC 9111 §5.2.2). A `max-age` that is no number makes it stale (§4.2.1). */
function freshness (headers: Pick<Headers, 'get'>): number {
  const directives = headers.get('cache-control') ?? ''
  if (/\bno-(?:store|cache)\b/i.test(directives)) return 0
  return /\bmax-age\b/i.test(directives) ? Number(/\bmax-age="?(\d+)/i.exec(directives)?.[1] ?? 0) : Infinity
}

/** Members in which issuers mark a refresh token: RFC 7662 defines none. */
const typeMembers = ['type', 'token_type', 'token_use', 'typ'] as const

/**
 * RFC 6749 §1.5: a refresh token is for the server that has issued it. Introspection endpoints accept it, too, whatever `token_type_hint`
 * says.
 */
function isRefreshToken (claims: Readonly<Record<string, unknown>>): boolean {
  return typeMembers.some(name => {
    const value = claims[name]
    return typeof value === 'string' && /^refresh(?:[_-]?token)?$/i.test(value)
  })
}

/**
 * Verifies opaque tokens of another issuer by asking it (RFC 7662), and JWTs with `inner`.
 *
 * @param inner Verifies JWTs.
 * @param all Ask about JWTs, too.
 */
export function createIntrospectionVerifier (settings: Settings, options: ResolvedIntrospection, inner: TokenVerifier, all: boolean): TokenVerifier {
  const { errors, maxTokenLength, cacheSize } = settings
  const { url, authorization, issuer, audience, maxAge } = options
  // The answer for an active token need not have an `exp`.
  const claimSettings: Settings = { ...settings, accessExpires: false, decodeIssuer: issuer, decodeAudience: audience ?? settings.decodeAudience }
  const cache = new VerifiedCache<Answer>(cacheSize)
  /** Questions under way, by token, so that concurrent requests ask once. */
  const pending = new Map<string, Promise<VerifiedToken>>()

  /** 503, since nothing is known about the token. The cause is for the log. */
  function unavailable (cause: unknown): JwtError {
    const error = errors.FST_JWT_INTROSPECTION_UNAVAILABLE()
    error.cause = cause
    return error
  }

  async function fetchAnswer (token: string): Promise<{ members: Record<string, unknown>, seconds: number }> {
    try {
      const response = await options.fetch(url.href, {
        method: 'POST',
        body: new URLSearchParams({ token, token_type_hint: 'access_token' }).toString(),
        headers: { authorization, accept: 'application/json', 'content-type': 'application/x-www-form-urlencoded' },
        signal: AbortSignal.timeout(timeout),
        redirect: 'error'
      })
      const members = await readJson(response)
      if (typeof members['active'] !== 'boolean') throw new TypeError('the response does not say whether the token is active')
      return { members, seconds: Math.min(maxAge, freshness(response.headers)) }
    } catch (cause) {
      throw unavailable(cause)
    }
  }

  async function ask (token: string): Promise<VerifiedToken> {
    const askedAt = Date.now()
    const { members: { active, ...claims }, seconds } = await fetchAnswer(token)
    if (active !== true) throw errors.FST_JWT_INVALID_TOKEN('inactive')
    if (isRefreshToken(claims)) throw errors.FST_JWT_INVALID_TOKEN('type')
    const verified: VerifiedToken = { header: null, claims: deepFreeze(readClaims(claims, claimSettings)), foreign: true }
    if (seconds > 0) cache.set(token, { verified, askedAt, seconds }, askedAt / 1000 + seconds)
    return verified
  }

  function answered (verified: VerifiedToken, allowExpired: boolean): VerifiedToken {
    checkTimes(verified.claims, claimSettings, allowExpired)
    return verified
  }

  function introspect (token: string, allowExpired: boolean): MaybePromise<VerifiedToken> {
    if (token.length > maxTokenLength) throw errors.FST_JWT_INVALID_TOKEN('length')
    if (!tokenCharacters.test(token)) throw errors.FST_JWT_INVALID_TOKEN('malformed')
    const known = cache.get(token)
    if (known !== undefined && isUsable(known)) return answered(known.verified, allowExpired)
    let question = pending.get(token)
    if (question === undefined) {
      question = ask(token).finally(() => { pending.delete(token) })
      pending.set(token, question)
    }
    return question.then(verified => answered(verified, allowExpired))
  }

  const isOpaque = (token: string): boolean => all || readHeader(token) === null

  return {
    get keys () { return inner.keys },
    replaceKeys (keys) { inner.replaceKeys(keys) },
    verify: (token, request) => isOpaque(token) ? introspect(token, false) : inner.verify(token, request),
    verifyExpired: (token, request) => isOpaque(token) ? introspect(token, true) : inner.verifyExpired(token, request)
  }
}
