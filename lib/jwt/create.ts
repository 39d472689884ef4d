import { randomUUID } from 'node:crypto'
import { after, isPromise } from '../after.ts'
import { unsupportedCall } from '../errors.ts'
import { thumbprintFrom } from '../dpop/public-key.ts'
import { toSeconds, unitRemedy } from '../options/validators.ts'
import { ownedClaims } from '../options/cross-checks.ts'
import { checkCallOptionNames } from '../options/unknown.ts'
import { isUsableType } from './explicit-typing.ts'
import { requireIdentity } from './identity.ts'
import type { Settings } from '../options/settings.ts'
import type { CreateAccessTokenOptions, CreateRefreshTokenOptions } from '../types/app-jwt.ts'
import type { AdditionalClaims, Duration, Identity, MaybePromise, TokenType } from '../types/claims.ts'
import type { TokenVerifier } from './verify.ts'

/** Claims that only this package sets: those of a session, and of a token that is issued again. */
export interface ReservedClaims {
  jti?: string
  /** The double-submit CSRF token of the token that this one replaces. */
  csrf?: string
  sid?: string
  gen?: number
  persistent?: boolean
  bound?: boolean
  auth_time?: number
  /** The thumbprint of the key that the token is bound to, the `jkt` of its `cnf` claim. */
  jkt?: string
  /** Seconds since the epoch; now if left out. */
  iat?: number
  /** Seconds since the epoch, instead of `expiresIn`; `null` for none. */
  exp?: number | null
}

/** Creates signed tokens. */
export interface TokenIssuer {
  /** The identity in the first argument of `createAccessToken`. @throws {TypeError} If there is none. */
  identityOf (subject: Identity | object): string
  /**
   * The claims that the `additionalClaims` option adds to a token; none without the option. A promise only if the option returned one.
   *
   * @throws {TypeError} Also as a rejection, for a claim that this package sets.
   */
  additionalClaims (identity: string, type: TokenType, subject: unknown): MaybePromise<AdditionalClaims>
  /**
   * Creates an access token.
   *
   * @param subject The value that the identity was read from, for the callbacks. Default: the identity.
   * @param additional The result of `additionalClaims`, if it was called already.
   */
  access (identity: string, options?: CreateAccessTokenOptions, reserved?: ReservedClaims, subject?: unknown, additional?: AdditionalClaims): string
  /** Creates a refresh token. Parameters as for `access`. */
  refresh (identity: string, options?: CreateRefreshTokenOptions, reserved?: ReservedClaims, subject?: unknown, additional?: AdditionalClaims): string
  /** Creates an access token with the claims of another one. It is not fresh, and no callback is called. */
  renew (identity: string, claims: AdditionalClaims, reserved: ReservedClaims & { exp: number }): string
}

const accessOptionNames = ['expiresIn', 'fresh', 'claims', 'headers', 'dpopKey']
const refreshOptionNames = ['expiresIn', 'claims', 'headers', 'dpopKey']

const owned: ReadonlySet<string> = new Set(ownedClaims)
const protectedHeaders: ReadonlySet<string> = new Set(['alg', 'kid', 'crit', 'b64'])

function isPlainObject (value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Promise)
}

/** Reads `expiresIn` or `fresh` as seconds. */
function readDuration (value: Duration, name: string): number {
  const seconds = toSeconds(value)
  if (seconds === undefined) throw new TypeError(`'${name}' takes seconds or a duration such as '15m', got ${typeof value === 'object' ? 'an object' : JSON.stringify(value)}${unitRemedy(value)}`)
  return seconds
}

/**
 * `exp` or `fresh`: seconds since the epoch, rounded down. At least 1, since `fast-jwt` reads 0 as "no expiry"; at most the
 * largest integer that JSON keeps exact.
 */
function timeAfter (now: number, seconds: number): number {
  return Math.min(Math.max(Math.floor(now + seconds), 1), Number.MAX_SAFE_INTEGER)
}

