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
   * The `iss` of its tokens, character for character; for several tenants with a placeholder, see `tenants`. Without `jwksUri` it is an `https:` URL under which the discovery
   * document lies (OpenID Connect Discovery 1.0 §4).
   */
  issuer: string
  /** Where its JWK Set is: an `https:` URL, or `http:` on a loopback host. Default: what the discovery document says. */
  jwksUri?: string
  /** Audiences accepted in its tokens: one that the token names must be among them. Default: `decodeAudience`. */
  audience?: string | readonly string[]
  /**
   * For an issuer with a placeholder, such as `https://login.example/{tenant}/v2.0`: the tenants whose tokens are accepted, or a
   * function that says so, where only `true` does. `jwksUri` may have the placeholder, too.
   */
  tenants?: readonly string[] | ((tenant: string) => boolean)
}

/** Fetches keys, and what says where they are. Called as the `fetch` of Node.js is. */
export type FetchKeys = (
  url: string, init: { signal: AbortSignal, redirect: 'error', headers: Record<string, string> }
) => Promise<Pick<Response, 'status' | 'redirected' | 'body'>>

/** Keys and algorithms. */
export interface KeyOptions {
  /**
   * HMAC secret, at least 32, 48 or 64 bytes for HS256, HS384 or HS512 (RFC 7518 §3.2). An array
   * rotates: the first signs, all verify. White space at its ends stops start-up. `undefined`, of an environment variable that is not set, stops start-up
   * unless another key is given.
   */
  secretKey?: Secret | readonly Secret[] | undefined
  /** The algorithm tokens are signed with. Default: `'HS256'`. */
  algorithm?: Algorithm
  /** Private key for RS, PS, ES and EdDSA: PEM, `KeyObject`, JWK or its JSON text, or `{ key, passphrase }`. */
  privateKey?: PrivateKey | undefined
  /** Public key: PEM, certificate, `KeyObject`, JWK or its JSON text. Alone it makes an instance that only verifies. */
  publicKey?: PublicKey | undefined
  /** Names the key: the `kid` header (RFC 7515 §4.1.4). */
  keyId?: string
  /** Several named keys, possibly of different algorithms: the first signs, all verify. */
  keys?: KeysOption
  /**
   * The algorithms accepted (RFC 8725 §3.1). Default: `[algorithm]`; for keys of other issuers every asymmetric one that
   * fits the key. No other issuer's token is ever verified with an HMAC algorithm.
   */
  decodeAlgorithms?: readonly Algorithm[]
  /**
   * URL of the JWK Set (RFC 7517 §5) whose keys verify every token, in place of keys of one's own: `https:`, or `http:` on
   * a loopback host. The keys are fetched when first needed, and again when a token names one that is new; a key server
   * that does not answer makes a 503, until it does. Say with `decodeIssuer` and `decodeAudience` which tokens are meant.
   */
  jwksUri?: string
  /**
   * Other issuers whose access tokens are accepted, beside those of one's own keys if there are any. Each issuer's keys
   * verify the tokens that name it as `iss`, and no others.
   */
  issuers?: readonly IssuerOptions[]
  /**
   * How long keys of other issuers are used before they are fetched again. So long a key is good that its issuer has taken out.
   * Default: 600.
   */
  jwksMaxAge?: Duration
  /** How long they are used after a fetch if the issuer does not answer. Default: 3600, or `jwksMaxAge` if that is more. */
  jwksMaxStale?: Duration
  /** Takes the place of `fetch` for the keys of other issuers: through a proxy, say. Default: the `fetch` of Node.js. */
  jwksFetch?: FetchKeys
  /**
   * Gives the key that a token must have been signed with, for every request: a key per tenant, say. It takes the place
   * of every other key in verifying; a `secretKey`, `privateKey` or `keys` beside it signs only.
   *
   * @param header The header of the token, **unverified**.
   * @param claims Its claims, **unverified**: good for choosing a key, and for nothing else.
   * @returns The key, or a promise of it; `null` or `undefined` refuses the token (401). A throw is a 500.
   */
  decodeKey?: (header: JwtHeader, claims: Readonly<Record<string, unknown>>, request: FastifyRequest) => MaybePromise<DecodedKey | null | undefined>
  /**
   * Path at which the public keys are served as a JWK Set, to everyone, with a route of its own that `protect` leaves
   * open. A prefix of the context is put before it. Default: not served.
   */
  jwksPath?: string
}

