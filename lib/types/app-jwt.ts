import type { FastifyReply, FastifyRequest } from 'fastify'
import type { JSONWebKeySet, JWK, KeysOption } from './keys.ts'
import type { SessionInfo } from './store.ts'
import type { AdditionalClaims, Duration, Identity, JwtClaims, JwtHeader, JwtUser, TokenType } from './claims.ts'

/** Options of `createAccessToken`. */
export interface CreateAccessTokenOptions {
  /**
   * Lifetime of the token: seconds, a duration such as `'15m'`, or `false` for no expiry: hooks accept that only if the option `accessExpires`
   * or `refreshExpires` is `false`, too. A negative number creates an expired token, for tests. Default: `accessExpires` or `refreshExpires`.
   */
  expiresIn?: Duration | false
  /** `true` for a fresh token, or how long it is fresh: seconds or a duration. Default: `false`. */
  fresh?: boolean | Duration
  /** The app's own claims. */
  claims?: AdditionalClaims
  /** Additional header parameters. */
  headers?: Record<string, unknown>
  /**
   * With the `dpop` option, the key to bind the token to: its thumbprint (RFC 7638), as `verifyDpopProof` returns it, or a public JWK.
   * Default: none.
   */
  dpopKey?: string | JWK | null | undefined
}

/** Options of `createRefreshToken`. */
export type CreateRefreshTokenOptions = Omit<CreateAccessTokenOptions, 'fresh'>

/** Options of `decodeToken`. */
export interface DecodeTokenOptions {
  /** The token type that is accepted. Default: `'any'`. */
  type?: TokenType | 'any'
  /** Accept an expired token that is valid otherwise. Default: `false`. */
  allowExpired?: boolean
}

/** Options of `createSession`. */
export interface CreateSessionOptions {
  /** The app's own claims, for every access token of this session. They take precedence over the `additionalClaims` option. */
  claims?: AdditionalClaims
  /** Whether the first access token is fresh, or how long it is fresh: seconds or a duration. Default: `true`. */
  fresh?: boolean | Duration
  /** An object for `listSessions` that can be written as JSON: user agent, IP address, device name. */
  metadata?: Record<string, unknown>
  /**
   * How long the session lasts without a refresh: seconds, a duration such as `'30 days'`, or `false` for ever. It is kept at every
   * rotation. `sessionMaxAge` still applies. Default: `refreshExpires`.
   */
  expiresIn?: Duration | false
  /**
   * Whether its cookies stay when the browser closes. It is kept at every rotation. Default: the opposite of the `sessionCookie` option.
   */
  persistent?: boolean
  /**
   * With the `dpop` option, the request of the login. If it has a DPoP proof, the session is bound to the key of the proof, and all its
   * tokens need a proof by that key (RFC 9449 §5). An invalid proof is refused.
   */
  request?: FastifyRequest | undefined
}

/** Options of `updateSession`. What is not given does not change. */
export interface UpdateSessionOptions {
  /** The app's own claims, in place of the previous ones, for access tokens from the next refresh on. */
  claims?: AdditionalClaims
  /** The metadata that `listSessions` shows, in place of the previous metadata. */
  metadata?: Record<string, unknown>
  /**
   * Refuse existing access tokens with `FST_JWT_STALE`, so that clients refresh at once. Nobody is logged out. Default: `false`, they are
   * accepted until they expire.
   */
  now?: boolean
}

/** Options of `authenticate`. */
export interface AuthenticateOptions {
  /** The type of token that is accepted. Default: `'access'`. */
  type?: TokenType | 'any'
  /** Require a fresh token. Default: `false`. */
  fresh?: boolean
  /** The request for callbacks, such as the handshake of a WebSocket. Default: callbacks get `null`. */
  request?: FastifyRequest
}

/** The result of `authenticate`. */
export interface AuthenticatedToken {
  readonly claims: JwtClaims
  /** `null` for an opaque refresh token, which has none. */
  readonly header: JwtHeader | null
  /** The result of `userLookup`; `null` without that option. */
  readonly user: JwtUser | null
}

/** The tokens of a session. */
export interface SessionTokens {
  sessionId: string
  accessToken: string
  refreshToken: string
  /** `'DPoP'` if they are bound to a key (RFC 9449 §5), else `'Bearer'`. Present only with the `dpop` option. */
  tokenType?: 'Bearer' | 'DPoP'
}

