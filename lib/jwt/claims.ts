import { boundKeyOf } from '../dpop/bound-key.ts'
import { freezeUtf8 } from './freeze.ts'
import { readIdentity } from './identity.ts'
import type { Errors } from '../errors.ts'
import type { Settings } from '../options/settings.ts'
import type { JwtClaims } from '../types/claims.ts'
import type { JwtError } from '../types/errors.ts'

function isFiniteNumber (value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value)
}

function isOptional (value: unknown, type: 'string' | 'number'): boolean {
  return value === undefined || (type === 'number' ? isFiniteNumber(value) : typeof value === 'string')
}

/** Whether an `aud` names an accepted audience: it is a string or an array of strings (RFC 7519 §4.1.3). */
function names (claim: unknown, accepted: readonly string[]): boolean {
  const audiences: unknown[] = Array.isArray(claim) ? claim : [claim]
  return audiences.every(one => typeof one === 'string') && audiences.some(one => accepted.includes(one))
}

function shown (value: unknown): string {
  return (JSON.stringify(value) ?? 'none').slice(0, 200)
}

/**
 * The refusal of a token for its issuer or audience. Its `cause`, for the log, says what was expected: a slash at the end is easily missed.
 * The `cause` has no stack, so that bad tokens are as cheap as good ones.
 */
function wrongClaim (name: 'issuer' | 'audience', got: unknown, expected: readonly string[], errors: Errors): JwtError {
  const error = errors.FST_JWT_INVALID_TOKEN(name)
  error.cause = { name: 'Cause', message: `the ${name} is ${shown(got)}, expected ${expected.length === 0 ? 'none' : expected.map(shown).join(' or ')}` }
  return error
}

export function wrongIssuer (got: unknown, expected: readonly string[], errors: Errors): JwtError {
  return wrongClaim('issuer', got, expected, errors)
}

/** The refusal of a bound token if there is no `dpop` option. */
export function bindingNotSupported (errors: Errors): JwtError {
  return errors.FST_JWT_DPOP_BINDING('Token is bound to a key, which is not supported here')
}

/**
 * Checks who issued a token and whom it is for (RFC 7519 §4.1.1, §4.1.3).
 *
 * @throws `FST_JWT_INVALID_TOKEN`
 */
export function checkIssuerAndAudience (claims: Readonly<Record<string, unknown>>, { decodeIssuer, decodeAudience, errors }: Settings): void {
  if (decodeIssuer !== null && !decodeIssuer.includes(claims['iss'] as string)) throw wrongIssuer(claims['iss'], decodeIssuer, errors)
  // A token with an `aud` is refused unless it names this app, also if no audience is configured.
  if (decodeAudience === null ? claims['aud'] !== undefined : !names(claims['aud'], decodeAudience)) throw wrongClaim('audience', claims['aud'], decodeAudience ?? [], errors)
}

/**
 * Checks the claims of a token, and returns them in the form that the app sees. `checkTimes` checks the times, since that result changes.
 *
 * A missing `type` reads as `access` and a missing `fresh` as `false`, as in tokens of other libraries.
 *
 * @param payload The parsed claims set. It is changed and returned.
 * @throws `FST_JWT_INVALID_TOKEN` with the name of the claim that is wrong.
 */
export function readClaims (payload: Record<string, unknown>, settings: Settings): JwtClaims {
  const refuse = settings.errors.FST_JWT_INVALID_TOKEN
  const identity = readIdentity(payload[settings.identityClaim])
  if (identity === null) throw refuse(settings.identityClaim)
  payload['identity'] = identity

  // Only `undefined` is missing: `null` is a value of the wrong type.
  const { type = 'access', fresh = false } = payload
  if (type !== 'access' && type !== 'refresh') throw refuse('type')
  if (typeof fresh !== 'boolean' && !isFiniteNumber(fresh)) throw refuse('fresh')
  payload['type'] = type
  if (type === 'access') payload['fresh'] = fresh

  // RFC 7519 §2: a NumericDate is a JSON number; 1e999 parses to Infinity and would never expire.
  const expires = type === 'access' ? settings.accessExpires : settings.refreshExpires
  // The record of a session decides when its refresh tokens expire. With `expiresIn: false`, they never do.
  const ofSession = type === 'refresh' && payload['sid'] !== undefined && payload['gen'] !== undefined && settings.store !== false
  if (payload['exp'] === undefined ? expires !== false && !ofSession : !isFiniteNumber(payload['exp'])) throw refuse('exp')
  if (!isOptional(payload['nbf'], 'number')) throw refuse('nbf')
  if (!isOptional(payload['iat'], 'number')) throw refuse('iat')
  if (!isOptional(payload['auth_time'], 'number')) throw refuse('auth_time')
  if (!isOptional(payload['jti'], 'string')) throw refuse('jti')
  if (!isOptional(payload['sid'], 'string')) throw refuse('sid')
  if (!isOptional(payload['gen'], 'number')) throw refuse('gen')
  if (!isOptional(payload['csrf'], 'string')) throw refuse('csrf')

  if (!isOptional(payload['sub'], 'string') && !isFiniteNumber(payload['sub'])) throw refuse('sub')
  if (!isOptional(payload['iss'], 'string')) throw refuse('issuer')
  checkIssuerAndAudience(payload, settings)
  // If a bound token passed without a proof, a thief could use it.
  if (settings.dpop === null && boundKeyOf(payload) !== null) throw bindingNotSupported(settings.errors)
  return payload as JwtClaims
}

/**
 * Checks and freezes the claims of a token whose signature was verified.
 *
 * @param token The token that the claims were read from.
 * @throws `FST_JWT_INVALID_TOKEN` with the name of the claim that is wrong, or `malformed` if the claims are not UTF-8.
 */
export function toClaims (token: string, payload: Record<string, unknown>, settings: Settings): JwtClaims {
  const claims = readClaims(payload, settings)
  if (!freezeUtf8(token, 1, claims)) throw settings.errors.FST_JWT_INVALID_TOKEN('malformed')
  return claims
}

/** Whether an access token is fresh: for its whole life, or until a time that has not passed yet. */
export function isFresh (claims: JwtClaims): boolean {
  return claims.fresh === true || (typeof claims.fresh === 'number' && Date.now() / 1000 < claims.fresh)
}