/** What is written into tokens, and required of them. */
export interface TokenOptions {
  /** Life of an access token: seconds, a duration, or `false` for none. Default: 900. */
  accessExpires?: Duration | false
  /** Life of a refresh token: seconds, a duration, or `false` for none. Default: 2592000 (30 days). */
  refreshExpires?: Duration | false
  /**
   * Clock difference tolerated, for `exp` and for `nbf` (RFC 7519 §4.1.4, §4.1.5). Default: 5 seconds for `nbf`, none for `exp`, so
   * that the new tokens of a server whose clock is a little ahead are accepted. `iat` is not judged, whatever it says.
   */
  leeway?: Duration
  /** Write `nbf`. Default: `true`. */
  encodeNbf?: boolean
  /** The claim that carries the identity. Default: `'sub'`. */
  identityClaim?: string
  /** Issuer written into tokens, and required of them unless `decodeIssuer` says otherwise. */
  issuer?: string
  /** Audience written into tokens, and required of them unless `decodeAudience` says otherwise. */
  audience?: string | readonly string[]
  /** Issuers accepted. Default: `issuer`. */
  decodeIssuer?: string | readonly string[]
  /** Audiences accepted: one that the token names must be among them. Default: `audience`. */
  decodeAudience?: string | readonly string[]
  /** Longest token looked at, in bytes. Default: 8192. */
  maxTokenLength?: number
  /**
   * Verified tokens remembered, so that their signature is not checked again; 0 for none. Each costs about 650 bytes for as long as it
   * is valid. Default: 50000.
   */
  cacheSize?: number
}

/** Where a token is looked for. */
export interface LocationOptions {
  /**
   * One or several places, in order of precedence. The first that holds a token decides. If the token is of the other type, the next
   * place is asked: a refresh token in a cookie is found beside an access token in the header. Default: `'headers'`.
   */
  tokenLocation?: TokenLocation | readonly TokenLocation[]
  /** Header that holds a token. Default: `'Authorization'`. */
  headerName?: string
  /** Its scheme, matched without regard to case; `''` for a bare token. Default: `'Bearer'`. */
  headerType?: string
  /** Query parameter that holds a token. Default: `'jwt'`. */
  queryStringName?: string
  /** What stands before the token in the query parameter. Default: `''`. */
  queryStringValuePrefix?: string
  /** Body field that holds an access token. Default: `'access_token'`. */
  jsonKey?: string
  /** Body field that holds a refresh token. Default: `'refresh_token'`. */
  refreshJsonKey?: string
  /**
   * Asked before the locations. A token it returns is not checked for CSRF: if it reads a cookie, use
   * `crossOriginProtection` on the route.
   */
  extractToken?: (request: FastifyRequest, type: TokenType | 'any') => string | undefined
}

/** Cookies that hold tokens. */
export interface CookieOptions {
  /** Default: `'access_token_cookie'`. */
  accessCookieName?: string
  /** Default: `'refresh_token_cookie'`. */
  refreshCookieName?: string
  /** Default: `'/'`. */
  accessCookiePath?: string
  /** Default: `'/'`. */
  refreshCookiePath?: string
  /** Default: none, the host that set the cookie only. */
  cookieDomain?: string
  /** `'auto'`: by the request's protocol. Default: `'auto'`. */
  cookieSecure?: boolean | 'auto'
  /** Keep the token from scripts. Default: `true`. */
  cookieHttponly?: boolean
  /** `SameSite` of the token cookies (RFC 6265bis §5.6.7). `'None'` needs `cookieSecure: true`. Default: `'Lax'`. */
  cookieSamesite?: 'Strict' | 'Lax' | 'None'
  /** `Partitioned` (CHIPS): a separate cookie for each site that embeds the app. Needs `cookieSecure: true`. Default: `false`. */
  cookiePartitioned?: boolean
  /** Cookies that end with the browser session; otherwise Max-Age is what is left of the token's life. Default: `false`. */
  sessionCookie?: boolean
  /** Renew an access cookie that expires within so many seconds, on the way out. Default: `false`. */
  implicitRefresh?: Duration | false
}

/**
 * Whether a cross-origin request is trusted, by its `Origin` header: for hosts of tenants, say. Only `true` trusts. What it throws
 * is a 500.
 */
export type TrustedOrigins = (origin: string, request: FastifyRequest) => boolean

/** Protection against cross-site request forgery, for tokens that come in cookies. */
export interface CsrfOptions {
  /** Which protection, both in an array, or `false` for none. Default: `'fetch-metadata'`. */
  csrfProtection?: CsrfProtection | readonly CsrfProtection[] | false
  /** Methods that are protected. Default: all but GET, HEAD, OPTIONS and TRACE (RFC 9110 §9.2.1). */
  csrfMethods?: readonly string[]
  /**
   * Origins that may send cross-origin requests, such as `'https://app.example.com'` or `'capacitor://localhost'`; or a
   * function that decides about one. Default: `[]`.
   */
  trustedOrigins?: readonly string[] | TrustedOrigins
  /** Double submit: send the CSRF token in a cookie that scripts can read. Default: `true`. */
  csrfInCookies?: boolean
  /** Double submit: accept the CSRF token as a form field, too. Default: `false`. */
  csrfCheckForm?: boolean
  /** Default: `'csrf_access_token'`. */
  accessCsrfCookieName?: string
  /** Default: `'csrf_refresh_token'`. */
  refreshCsrfCookieName?: string
  /** Default: `'/'`. */
  accessCsrfCookiePath?: string
  /** Default: `'/'`. */
  refreshCsrfCookiePath?: string
  /** Default: `'X-CSRF-TOKEN'`. */
  accessCsrfHeaderName?: string
  /** Default: `'X-CSRF-TOKEN'`. */
  refreshCsrfHeaderName?: string
  /** Default: `'csrf_token'`. */
  accessCsrfFieldName?: string
  /** Default: `'csrf_token'`. */
  refreshCsrfFieldName?: string
}

