import type { FastifyRequest } from 'fastify'
import type { Messages } from './errors.ts'
import type { AdditionalClaims, Duration, Identity, JwtClaims, JwtHeader, JwtUser, MaybePromise, TokenType } from './claims.ts'
import type { TokenLocation } from './hooks.ts'
import type { SplitStore, Store } from './store.ts'
import type { Algorithm, DecodedKey, KeysOption, PrivateKey, PublicKey, Secret } from './keys.ts'

/** The two CSRF protections; see the `csrfProtection` option. */
export type CsrfProtection = 'fetch-metadata' | 'double-submit'

/** Another issuer whose tokens are accepted. */
export interface IssuerOptions {
  /**
   * The `iss` of its tokens, character for character. It may have a placeholder for `tenants`. Without `jwksUri` it must be an
   * `https:` URL, and the keys are found by the discovery document under it (OpenID Connect Discovery 1.0 §4).
   */
  issuer: string
  /** URL of its JWK Set: `https:`, or `http:` on a loopback host. Default: what the discovery document says. */
  jwksUri?: string | undefined
  /** Audiences accepted in its tokens: the token must name at least one of them. Default: `decodeAudience`. */
  audience?: string | readonly string[] | undefined
  /**
   * The tenants whose tokens are accepted, if `issuer` has a placeholder, such as `https://login.example/{tenant}/v2.0`: a list, or
   * a function that returns `true` for them. `jwksUri` may have the placeholder, too.
   */
  tenants?: readonly string[] | ((tenant: string) => boolean)
}

/** Fetches JWK Sets and discovery documents. Called as the `fetch` of Node.js is. */
export type FetchKeys = (
  url: string, init: { signal: AbortSignal, redirect: 'error', headers: Record<string, string> }
) => Promise<Pick<Response, 'status' | 'redirected' | 'body'>>

/** Keys and algorithms. */
export interface KeyOptions {
  /**
   * HMAC secret that signs and verifies tokens: at least 32, 48 or 64 bytes for HS256, HS384 or HS512 (RFC 7518 §3.2). Of an array
   * the first signs, and all verify. White space at its ends stops start-up. So does `undefined`, as of an environment variable that
   * is not set.
   */
  secretKey?: Secret | readonly Secret[] | undefined
  /** The algorithm tokens are signed with. Default: `'HS256'`. */
  algorithm?: Algorithm
  /** Private key that signs tokens, for RS, PS, ES and EdDSA: PEM, `KeyObject`, JWK or its JSON text, or `{ key, passphrase }`. */
  privateKey?: PrivateKey | undefined
  /**
   * Public key that verifies tokens: PEM, certificate, `KeyObject`, JWK or its JSON text. An instance that has no other key only
   * verifies.
   */
  publicKey?: PublicKey | undefined
  /** Name of the key, written into tokens as `kid` (RFC 7515 §4.1.4), so that it can be told from the next one. */
  keyId?: string | undefined
  /** Several named keys, also of different algorithms. The first signs, all verify. */
  keys?: KeysOption
  /**
   * The algorithms that tokens may be signed with (RFC 8725 §3.1). Default: `[algorithm]`; for keys of other issuers every asymmetric
   * one that fits the key. No other issuer's token is ever verified with an HMAC algorithm.
   */
  decodeAlgorithms?: readonly Algorithm[]
  /**
   * URL of the JWK Set (RFC 7517 §5) whose keys verify every token, in place of keys of your own: `https:`, or `http:` on a loopback
   * host. The keys are fetched when the first token comes, and again if a token names a new one. A key server that does not answer is a
   * 503. Say with `decodeIssuer` and `decodeAudience` which tokens are meant.
   */
  jwksUri?: string | undefined
  /**
   * Other issuers whose access tokens are accepted, beside those of your own keys if there are any. The keys of an issuer verify the
   * tokens that name it as `iss`, and no others.
   */
  issuers?: readonly IssuerOptions[]
  /**
   * Seconds, or a duration, after which keys of other issuers are fetched again. A key that its issuer has withdrawn is accepted for so
   * long. Default: 600.
   */
  jwksMaxAge?: Duration
  /**
   * Seconds, or a duration, for which fetched keys are used if the issuer does not answer any more. Default: 3600, or `jwksMaxAge` if
   * that is more.
   */
  jwksMaxStale?: Duration
  /** Function that fetches the keys of other issuers, through a proxy for example. Default: the `fetch` of Node.js. */
  jwksFetch?: FetchKeys
  /**
   * Returns the key that a token must have been signed with; it is called for each request. Use it for a key per tenant, for example. No
   * other key verifies then: a `secretKey`, `privateKey` or `keys` beside it only signs.
   *
   * @param header The header of the token, **unverified**.
   * @param claims Its claims, **unverified**: use them to choose a key, and for nothing else.
   * @returns The key, or a promise of it. `null` or `undefined` refuses the token (401). What it throws is a 500.
   */
  decodeKey?: (header: JwtHeader, claims: Readonly<Record<string, unknown>>, request: FastifyRequest) => MaybePromise<DecodedKey | null | undefined>
  /**
   * Path of a route that serves the public keys as a JWK Set to everyone, also under `protect`. The prefix of the context is put before
   * it. Default: no such route.
   */
  jwksPath?: string
}

