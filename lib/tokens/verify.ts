import { TOKEN_ERROR_CODES } from 'fast-jwt'
import { checkTimes, deepFreeze, toClaims } from './claims.ts'
import { isUsableType } from './explicit-typing.ts'
import { createVerifiedCache } from './verified-cache.ts'
import { readHeader } from './unverified.ts'
import { isUtf8Part } from './utf8.ts'
import type { Errors, JwtError } from '../errors.ts'
import type { Settings } from '../options.ts'
import type { JwtHeader } from '../types.ts'
import type { DecodedToken, KeySet, VerificationKey } from './key-types.ts'
import type { VerifiedCache, VerifiedToken } from './verified-cache.ts'

/** What `fast-jwt` says of a token, in this package's terms. */
const verdicts: Record<string, (errors: Errors, token: string, keys: readonly VerificationKey[]) => JwtError> = {
  [TOKEN_ERROR_CODES.malformed]: errors => errors.FST_JWT_INVALID_TOKEN('malformed'),
  [TOKEN_ERROR_CODES.invalidPayload]: errors => errors.FST_JWT_INVALID_TOKEN('malformed'),
  [TOKEN_ERROR_CODES.invalidAlgorithm]: errors => errors.FST_JWT_INVALID_TOKEN('algorithm'),
  [TOKEN_ERROR_CODES.invalidCritHeader]: errors => errors.FST_JWT_INVALID_TOKEN('crit'),
  [TOKEN_ERROR_CODES.invalidSignature]: errors => errors.FST_JWT_INVALID_SIGNATURE(),
  // A token without signature is looked at before its algorithm is: say which of the two is wrong.
  [TOKEN_ERROR_CODES.missingSignature]: (errors, token, keys) =>
    keys.some(key => (key.algorithms as readonly unknown[]).includes(readHeader(token)?.alg))
      ? errors.FST_JWT_INVALID_SIGNATURE()
      : errors.FST_JWT_INVALID_TOKEN('algorithm'),
  // An asymmetric signature that is not even of the algorithm's form.
  [TOKEN_ERROR_CODES.verifyError]: errors => errors.FST_JWT_INVALID_SIGNATURE()
}

/**
 * Characters that may end a base64url text whose length leaves 2 or 3 characters in the last group: their
 * unused bits are zero. Any other spells the same signature in a second way (RFC 4648 §3.5).
 */
const lastCharacters = [null, '', 'AQgw', 'AEIMQUYcgkosw048'] as const

function isCanonical (token: string): boolean {
  const length = token.length - token.lastIndexOf('.') - 1
  const allowed = lastCharacters[length % 4]
  return allowed === null || (allowed as string).includes(token.charAt(token.length - 1))
}

/** Distinct headers kept; those of apps that put other things into each header are not worth it. */
const maxHeaders = 100

/** Verifies tokens under a set of keys that can be replaced while running. */
export interface TokenVerifier {
  /**
   * Checks signature, claims and times; a token seen before costs a look-up, and its times are checked.
   *
   * @param now Milliseconds since the epoch.
   * @throws The 401 that says what is wrong.
   */
  verify (token: string, now: number): VerifiedToken
  /** As `verify`, but a token whose only fault is its `exp` passes; never remembered. */
  verifyExpired (token: string, now: number): VerifiedToken
  /** The keys in use. */
  readonly keys: KeySet
  /** Replaces the keys, and forgets every token verified under the old ones. */
  replaceKeys (keys: KeySet): void
}

export function createTokenVerifier (settings: Settings, initial: KeySet): TokenVerifier {
  const { errors, maxTokenLength, cacheSize } = settings
  const headers = new Map<string, JwtHeader>()
  let keys = initial
  let cache: VerifiedCache = createVerifiedCache(cacheSize)

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

  function decode (token: string): DecodedToken {
    const tried = candidates(token)
    let failure: unknown
    // Nobody reads the stack of a refused token, and taking it costs more than checking the signature.
    const { stackTraceLimit } = Error
    Error.stackTraceLimit = 0
    try {
      for (const key of tried) {
        try {
          return key.verify(token)
        } catch (error) {
          failure = error
        }
      }
    } finally {
      Error.stackTraceLimit = stackTraceLimit
    }
    const code = (failure as { code?: string }).code ?? ''
    const verdict = verdicts[code]
    // Anything else is a fault of ours or of the runtime: a 500 in the log, not a verdict on the token.
    if (verdict === undefined) throw failure
    throw verdict(errors, token, tried)
  }

  function verifyUnseen (token: string): VerifiedToken {
    const { header, payload } = decode(token)
    if (!isCanonical(token)) throw errors.FST_JWT_INVALID_SIGNATURE()
    if (!isUtf8Part(token, 1, payload)) throw errors.FST_JWT_INVALID_TOKEN('malformed')
    return { header: checkedHeader(token, header), claims: toClaims(payload, settings) }
  }

  /** Nearly all tokens of a key have the same header: one object, checked and frozen, serves them all. */
  function checkedHeader (token: string, header: JwtHeader): JwtHeader {
    const text = token.slice(0, token.indexOf('.'))
    const known = headers.get(text)
    if (known !== undefined) return known
    if (!isUtf8Part(token, 0, header)) throw errors.FST_JWT_INVALID_TOKEN('malformed')
    if (header['kid'] !== undefined && typeof header['kid'] !== 'string') throw errors.FST_JWT_INVALID_TOKEN('kid')
    if (!isUsableType(header['typ'])) throw errors.FST_JWT_INVALID_TOKEN('typ')
    if (headers.size < maxHeaders) headers.set(Buffer.from(text, 'latin1').toString('latin1'), header)
    return deepFreeze(header)
  }

  return {
    get keys () { return keys },

    verify (token, now) {
      if (token.length > maxTokenLength) throw errors.FST_JWT_INVALID_TOKEN('length')
      const seen = cache.get(token)
      if (seen !== undefined) {
        checkTimes(seen.claims, now, settings, false)
        return seen
      }
      const verified = verifyUnseen(token)
      checkTimes(verified.claims, now, settings, false)
      cache.set(token, verified)
      return verified
    },

    verifyExpired (token, now) {
      if (token.length > maxTokenLength) throw errors.FST_JWT_INVALID_TOKEN('length')
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