/** Callbacks, the loaders of Flask-JWT-Extended. One that throws is a 500, and nothing is attached. */
export interface CallbackOptions {
  /**
   * Claims added to every token made for an identity; those given to `createAccessToken` or `createSession` win. `subject` is what
   * the call was given, before `userIdentity` made an identity of it; at a rotation the identity. It may return a promise if all
   * tokens are made by `createSession` and `rotateSession`, which ask it each time and wait for it.
   */
  additionalClaims?: (identity: string, type: TokenType, subject: unknown) => MaybePromise<AdditionalClaims>
  /** Header parameters added to every token made for an identity; as `additionalClaims`. */
  additionalHeaders?: (identity: string, type: TokenType, subject: unknown) => Record<string, unknown>
  /** Turns what `createAccessToken` is given, a user object say, into an identity. */
  userIdentity?: (user: unknown) => Identity
  /**
   * Loads the user of a verified token into `request.jwtUser`; `null` or `undefined` is a 401. For `app.jwt.authenticate` without a
   * request, `request` is `null` in this callback and in the next two.
   */
  userLookup?: (claims: JwtClaims, request: FastifyRequest, header: JwtHeader | null) => MaybePromise<JwtUser | null | undefined>
  /** Accepts or rejects the claims of a verified token; `false` is a 403. */
  verifyClaims?: (claims: JwtClaims, request: FastifyRequest, header: JwtHeader | null) => MaybePromise<boolean>
  /** Whether a verified token has been revoked, beside what the store says. */
  isRevoked?: (claims: JwtClaims, request: FastifyRequest, header: JwtHeader | null) => MaybePromise<boolean>
}

/** Revocation and sessions. */
export interface SessionOptions {
  /** Where revocations and sessions are kept: one store, or a denylist and sessions apart; `false` for none. Default: in memory. */
  store?: Store | SplitStore | false
  /** How long a refresh token that was replaced still gets its successor after that has been used, in seconds. Default: 10. */
  refreshReuseInterval?: Duration
  /**
   * Keep a replaced refresh token good until a token of its successor has come in, so that no lost answer signs anybody out.
   * Default: `true`.
   */
  refreshUntilUsed?: boolean
  /**
   * Sessions that one identity may have. With a number, the oldest ends for a new one;
   * `whenFull: 'refuse'` refuses the new one with `FST_JWT_TOO_MANY_SESSIONS`. Default: any number.
   */
  maxSessions?: number | { max: number, whenFull?: 'endOldest' | 'refuse' }
  /** `'opaque'`: random refresh tokens with nothing to read in them (sessions only). Default: `'jwt'`. */
  refreshTokenFormat?: 'jwt' | 'opaque'
  /** How long after the login a session ends however often it was refreshed. Default: `false`. */
  sessionMaxAge?: Duration | false
}

/** Protection of whole apps, and what answers say. */
export interface RouteOptions {
  /**
   * Put `jwtRequired` on every route of the context. Default: `false`, or as the registration this one is nested in says,
   * so that a context with other options is not opened by them.
   */
  protect?: boolean
  /** Routes left open under `protect`: patterns as routes are declared with, prefix included, or beginnings of them ending in `*`. Default: `[]`. */
  skipPaths?: readonly string[]
  /**
   * Messages that replace the package's own: by error code, where `%s` stands for the reason; or a function of code and details, for
   * other languages, which leaves what it answers `undefined` for as it is.
   */
  messages?: Messages
  /** `realm` of the `WWW-Authenticate` challenge (RFC 9110 §11.5). */
  realm?: string
}

/** The options of the plugin. An unknown one, or a value of the wrong kind, stops start-up. */
export interface JwtExtendedOptions extends
  KeyOptions, TokenOptions, LocationOptions, CookieOptions, CsrfOptions, CallbackOptions, SessionOptions,
  RouteOptions {}

/**
 * Options with one source of keys at least, as registering takes them: without any, no token can be made or verified. The variable of an
 * environment may turn out `undefined`.
 */
export type OptionsWithKeys = JwtExtendedOptions & (
  | Required<Pick<KeyOptions, 'keys'>>
  | Required<Pick<KeyOptions, 'jwksUri'>>
  | Required<Pick<KeyOptions, 'issuers'>>
  | Required<Pick<KeyOptions, 'decodeKey'>>
  | { secretKey: KeyOptions['secretKey'] }
  | { privateKey: KeyOptions['privateKey'] }
  | { publicKey: KeyOptions['publicKey'] }
)