/** What is written into tokens, and required of them. */
export interface TokenOptions {
  /** How long an access token is valid: seconds, a duration, or `false` for ever. Default: 900 (15 minutes). */
  accessExpires?: Duration | false | undefined
  /** How long a refresh token is valid: seconds, a duration, or `false` for ever. Default: 2592000 (30 days). */
  refreshExpires?: Duration | false | undefined
  /**
   * Difference between the clocks of servers that is tolerated, for `exp` and `nbf` (RFC 7519 §4.1.4, §4.1.5): seconds or a duration.
   * Default: 5 seconds for `nbf`, so that a new token of a server whose clock is a little ahead is accepted, and none for `exp`. `iat`
   * is never checked.
   */
  leeway?: Duration
  /** Write `nbf`, the time before which a token is not valid, into tokens. Default: `true`. */
  encodeNbf?: boolean
  /** The claim that holds the identity. Default: `'sub'`. */
  identityClaim?: string
  /**
   * `iss` of the tokens created here. It is required of tokens that come in, unless `decodeIssuer` says otherwise. `undefined` stops
   * start-up, here and in the next three, as of an environment variable that is not set. Default: none.
   */
  issuer?: string | undefined
  /** `aud` of the tokens created here. It is required of tokens that come in, unless `decodeAudience` says otherwise. Default: none. */
  audience?: string | readonly string[] | undefined
  /** Issuers whose tokens are accepted, by `iss`. Default: `issuer`. */
  decodeIssuer?: string | readonly string[] | undefined
  /** Audiences accepted: a token must name at least one of them in `aud`. Default: `audience`. */
  decodeAudience?: string | readonly string[] | undefined
  /** Length in bytes above which a token is refused before anything else is done with it. Default: 8192. */
  maxTokenLength?: number
  /**
   * How many verified tokens are remembered, so that their signature is not checked again; 0 for none. Each takes about 650 bytes until
   * it expires. Default: 50000.
   */
  cacheSize?: number
}

