import type { FastifyError } from '@fastify/error'

/** The `code` of an error of this package. A `switch` over it is checked by the compiler. */
export type JwtErrorCode =
  /** The request has no token (401). */
  | 'FST_JWT_MISSING_TOKEN'
  /** The header, cookie, query or body that should hold a token is malformed (400). */
  | 'FST_JWT_BAD_REQUEST'
  /** `exp` has passed (401). */
  | 'FST_JWT_EXPIRED'
  /** `nbf` is in the future (401). */
  | 'FST_JWT_NOT_YET_VALID'
  /** The signature is wrong (401). */
  | 'FST_JWT_INVALID_SIGNATURE'
  /** Malformed, wrong algorithm, issuer, audience or claim (401). */
  | 'FST_JWT_INVALID_TOKEN'
  /** A refresh token was sent instead of an access token (401). */
  | 'FST_JWT_ACCESS_REQUIRED'
  /** An access token was sent instead of a refresh token (401). */
  | 'FST_JWT_REFRESH_REQUIRED'
  /** The token is not fresh (401). */
  | 'FST_JWT_FRESH_REQUIRED'
  /** The token or its session was revoked (401). */
  | 'FST_JWT_REVOKED'
  /** A refresh token was used after it had been replaced; its session has ended (401). */
  | 'FST_JWT_REUSED'
  /** The claims of the session have changed since this access token was made: refresh it (401). */
  | 'FST_JWT_STALE'
  /** The DPoP proof of the request is missing or invalid (401). */
  | 'FST_JWT_DPOP_PROOF'
  /** The DPoP proof needs the nonce that is in the `DPoP-Nonce` header of this response (401). */
  | 'FST_JWT_DPOP_NONCE'
  /** A bound token came without a proof by its key, or an unbound token came where a bound one is required (401). */
  | 'FST_JWT_DPOP_BINDING'
  /** `userLookup` found nobody (401). */
  | 'FST_JWT_USER_NOT_FOUND'
  /** `verifyClaims` rejected the claims (403). */
  | 'FST_JWT_CLAIMS_REJECTED'
  /** The CSRF token is missing or wrong, or the request is cross-origin (403). */
  | 'FST_JWT_CSRF'
  /** A role, permission or scope is missing (403). */
  | 'FST_JWT_FORBIDDEN'
  /** The identity has as many sessions as `maxSessions` allows (403). */
  | 'FST_JWT_TOO_MANY_SESSIONS'
  /** The refresh token belongs to a session that is bound to a device: only the browser that holds the key can refresh it (403). */
  | 'FST_JWT_DEVICE_BOUND'
  /** The browser has to sign the challenge in this response (403). */
  | 'FST_JWT_DEVICE_PROOF_REQUIRED'
  /** The proof of the device is invalid (400). */
  | 'FST_JWT_DEVICE_PROOF_INVALID'
  /** The browser could not refresh its session, and sent the request without its cookie (503). */
  | 'FST_JWT_DEVICE_REFRESH_SKIPPED'
  /** The store did not answer (503). */
  | 'FST_JWT_STORE_UNAVAILABLE'
  /** The keys of the issuer could not be fetched (503). */
  | 'FST_JWT_KEYS_UNAVAILABLE'
  /** The issuer could not be asked about a token (503). */
  | 'FST_JWT_INTROSPECTION_UNAVAILABLE'
  /** A cookie is larger than browsers accept (500). */
  | 'FST_JWT_COOKIE_TOO_LARGE'
  /** The plugin is not registered in this context (500); the `cause` says so. */
  | 'FST_JWT_NOT_REGISTERED'
  /** An option is wrong. It stops start-up. On a request (500), the `cause` says which. */
  | 'FST_JWT_BAD_OPTION'

/** What a function in the `messages` option gets. */
export interface MessageDetails {
  /** The default message, in English. */
  readonly message: string
  /** What its `%s` stands for: a word such as `malformed`, or `Missing role: admin`; empty for most codes. */
  readonly reason: string
}

/** Messages in place of the defaults: by code, in which `%s` stands for the reason; or a function of code and details. */
export type Messages =
  | Readonly<Partial<Record<JwtErrorCode, string>>>
  | ((code: JwtErrorCode, details: MessageDetails) => string | undefined)

/** An error of this package. */
export interface JwtError extends FastifyError {
  code: JwtErrorCode
  /** Response headers: `WWW-Authenticate` if the error has a challenge (RFC 6750 §3, RFC 9449 §7.1). */
  headers?: Record<string, string>
}
