import createError from '@fastify/error'
import type { JwtError, JwtErrorCode, Messages } from './types/errors.ts'

interface ErrorRow { readonly status: number, readonly message: string, readonly challenge: string | null, readonly proof?: true }

/**
 * Every error of this package: its status, its message (`%s` stands for the reason), and the `error` of its challenge
 * (RFC 6750 §3.1, RFC 9449 §7.1): `''` for a challenge without one, `null` for no challenge. `proof`: the challenge is about a proof,
 * so its scheme is always `DPoP`.
 */
const table = {
  FST_JWT_MISSING_TOKEN: { status: 401, message: 'Missing JWT token', challenge: '' },
  FST_JWT_BAD_REQUEST: { status: 400, message: '%s', challenge: 'invalid_request' },
  FST_JWT_EXPIRED: { status: 401, message: 'Token has expired', challenge: 'invalid_token' },
  FST_JWT_NOT_YET_VALID: { status: 401, message: 'Token not yet valid', challenge: 'invalid_token' },
  FST_JWT_INVALID_SIGNATURE: { status: 401, message: 'Invalid token signature', challenge: 'invalid_token' },
  FST_JWT_INVALID_TOKEN: { status: 401, message: 'Invalid token: %s', challenge: 'invalid_token' },
  FST_JWT_ACCESS_REQUIRED: { status: 401, message: 'Access token required', challenge: 'invalid_token' },
  FST_JWT_REFRESH_REQUIRED: { status: 401, message: 'Refresh token required', challenge: 'invalid_token' },
  FST_JWT_FRESH_REQUIRED: { status: 401, message: 'Fresh token required', challenge: 'invalid_token' },
  FST_JWT_REVOKED: { status: 401, message: 'Token has been revoked', challenge: 'invalid_token' },
  FST_JWT_REUSED: { status: 401, message: 'Refresh token has been reused', challenge: 'invalid_token' },
  FST_JWT_STALE: { status: 401, message: 'Token is stale', challenge: 'invalid_token' },
  FST_JWT_DPOP_PROOF: { status: 401, message: 'Invalid DPoP proof: %s', challenge: 'invalid_dpop_proof', proof: true },
  FST_JWT_DPOP_NONCE: { status: 401, message: 'DPoP nonce required', challenge: 'use_dpop_nonce', proof: true },
  FST_JWT_DPOP_BINDING: { status: 401, message: '%s', challenge: 'invalid_token' },
  FST_JWT_USER_NOT_FOUND: { status: 401, message: 'User not found', challenge: 'invalid_token' },
  FST_JWT_CLAIMS_REJECTED: { status: 403, message: 'Token claims rejected', challenge: null },
  FST_JWT_CSRF: { status: 403, message: '%s', challenge: null },
  FST_JWT_FORBIDDEN: { status: 403, message: '%s', challenge: 'insufficient_scope' },
  FST_JWT_TOO_MANY_SESSIONS: { status: 403, message: 'Too many sessions', challenge: null },
  FST_JWT_DEVICE_BOUND: { status: 403, message: 'The session is bound to a device: its refresh token alone cannot refresh it', challenge: null },
  FST_JWT_DEVICE_PROOF_REQUIRED: { status: 403, message: 'A proof of the device is required', challenge: null },
  FST_JWT_DEVICE_PROOF_INVALID: { status: 400, message: 'Invalid device proof: %s', challenge: null },
  FST_JWT_DEVICE_REFRESH_SKIPPED: { status: 503, message: 'The browser could not refresh its session', challenge: null },
  FST_JWT_STORE_UNAVAILABLE: { status: 503, message: 'Token store unavailable', challenge: null },
  FST_JWT_KEYS_UNAVAILABLE: { status: 503, message: 'Token keys unavailable', challenge: null },
  FST_JWT_INTROSPECTION_UNAVAILABLE: { status: 503, message: 'Token introspection unavailable', challenge: null },
  FST_JWT_COOKIE_TOO_LARGE: { status: 500, message: '%s', challenge: null },
  FST_JWT_NOT_REGISTERED: { status: 500, message: '%s', challenge: null },
  FST_JWT_BAD_OPTION: { status: 500, message: '%s', challenge: null }
} satisfies Record<JwtErrorCode, ErrorRow> as Record<JwtErrorCode, ErrorRow>