/** Where a token is looked for. */
export interface LocationOptions {
  /**
   * One or several places to look for a token, in order of precedence. The first that holds a token decides. If that token is of the
   * other type, the next place is looked at: a refresh token in a cookie is found beside an access token in the header. Default:
   * `'headers'`.
   */
  tokenLocation?: TokenLocation | readonly TokenLocation[]
  /** Name of the header that holds a token. Default: `'Authorization'`. */
  headerName?: string
  /** The word before the token in that header, upper or lower case; `''` if the header is the token alone. Default: `'Bearer'`. */
  headerType?: string
  /** Name of the query parameter that holds a token. Default: `'jwt'`. */
  queryStringName?: string
  /** Text before the token in the query parameter, such as `'Bearer '`. Default: `''`. */
  queryStringValuePrefix?: string
  /** Field of a JSON body that holds an access token. Default: `'access_token'`. */
  jsonKey?: string
  /** Field of a JSON body that holds a refresh token. Default: `'refresh_token'`. */
  refreshJsonKey?: string
  /**
   * Returns the token of a request, or `undefined` to go on with the locations. CSRF protection does not cover a token that it returns:
   * if it reads a cookie, use `crossOriginProtection` on the route.
   */
  extractToken?: (request: FastifyRequest, type: TokenType | 'any') => string | undefined
}

/** Cookies that hold tokens. They are for `'cookies'` in `tokenLocation`. */
export interface CookieOptions {
  /**
   * Name of the cookie that holds the access token. A `__Host-` name keeps other hosts from setting it. Default: `'access_token_cookie'`.
   */
  accessCookieName?: string
  /** Name of the cookie that holds the refresh token. Default: `'refresh_token_cookie'`. */
  refreshCookieName?: string
  /** Path under which the browser sends the access cookie, as the browser sees it. Default: `'/'`. */
  accessCookiePath?: string
  /** Path under which the browser sends the refresh cookie: that of the routes that refresh and log out. Default: `'/'`. */
  refreshCookiePath?: string
  /** Domain of the token cookies: all its sub-domains get the tokens. Default: none, only the host that set the cookie. */
  cookieDomain?: string | undefined
  /** Send the token cookies over HTTPS only. `'auto'`: if the request came over HTTPS. Use `true` in production. Default: `'auto'`. */
  cookieSecure?: boolean | 'auto'
  /** Hide the token cookies from the scripts of a page (`HttpOnly`). Default: `true`. */
  cookieHttponly?: boolean
  /**
   * `SameSite` of the token cookies: whether they come with requests of other sites (RFC 6265bis §5.6.7). `'None'` needs `cookieSecure:
   * true`. Default: `'Lax'`.
   */
  cookieSamesite?: 'Strict' | 'Lax' | 'None'
  /** `Partitioned` (CHIPS): a separate cookie for each site that embeds the app. Needs `cookieSecure: true`. Default: `false`. */
  cookiePartitioned?: boolean
  /** End the token cookies when the browser closes. Otherwise they last as long as their token. Default: `false`. */
  sessionCookie?: boolean
  /** Renew an access cookie that expires within this time, with the answer: seconds, a duration, or `false` for never. Default: `false`. */
  implicitRefresh?: Duration | false
}

/**
 * Whether a cross-origin request is trusted, by its `Origin` header: for hosts of tenants, for example. Only `true` trusts it. What it
 * throws is a 500.
 */
export type TrustedOrigins = (origin: string, request: FastifyRequest) => boolean

