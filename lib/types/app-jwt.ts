import type { FastifyReply, FastifyRequest } from 'fastify'
import type { JSONWebKeySet, KeysOption } from './keys.ts'
import type { SessionInfo } from './store.ts'
import type { AdditionalClaims, Duration, Identity, JwtClaims, JwtHeader, TokenType } from './claims.ts'

/** Options of `createAccessToken`. */
export interface CreateAccessTokenOptions {
  /** Life of the token in seconds or as a duration; `false` for one that does not expire. Negative: already expired. */
  expiresIn?: Duration | false
  /** Fresh (just logged in), or for how long it stays so. Default: `false`. */
  fresh?: boolean | Duration
  /** The app's own claims. */
  claims?: AdditionalClaims
  /** Additional header parameters. */
  headers?: Record<string, unknown>
}

/** Options of `createRefreshToken`. */
export type CreateRefreshTokenOptions = Omit<CreateAccessTokenOptions, 'fresh'>

/** Options of `decodeToken`. */
export interface DecodeTokenOptions {
  /** The token type that is accepted. Default: `'any'`. */
  type?: TokenType | 'any'
  /** Accept a token whose only fault is that it has expired. Default: `false`. */
  allowExpired?: boolean
}

/** Options of `createSession`. */
export interface CreateSessionOptions {
  /** The app's own claims, written into the access tokens of this session, now and at each rotation. */
  claims?: AdditionalClaims
  /** Whether the first access token is fresh, or for how long. Default: `true`. */
  fresh?: boolean | Duration
  /** Anything JSON can hold, shown again by `listSessions`: user agent, IP address, device name. */
  metadata?: Record<string, unknown>
}

/** The tokens of a session. */
export interface SessionTokens {
  sessionId: string
  accessToken: string
  refreshToken: string
}

