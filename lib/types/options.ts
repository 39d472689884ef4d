import type { FastifyRequest } from 'fastify'
import type { Messages } from './errors.ts'
import type { AdditionalClaims, Duration, Identity, JwtClaims, JwtHeader, JwtUser, MaybePromise, TokenType } from './claims.ts'
import type { TokenLocation } from './hooks.ts'
import type { SplitStore, Store } from './store.ts'
import type { Algorithm, DecodedKey, KeysOption, PrivateKey, PublicKey, Secret } from './keys.ts'

/** The two CSRF protections; see the `csrfProtection` option. */
export type CsrfProtection = 'fetch-metadata' | 'double-submit'

/** Other issuers. */
export interface IssuerOptions {
  /**
   * The `iss` of its tokens, compared exactly. It may have a placeholder for `tenants`. Without `jwksUri` it must be an `https:` URL, and
   * the keys are found by its discovery document (OpenID Connect Discovery 1.0 §4).
   */
  issuer: string
  /** URL of its JWK Set: `https:`, or `http:` on a loopback host. Default: from the discovery document. */
  jwksUri?: string | undefined
  /** Audiences accepted in its tokens: the token must name at least one of them. Default: `decodeAudience`. */
  audience?: string | readonly string[] | undefined
  /**
   * The accepted tenants, if `issuer` has a placeholder, such as `https://login.example/{tenant}/v2.0`: a list, or a function that
   * returns `true` for them. `jwksUri` may have the placeholder, too.
   */
  tenants?: readonly string[] | ((tenant: string) => boolean)
}

/** Fetches JWK Sets and discovery documents. It is called like the `fetch` of Node.js. */
export type FetchKeys = (
  url: string, init: { signal: AbortSignal, redirect: 'error', headers: Record<string, string> }
) => Promise<Pick<Response, 'status' | 'redirected' | 'body'>>

/** Keys and algorithms. */
export interface KeyOptions {
  /**
   * HMAC secret that signs and verifies tokens: at least 32, 48 or 64 bytes for HS256, HS384 or HS512 (RFC 7518 §3.2). In an array, the
   * first signs and all verify. White space at its start or end stops start-up. So does `undefined`, such as an environment variable that
   * is not set.
   */
  secretKey?: Secret | readonly Secret[] | undefined
  /** The algorithm that signs tokens. Default: `'HS256'`. */
  algorithm?: Algorithm
  /** Private key that signs tokens, for RS, PS, ES and EdDSA: PEM, `KeyObject`, JWK or its JSON text, or `{ key, passphrase }`. */
  privateKey?: PrivateKey | undefined
  /**
   * Public key that verifies tokens: PEM, certificate, `KeyObject`, JWK or its JSON text. Without another key, the instance can only
   * verify.
   */
  publicKey?: PublicKey | undefined
  /** Name of the key, written into tokens as `kid` (RFC 7515 §4.1.4), so that verifiers can choose among several keys. */
  keyId?: string | undefined
  /** Several named keys, which may have different algorithms. The first signs, all verify. */
  keys?: KeysOption
  /**
   * The algorithms accepted in tokens (RFC 8725 §3.1). Default: `[algorithm]`; for keys of other issuers, every asymmetric algorithm that
   * fits the key. HMAC is never accepted for another issuer.
   */
  decodeAlgorithms?: readonly Algorithm[]
  /**
   * URL of the JWK Set (RFC 7517 §5) whose keys verify every token, in place of keys of your own: `https:`, or `http:` on a loopback
   * host. The keys are fetched when the first token comes, and again if a token names an unknown key. If the key server does not answer,
   * the response is a 503. Set `decodeIssuer` and `decodeAudience`, too.
   */
  jwksUri?: string | undefined
  /**
   * Other issuers whose access tokens are accepted, in addition to tokens of your own keys. The keys of an issuer only verify tokens with
   * its `iss`.
   */
  issuers?: readonly IssuerOptions[]
  /**
   * Time after which keys of other issuers are fetched again: seconds or a duration. Until then, a key that its issuer has withdrawn is
   * still accepted. Default: 600.
   */
  jwksMaxAge?: Duration
  /**
   * How long fetched keys are used while the issuer does not answer: seconds or a duration. Default: 3600, or `jwksMaxAge` if that is
   * more.
   */
  jwksMaxStale?: Duration
  /** Function that fetches the keys of other issuers, through a proxy for example. Default: the `fetch` of Node.js. */
  jwksFetch?: FetchKeys
  /**
   * Returns the key that must verify a token, for example a key for each tenant. It is called for each request. A `secretKey`,
   * `privateKey` or `keys` beside it only signs.
   *
   * @param header The header of the token, **unverified**.
   * @param claims Its claims, **unverified**: use them to choose a key, and for nothing else.
   * @returns The key, or a promise of it. `null` or `undefined` refuses the token (401). If it throws, the response is a 500.
   */
  decodeKey?: (header: JwtHeader, claims: Readonly<Record<string, unknown>>, request: FastifyRequest) => MaybePromise<DecodedKey | null | undefined>
  /**
   * Path of a route that serves the public keys as a JWK Set. The prefix of the context is added. The route is open, also under
   * `protect`. Default: no such route.
   */
  jwksPath?: string
}