/** Protection against cross-site request forgery, for tokens that come in cookies. */
export interface CsrfOptions {
  /** Which protection, or both in an array, or `false` for none. Default: `'fetch-metadata'`. */
  csrfProtection?: CsrfProtection | readonly CsrfProtection[] | false
  /** Methods whose requests are checked. Default: all but GET, HEAD, OPTIONS and TRACE (RFC 9110 §9.2.1). */
  csrfMethods?: readonly string[]
  /**
   * Origins whose pages may send requests with token cookies, such as `'https://app.example.com'` or `'capacitor://localhost'`; or a
   * function that decides about one. Default: `[]`, only pages of the app's own origin.
   */
  trustedOrigins?: readonly string[] | TrustedOrigins
  /**
   * Double submit: set the CSRF token as a cookie that scripts can read. With `false`, hand `app.jwt.getCsrfToken(token)` to the page
   * yourself. Default: `true`.
   */
  csrfInCookies?: boolean
  /** Double submit: accept the CSRF token as a form field, too. Default: `false`. */
  csrfCheckForm?: boolean
  /** Double submit: name of the cookie with the CSRF token of the access token. Default: `'csrf_access_token'`. */
  accessCsrfCookieName?: string
  /** Double submit: name of the cookie with the CSRF token of the refresh token. Default: `'csrf_refresh_token'`. */
  refreshCsrfCookieName?: string
  /** Double submit: path of the cookie with the CSRF token of the access token; pages that send it must be under it. Default: `'/'`. */
  accessCsrfCookiePath?: string
  /** Double submit: path of the cookie with the CSRF token of the refresh token; pages that send it must be under it. Default: `'/'`. */
  refreshCsrfCookiePath?: string
  /** Double submit: name of the header in which a page sends the CSRF token of the access token. Default: `'X-CSRF-TOKEN'`. */
  accessCsrfHeaderName?: string
  /** Double submit: name of the header in which a page sends the CSRF token of the refresh token. Default: `'X-CSRF-TOKEN'`. */
  refreshCsrfHeaderName?: string
  /** Double submit: name of the form field with the CSRF token of the access token, for `csrfCheckForm`. Default: `'csrf_token'`. */
  accessCsrfFieldName?: string
  /** Double submit: name of the form field with the CSRF token of the refresh token, for `csrfCheckForm`. Default: `'csrf_token'`. */
  refreshCsrfFieldName?: string
}

/** Callbacks of the app. If one throws, the answer is a 500 and nobody is let in. */
export interface CallbackOptions {
  /**
   * Returns claims to add to each token. Claims given to `createAccessToken` or `createSession` win over them. `subject` is what the
   * call was given, before `userIdentity` made an identity of it; at a rotation it is the identity. It may return a promise if all
   * tokens are made by `createSession` and `rotateSession`, which ask it each time and wait for it.
   */
  additionalClaims?: (identity: string, type: TokenType, subject: unknown) => MaybePromise<AdditionalClaims>
  /** Returns header parameters to add to each token, at once. It gets what `additionalClaims` gets. */
  additionalHeaders?: (identity: string, type: TokenType, subject: unknown) => Record<string, unknown>
  /** Returns the identity of what `createAccessToken` was given, such as a user object. */
  userIdentity?: (user: unknown) => Identity
  /**
   * Returns the user of a verified token, or a promise of it, for `request.jwtUser`. `null` or `undefined` is a 401. If
   * `app.jwt.authenticate` is called without a request, `request` is `null` in this callback and in the next two.
   */
  userLookup?: (claims: JwtClaims, request: FastifyRequest, header: JwtHeader | null) => MaybePromise<JwtUser | null | undefined>
  /** Returns `true` if the claims of a verified token are acceptable, or a promise of it. Anything else is a 403. */
  verifyClaims?: (claims: JwtClaims, request: FastifyRequest, header: JwtHeader | null) => MaybePromise<boolean>
  /** Returns whether a verified token has been revoked, or a promise of it. It is called after the store. */
  isRevoked?: (claims: JwtClaims, request: FastifyRequest, header: JwtHeader | null) => MaybePromise<boolean>
}

/** How sessions are bound to devices. */
export interface DeviceBindingOptions {
  /**
   * The session covers all hosts of the site: for cookies with a `cookieDomain`, which must be the registrable domain itself, such
   * as `example.com`. Only a login on that very host is bound then. Default: `false`, one host.
   */
  includeSite?: boolean
  /**
   * Other sites whose links and requests may make the browser refresh, by host: `'accounts.example.net'`, `'*.example.net'`.
   * Without it, a page that is opened from another site after the access cookie has expired comes without it. Default: `[]`.
   */
  allowedRefreshInitiators?: readonly string[]
}

