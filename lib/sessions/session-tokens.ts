import { createOpaqueToken, hashOf } from './opaque-tokens.ts'
import type { ReservedClaims, TokenIssuer } from '../jwt/create.ts'
import type { TokenVerifier } from '../jwt/verify.ts'
import type { Settings } from '../options/settings.ts'
import type { CreateSessionOptions, SessionTokens } from '../types/app-jwt.ts'
import type { AdditionalClaims, TokenType } from '../types/claims.ts'
import type { RotatedToken, SessionRecord } from '../types/store.ts'

/** What is known of a token outlives it by so much: clocks differ, and it may be issued as its session ends. Seconds. */
const margin = 60

/** Who a session belongs to and since when. */
export interface Login {
  readonly identity: string
  readonly sid: string
  /** Time of the login, the `auth_time` claim, seconds since the epoch. */
  readonly login: number
  /** Lifetime of its refresh tokens in seconds, in place of `refreshExpires`; `false` for none. */
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
  /** Who it was asked for: what the app has given at the login, later the identity. */
  readonly subject: unknown
  readonly access: AdditionalClaims
  readonly refresh: AdditionalClaims
}

/** How long the tokens of a session live, and the tokens themselves. Times are seconds since the epoch; `null` is never. */
export interface SessionTokenIssuer {
  /** `exp` of an access token made now. */
  accessExpiry (now: number, login: Login): number | null
  /** `exp` of a refresh token made now. */
  refreshExpiry (now: number, login: Login): number | null
  /**
   * Asks the `additionalClaims` option, which may take its time.
   *
   * @param salt Of the refresh token: an opaque one has no claims to ask for.
   */
  askApp (identity: string, subject: unknown, salt: string): Promise<AppClaims>
  access (login: Login, generation: number, now: number, claims: AdditionalClaims, fresh: NonNullable<CreateSessionOptions['fresh']>, app: AppClaims, reserved?: Pick<ReservedClaims, 'bound' | 'csrf'>): string
  /**
   * The refresh token of a generation: the same, whenever it is asked for.
   *
   * @param tokenId Its id, if it is there already: of an opaque token this tells which key has made it.
   */
  refresh (login: Login, generation: number, token: RotatedToken, tokenId: string, app: AppClaims): string
  /** The id of an opaque token that is to be made. */
  opaqueId (login: Login, generation: number, salt: string): string
  /** How the tokens of a login are sent, if that may differ (RFC 9449 §5). */
  tokenType (login: Login): Pick<SessionTokens, 'tokenType'>
  /** How long a record is kept for a token with this `exp`, in milliseconds since the epoch. */
  retention (exp: number | null): number | null
}

/** @throws If a token is too large to be kept where it has to be. */
export type CheckSize = (type: TokenType, token: string) => void

export function createSessionTokenIssuer (settings: Settings, issuer: TokenIssuer, verifier: TokenVerifier, checkSize: CheckSize): SessionTokenIssuer {
  const { accessExpires, refreshExpires, sessionMaxAge, leeway } = settings

  /** After the shortest of these lives, but no later than the session may last. */
  function expiry (now: number, lives: ReadonlyArray<number | false>, login: number): number | null {
    const ends = lives.map(life => life === false ? Infinity : now + life)
    const end = Math.min(...ends, sessionMaxAge === false ? Infinity : login + sessionMaxAge)
    return end === Infinity ? null : Math.floor(end)
  }
  // An access token of a session with a life of its own does not outlive its refresh token.
  const accessExpiry = (now: number, { login, expiresIn = false }: Login): number | null => expiry(now, [accessExpires, expiresIn], login)

  function opaqueTokens ({ sid, persistent, expiresIn }: Login, generation: number, salt: string): string[] {
    return verifier.keys.opaqueKeys.map(key => createOpaqueToken(key, { sessionId: sid, generation, persistent, hasOwnLife: expiresIn !== undefined }, salt))
  }

  /** The claims that tokens of a session have in common. */
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
    retention: exp => exp === null ? null : (exp + leeway + margin) * 1000
  }
}

/** The later of two times, where `null` is never. */
export function laterOf (first: number | null, second: number | null): number | null {
  return first === null || second === null ? null : Math.max(first, second)
}