/** What tokens contain, and what is required of them. */
export interface TokenOptions {
  /** Lifetime of access tokens: seconds, a duration, or `false` for no expiry. Default: 900 (15 minutes). */
  accessExpires?: Duration | false | undefined
  /** Lifetime of refresh tokens: seconds, a duration, or `false` for no expiry. Default: 2592000 (30 days). */
  refreshExpires?: Duration | false | undefined
  /**
   * Accepted difference between the clocks of servers, for `exp` and `nbf` (RFC 7519 §4.1.4, §4.1.5): seconds or a duration. Default: 5
   * seconds for `nbf`, so that new tokens of a server whose clock is a little ahead are accepted; 0 for `exp`. `iat` is never checked.
   */
  leeway?: Duration
  /** Write `nbf`, the time before which a token is not valid, into tokens. Default: `true`. */
  encodeNbf?: boolean
  /** The claim that holds the identity. Default: `'sub'`. */
  identityClaim?: string
  /**
   * `iss` of the tokens created here, and required in incoming tokens unless `decodeIssuer` is set. `undefined`, such as an environment
   * variable that is not set, stops start-up, as for the next three options. Default: none.
   */
  issuer?: string | undefined
  /** `aud` of the tokens created here, and required in incoming tokens unless `decodeAudience` is set. Default: none. */
  audience?: string | readonly string[] | undefined
  /** Issuers accepted: the `iss` of a token must be one of them. Default: `issuer`. */
  decodeIssuer?: string | readonly string[] | undefined
  /** Audiences accepted: a token must name at least one of them in `aud`. Default: `audience`. */
  decodeAudience?: string | readonly string[] | undefined
  /**
   * Maximum length of a token, in characters. A longer one is refused before anything else is done with it, and is never created. Default:
   * 8192.
   */
  maxTokenLength?: number
  /**
   * How many verified tokens are cached, so that their signature is not checked again; 0 turns the cache off. Each takes about 650 bytes
   * of memory. Default: 50000.
   */
  cacheSize?: number
}

/** Where tokens are found. */
export interface LocationOptions {
  /**
   * One or several locations of a token, in order of precedence. The first that has a token is used. If that token is of the other type,
   * the next location is tried, so that a refresh token in a cookie is found although there is an access token in the header. Default:
   * `'headers'`.
   */
  tokenLocation?: TokenLocation | readonly TokenLocation[]
  /** Name of the header that holds a token. Default: `'Authorization'`. */
  headerName?: string
  /** The scheme before the token in that header, case-insensitive; `''` if the header has only the token. Default: `'Bearer'`. */
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
   * Returns the token of a request, or `undefined` to try the locations. There is no CSRF protection for a token that it returns: if it
   * reads a cookie, use `crossOriginProtection` on the route.
   */
  extractToken?: (request: FastifyRequest, type: TokenType | 'any') => string | undefined
}