/** The type of `app.jwt`. */
export interface JwtExtended {
  /**
   * Creates a signed access token (RFC 7519).
   *
   * @param identity Who the token is for: a non-empty string, a finite number, a BigInt, or a value that the `userIdentity` option turns
   *   into one.
   * @returns The token, in compact form (RFC 7515 §7.1).
   * @throws {TypeError} If the identity is missing, is a number past 2^53, or is not well-formed text; if only this package may set a claim
   *   or header parameter; if an option is unknown or its duration is wrong; if `additionalClaims` returns a promise; if the token is longer
   *   than `maxTokenLength`; if `dpopKey` is given without the `dpop` option; if the registration has no signing key.
   */
  createAccessToken (identity: Identity | object, options?: CreateAccessTokenOptions): string
  /** Creates a signed refresh token (RFC 6749 §1.5). Parameters, result and errors as for `createAccessToken`. */
  createRefreshToken (identity: Identity | object, options?: CreateRefreshTokenOptions): string
  /**
   * Verifies a token and returns its claims. It does not check whether the token was revoked: use a hook, `request.verifyJwt` or
   * `authenticate` for that.
   *
   * @returns The claims, deeply frozen.
   * @throws The error of a refused token, such as `FST_JWT_EXPIRED`.
   * @throws {TypeError} If its key must be fetched from its issuer first, or comes from the `decodeKey` option, which needs a request:
   *   use `request.verifyJwt`.
   */
  decodeToken (token: string, options?: DecodeTokenOptions): JwtClaims
  /**
   * Whether `decodeToken` accepts the token. It does not check whether the token was revoked. Never throws.
   *
   * @returns `false` also if its key must be fetched first, or comes from the `decodeKey` option.
   */
  verifyToken (token: string, options?: DecodeTokenOptions): boolean
  /** The identity in a token, **unverified**, also if it has expired; `null` if unreadable. */
  getIdentity (token: string): string | null
  /** The header of a token, **unverified**; `null` if unreadable. */
  getUnverifiedHeader (token: string): JwtHeader | null
  /**
   * Verifies a token, which may have expired, and returns its `jti` claim.
   *
   * @returns `null` if the token has none, or is invalid.
   * @throws {TypeError} As `decodeToken`, if its key must be fetched first or comes from the `decodeKey` option.
   */
  getJti (token: string): string | null
  /** The double-submit CSRF token in a token, **unverified**; `null` if it has none. */
  getCsrfToken (token: string): string | null
  /**
   * Sets the access cookie, and with double submit its CSRF cookie. `Max-Age` is the rest of the token's lifetime.
   *
   * @throws `FST_JWT_COOKIE_TOO_LARGE` above 4,096 bytes; `FST_JWT_BAD_OPTION` if `tokenLocation` lacks `'cookies'` and `@fastify/cookie`
   *   is not registered.
   * @throws {TypeError} For anything but a reply and an access token.
   * @throws {Error} If the reply was already sent.
   */
  setAccessCookies (reply: FastifyReply, token: string): void
  /** Sets the refresh cookie, and with double submit its CSRF cookie. Errors as for `setAccessCookies`. */
  setRefreshCookies (reply: FastifyReply, token: string): void
  /**
   * Sets all cookies of a session: access, refresh, and with double submit their CSRF cookies. Their lifetime depends on the options of
   * `createSession` (`expiresIn`, `persistent`).
   *
   * @param tokens The result of `createSession` or `rotateSession`.
   * @throws `FST_JWT_COOKIE_TOO_LARGE`. Then no cookie is set, and the session ends.
   */
  setSessionCookies (reply: FastifyReply, tokens: SessionTokens): void
  /**
   * Logs out: ends the session of a request and clears the cookies. It uses any token that the request has, also an expired access token.
   * A token without a session is revoked. It needs no hook before it, and does the CSRF check of a hook.
   *
   * @returns Whether a session has ended. `false` if there was none, so that logging out twice is not an error.
   * @throws `FST_JWT_CSRF`, `FST_JWT_STORE_UNAVAILABLE`. Then nothing is cleared.
   */
  clearSession (request: FastifyRequest, reply: FastifyReply): Promise<boolean>
  /**
   * Authenticates a token that did not come in a request: from a WebSocket message, GraphQL's `connection_init`, or a queue. It does all
   * checks of a hook: signature, type, freshness, revocation, `isRevoked`, `verifyClaims`, `userLookup`. It sets nothing on a request.
   *
   * @throws The error that a hook would answer with.
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
   * Replaces the local keys of this process: `secretKey`, `privateKey`, `publicKey` or `keys`. The first signs, all verify. Tokens of a
   * removed key are refused from now on. Keys of other issuers do not change.
   *
   * @throws `FST_JWT_BAD_OPTION` if a key is invalid. Then the old keys stay.
   * @throws {TypeError} If the registration has no local keys.
   */
  rotateKeys (keys: KeysOption): void
  /**
   * Refuses a token from now on. The denial is kept until the token expires, or for ever if it does not expire. It applies to this token
   * only: to end a session, use `revokeSession`.
   *
   * @param tokenOrClaims A token, expired or not, or `request.jwtClaims`. Give the claims if the key comes from the `decodeKey` option,
   *   which needs a request.
   * @throws The error of an invalid token; `FST_JWT_INVALID_TOKEN` for one without `jti`; `FST_JWT_STORE_UNAVAILABLE`
   */
  revokeToken (tokenOrClaims: string | JwtClaims): Promise<void>
  /**
   * Verifies the DPoP proof of a login or token request (RFC 9449 §5), for `createAccessToken(identity, { dpopKey })`. `createSession`
   * does it by itself.
   *
   * @returns The thumbprint of its key (RFC 7638); `null` if the request has no proof and tokens need not be bound.
   * @throws `FST_JWT_DPOP_PROOF`, `FST_JWT_DPOP_NONCE`, `FST_JWT_STORE_UNAVAILABLE`
   * @throws {TypeError} Without the `dpop` option.
   */
  verifyDpopProof (request: FastifyRequest): Promise<string | null>
  /**
   * Starts a session for a login: an access and a refresh token with the same session id, the `sid` claim. It waits for an asynchronous
   * `additionalClaims`. If that fails, so does this call, and nothing is stored.
   *
   * @throws {TypeError} As `createAccessToken`. Then nothing is stored.
   * @throws `FST_JWT_STORE_UNAVAILABLE`
   */
  createSession (identity: Identity | object, options?: CreateSessionOptions): Promise<SessionTokens>
  /**
   * Replaces the refresh token of a request and returns the next pair, not fresh (RFC 9700 §4.14.2). Until the new pair is used
   * (`refreshUntilUsed`), and for `refreshReuseInterval` seconds after the rotation, the old token gets the same successor again: two
   * tabs may race, and a response may be lost.
   *
   * It calls the `additionalClaims` option again, and waits for it. If that fails, so does this call, and the old token stays valid.
   *
   * @param request A request that `refreshTokenRequired` has accepted.
   * @param options `claims` replace those given to `createSession`, for this access token and all later ones.
   * @throws `FST_JWT_REUSED` if the token was replaced earlier. Then the session has ended, for the thief and for the owner.
   * @throws `FST_JWT_REVOKED`, `FST_JWT_EXPIRED` (`sessionMaxAge`), `FST_JWT_REFRESH_REQUIRED`, `FST_JWT_INVALID_TOKEN` for a refresh
   *   token without a session, `FST_JWT_STORE_UNAVAILABLE`
   */
  rotateSession (request: FastifyRequest, options?: { claims?: AdditionalClaims }): Promise<SessionTokens>
  /**
   * Changes the claims or the metadata of a session, for example if a role was taken away.
   *
   * @param id The `sid` claim of its tokens.
   * @returns `false` if there is no such session.
   * @throws {TypeError} As `createSession`. Then nothing is changed.
   * @throws `FST_JWT_STORE_UNAVAILABLE`
   */
  updateSession (id: string, changes: UpdateSessionOptions): Promise<boolean>
  /**
   * Changes every session of an identity as `updateSession` does. With only `{ now: true }`, clients refresh at once and get the current
   * `additionalClaims`.
   *
   * Change your own data first, so that no refresh finds the old claims. A login at the same moment may still get them, for the lifetime
   * of its first access token.
   *
   * @param identity As for `listSessions`.
   * @param changes As for `updateSession`; `except` is the id of a session that is not changed.
   * @returns How many sessions were changed.
   * @throws {TypeError} As `updateSession`. A claim that can't be written as JSON is detected at the first session.
   * @throws `FST_JWT_STORE_UNAVAILABLE`. Some sessions may have been changed; call it again.
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
   * Ends a session: its tokens are refused from now on, on every server that shares the store. If a client sends the id, first check that
   * it is in the user's `listSessions`.
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