/** Revocation and sessions. */
export interface SessionOptions {
  /**
   * Where revocations and sessions are kept: a store, a store each as `{ denylist, sessions }`, or `false` for none. Default: in memory.
   */
  store?: Store | SplitStore | false
  /**
   * Seconds, or a duration, after a rotation in which the replaced refresh token still gets its successor, although that has been used
   * already. Default: 10.
   */
  refreshReuseInterval?: Duration
  /**
   * Accept a replaced refresh token until a token of its successor has come in, so that no lost answer signs anybody out. Default:
   * `true`.
   */
  refreshUntilUsed?: boolean
  /**
   * How many sessions an identity may have. With a number, the oldest ends if there would be more; `whenFull: 'refuse'` refuses the new
   * one with `FST_JWT_TOO_MANY_SESSIONS`. Default: any number.
   */
  maxSessions?: number | { max: number, whenFull?: 'endOldest' | 'refuse' }
  /** Format of the refresh tokens of sessions: a JWT, or `'opaque'` for random text with nothing to read in it. Default: `'jwt'`. */
  refreshTokenFormat?: 'jwt' | 'opaque'
  /**
   * Time after the login at which a session ends, however often it was refreshed: seconds, a duration, or `false` for never. Default:
   * `false`.
   */
  sessionMaxAge?: Duration | false | undefined
  /**
   * Device Bound Session Credentials for cookie sessions: a browser that can binds the session to a key that never leaves its device,
   * and copied cookies end with the access cookie. Other browsers go on as before. Needs HTTPS. Default: `false`.
   */
  deviceBinding?: boolean | DeviceBindingOptions
  /** Path of the two routes that browsers bind and refresh by; a prefix of the context is put before it. Default: `'/device-binding'`. */
  deviceBindingPath?: string
}

/** The algorithms of a DPoP proof. `Ed25519` is the name of EdDSA on that curve in RFC 9864. */
export type ProofAlgorithm = Exclude<Algorithm, 'HS256' | 'HS384' | 'HS512'> | 'Ed25519'

/** The `dpop` option in full. */
export interface ProofOptions {
  /**
   * `'allowed'`: tokens that are bound to a key need a proof, others pass as before. `'required'`: every token needs one that does
   * not come in a cookie. Default: `'allowed'`.
   */
  mode?: 'allowed' | 'required'
  /**
   * How old a proof may be, by its `iat`. So long its `jti` is kept in the store, so that it passes once. With `nonce`, the age of the
   * nonce decides. Default: 60.
   */
  replayWindow?: Duration
  /** By how much the clocks of client and server may differ. Default: 10. */
  clockTolerance?: Duration
  /**
   * Require a nonce of the server's in every proof (RFC 9449 §8), good for so long; `true` for 300 seconds. Every server with the same
   * keys accepts those of the others. Default: `false`.
   */
  nonce?: boolean | Duration
  /** What nonces are made with, for a server that signs no tokens: at least 32 bytes, the same on every server. Default: a key derived from those that sign. */
  nonceSecret?: Secret | undefined
  /** The algorithms accepted in proofs. Default: all. */
  algorithms?: readonly ProofAlgorithm[]
  /** The URL of a request as its client sees it, if a proxy changes its path. Default: by `request.protocol`, `host` and `originalUrl`. */
  url?: (request: FastifyRequest) => string
}

/** Tokens that are bound to a key. */
export interface PossessionOptions {
  /**
   * Tokens that are bound to a key of the client, which proves with each request that it has the key (DPoP, RFC 9449). If the option
   * is left out, such tokens are refused, since a bound token is not a bearer token; with `false` their binding is ignored.
   * Default: not supported.
   */
  dpop?: false | 'allowed' | 'required' | ProofOptions
}

/** What the metadata of a resource server says (RFC 9728 §2). Members that are not listed here may be given, too. */
export interface ResourceMetadata {
  /** The URL of this API, as its clients and its tokens' `aud` have it: `https:`, or `http:` on a loopback host. */
  resource: string
  /** Issuers of the tokens that are accepted. Default: those of the `issuers` option. */
  authorization_servers?: readonly string[]
  /** Scopes that a client may ask for. */
  scopes_supported?: readonly string[]
  /** How the resource takes bearer tokens (RFC 6750 §2). Default: `['header']`, if it does. */
  bearer_methods_supported?: readonly string[]
  /** The name of this API, for people. */
  resource_name?: string
  /** The URL of its documentation. */
  resource_documentation?: string
  readonly [member: string]: unknown
}

