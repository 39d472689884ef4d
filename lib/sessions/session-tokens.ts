import { createOpaqueToken, hashOf } from './opaque-tokens.ts'
import type { ReservedClaims, TokenIssuer } from '../jwt/create.ts'
import type { TokenVerifier } from '../jwt/verify.ts'
import type { Settings } from '../options/settings.ts'
import type { CreateSessionOptions, SessionTokens } from '../types/app-jwt.ts'
import type { AdditionalClaims, TokenType } from '../types/claims.ts'
import type { RotatedToken, SessionRecord } from '../types/store.ts'

/** Seconds for which a record or denial outlives its token: clocks differ, and a token may be issued as its session ends. */
const margin = 60

/** The last time that a `Date` can hold, in milliseconds since the epoch. What is kept for longer is kept for ever. */
const lastTime = 8.64e15

/** Who a session belongs to and since when. */
export interface Login {
  readonly identity: string
  readonly sid: string
  /** Time of the login, the `auth_time` claim, seconds since the epoch. */
  readonly login: number
  /** Lifetime of its refresh tokens in seconds, in place of `refreshExpires`; `false` if they don't expire. */
  readonly expiresIn?: number | false
  /** Whether its cookies outlive the browser, in place of `sessionCookie`. */
  readonly persistent?: boolean
  /** The thumbprint of the key that its tokens are bound to. */
  readonly jkt?: string
}

/** The login of a session, from its record. */
export function loginOf ({ id, identity, document }: SessionRecord): Login {
  const { createdAt, expiresIn, persistent, jkt } = document
  return {
    identity,
    sid: id,
    login: Math.floor(createdAt / 1000),
    ...(typeof expiresIn === 'number' || expiresIn === false ? { expiresIn } : {}),
    ...(typeof persistent === 'boolean' ? { persistent } : {}),
    ...(typeof jkt === 'string' ? { jkt } : {})
  }
}

/** What the `additionalClaims` option adds to the tokens of a session. */
export interface AppClaims {
  /** The subject that the option was called with: at the login what the app gave, later the identity. */
  readonly subject: unknown
  readonly access: AdditionalClaims
  readonly refresh: AdditionalClaims
}

/** Creates the tokens of a session, and computes their expiry. Times are seconds since the epoch; `null` is never. */
export interface SessionTokenIssuer {
  /** `exp` of an access token made now. */
  accessExpiry (now: number, login: Login): number | null
  /** `exp` of a refresh token made now. */
  refreshExpiry (now: number, login: Login): number | null
  /**
   * Calls the `additionalClaims` option, which may be asynchronous.
   *
   * @param salt The salt of the refresh token. If it is not empty, the token is opaque and has no claims.
   */
  askApp (identity: string, subject: unknown, salt: string): Promise<AppClaims>
  access (login: Login, generation: number, now: number, claims: AdditionalClaims, fresh: NonNullable<CreateSessionOptions['fresh']>, app: AppClaims, reserved?: Pick<ReservedClaims, 'bound' | 'csrf'>): string
  /**
   * Creates the refresh token of a generation. If it is called again, it returns the same opaque token, or a JWT with the same `jti`.
   *
   * @param tokenId Its id. For an opaque token, it tells which key has made it.
   */
  refresh (login: Login, generation: number, token: RotatedToken, tokenId: string, app: AppClaims): string
  /** The id of the opaque token to create. */
  opaqueId (login: Login, generation: number, salt: string): string
  /** The type of a login's access token (RFC 9449 §5); empty if DPoP is off. */
  tokenType (login: Login): Pick<SessionTokens, 'tokenType'>
  /**
   * How long a record is kept for a token with this `exp`, in whole milliseconds since the epoch. The `exp` of other libraries may have a
   * fraction, or be any number (RFC 7519 §2).
   */
  retention (exp: number | null): number | null
}

/** @throws If a token must go into a cookie and is too large for it. */
export type CheckSize = (type: TokenType, token: string) => void

export function createSessionTokenIssuer (settings: Settings, issuer: TokenIssuer, verifier: TokenVerifier, checkSize: CheckSize): SessionTokenIssuer {
  const { accessExpires, refreshExpires, sessionMaxAge, leeway } = settings

  /** The end of the shortest of these lives, but at the latest `sessionMaxAge` after the login. */
  function expiry (now: number, lives: ReadonlyArray<number | false>, login: number): number | null {
    const ends = lives.map(life => life === false ? Infinity : now + life)
    const end = Math.min(...ends, sessionMaxAge === false ? Infinity : login + sessionMaxAge)
    return end === Infinity ? null : Math.floor(end)
  }
  // If a session has its own lifetime, an access token does not outlive its refresh token.
  const accessExpiry = (now: number, { login, expiresIn = false }: Login): number | null => expiry(now, [accessExpires, expiresIn], login)

  function opaqueTokens ({ sid, persistent, expiresIn }: Login, generation: number, salt: string): string[] {
    return verifier.keys.opaqueKeys.map(key => createOpaqueToken(key, { sessionId: sid, generation, persistent, hasOwnLife: expiresIn !== undefined }, salt))
  }

  /** The claims that all tokens of a session share. */
  function ofSession ({ sid, login, persistent, jkt }: Login, gen: number): Pick<ReservedClaims, 'sid' | 'gen' | 'auth_time' | 'persistent' | 'jkt'> {
    return { sid, gen, auth_time: login, ...(persistent === undefined ? {} : { persistent }), ...(jkt === undefined ? {} : { jkt }) }
  }

  return {
    accessExpiry,
    refreshExpiry: (now, { login, expiresIn = refreshExpires }) => expiry(now, [expiresIn], login),
    async askApp (identity, subject, salt) {
      const access = await issuer.additionalClaims(identity, 'access', subject)
      return { subject, access, refresh: salt === '' ? await issuer.additionalClaims(identity, 'refresh', subject) : {} }
    },
    access (login, gen, now, claims, fresh, app, reserved) {
      const all = { ...reserved, ...ofSession(login, gen), iat: now, exp: accessExpiry(now, login) }
      const token = issuer.access(login.identity, { claims, fresh }, all, app.subject, app.access)
      checkSize('access', token)
      return token
    },
    refresh (login, gen, { issuedAt, expiresAt, salt }, tokenId, app) {
      if (salt === '') {
        const reserved = { ...ofSession(login, gen), jti: tokenId, iat: issuedAt, exp: expiresAt }
        const token = issuer.refresh(login.identity, {}, reserved, app.subject, app.refresh)
        checkSize('refresh', token)
        return token
      }
      const token = opaqueTokens(login, gen, salt).find(candidate => hashOf(candidate) === tokenId)
      if (token === undefined) throw settings.errors.FST_JWT_REVOKED()
      return token
    },
    opaqueId: (login, generation, salt) => hashOf(opaqueTokens(login, generation, salt)[0] as string),
    tokenType: ({ jkt }) => settings.dpop ? { tokenType: jkt === undefined ? 'Bearer' : 'DPoP' } : {},
    retention (exp) {
      if (exp === null) return null
      const end = Math.ceil((exp + leeway + margin) * 1000)
      return end <= lastTime ? end : null
    }
  }
}

/** The later of two times, where `null` is never. */
export function laterOf (first: number | null, second: number | null): number | null {
  return first === null || second === null ? null : Math.max(first, second)
}
