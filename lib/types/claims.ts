/** A value, or a promise of one. */
export type MaybePromise<T> = T | Promise<T>

/**
 * Who a token is for: a non-empty string, a finite number or a BigInt. It is written and read as a string. A number past 2^53 is refused,
 * since it may have been rounded: give a string or a BigInt.
 */
export type Identity = string | number | bigint

/** A length of time: a number of seconds, or a string with a unit such as `'15m'` or `'30 days'`. */
export type Duration = number | string

/** The `type` claim: what a token may be used for. */
export type TokenType = 'access' | 'refresh'

/** The header of a JWS (RFC 7515 §4). */
export interface JwtHeader {
  readonly alg: string
  readonly typ?: string
  readonly kid?: string
  readonly [parameter: string]: unknown
}

/**
 * The claims of a verified token (RFC 7519 §4), deeply frozen. Add your own by declaration merging:
 *
 * ```ts
 * declare module 'fastify-jwt-extended' {
 *   interface JwtClaims { tenant: string }
 * }
 * ```
 */
export interface JwtClaims {
  /** The identity, from the claim that the `identityClaim` option names. */
  readonly identity: string
  /** Subject, RFC 7519 §4.1.2. */
  readonly sub?: string | number
  /** `access` if a token of another library has no `type`. */
  readonly type: TokenType
  /** `true`, `false`, or the time (seconds since the epoch) until which the token is fresh. */
  readonly fresh?: boolean | number
  /** Token id, RFC 7519 §4.1.7. */
  readonly jti?: string
  /** Issued at, seconds since the epoch, RFC 7519 §4.1.6. */
  readonly iat?: number
  /** Not before, seconds since the epoch, RFC 7519 §4.1.5. */
  readonly nbf?: number
  /** Expires at, seconds since the epoch, RFC 7519 §4.1.4. */
  readonly exp?: number
  /** Issuer, RFC 7519 §4.1.1. */
  readonly iss?: string
  /** Audience, RFC 7519 §4.1.3. */
  readonly aud?: string | readonly string[]
  /** The double-submit CSRF token that must come with this token. */
  readonly csrf?: string
  /** Session id. */
  readonly sid?: string
  /** How often the session had been rotated when the token was made. */
  readonly gen?: number
  /** Whether the cookies of its session stay when the browser closes, if `createSession` was given `persistent`. */
  readonly persistent?: boolean
  /** `true` if the session is bound to a device; see the `deviceBinding` option. */
  readonly bound?: boolean
  /** When the user logged in, seconds since the epoch (OpenID Connect Core §2). */
  readonly auth_time?: number
  readonly [claim: string]: unknown
}

/**
 * What `userLookup` returns, as `request.jwtUser`. Type it by declaration merging:
 *
 * ```ts
 * declare module 'fastify-jwt-extended' {
 *   interface JwtUser { id: number, name: string }
 * }
 * ```
 */

export interface JwtUser {}

/** The names that `JwtClaims` declares. */
type DeclaredName = keyof { [Name in keyof JwtClaims as string extends Name ? never : number extends Name ? never : Name]: true }

/** Those of them that this package declares. */
type OwnName =
  | 'identity' | 'sub' | 'type' | 'fresh' | 'jti' | 'iat' | 'nbf' | 'exp' | 'iss' | 'aud' | 'csrf' | 'sid' | 'gen' | 'persistent' | 'auth_time' | 'bound' | 'cnf'

/** Those that the app has declared, by declaration merging. */
type AppName = Exclude<DeclaredName, OwnName>

/** The claims that the guards `role`, `permission` and `scope` read. */
export interface GuardClaims {
  role?: string | readonly string[]
  roles?: string | readonly string[]
  permissions?: string | readonly string[]
  scope?: string | readonly string[]
  scp?: string | readonly string[]
}

/**
 * Claims that an app adds. Claims that only this package may set are refused; `cnf` is one of them if the `dpop` option is on. If the app
 * has declared its own claims in `JwtClaims`, only these and the claims of guards compile; otherwise any claim does.
 */
export type AdditionalClaims = [AppName] extends [never] ? Record<string, unknown> : { [Name in AppName]?: JwtClaims[Name] } & Omit<GuardClaims, AppName>

/** The claims of a verified token, discriminated by `type`: only an access token can be fresh. */
export type VerifiedClaims<Claims = unknown> = Claims & (
  | JwtClaims & { readonly type: 'access' }
  | JwtClaims & { readonly type: 'refresh', readonly fresh?: never }
)
