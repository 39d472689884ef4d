import type { FastifyReply, FastifyRequest } from 'fastify'
import type { JSONWebKeySet, JWK, KeysOption } from './keys.ts'
import type { SessionInfo } from './store.ts'
import type { AdditionalClaims, Duration, Identity, JwtClaims, JwtHeader, JwtUser, TokenType } from './claims.ts'

/** Options of `createAccessToken`. */
export interface CreateAccessTokenOptions {
  /** Lifetime of the token: seconds, a duration such as `'15m'`, or `false` for none. Negative: already expired, for tests. */
  expiresIn?: Duration | false
  /** Whether the token is fresh (just logged in), or for how long: seconds or a duration. Default: `false`. */
  fresh?: boolean | Duration
  /** The app's own claims. */
  claims?: AdditionalClaims
  /** Additional header parameters. */
  headers?: Record<string, unknown>
  /**
   * The key that the token is bound to, with the `dpop` option: its thumbprint (RFC 7638), as `verifyDpopProof` returns it, or a public
   * JWK. Default: none.
   */
  dpopKey?: string | JWK | null | undefined
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
  /** The app's own claims, for every access token of this session. They win over those of the `additionalClaims` option. */
  claims?: AdditionalClaims
  /** Whether the first access token is fresh, or for how long: seconds or a duration. Default: `true`. */
  fresh?: boolean | Duration
  /** An object that JSON can hold, for `listSessions`: user agent, IP address, device name. */
  metadata?: Record<string, unknown>
  /**
   * How long the session lasts without a refresh: seconds, a duration such as `'30 days'`, or `false` for ever. Kept through every
   * rotation. `sessionMaxAge` holds beside it. Default: `refreshExpires`.
   */
  expiresIn?: Duration | false
  /**
   * Whether its cookies outlive the browser: `false` for "log me out when I close it". Kept through every rotation. Default: as the
   * `sessionCookie` option has it.
   */
  persistent?: boolean
  /**
   * The request of the login, with the `dpop` option: if it has a DPoP proof, the session is bound to the key of the proof, and all
   * of its tokens need that key's proof (RFC 9449 §5). A proof that is invalid is refused.
   */
  request?: FastifyRequest | undefined
}

/** Options of `updateSession`. What is not given stays. */
export interface UpdateSessionOptions {
  /** The app's own claims, in place of those before: written into the access tokens of the next refresh. */
  claims?: AdditionalClaims
  /** What `listSessions` shows, in place of what it showed before. */
  metadata?: Record<string, unknown>
  /**
   * Refuse the access tokens that are out already with `FST_JWT_STALE`, so that clients refresh at once. Nobody is logged out.
   * Default: `false`, they pass until they expire.
   */
  now?: boolean
}

/** Options of `authenticate`. */
export interface AuthenticateOptions {
  /** The type of token that is accepted. Default: `'access'`. */
  type?: TokenType | 'any'
  /** Require a fresh token. Default: `false`. */
  fresh?: boolean
  /** The request that callbacks get, the handshake of a socket say. Without it they get `null` in its place. */
  request?: FastifyRequest
}

/** A token that was authenticated. */
export interface AuthenticatedToken {
  readonly claims: JwtClaims
  /** `null` for an opaque refresh token, which has none. */
  readonly header: JwtHeader | null
  /** What `userLookup` has returned; `null` without that option. */
  readonly user: JwtUser | null
}

/** The tokens of a session. */
export interface SessionTokens {
  sessionId: string
  accessToken: string
  refreshToken: string
  /** `'DPoP'` if they are bound to a key (RFC 9449 §5), else `'Bearer'`. There only with the `dpop` option. */
  tokenType?: 'Bearer' | 'DPoP'
}

