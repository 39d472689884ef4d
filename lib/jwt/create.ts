import { randomUUID } from 'node:crypto'
import { toSeconds } from '../options/validators.ts'
import { ownedClaims } from '../options/settings.ts'
import { readIdentity } from './claims.ts'
import { isUsableType } from './explicit-typing.ts'
import type { Settings } from '../options/settings.ts'
import type { CreateAccessTokenOptions, CreateRefreshTokenOptions } from '../types/app-jwt.ts'
import type { AdditionalClaims, Duration, Identity, TokenType } from '../types/claims.ts'
import type { TokenVerifier } from './verify.ts'

/** Claims only this package sets: those of a session, and of a token that is issued again. */
export interface ReservedClaims {
  jti?: string
  /** The double-submit CSRF token of a token that this one replaces. */
  csrf?: string
  sid?: string
  gen?: number
  auth_time?: number
  /** Seconds since the epoch, in place of now. */
  iat?: number
  /** Seconds since the epoch, in place of what `expiresIn` gives; `null` for none. */
  exp?: number | null
}

/** Creates signed tokens. */
export interface TokenIssuer {
  /** The identity of what `createAccessToken` is given. @throws {TypeError} */
  identityOf (subject: Identity | object): string
  /** @param subject What the identity was made of, for the callbacks; the identity itself where that is not known. */
  access (identity: string, options?: CreateAccessTokenOptions, reserved?: ReservedClaims, subject?: unknown): string
  refresh (identity: string, options?: CreateRefreshTokenOptions, reserved?: ReservedClaims, subject?: unknown): string
  /** An access token that carries on another one's claims: not fresh, and no callback is asked again. */
  renew (identity: string, claims: AdditionalClaims, reserved: ReservedClaims & { exp: number }): string
}

const owned: ReadonlySet<string> = new Set(ownedClaims)
const protectedHeaders: ReadonlySet<string> = new Set(['alg', 'kid', 'crit', 'b64'])

function isPlainObject (value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Promise)
}

/** Seconds of `expiresIn` or `fresh`. */
function span (value: Duration, name: string): number {
  const seconds = toSeconds(value)
  if (seconds === undefined) throw new TypeError(`'${name}' takes seconds or a duration such as '15m', got ${typeof value === 'object' ? 'an object' : JSON.stringify(value)}`)
  return seconds
}

/**
 * A time so many seconds from `now`, as `exp` and `fresh` are written. Never below 1, since `fast-jwt`
 * reads 0 as "no expiry", nor past what JSON keeps exact.
 */
function timeAfter (now: number, seconds: number): number {
  return Math.min(Math.max(Math.floor(now + seconds), 1), Number.MAX_SAFE_INTEGER)
}

