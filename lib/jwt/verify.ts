import type { VerifiedToken } from '../types/verified-token.ts'
import { checkTimes, toClaims } from './claims.ts'
import { createHeaderCheck } from './header.ts'
import { createVerifiedCache } from './verified-cache.ts'
import { verifySignature } from './signature.ts'
import { readHeader } from './unverified.ts'
import type { FastifyRequest } from 'fastify'
import type { Settings } from '../options/settings.ts'
import type { MaybePromise } from '../types/claims.ts'
import type { KeySet, VerificationKey } from '../types/keys.ts'
import type { VerifiedCache } from './verified-cache.ts'

/** Verifies tokens under keys that can be replaced while running. */
export interface TokenVerifier {
  /**
   * A token verified before that came in the same text. Its times are still to be checked.
   *
   * @param text What ends with the token.
   * @param start Where in the text the token begins.
   * @returns `undefined` when it is not remembered, or when the key that it needs has to be found first.
   */
  recall (text: string, start: number): VerifiedToken | undefined
  /**
   * As `recall`, of a token that was cut out of a longer text.
   *
   * @param source What it was cut out of, such as a Cookie header.
   * @param part What tells it from other parts of that text.
   */
  recallPart (token: string, source: string, part: string): VerifiedToken | undefined
  /**
   * Checks signature, claims and times, and may remember the token.
   *
   * @param text What ends with the token.
   * @param now Milliseconds since the epoch.
   * @param request What brought the token; `null` outside of one.
   * @param start Where in the text the token begins; by default the text is all token.
   * @returns A promise only where the key has to be fetched, or the `decodeKey` option returned one.
   * @throws The 401 that says what is wrong; 503 when the key cannot be had.
   */
  verify (text: string, now: number, request: FastifyRequest | null, start?: number): MaybePromise<VerifiedToken>
  /** As `verify`, but a token whose only fault is its `exp` passes; never remembered. */
  verifyExpired (token: string, now: number, request: FastifyRequest | null): MaybePromise<VerifiedToken>
  /** Our own keys, as they are now. */
  readonly keys: KeySet
  /** Replaces our own keys, and forgets every token verified under the old ones. */
  replaceKeys (keys: KeySet): void
}

/** Verifies the tokens of our own keys, which are all there: no promise is ever made. */
export interface OwnTokenVerifier extends TokenVerifier {
  verify (text: string, now: number, request: FastifyRequest | null, start?: number): VerifiedToken
  verifyExpired (token: string, now: number): VerifiedToken
}

export function createOwnTokenVerifier (settings: Settings, initial: KeySet): OwnTokenVerifier {
  const { errors, maxTokenLength, cacheSize } = settings
  const checkHeader = createHeaderCheck(errors)
  let keys = initial
  let cache: VerifiedCache<VerifiedToken> = createVerifiedCache(cacheSize)

  /** The keys that may have signed the token: those it names, or those without a name. */
  function candidates (token: string): readonly VerificationKey[] {
    const { verification } = keys
    if (verification.length === 1 && verification[0]?.keyId === undefined) return verification
    const header = readHeader(token)
    // What none can read, any of them can say why, in the words that a single key has for it.
    if (header === null) return verification.slice(0, 1)
    const { alg, kid } = header
    const fitting = verification.filter(key => (key.algorithms as readonly string[]).includes(alg))
    if (fitting.length === 0) throw errors.FST_JWT_INVALID_TOKEN('algorithm')
    // Without `kid`, or where keys have no names, each key of that algorithm may be the one.
    if (kid === undefined) return fitting
    const named = fitting.filter(key => key.keyId === undefined || key.keyId === kid)
    if (named.length === 0) throw errors.FST_JWT_INVALID_TOKEN('kid')
    return named
  }

  function checkLength (token: string): void {
    if (token.length > maxTokenLength) throw errors.FST_JWT_INVALID_TOKEN('length')
  }

  function verifyUnseen (token: string): VerifiedToken {
    const { header, payload } = verifySignature(token, candidates(token), errors)
    return { header: checkHeader(token, header), claims: toClaims(token, payload, settings) }
  }

  return {
    get keys () { return keys },

    recall: (text, start) => cache.get(text, start),

    recallPart: (token, source, part) => cache.getPart(token, source, part),

    verify (text, now, _request, start = 0) {
      const token = text.slice(start)
      checkLength(token)
      const verified = verifyUnseen(token)
      checkTimes(verified.claims, now, settings, false)
      cache.set(text, verified, start)
      return verified
    },

    verifyExpired (token, now) {
      checkLength(token)
      const verified = verifyUnseen(token)
      checkTimes(verified.claims, now, settings, true)
      return verified
    },

    replaceKeys (next) {
      keys = next
      cache = createVerifiedCache(cacheSize)
    }
  }
}