/** How another issuer is asked about its tokens (RFC 7662). */
export interface IntrospectionOptions {
  /** The introspection endpoint: `https:`, or `http:` on a loopback host. */
  url: string
  /** Who asks, by HTTP Basic (RFC 6749 §2.3.1). */
  clientId: string | undefined
  /** The secret of that client. */
  clientSecret: string | undefined
  /** Issuers accepted, if an answer must name one. Default: any. */
  issuer?: string | readonly string[] | undefined
  /** Audiences accepted: one that the answer names must be among them. Default: `decodeAudience`. */
  audience?: string | readonly string[] | undefined
  /** How long an answer is used again, at most: no longer than its `exp` and its `Cache-Control` allow. Default: 0, each request asks. */
  maxAge?: Duration
  /** Takes the place of `fetch`. Default: the `fetch` of Node.js. */
  fetch?: (url: string, init: { method: 'POST', body: string, headers: Record<string, string>, signal: AbortSignal, redirect: 'error' }) =>
  Promise<Pick<Response, 'status' | 'redirected' | 'body' | 'headers'>>
}

/** An API whose tokens other issuers make. */
export interface ResourceServerOptions {
  /**
   * Serve the metadata of this API at its well-known path (RFC 9728), and name it in challenges, so that a client finds out where to
   * get a token. Default: not served.
   */
  resourceMetadata?: ResourceMetadata
  /**
   * Accept from other issuers only what says that it is an access token: `typ: at+jwt`, with a `client_id` (RFC 9068). So no ID token
   * of the same issuer passes. Default: `false`.
   */
  requireAccessTokenType?: boolean
  /**
   * Ask an issuer about tokens that are no JWT (RFC 7662). Without keys and `issuers`, it is asked about every token. Default: nobody
   * is asked.
   */
  introspection?: IntrospectionOptions
}

/** Protection of whole apps, and what answers say. */
export interface RouteOptions {
  /**
   * Put `jwtRequired` on every route of the context. Default: `false`. A registration within a protected context stays protected.
   */
  protect?: boolean
  /**
   * Routes that `protect` leaves open: patterns as the routes were declared with, prefix included, or beginnings of them that end in `*`.
   * Default: `[]`.
   */
  skipPaths?: readonly string[]
  /**
   * Messages of errors, in place of the package's own: an object by error code, in which `%s` stands for the reason; or a function of
   * code and details, for other languages. If that returns `undefined`, the package's own message stays.
   */
  messages?: Messages
  /** `realm` of the `WWW-Authenticate` challenge: what the login is for (RFC 9110 §11.5). Default: none. */
  realm?: string
}

/** The options of the plugin. An unknown one, or a value of the wrong kind, stops start-up. */
export interface JwtExtendedOptions extends
  KeyOptions, TokenOptions, LocationOptions, CookieOptions, CsrfOptions, CallbackOptions, SessionOptions,
  PossessionOptions, ResourceServerOptions, RouteOptions {}

/**
 * Options with one source of keys at least, as registering takes them: without any, no token can be made or verified. The variable of an
 * environment may turn out `undefined`.
 */
export type OptionsWithKeys = JwtExtendedOptions & (
  | Required<Pick<KeyOptions, 'keys'>>
  | Required<Pick<KeyOptions, 'jwksUri'>>
  | Required<Pick<KeyOptions, 'issuers'>>
  | Required<Pick<KeyOptions, 'decodeKey'>>
  | Required<Pick<ResourceServerOptions, 'introspection'>>
  | { secretKey: KeyOptions['secretKey'] }
  | { privateKey: KeyOptions['privateKey'] }
  | { publicKey: KeyOptions['publicKey'] }
)