/** Makes the functions behind `createAccessToken` and `createRefreshToken`. */
export function createTokenIssuer (settings: Settings, verifier: TokenVerifier): TokenIssuer {
  const {
    accessExpires, refreshExpires, encodeNbf, identityClaim, issuer, audience, additionalClaims, additionalHeaders, userIdentity
  } = settings
  const withCsrf = settings.tokenLocation.includes('cookies') && settings.csrfProtection !== false &&
    settings.csrfProtection.includes('double-submit')
  // A token stays renewable only so long after the login: then it must say when that was.
  const withAuthTime = settings.implicitRefresh !== false
  const audienceClaim = audience?.length === 1 ? audience[0] : audience
  const noClaims: AdditionalClaims = Object.freeze({})

  function identityOf (subject: Identity | object): string {
    const identity = readIdentity(userIdentity === null ? subject : userIdentity(subject))
    if (identity === null) {
      throw new TypeError(userIdentity === null
        ? 'A token needs an identity: a non-empty string or a finite number, or any value that the userIdentity option turns into one'
        : 'The userIdentity option must return a non-empty string or a finite number')
    }
    return identity
  }

  function checkClaims (claims: unknown, source: string): AdditionalClaims {
    if (!isPlainObject(claims)) throw new TypeError(`${source} must be a plain object of claims`)
    for (const name of Object.keys(claims)) {
      if (owned.has(name) || name === identityClaim) {
        throw new TypeError(`${source} can't hold the claim '${name}', which this package sets`)
      }
    }
    return claims
  }

  function checkHeaders (headers: unknown, source: string): Record<string, unknown> {
    if (!isPlainObject(headers)) throw new TypeError(`${source} must be a plain object of header parameters`)
    for (const name of Object.keys(headers)) {
      if (protectedHeaders.has(name)) throw new TypeError(`${source} can't hold the header parameter '${name}', which this package sets`)
    }
    if (!isUsableType(headers['typ'])) throw new TypeError(`${source} can't hold a 'typ' other than 'JWT', 'at+jwt' or one without '+jwt', since such a token would be refused here`)
    return headers
  }

  function gatherClaims (identity: string, type: TokenType, subject: unknown, own: AdditionalClaims | undefined): AdditionalClaims {
    const given = own === undefined ? noClaims : checkClaims(own, "'claims'")
    if (additionalClaims === null) return given
    return { ...checkClaims(additionalClaims(identity, type, subject), 'What the additionalClaims option returns (synchronously)'), ...given }
  }

  function gatherHeaders (identity: string, type: TokenType, subject: unknown, own: Record<string, unknown> | undefined): Record<string, unknown> | undefined {
    const given = own === undefined ? undefined : checkHeaders(own, "'headers'")
    if (additionalHeaders === null) return given
    return { ...checkHeaders(additionalHeaders(identity, type, subject), 'What the additionalHeaders option returns (synchronously)'), ...given }
  }

  /** Writes and signs a token; what the app adds has been checked. */
  function sign (token: TokenParts): string {
    const { signing } = verifier.keys
    if (signing === null) {
      throw new TypeError('This instance only verifies, for it was given a public key alone; register it with privateKey, secretKey or keys to create tokens')
    }
    const { type, identity, now, exp, reserved } = token
    const payload: Record<string, unknown> = { [identityClaim]: identity, type }
    if (type === 'access') payload['fresh'] = token.fresh
    payload['jti'] = reserved?.jti ?? randomUUID()
    payload['iat'] = now
    if (encodeNbf) payload['nbf'] = now
    if (exp !== null) payload['exp'] = exp
    if (issuer !== null) payload['iss'] = issuer
    if (audience !== null) payload['aud'] = audienceClaim
    if (withCsrf) payload['csrf'] = reserved?.csrf ?? randomUUID()
    if (reserved?.sid !== undefined) payload['sid'] = reserved.sid
    if (reserved?.gen !== undefined) payload['gen'] = reserved.gen
    if (reserved?.auth_time !== undefined) payload['auth_time'] = reserved.auth_time
    else if (withAuthTime) payload['auth_time'] = now
    return signing.sign(token.claims === noClaims ? payload : { ...payload, ...token.claims }, token.headers)
  }

  function issue (type: TokenType, identity: string, options: CreateAccessTokenOptions, reserved: ReservedClaims | undefined, subject: unknown): string {
    const now = reserved?.iat ?? Math.floor(Date.now() / 1000)
    const expiresIn = options.expiresIn ?? (type === 'access' ? accessExpires : refreshExpires)
    const fresh = options.fresh ?? false
    const claims = gatherClaims(identity, type, subject, options.claims)
    return sign({
      type,
      identity,
      now,
      fresh: typeof fresh === 'boolean' ? fresh : timeAfter(now, span(fresh, 'fresh')),
      exp: reserved?.exp !== undefined ? reserved.exp : expiresIn === false ? null : timeAfter(now, span(expiresIn, 'expiresIn')),
      claims,
      headers: gatherHeaders(identity, type, subject, options.headers),
      reserved
    })
  }

  return {
    identityOf,
    access: (identity, options = {}, reserved, subject = identity) => issue('access', identity, checkOptions(options, accessKeys), reserved, subject),
    refresh: (identity, options = {}, reserved, subject = identity) => issue('refresh', identity, checkOptions(options, refreshKeys), reserved, subject),
    renew: (identity, claims, reserved) => sign({
      type: 'access', identity, now: Math.floor(Date.now() / 1000), fresh: false, exp: reserved.exp, claims, headers: undefined, reserved
    })
  }
}

/** All that goes into one token. */
interface TokenParts {
  readonly type: TokenType
  readonly identity: string
  /** Seconds since the epoch. */
  readonly now: number
  readonly fresh: boolean | number
  /** Seconds since the epoch; `null` for none. */
  readonly exp: number | null
  readonly claims: AdditionalClaims
  readonly headers: Record<string, unknown> | undefined
  readonly reserved: ReservedClaims | undefined
}

const accessKeys: ReadonlySet<string> = new Set(['expiresIn', 'fresh', 'claims', 'headers'])
const refreshKeys: ReadonlySet<string> = new Set(['expiresIn', 'claims', 'headers'])

/** A misspelt option would silently make another token than was meant. */
function checkOptions<T extends object> (options: T, known: ReadonlySet<string>): T {
  for (const name in options) {
    if (!known.has(name)) throw new TypeError(`Unknown option '${name}'; the options are ${[...known].join(', ')}`)
  }
  return options
}