/** Cookies. These options need `'cookies'` in `tokenLocation`. */
export interface CookieOptions {
  /**
   * Name of the cookie that holds the access token. With a `__Host-` name, no other host can set it. Default: `'access_token_cookie'`.
   */
  accessCookieName?: string
  /** Name of the cookie that holds the refresh token. Default: `'refresh_token_cookie'`. */
  refreshCookieName?: string
  /** Path under which the browser sends the access cookie: the path in the browser, before a proxy changes it. Default: `'/'`. */
  accessCookiePath?: string
  /** Path under which the browser sends the refresh cookie: choose that of the routes that refresh and log out. Default: `'/'`. */
  refreshCookiePath?: string
  /** Domain of the token cookies. All its sub-domains get the tokens. Default: none; only the host that set the cookie gets it. */
  cookieDomain?: string | undefined
  /**
   * `Secure`: send the token cookies over HTTPS only. `'auto'`: if the request came over HTTPS. Use `true` in production. Default:
   * `'auto'`.
   */
  cookieSecure?: boolean | 'auto'
  /** `HttpOnly`: hide the token cookies from the scripts of a page. Default: `true`. */
  cookieHttponly?: boolean
  /**
   * `SameSite`: whether the token cookies are sent with requests from other sites (RFC 6265bis §5.6.7). `'None'` needs `cookieSecure:
   * true`. Default: `'Lax'`.
   */
  cookieSamesite?: 'Strict' | 'Lax' | 'None'
  /** `Partitioned` (CHIPS): a separate cookie for each site that embeds the app. Needs `cookieSecure: true`. Default: `false`. */
  cookiePartitioned?: boolean
  /** Whether the token cookies end when the browser closes. Otherwise they last as long as their token. Default: `false`. */
  sessionCookie?: boolean
  /**
   * Renew an access cookie in the response if it expires within this time: seconds, a duration, or `false` for never. Default: `false`.
   */
  implicitRefresh?: Duration | false
}

/**
 * Decides whether a cross-origin request is trusted, by its `Origin` header: for example, for the hosts of tenants. Only `true` trusts
 * it. If it throws, the response is a 500.
 */
export type TrustedOrigins = (origin: string, request: FastifyRequest) => boolean

