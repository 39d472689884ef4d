/** Half of a surrogate pair. A store that encodes text in UTF-8 would replace it, and two identities would become one. */
const loneSurrogate = /\p{Surrogate}/u

/** Why a value can't be an identity; `null` if it can. */
function faultOf (value: unknown): string | null {
  if (typeof value === 'bigint') return null
  if (typeof value === 'string') return value === '' ? 'is empty' : null
  if (typeof value !== 'number') return `is ${value === null ? 'null' : `of type ${typeof value}`}`
  if (!Number.isFinite(value)) return `is ${value}`
  // A number past 2^53 may be rounded, and two identities would become one.
  return Math.abs(value) > Number.MAX_SAFE_INTEGER ? `is ${value}, a number too large to be exact; give it as a string` : null
}

/** The identity in a token; `null` if the value can't be an identity. */
export function readIdentity (value: unknown): string | null {
  return faultOf(value) === null ? String(value) : null
}

/**
 * Reads an identity that the app gives.
 *
 * @param source Where it comes from, for the error.
 * @throws {TypeError}
 */
export function requireIdentity (value: unknown, source: string): string {
  const malformed = typeof value === 'string' && loneSurrogate.test(value)
  const fault = malformed ? 'has a lone surrogate, which is no character' : faultOf(value)
  if (fault !== null) throw new TypeError(`${source} must be a non-empty string, a finite number or a BigInt, but it ${fault}`)
  return String(value)
}