/** The type of `app.jwt`. */
export interface JwtExtended {
  /**
   * Creates a signed access token (RFC 7519).
   *
   * @param identity Who the token is for: a non-empty string, a finite number, a BigInt, or a value that the
   *   `userIdentity` option turns into one.
   * @returns The token, in compact form (RFC 7515 §7.1).
   * @throws {TypeError} If the identity is missing, a number past 2^53 or not well-formed text, a claim or header parameter belongs
   *   to this package, an option is unknown, or the registration has no key that signs.
   */
  createAccessToken (identity: Identity | object, options?: CreateAccessTokenOptions): string
  /** Creates a signed refresh token (RFC 6749 §1.5). Parameters, result and errors as of `createAccessToken`. */
  createRefreshToken (identity: Identity | object, options?: CreateRefreshTokenOptions): string
  /**
   * Verifies a token and returns its claims, and does not ask the store whether it was revoked: use a hook, `request.verifyJwt` or
   * `authenticate` for that.
   *
   * @returns The claims, deeply frozen.
   * @throws The errors of a refused token, such as `FST_JWT_EXPIRED`.
   * @throws {TypeError} If its key must be fetched from its issuer first, or comes from the `decodeKey` option, which needs
   *   a request: use `request.verifyJwt`.
   */
  decodeToken (token: string, options?: DecodeTokenOptions): JwtClaims
  /**
   * Whether `decodeToken` accepts the token, which does not ask the store whether it was revoked. Never throws.
   *
   * @returns `false` also if its key must be fetched first, or comes from the `decodeKey` option.
   */
  verifyToken (token: string, options?: DecodeTokenOptions): boolean
  /** The identity that a token claims, **unverified**, even if it has expired; `null` if unreadable. */
  getIdentity (token: string): string | null
  /** The header of a token, **unverified**; `null` if unreadable. */
  getUnverifiedHeader (token: string): JwtHeader | null
  /**
   * The `jti` claim of a token that was verified. It may have expired.
   *
   * @returns `null` if the token has none, or is refused for another reason than its `exp`.
   * @throws {TypeError} As `decodeToken`, if its key must be fetched first or comes from the `decodeKey` option.
   */
  getJti (token: string): string | null
  /** The double-submit CSRF token of a token, **unverified**; `null` if it has none. */
  getCsrfToken (token: string): string | null
  /**
   * Sets the access cookie, and under double submit its CSRF cookie. Max-Age is what is left of the token's lifetime.
   *
   * @throws `FST_JWT_COOKIE_TOO_LARGE` above 4,096 bytes; `FST_JWT_BAD_OPTION` if `tokenLocation` lacks `'cookies'` and
   *   `@fastify/cookie` is not registered.
   * @throws {TypeError} For anything but a reply and an access token.
   * @throws {Error} If the reply was sent already.
   */
  setAccessCookies (reply: FastifyReply, token: string): void
  /** Sets the refresh cookie, and under double submit its CSRF cookie. Errors as of `setAccessCookies`. */
  setRefreshCookies (reply: FastifyReply, token: string): void
  /**
   * Sets all cookies of a session: access, refresh, and under double submit their CSRF cookies. They last as its login has said
   * (`expiresIn`, `persistent`).
   *
   * @param tokens What `createSession` or `rotateSession` has returned.
   * @throws `FST_JWT_COOKIE_TOO_LARGE`: then no cookie is set, and the session ends.
   */
  setSessionCookies (reply: FastifyReply, tokens: SessionTokens): void
  /**
   * Logs out: ends the session of a request by whatever tokens it still holds, also if the access token has expired, and clears the
   * cookies. A token of no session is revoked. Needs no hook before it. CSRF protection is as in a hook: a request of another site
   * ends nothing.
   *
   * @returns `false` if no session has ended, since there was none: no error, so that logging out twice is none.
   * @throws `FST_JWT_CSRF`, `FST_JWT_STORE_UNAVAILABLE`: then nothing is cleared.
   */
  clearSession (request: FastifyRequest, reply: FastifyReply): Promise<boolean>
  /**
   * Authenticates a token that came in no request: of a WebSocket message, GraphQL's `connection_init`, a queue. Does all that a
   * hook does: signature, type, freshness, revocation, `isRevoked`, `verifyClaims`, `userLookup`. Attaches nothing.
   *
   * @throws The errors of a refused token, as a hook's.
   */
  authenticate (token: string, options?: AuthenticateOptions): Promise<AuthenticatedToken>
  /** Clears the access and refresh cookies, with the attributes they were set with. */
  unsetJwtCookies (reply: FastifyReply): void
  /** Clears the access cookie. */
  unsetAccessCookies (reply: FastifyReply): void
  /** Clears the refresh cookie. */
  unsetRefreshCookies (reply: FastifyReply): void
  /** The public keys as a JWK Set (RFC 7517 §5). It never holds a secret. */
  jwks (): JSONWebKeySet
  /**
   * Replaces the local keys of this process: `secretKey`, `privateKey`, `publicKey` or `keys`. The first signs, all verify.
   * Tokens of a key that is gone are refused from now on. The keys of other issuers stay.
   *
   * @throws `FST_JWT_BAD_OPTION` if a key is bad: the old keys stay.
   * @throws {TypeError} If the registration has no local keys.
   */
  rotateKeys (keys: KeysOption): void
  /**
   * Refuses a token from now on. The denial is kept until the token expires, or for ever. It is for this token only: use
   * `revokeSession` to log out of a session.
   *
   * @param tokenOrClaims A token, expired or not, or `request.jwtClaims`. Give the claims if the key comes from the
   *   `decodeKey` option, which needs a request.
   * @throws The errors of a refused token; `FST_JWT_INVALID_TOKEN` for one without `jti`; `FST_JWT_STORE_UNAVAILABLE`
   */
  revokeToken (tokenOrClaims: string | JwtClaims): Promise<void>
  /**
   * Verifies the DPoP proof of a login or token request (RFC 9449 §5), for `createAccessToken(identity, { dpopKey })`. `createSession`
   * does it by itself.
   *
   * @returns The thumbprint of its key (RFC 7638); `null` for a request without a proof, if tokens need not be bound.
   * @throws `FST_JWT_DPOP_PROOF`, `FST_JWT_DPOP_NONCE`, `FST_JWT_STORE_UNAVAILABLE`
   * @throws {TypeError} Without the `dpop` option.
   */
  verifyDpopProof (request: FastifyRequest): Promise<string | null>
  /**
   * Starts a session for a login: an access and a refresh token with the same session id, the `sid` claim. Waits for an asynchronous
   * `additionalClaims`; if that fails, so does this call, and nothing has been stored.
   *
   * @throws {TypeError} As `createAccessToken`; then nothing has been stored.
   * @throws `FST_JWT_STORE_UNAVAILABLE`
   */
  createSession (identity: Identity | object, options?: CreateSessionOptions): Promise<SessionTokens>
  /**
   * Replaces the refresh token of a request and returns the next pair, not fresh (RFC 9700 §4.14.2). For
   * `refreshReuseInterval` seconds after that, the old token gets the same successor again: two tabs may race, and a response
   * may be lost.
   *
   * Asks the `additionalClaims` option again, and waits for it. If that fails, so does this call, and the old token stays good.
   *
   * @param request A request that `refreshTokenRequired` has accepted.
   * @param options `claims` replace those given to `createSession`, for this access token and all later ones.
   * @throws `FST_JWT_REUSED` if the token was replaced earlier: the session has ended, for the thief and for the owner.
   * @throws `FST_JWT_REVOKED`, `FST_JWT_EXPIRED` (`sessionMaxAge`), `FST_JWT_REFRESH_REQUIRED`,
   *   `FST_JWT_INVALID_TOKEN` for a refresh token of no session, `FST_JWT_STORE_UNAVAILABLE`
   */
  rotateSession (request: FastifyRequest, options?: { claims?: AdditionalClaims }): Promise<SessionTokens>
  /**
   * Changes the claims or the metadata of a session: a role that was taken away, say.
   *
   * @param id The `sid` claim of its tokens.
   * @returns `false` if there is no such session.
   * @throws {TypeError} As `createSession`, before anything is changed.
   * @throws `FST_JWT_STORE_UNAVAILABLE`
   */
  updateSession (id: string, changes: UpdateSessionOptions): Promise<boolean>
  /**
   * Changes every session of an identity as `updateSession` does. With `{ now: true }` alone, clients refresh at once, and
   * `additionalClaims` is asked for the claims of today.
   *
   * Change your own data first: then no refresh can still find the old claims. A login that is under way may get them for the life of
   * its first access token.
   *
   * @param identity As for `listSessions`.
   * @param changes As for `updateSession`; `except` is the id of a session that stays as it is.
   * @returns How many sessions were changed.
   * @throws {TypeError} As `updateSession`. A claim that can't be written is found at the first session.
   * @throws `FST_JWT_STORE_UNAVAILABLE`: some sessions may have been changed; call it again.
   */
  updateAllSessions (identity: Identity | object, changes: UpdateSessionOptions & { except?: string | undefined }): Promise<number>
  /**
   * The live sessions of an identity, newest first.
   *
   * @param identity The value of `request.jwtIdentity`, or an object for the `userIdentity` option.
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
   * Ends every session of an identity, except the one whose id is `except`.
   *
   * @param identity As for `listSessions`.
   * @returns The number of sessions ended.
   * @throws `FST_JWT_STORE_UNAVAILABLE`
   */
  revokeAllSessions (identity: Identity | object, options?: { except?: string | undefined }): Promise<number>
}