/** Creates the functions behind `createAccessToken` and `createRefreshToken`. */
export function createTokenIssuer (settings: Settings, verifier: TokenVerifier): TokenIssuer {
  const {
    accessExpires, refreshExpires, encodeNbf, identityClaim, issuer, audience, additionalClaims, additionalHeaders, userIdentity, maxTokenLength
  } = settings
  const withCsrf = settings.tokenLocation.includes('cookies') && settings.csrfProtection !== false &&
    settings.csrfProtection.includes('double-submit')
  // Implicit refresh ends a certain time after the login, so tokens must contain the time of the login.
  const withAuthTime = settings.implicitRefresh !== false
  const audienceClaim = audience?.length === 1 ? audience[0] : audience
  // A `cnf` claim binds a token to a key, so only this package may write it.
  const binds = typeof settings.dpop === 'object' && settings.dpop !== null
  const noClaims: AdditionalClaims = Object.freeze({})

  function identityOf (subject: Identity | object): string {
    return userIdentity === null
      ? requireIdentity(subject, 'The identity of a token (of an object, the userIdentity option makes one)')
      : requireIdentity(userIdentity(subject), 'The result of the userIdentity option')
  }

  function checkClaims (claims: unknown, source: string): AdditionalClaims {
    if (!isPlainObject(claims)) throw new TypeError(`${source} must be a plain object of claims`)
    for (const name of Object.keys(claims)) {
      if (owned.has(name) || name === identityClaim || (name === 'cnf' && binds)) {
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
    if (!isUsableType(headers['typ'])) throw new TypeError(`${source} can't hold this 'typ': it takes 'JWT', 'at+jwt', or one without '+jwt', since other tokens are refused`)
    return headers
  }

  /** The key that a token is to be bound to. @throws {TypeError} */
  function readKey (key: CreateAccessTokenOptions['dpopKey']): string | undefined {
    if (key === undefined || key === null) return undefined
    if (!binds) throw unsupportedCall('dpop', "is off, so that no token can be bound to a key; set it to 'allowed' or 'required'")
    return thumbprintFrom(key)
  }

  function askForClaims (identity: string, type: TokenType, subject: unknown): MaybePromise<AdditionalClaims> {
    if (additionalClaims === null) return noClaims
    return after(additionalClaims(identity, type, subject), claims => checkClaims(claims, 'The result of the additionalClaims option'))
  }

  /** As `askForClaims`, for a call that can't wait. @throws {TypeError} */
  function claimsNow (identity: string, type: TokenType, subject: unknown): AdditionalClaims {
    const claims = askForClaims(identity, type, subject)
    if (!isPromise(claims)) return claims
    // Nobody handles this result.
    claims.catch(() => {})
    throw new TypeError('The result of the additionalClaims option is a promise, and only createSession and rotateSession wait for it')
  }

  function gatherHeaders (identity: string, type: TokenType, subject: unknown, own: Record<string, unknown> | undefined): Record<string, unknown> | undefined {
    const given = own === undefined ? undefined : checkHeaders(own, "'headers'")
    if (additionalHeaders === null) return given
    return { ...checkHeaders(additionalHeaders(identity, type, subject), 'The result of the additionalHeaders option, which is synchronous,'), ...given }
  }

  /** Writes and signs a token from parts that have been checked. */
  function sign (token: TokenParts): string {
    const { signing } = verifier.keys
    if (signing === null) {
      throw unsupportedCall('privateKey', 'is missing, so that this instance can only verify; give privateKey, secretKey or keys to create tokens')
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
    if (token.jkt !== undefined) payload['cnf'] = { jkt: token.jkt }
    if (reserved?.sid !== undefined) payload['sid'] = reserved.sid
    if (reserved?.gen !== undefined) payload['gen'] = reserved.gen
    if (reserved?.persistent !== undefined) payload['persistent'] = reserved.persistent
    if (reserved?.bound !== undefined) payload['bound'] = reserved.bound
    if (reserved?.auth_time !== undefined) payload['auth_time'] = reserved.auth_time
    else if (withAuthTime) payload['auth_time'] = now
    const signed = signing.sign(token.claims === noClaims ? payload : { ...payload, ...token.claims }, token.headers)
    if (signed.length > maxTokenLength) {
      throw new TypeError(`The token would have ${signed.length} characters, and hooks refuse more than ${maxTokenLength} (maxTokenLength); put fewer claims into it`)
    }
    return signed
  }

  function issue (
    type: TokenType, identity: string, options: CreateAccessTokenOptions, reserved: ReservedClaims | undefined, subject: unknown, additional: AdditionalClaims | undefined
  ): string {
    const now = reserved?.iat ?? Math.floor(Date.now() / 1000)
    const expiresIn = options.expiresIn ?? (type === 'access' ? accessExpires : refreshExpires)
    const fresh = options.fresh ?? false
    const own = options.claims === undefined ? noClaims : checkClaims(options.claims, "'claims'")
    const others = additional ?? claimsNow(identity, type, subject)
    return sign({
      type,
      identity,
      now,
      fresh: typeof fresh === 'boolean' ? fresh : timeAfter(now, readDuration(fresh, 'fresh')),
      exp: reserved?.exp !== undefined ? reserved.exp : expiresIn === false ? null : timeAfter(now, readDuration(expiresIn, 'expiresIn')),
      claims: others === noClaims ? own : { ...others, ...own },
      headers: gatherHeaders(identity, type, subject, options.headers),
      jkt: reserved?.jkt ?? readKey(options.dpopKey),
      reserved
    })
  }

  return {
    identityOf,
    additionalClaims: askForClaims,
    access: (identity, options = {}, reserved, subject = identity, additional) =>
      issue('access', identity, checkCallOptionNames(options, accessOptionNames), reserved, subject, additional),
    refresh: (identity, options = {}, reserved, subject = identity, additional) =>
      issue('refresh', identity, checkCallOptionNames(options, refreshOptionNames), reserved, subject, additional),
    renew: (identity, claims, reserved) => sign({
      type: 'access', identity, now: Math.floor(Date.now() / 1000), fresh: false, exp: reserved.exp, claims, headers: undefined, jkt: undefined, reserved
    })
  }
}

/** The parts of one token. */
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
  readonly jkt: string | undefined
  readonly reserved: ReservedClaims | undefined
}
