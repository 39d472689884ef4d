import { after } from '../after.ts'
import { checkAccessTokenType } from './access-token-type.ts'
import { isJwtError } from '../errors.ts'
import { toClaims } from './claims.ts'
import { createHeaderCheck } from './header.ts'
import { verifySignature } from './signature.ts'
import { whyMalformed } from './placeholder.ts'
import { readToken } from './unverified.ts'
import { checkTimes } from './verify.ts'
import { VerifiedCache } from './verified-cache.ts'
import type { Settings } from '../options/settings.ts'
import type { MaybePromise } from '../types/claims.ts'
import type { DecodedToken, VerificationKey } from '../types/keys.ts'
import type { ExternalKeys } from '../keys/external.ts'
import type { UnverifiedToken } from './unverified.ts'
import type { LocalVerifier, TokenVerifier } from './verify.ts'
import type { VerifiedToken } from '../types/verified-token.ts'

/** An unverified token, and the source of its key. */
interface Arrival {
  readonly unverified: UnverifiedToken
  readonly source: ExternalKeys
}

/** A verified token, with the source and the key that it depends on. */
interface Remembered {
  readonly arrival: Arrival
  readonly key: VerificationKey
  readonly verified: VerifiedToken
}

/**
 * Verifies tokens whose key comes from another issuer, or from the `decodeKey` option.
 *
 * A token may be valid for one tenant and not for another. So a cached token is used only if the key found for this request is the one that
 * verified it.
 *
 * @param choose Returns the source for a token; `null` if one of our own keys must have signed it.
 * @param own Verifies the tokens of our own keys.
 */
export function createExternalVerifier (
  { errors, maxTokenLength, cacheSize }: Settings,
  choose: (token: UnverifiedToken) => ExternalKeys | null,
  own: LocalVerifier
): TokenVerifier {
  const checkHeader = createHeaderCheck(errors)
  const cache = new VerifiedCache<Remembered>(cacheSize)

  function checkLength (token: string): void {
    if (token.length > maxTokenLength) throw errors.FST_JWT_INVALID_TOKEN('length')
  }

  /** Decodes a token and finds the source of its key; `null` for our own keys. */
  function receive (token: string): Arrival | null {
    const unverified = readToken(token)
    if (unverified === null) throw errors.FST_JWT_INVALID_TOKEN(whyMalformed(token))
    // `decodeKey` relies on these types. Without this check, a `kid.startsWith` in it would be a 500.
    const { alg, kid }: Record<string, unknown> = unverified.header
    if (typeof alg !== 'string') throw errors.FST_JWT_INVALID_TOKEN('algorithm')
    if (kid !== undefined && typeof kid !== 'string') throw errors.FST_JWT_INVALID_TOKEN('kid')
    const source = choose(unverified)
    return source === null ? null : { unverified, source }
  }

  function check (token: string, { source: { settings, accessOnly } }: Arrival, { header, payload }: DecodedToken): VerifiedToken {
    const checkedHeader = checkHeader(token, header)
    const claims = toClaims(token, payload, settings)
    // RFC 6749 §1.5: a refresh token is for the authorization server that has issued it. Otherwise it could be exchanged for a token of our
    // own.
    if (accessOnly && claims.type === 'refresh') throw errors.FST_JWT_INVALID_TOKEN('type')
    if (settings.requireAccessTokenType) checkAccessTokenType(checkedHeader, claims, settings)
    return { header: checkedHeader, claims, foreign: true }
  }

  function verifyUnder (key: VerificationKey, token: string, arrival: Arrival): MaybePromise<Remembered> {
    let decoded: DecodedToken
    try {
      decoded = verifySignature(token, [key], errors)
    } catch (error) {
      if (!isJwtError(error) || error.code !== 'FST_JWT_INVALID_SIGNATURE') throw error
      return after(arrival.source.findAgain(arrival.unverified), again => {
        if (again === null) throw error
        return { arrival, key: again, verified: check(token, arrival, verifySignature(token, [again], errors)) }
      })
    }
    return { arrival, key, verified: check(token, arrival, decoded) }
  }

  function verifyNew (token: string, arrival: Arrival, key: VerificationKey): MaybePromise<VerifiedToken> {
    return after(verifyUnder(key, token, arrival), remembered => {
      const { verified } = remembered
      checkTimes(verified.claims, arrival.source.settings)
      cache.set(token, remembered, verified.claims.exp ?? Infinity)
      return verified
    })
  }

  return {
    get keys () { return own.keys },

    replaceKeys (keys) { own.replaceKeys(keys) },

    verify (token, request) {
      const remembered = cache.get(token)
      if (remembered !== undefined) {
        const { arrival, verified } = remembered
        return after(arrival.source.find(arrival.unverified, request), key => {
          if (key !== remembered.key) return verifyNew(token, arrival, key)
          checkTimes(verified.claims, arrival.source.settings)
          return verified
        })
      }
      const ours = own.recall(token)
      if (ours !== undefined) return ours
      checkLength(token)
      const arrival = receive(token)
      if (arrival === null) return own.verify(token, request)
      return after(arrival.source.find(arrival.unverified, request), key => verifyNew(token, arrival, key))
    },

    verifyExpired (token, request) {
      checkLength(token)
      const arrival = receive(token)
      if (arrival === null) return own.verifyExpired(token, request)
      return after(arrival.source.find(arrival.unverified, request), key =>
        after(verifyUnder(key, token, arrival), ({ verified }) => {
          checkTimes(verified.claims, arrival.source.settings, true)
          return verified
        }))
    }
  }
}