/** Every code. @internal */
export const errorCodes = Object.keys(table) as JwtErrorCode[]

/** Creates the error of a code. `reason` replaces the `%s` of the message; `scope` goes into the challenge. @internal */
export type MakeError = (reason?: string, scope?: string) => JwtError

/** A function for each code, with the messages and the realm of one registration. @internal */
export type Errors = { readonly [Code in JwtErrorCode]: MakeError }

// Only a 500 captures a stack trace, so that bad tokens are as cheap as good ones.
const constructors = new Map(Object.entries(table).map(([code, { status }]) =>
  [code, createError(code, '%s', status, Error, status === 500)]))

/** Writes a quoted-string (RFC 9110 §5.6.4). The value must be printable ASCII. */
function quoted (value: string): string {
  return `"${value.replace(/["\\]/g, '\\$&')}"`
}

/** Writes an `error_description` or `scope`. Replaces quotes, backslashes and everything that is not printable ASCII (RFC 6750 §3). */
function description (value: string): string {
  return `"${value.replace(/["\\]/g, "'").replace(/[^\x20-\x7e]/g, '?')}"`
}

/** What the challenges of one registration have in common. @internal */
export interface Challenger {
  readonly realm?: string | undefined
  /** The authentication scheme of bearer tokens (RFC 9110 §11.1). Default: `Bearer`. */
  readonly scheme?: string | undefined
  /** The URL of the metadata of this API (RFC 9728 §5.1). */
  readonly resourceMetadata?: string | undefined
  /** If tokens may be bound to a key: the algorithms of proofs, and whether every token must be bound (RFC 9449 §7.1). */
  readonly dpop?: { readonly algorithms: readonly string[], readonly required: boolean } | null
}

/** The challenges of one error: for a request that used the scheme `DPoP`, and for any other. */
interface Challenges {
  readonly bearer: string
  readonly dpop: string
}

function buildChallenges ({ realm, scheme = 'Bearer', resourceMetadata, dpop = null }: Challenger, { challenge: error, proof }: ErrorRow, reason: string, scope: string | undefined): Challenges {
  const common: string[] = []
  if (realm !== undefined) common.push(`realm=${quoted(realm)}`)
  if (resourceMetadata !== undefined) common.push(`resource_metadata=${quoted(resourceMetadata)}`)
  const own: string[] = []
  if (error !== '') own.push(`error="${error}"`, `error_description=${description(reason)}`)
  if (scope !== undefined) own.push(`scope=${description(scope)}`)
  const algs = dpop === null ? [] : [`algs="${dpop.algorithms.join(' ')}"`]
  const write = (scheme: string, parts: readonly string[]): string => parts.length === 0 ? scheme : `${scheme} ${parts.join(', ')}`

  const bound = write('DPoP', [...common, ...own, ...algs])
  if (proof === true || dpop?.required === true) return { bearer: bound, dpop: bound }
  const bearer = write(scheme, [...common, ...own])
  return { bearer: dpop === null ? bearer : `${bearer}, ${write('DPoP', [...common, ...algs])}`, dpop: bound }
}

/** On an error: its challenge for a request that used the scheme `DPoP`. */
const kProofChallenge = Symbol('fastify-jwt-extended.proofChallenge')

/** Gives a refusal the challenge of the scheme `DPoP`, for a request that used this scheme (RFC 9449 §7.1). @internal */
export function challengeByProof (error: JwtError & { readonly [kProofChallenge]?: string }): void {
  const challenge = error[kProofChallenge]
  if (challenge !== undefined && error.headers !== undefined) error.headers['WWW-Authenticate'] = challenge
}

