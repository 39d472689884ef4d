import { TOKEN_ERROR_CODES } from 'fast-jwt'
import { whyMalformed } from './placeholder.ts'
import { readHeader } from './unverified.ts'
import type { Errors } from '../errors.ts'
import type { JwtError } from '../types/errors.ts'
import type { DecodedToken, VerificationKey } from '../types/keys.ts'

/** The errors of `fast-jwt`, as errors of this package. */
const verdicts: Record<string, (errors: Errors, token: string, keys: readonly VerificationKey[]) => JwtError> = {
  [TOKEN_ERROR_CODES.malformed]: (errors, token) => errors.FST_JWT_INVALID_TOKEN(whyMalformed(token)),
  [TOKEN_ERROR_CODES.invalidPayload]: errors => errors.FST_JWT_INVALID_TOKEN('malformed'),
  [TOKEN_ERROR_CODES.invalidAlgorithm]: errors => errors.FST_JWT_INVALID_TOKEN('algorithm'),
  [TOKEN_ERROR_CODES.invalidCritHeader]: errors => errors.FST_JWT_INVALID_TOKEN('crit'),
  [TOKEN_ERROR_CODES.invalidSignature]: errors => errors.FST_JWT_INVALID_SIGNATURE(),
  // `fast-jwt` checks that there is a signature before it checks the algorithm. Find out which of the two is wrong.
  [TOKEN_ERROR_CODES.missingSignature]: (errors, token, keys) =>
    keys.some(key => (key.algorithms as readonly unknown[]).includes(readHeader(token)?.alg))
      ? errors.FST_JWT_INVALID_SIGNATURE()
      : errors.FST_JWT_INVALID_TOKEN('algorithm'),
  // An asymmetric signature whose form does not fit the algorithm.
  [TOKEN_ERROR_CODES.verifyError]: errors => errors.FST_JWT_INVALID_SIGNATURE()
}

/**
 * Characters that may end a base64url text whose length leaves 2 or 3 characters in the last group: their
 * unused bits are zero. Any other spells the same signature in a second way (RFC 4648 §3.5).
 */
const lastCharacters = [null, '', 'AQgw', 'AEIMQUYcgkosw048'] as const

function isCanonical (signature: string): boolean {
  const allowed = lastCharacters[signature.length % 4]
  return allowed === null || (allowed as string).includes(signature.charAt(signature.length - 1))
}

/** `false` with `node --frozen-intrinsics`. Then refusing a token costs a little more. */
const canLimitStackTraces = Object.getOwnPropertyDescriptor(Error, 'stackTraceLimit')?.writable === true

function decode (token: string, keys: readonly VerificationKey[], errors: Errors): DecodedToken {
  let failure: unknown
  // Nobody reads the stack of a refused token, and taking it costs more than checking the signature.
  const { stackTraceLimit } = Error
  if (canLimitStackTraces) Error.stackTraceLimit = 0
  try {
    // By index, since V8 would create an iterator for each token here.
    for (let i = 0; i < keys.length; i++) {
      try {
        return (keys[i] as VerificationKey).verify(token)
      } catch (error) {
        failure = error
      }
    }
  } finally {
    if (canLimitStackTraces) Error.stackTraceLimit = stackTraceLimit
  }
  const code = (failure as { code?: string }).code ?? ''
  const verdict = verdicts[code]
  // Anything else is a fault of ours or of the runtime: a 500 in the log, not a verdict on the token.
  if (verdict === undefined) throw failure
  throw verdict(errors, token, keys)
}

/**
 * Checks the signature of a token, its algorithm and `crit`; no claim is checked.
 *
 * @param keys The keys that may have signed it, at least one.
 * @throws The 401 that says what is wrong.
 */
export function verifySignature (token: string, keys: readonly VerificationKey[], errors: Errors): DecodedToken {
  const decoded = decode(token, keys, errors)
  if (!isCanonical(decoded.signature)) throw errors.FST_JWT_INVALID_SIGNATURE()
  return decoded
}
