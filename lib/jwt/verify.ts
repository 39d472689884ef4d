import { checkAccessTokenType } from './access-token-type.ts'
import { toClaims } from './claims.ts'
import { createHeaderCheck } from './header.ts'
import { verifySignature } from './signature.ts'
import { readHeader } from './unverified.ts'
import { VerifiedCache } from './verified-cache.ts'
import type { FastifyRequest } from 'fastify'
import type { Settings } from '../options/settings.ts'
import type { JwtClaims, MaybePromise } from '../types/claims.ts'
import type { KeySet, VerificationKey } from '../types/keys.ts'
import type { VerifiedToken } from '../types/verified-token.ts'

/** Verifies tokens. Its keys can be replaced while the app runs. */
export interface TokenVerifier {
  /**
   * Checks signature, claims and times. The signature of a cached token is not checked again.
   *
   * @param request The request that brought the token; `null` outside of one.
   * @returns A promise only if the key has to be fetched, or if the `decodeKey` option returned one.
   * @throws The 401 that says what is wrong; 503 if the key cannot be fetched.
   */
  verify (token: string, request: FastifyRequest | null): MaybePromise<VerifiedToken>
  /** Like `verify`, but accepts a token whose only fault is its `exp`. Such a token is never remembered. */
  verifyExpired (token: string, request: FastifyRequest | null): MaybePromise<VerifiedToken>
  /** Our own keys, as they are now. */
  readonly keys: KeySet
  /** Replaces our own keys, and forgets every token verified under the old ones. */
  replaceKeys (keys: KeySet): void
}

/** Verifies tokens with local keys. They need no fetch, so it never returns a promise. */
export interface LocalVerifier extends TokenVerifier {
  /** A remembered token, its times checked; `undefined` if it is not remembered. */
  recall (token: string): VerifiedToken | undefined
  verify (token: string, request: FastifyRequest | null): VerifiedToken
  verifyExpired (token: string, request: FastifyRequest | null): VerifiedToken
}

/**
 * Checks `nbf` and `exp` (RFC 7519 §4.1.4, §4.1.5) by the clock as it is now, for remembered and new tokens alike. `iat` is not checked:
 * RFC 7519 §4.1.6 has no rule for it, and `nbf` says from when on a token is valid.
 *
 * @throws `FST_JWT_NOT_YET_VALID`, `FST_JWT_EXPIRED`
 */
export function checkTimes ({ nbf, exp }: Pick<JwtClaims, 'nbf' | 'exp'>, { leeway, notBeforeLeeway, errors }: Settings, allowExpired = false): void {
  const seconds = Date.now() / 1000
  if (nbf !== undefined && seconds < nbf - notBeforeLeeway) throw errors.FST_JWT_NOT_YET_VALID()
  if (exp !== undefined && seconds >= exp + leeway && !allowExpired) throw errors.FST_JWT_EXPIRED()
}

export function createLocalVerifier (settings: Settings, initial: KeySet): LocalVerifier {
  const { errors, maxTokenLength, cacheSize } = settings
  const checkHeader = createHeaderCheck(errors)
  let keys = initial
  let cache = new VerifiedCache<VerifiedToken>(cacheSize)

  /** The keys that may have signed the token: those it names, or those without a name. */
  function candidates (token: string): readonly VerificationKey[] {
    const { verification } = keys
    if (verification.length === 1 && verification[0]?.keyId === undefined) return verification
    const header = readHeader(token)
    // Malformed header: let one key produce the error.
    if (header === null) return verification.slice(0, 1)
    const { alg, kid } = header
    const fitting = verification.filter(key => (key.algorithms as readonly string[]).includes(alg))
    if (fitting.length === 0) throw errors.FST_JWT_INVALID_TOKEN('algorithm')
    // Without `kid`, any key of that algorithm may have signed the token.
    if (kid === undefined) return fitting
    const named = fitting.filter(key => key.keyId === undefined || key.keyId === kid)
    if (named.length === 0) throw errors.FST_JWT_INVALID_TOKEN('kid')
    return named
  }

  function verifyNew (token: string): VerifiedToken {
    if (token.length > maxTokenLength) throw errors.FST_JWT_INVALID_TOKEN('length')
    const { header, payload } = verifySignature(token, candidates(token), errors)
    const verified = { header: checkHeader(token, header), claims: toClaims(token, payload, settings) }
    // Without a signing key, the tokens are another issuer's.
    if (settings.requireAccessTokenType && keys.signing === null) checkAccessTokenType(verified.header, verified.claims, settings)
    return verified
  }

  function recall (token: string): VerifiedToken | undefined {
    const remembered = cache.get(token)
    if (remembered !== undefined) checkTimes(remembered.claims, settings)
    return remembered
  }

  return {
    get keys () { return keys },

    recall,

    verify (token) {
      const remembered = recall(token)
      if (remembered !== undefined) return remembered
      const verified = verifyNew(token)
      checkTimes(verified.claims, settings)
      cache.set(token, verified, verified.claims.exp ?? Infinity)
      return verified
    },

    verifyExpired (token) {
      const verified = verifyNew(token)
      checkTimes(verified.claims, settings, true)
      return verified
    },

    replaceKeys (next) {
      keys = next
      cache = new VerifiedCache(cacheSize)
    }
  }
}