/** On an error whose message was replaced by the `messages` option: the message of this package. */
const kOwnMessage = Symbol('fastify-jwt-extended.ownMessage')

/** The message of this package for an error, for the log: the `messages` option may hide it from clients. @internal */
export function ownMessageOf (error: JwtError & { readonly [kOwnMessage]?: string }): string {
  return error[kOwnMessage] ?? error.message
}

/** Writes the reason into a message. */
function fill (message: string, reason: string): string {
  return message.replace('%s', () => reason)
}

function maker (code: JwtErrorCode, messages: Messages, challenger: Challenger): MakeError {
  const row = table[code]
  const { message, challenge } = row
  const Constructor = constructors.get(code) as ReturnType<typeof createError>
  const textOf = typeof messages === 'function'
    ? (own: string, reason: string) => messages(code, { message: own, reason }) ?? own
    : (own: string, reason: string) => messages[code] === undefined ? own : fill(messages[code], reason)
  const takesReason = message.includes('%s')
  const bound = challenger.dpop !== undefined && challenger.dpop !== null
  const fixedChallenges = challenge === null ? null : buildChallenges(challenger, row, message, undefined)

  return function makeError (reason = '', scope) {
    const own = fill(message, reason)
    const error = new Constructor(textOf(own, reason)) as JwtError
    if (error.message !== own) Object.defineProperty(error, kOwnMessage, { value: own })
    if (fixedChallenges !== null) {
      // The description is always the package's own message: an override need not be ASCII.
      const { bearer, dpop } = takesReason || scope !== undefined ? buildChallenges(challenger, row, own, scope) : fixedChallenges
      error.headers = { 'WWW-Authenticate': bearer }
      if (bound) Object.defineProperty(error, kProofChallenge, { value: dpop })
    }
    return error
  }
}

/**
 * Creates the errors of one registration.
 *
 * @param messages Messages in place of the package's own.
 * @param challenger What its challenges have in common.
 *
 * @internal
 */
export function createErrors (messages: Messages = {}, challenger: Challenger = {}): Errors {
  return Object.freeze(Object.fromEntries(errorCodes.map(code => [code, maker(code, messages, challenger)]))) as Errors
}

/** The errors used without a registration: at start-up, and in hooks that find no plugin. @internal */
export const defaultErrors = createErrors()

/** Creates the error that stops start-up: the option, what it got, what it takes. @internal */
export function badOption (option: string, problem: string): JwtError {
  return defaultErrors.FST_JWT_BAD_OPTION(`fastify-jwt-extended: option '${option}' ${problem}`)
}

/** `true` for a decision of this package (4xx), `false` for a failure (5xx) and for errors of others. @internal */
export function isRefusal (error: unknown): error is JwtError {
  return isJwtError(error) && table[error.code].status < 500
}

/** The message that a client gets for a mistake of the app. */
const concealed = 'Authentication is not set up correctly'

/** Hides from the client what an error says about the app's configuration. The log gets it as the `cause`. @internal */
export function conceal (error: unknown): unknown {
  if (!isJwtError(error) || (error.code !== 'FST_JWT_BAD_OPTION' && error.code !== 'FST_JWT_NOT_REGISTERED')) return error
  if (error.message === concealed) return error
  const answer = defaultErrors[error.code](concealed)
  answer.cause = error
  return answer
}

/** The error of a call that can't work with these options. Its message does not show them to a client. @internal */
export function unsupportedCall (option: string, problem: string): TypeError {
  return new TypeError(concealed, { cause: badOption(option, problem) })
}

/** Whether an error is one of this package's. @internal */
export function isJwtError (error: unknown): error is JwtError {
  return error instanceof Error && 'code' in error && constructors.has(error.code as string)
}