/** CSRF protection. It applies to tokens that come in cookies. */
export interface CsrfOptions {
  /** The protection, both in an array, or `false` for none. Default: `'fetch-metadata'`. */
  csrfProtection?: CsrfProtection | readonly CsrfProtection[] | false
  /** Methods whose requests are checked. Default: all but GET, HEAD, OPTIONS and TRACE (RFC 9110 §9.2.1). */
  csrfMethods?: readonly string[]
  /**
   * Origins whose pages may send requests with token cookies, such as `'https://app.example.com'` or `'capacitor://localhost'`; or a
   * function that decides. Default: `[]`, only pages of the app's own origin.
   */
  trustedOrigins?: readonly string[] | TrustedOrigins
  /**
   * Double submit: set the CSRF token as a cookie that scripts can read. With `false`, give `app.jwt.getCsrfToken(token)` to the page
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

/** Callbacks. If one throws, the request is refused with a 500. */
export interface CallbackOptions {
  /**
   * Returns claims to add to each token. Claims given to `createAccessToken` or `createSession` take precedence. `subject` is the
   * argument of that call, before `userIdentity`; at a rotation it is the identity. It may return a promise if all tokens are created by
   * `createSession` and `rotateSession`, which call it each time and wait for it.
   */
  additionalClaims?: (identity: string, type: TokenType, subject: unknown) => MaybePromise<AdditionalClaims>
  /** Returns header parameters to add to each token. Synchronous. Parameters as for `additionalClaims`. */
  additionalHeaders?: (identity: string, type: TokenType, subject: unknown) => Record<string, unknown>
  /** Returns the identity for the argument of `createAccessToken`, such as a user object. */
  userIdentity?: (user: unknown) => Identity
  /**
   * Returns the user of a verified token, or a promise of it, for `request.jwtUser`. `null` or `undefined` is a 401. If
   * `app.jwt.authenticate` is called without a request, `request` is `null` in this callback and the next two.
   */
  userLookup?: (claims: JwtClaims, request: FastifyRequest, header: JwtHeader | null) => MaybePromise<JwtUser | null | undefined>
  /** Returns `true`, or a promise of it, if the claims of a verified token are acceptable. Anything else is a 403. */
  verifyClaims?: (claims: JwtClaims, request: FastifyRequest, header: JwtHeader | null) => MaybePromise<boolean>
  /** Returns `true` or `false`, or a promise of it: whether a verified token has been revoked. It is called after the store. */
  isRevoked?: (claims: JwtClaims, request: FastifyRequest, header: JwtHeader | null) => MaybePromise<boolean>
}

/** Sessions bound to a device. */
export interface DeviceBindingOptions {
  /**
   * The session covers all hosts of the site, for cookies with a `cookieDomain`. This domain must be the registrable domain, such as
   * `example.com`, and only a login on that host is bound. Default: `false`, one host.
   */
  includeSite?: boolean
  /**
   * Other sites whose links and requests may make the browser refresh, by host: `'accounts.example.net'`, `'*.example.net'`. If the access
   * cookie has expired, a page that is opened from any other site is requested without it. Default: `[]`.
   */
  allowedRefreshInitiators?: readonly string[]
}

/** Sessions and revocation. */
export interface SessionOptions {
  /** Where revocations and sessions are kept: one store, two as `{ denylist, sessions }`, or `false` for none. Default: in memory. */
  store?: Store | SplitStore | false
  /**
   * Time after a rotation in which the replaced refresh token still gets its successor, even if the successor was already used: seconds or
   * a duration. Default: 10.
   */
  refreshReuseInterval?: Duration
  /**
   * Accept a replaced refresh token until a token of the new pair was accepted, so that a lost response signs nobody out. Default: `true`.
   */
  refreshUntilUsed?: boolean
  /**
   * How many sessions an identity may have. With a number, a further login ends the oldest session; with `whenFull: 'refuse'`, it is
   * refused with `FST_JWT_TOO_MANY_SESSIONS`. Default: no limit.
   */
  maxSessions?: number | { max: number, whenFull?: 'endOldest' | 'refuse' }
  /** Format of the refresh tokens of sessions: a JWT, or `'opaque'` for random text. Default: `'jwt'`. */
  refreshTokenFormat?: 'jwt' | 'opaque'
  /**
   * Time after the login at which a session ends, even if it was refreshed: seconds, a duration, or `false` for never. Default: `false`.
   */
  sessionMaxAge?: Duration | false | undefined
  /**
   * Device Bound Session Credentials for cookie sessions: a browser that supports them binds the session to a key of its device, so that
   * copied cookies stop working when the access cookie expires. Nothing changes for other browsers. Needs HTTPS. Default: `false`.
   */
  deviceBinding?: boolean | DeviceBindingOptions
  /** Path of the two routes for registration and refresh. The prefix of the context is added. Default: `'/device-binding'`. */
  deviceBindingPath?: string
}

/** The algorithms of a DPoP proof. `Ed25519` is the name of EdDSA on that curve in RFC 9864. */
export type ProofAlgorithm = Exclude<Algorithm, 'HS256' | 'HS384' | 'HS512'> | 'Ed25519'

/** DPoP in detail. */
export interface ProofOptions {
  /**
   * `'allowed'`: tokens that are bound to a key need a proof, other tokens do not. `'required'`: every token needs a proof, except tokens
   * in cookies. Default: `'allowed'`.
   */
  mode?: 'allowed' | 'required'
  /**
   * How old a proof may be, by its `iat`: seconds or a duration. The store keeps its `jti` for this time, so that it is accepted once.
   * With `nonce`, the age of the nonce decides. Default: 60.
   */
  replayWindow?: Duration
  /** How much the clocks of client and server may differ: seconds or a duration. Default: 10. */
  clockTolerance?: Duration
  /**
   * Require a nonce of the server in every proof (RFC 9449 §8). A number or duration is its lifetime; `true` is 300 seconds. Servers with
   * the same keys accept each other's nonces. Default: `false`.
   */
  nonce?: boolean | Duration
  /**
   * Secret for nonces, needed if the server has no signing key: at least 32 bytes, the same on every server. Default: derived from the
   * signing keys.
   */
  nonceSecret?: Secret | undefined
  /** The algorithms accepted in proofs. Default: all. */
  algorithms?: readonly ProofAlgorithm[]
  /**
   * The URL of a request as its client sees it, if a proxy changes its path. Default: from `request.protocol`, `host` and `originalUrl`.
   */
  url?: (request: FastifyRequest) => string
}

/** Tokens that are bound to a key (DPoP, RFC 9449). */
export interface PossessionOptions {
  /**
   * Accept, or require, tokens that are bound to a key of the client. The client proves with each request that it has the key. `false`
   * ignores the binding. Default: bound tokens are refused.
   */
  dpop?: false | 'allowed' | 'required' | ProofOptions
}

/** Metadata of a resource server (RFC 9728 §2). Other members may be given, too. */
export interface ResourceMetadata {
  /** The URL of this API that clients use, and the `aud` of its tokens: `https:`, or `http:` on a loopback host. */
  resource: string
  /** Issuers of the tokens that are accepted. Default: those of the `issuers` option. */
  authorization_servers?: readonly string[]
  /** Scopes that a client may ask for. */
  scopes_supported?: readonly string[]
  /** How the API accepts bearer tokens (RFC 6750 §2). Default: `['header']`, if it accepts them. */
  bearer_methods_supported?: readonly string[]
  /** The name of this API, to show to people. */
  resource_name?: string
  /** The URL of its documentation. */
  resource_documentation?: string
  readonly [member: string]: unknown
}

/** Token introspection (RFC 7662). */
export interface IntrospectionOptions {
  /** The introspection endpoint: `https:`, or `http:` on a loopback host. */
  url: string
  /** The client id of this API at the issuer, sent by HTTP Basic (RFC 6749 §2.3.1). */
  clientId: string | undefined
  /** The secret of that client. */
  clientSecret: string | undefined
  /** Issuers accepted: the `iss` of the response must be one of them. Default: not checked. */
  issuer?: string | readonly string[] | undefined
  /** Audiences accepted: the `aud` of the response must name at least one of them. Default: `decodeAudience`. */
  audience?: string | readonly string[] | undefined
  /** How long a response may be cached, within its `exp` and `Cache-Control`: seconds or a duration. Default: 0, no caching. */
  maxAge?: Duration
  /** Function that sends the request, in place of the `fetch` of Node.js. */
  fetch?: (url: string, init: { method: 'POST', body: string, headers: Record<string, string>, signal: AbortSignal, redirect: 'error' }) =>
  Promise<Pick<Response, 'status' | 'redirected' | 'body' | 'headers'>>
}

/** An API whose tokens come from other issuers. */
export interface ResourceServerOptions {
  /**
   * Serve the metadata of this API at its well-known path (RFC 9728), and add the URL to challenges, so that clients find out where to
   * get a token. Default: not served.
   */
  resourceMetadata?: ResourceMetadata
  /**
   * From other issuers, accept only tokens that are marked as access tokens: `typ: at+jwt`, with a `client_id` (RFC 9068). So an ID token
   * of the issuer is refused. Default: `false`.
   */
  requireAccessTokenType?: boolean
  /**
   * Ask an issuer about opaque tokens (RFC 7662). Without keys and `issuers`, it is asked about every token. Default: no introspection.
   */
  introspection?: IntrospectionOptions
}

/** Protection of whole apps, and error messages. */
export interface RouteOptions {
  /** Put `jwtRequired` on every route of the context. Default: that of the enclosing registration, else `false`. */
  protect?: boolean
  /** Routes that `protect` leaves open: route patterns with their prefix, or beginnings of patterns, ending in `*`. Default: `[]`. */
  skipPaths?: readonly string[]
  /**
   * Error messages in place of the defaults: an object by error code, in which `%s` stands for the reason; or a function of code and
   * details, for other languages. If it returns `undefined`, the default message is used.
   */
  messages?: Messages
  /** `realm` of the `WWW-Authenticate` challenge: what the login is for (RFC 9110 §11.5). Default: none. */
  realm?: string
}

/** The options of the plugin. An unknown option, or a wrong value, stops start-up. */
export interface JwtExtendedOptions extends
  KeyOptions, TokenOptions, LocationOptions, CookieOptions, CsrfOptions, CallbackOptions, SessionOptions,
  PossessionOptions, ResourceServerOptions, RouteOptions {}

/**
 * Options with at least one source of keys, as `register` takes them: without keys, no token can be created or verified. Environment
 * variables may be `undefined`.
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