/** What the plugin decorates an instance with, as `app.jwt`. */
export interface JwtExtended {
  /**
   * Creates a signed access token (RFC 7519).
   *
   * @param identity Who the token speaks for: a non-empty string or a finite number, or any value when
   *   the `userIdentity` option turns it into one.
   * @throws {TypeError} When the identity, a claim or a header is not one this package can write.
   */
  createAccessToken (identity: Identity | object, options?: CreateAccessTokenOptions): string
  /** Creates a signed refresh token. As `createAccessToken`, without freshness. */
  createRefreshToken (identity: Identity | object, options?: CreateRefreshTokenOptions): string
  /**
   * Verifies a token and returns its claims. The denylist is not asked, since that may take a round
   * trip; a hook or `request.verifyJwt` does.
   *
   * @throws The errors of a refused token, such as `FST_JWT_EXPIRED`. `TypeError` when its key has to be fetched
   *   from its issuer first, or comes from the `decodeKey` option, which takes a request: use `request.verifyJwt`.
   */
  decodeToken (token: string, options?: DecodeTokenOptions): JwtClaims
  /**
   * Whether `decodeToken` would accept the token. Never throws: `false`, too, for a token whose key has to be fetched first,
   * or comes from the `decodeKey` option.
   */
  verifyToken (token: string, options?: DecodeTokenOptions): boolean
  /** The identity a token claims, **unverified**, expired tokens included; `null` when unreadable. */
  getIdentity (token: string): string | null
  /** The header of a token, **unverified**; `null` when unreadable. */
  getUnverifiedHeader (token: string): JwtHeader | null
  /** The `jti` claim of a token, **unverified**; `null` when it has none. */
  getJti (token: string): string | null
  /** The double-submit CSRF token inside a token, **unverified**; `null` when it has none. */
  getCsrfToken (token: string): string | null
  /** Sets the access cookie, and its CSRF companion under double submit. */
  setAccessCookies (reply: FastifyReply, token: string): void
  /** Sets the refresh cookie, and its CSRF companion under double submit. */
  setRefreshCookies (reply: FastifyReply, token: string): void
  /** Clears the access and refresh cookies with the attributes they were set with. */
  unsetJwtCookies (reply: FastifyReply): void
  /** Clears the access cookie. */
  unsetAccessCookies (reply: FastifyReply): void
  /** Clears the refresh cookie. */
  unsetRefreshCookies (reply: FastifyReply): void
  /** The public keys as a JWK Set (RFC 7517 §5); secrets are never in it. */
  jwks (): JSONWebKeySet
  /**
   * Replaces the keys while running, those of `secretKey`, `privateKey` or `publicKey`, too: the first signs, all
   * verify, and a token of a key that is gone is refused from this moment. Keys of other issuers are not touched. In
   * several processes, each has to be told.
   *
   * @throws `FST_JWT_BAD_OPTION`, and the old keys stay; `TypeError` in a registration without keys of its own.
   */
  rotateKeys (keys: KeysOption): void
  /**
   * Refuses a token from now on, until it would have expired (and for ever when it does not). Only this token: to log
   * out of a session, end it with `revokeSession`.
   *
   * @param tokenOrClaims A token, expired or not, or `request.jwtClaims`; the claims when the `decodeKey` option gives
   *   its key, since there is no request here to find that with.
   * @throws The errors of a refused token; `FST_JWT_INVALID_TOKEN` for one without `jti`; `FST_JWT_STORE_UNAVAILABLE`
   */
  revokeToken (tokenOrClaims: string | JwtClaims): Promise<void>
  /**
   * Starts a session, one login: an access and a refresh token that share a session id, the `sid` claim.
   *
   * @throws {TypeError} As `createAccessToken`, before anything is stored.
   * @throws `FST_JWT_STORE_UNAVAILABLE`
   */
  createSession (identity: Identity | object, options?: CreateSessionOptions): Promise<SessionTokens>
  /**
   * Replaces the refresh token of the request, which `refreshTokenRequired` has let in, and returns the
   * next pair, not fresh (RFC 9700 §4.14.2). Within `refreshReuseInterval` of being replaced the same token gets
   * the same successor again, for two tabs and for a response that was lost.
   *
   * @param options `claims` replace those given to `createSession`, for this access token and those after it.
   * @throws `FST_JWT_REUSED` when the token was replaced before that: the session is over, for its thief and its owner.
   * @throws `FST_JWT_REVOKED`, `FST_JWT_EXPIRED` (`sessionMaxAge`), `FST_JWT_REFRESH_REQUIRED`,
   *   `FST_JWT_INVALID_TOKEN` for a refresh token of no session, `FST_JWT_STORE_UNAVAILABLE`
   */
  rotateSession (request: FastifyRequest, options?: { claims?: AdditionalClaims }): Promise<SessionTokens>
  /**
   * The live sessions of an identity, newest first.
   *
   * @param identity As `request.jwtIdentity` has it, or an object for the `userIdentity` option.
   * @throws `FST_JWT_STORE_UNAVAILABLE`
   */
  listSessions (identity: Identity | object): Promise<SessionInfo[]>
  /**
   * Ends a session: its tokens are refused from now on, on every server that shares the store. If a client names the session,
   * check that it is one of `listSessions`.
   *
   * A session that is not in the store may be another issuer's: its tokens are refused from now on, too.
   *
   * @param session The `sid` claim of its tokens, or the claims of one of them.
   * @returns `false` when there was none.
   * @throws `FST_JWT_STORE_UNAVAILABLE`
   */
  revokeSession (session: string | JwtClaims): Promise<boolean>
  /**
   * Ends every session of an identity, but for the one whose id is `except`.
   *
   * @param identity As for `listSessions`.
   * @returns How many were ended.
   * @throws `FST_JWT_STORE_UNAVAILABLE`
   */
  revokeAllSessions (identity: Identity | object, options?: { except?: string | undefined }): Promise<number>
}
