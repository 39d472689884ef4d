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

/** What a token says of itself, and the source that its key comes from. */
interface Arrival {
  readonly unverified: UnverifiedToken
  readonly source: ExternalKeys
}

/** A verified token, with all that decides whether it still is one. */
interface Remembered {
  readonly arrival: Arrival
  readonly key: VerificationKey
  readonly verified: VerifiedToken
}

/**
 * Verifies tokens whose key has to be found: in what another issuer publishes, or by the `decodeKey` option.
 *
 * One token may be good under one key and not under another, as with tenants: the claims of a token seen before
 * are given out only when the key found for this request is the one they were verified under.
 *
 * @param choose The source for a token; `null` for one that our own keys have to have signed.
 * @param own Verifies those.
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

  /** What the token says and where its key comes from; `null` when it is for our own. */
  function receive (token: string): Arrival | null {
    const unverified = readToken(token)
    if (unverified === null) throw errors.FST_JWT_INVALID_TOKEN(whyMalformed(token))
    // What `decodeKey` is given has the types it was promised, or its first `kid.startsWith` would be a 500.
    const { alg, kid }: Record<string, unknown> = unverified.header
    if (typeof alg !== 'string') throw errors.FST_JWT_INVALID_TOKEN('algorithm')
    if (kid !== undefined && typeof kid !== 'string') throw errors.FST_JWT_INVALID_TOKEN('kid')
    const source = choose(unverified)
    return source === null ? null : { unverified, source }
  }

  function check (token: string, { source: { settings, accessOnly } }: Arrival, { header, payload }: DecodedToken): VerifiedToken {
    const checkedHeader = checkHeader(token, header)
    const claims = toClaims(token, payload, settings)
    // RFC 6749 §1.5: a refresh token is for the authorization server that has issued it. Taken here, another
    // issuer's would be exchanged for a token of our own.
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
