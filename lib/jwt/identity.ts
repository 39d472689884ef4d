/** Half of a character. A store that encodes text in UTF-8 would keep another one in its place, and two people would be one. */
const loneSurrogate = /\p{Surrogate}/u

/** Why a value can't name someone; `null` if it can. */
function faultOf (value: unknown): string | null {
  if (typeof value === 'bigint') return null
  if (typeof value === 'string') return value === '' ? 'is empty' : null
  if (typeof value !== 'number') return `is ${value === null ? 'null' : `of type ${typeof value}`}`
  if (!Number.isFinite(value)) return `is ${value}`
  // Past 2^53 a number may be a rounded one: two people would be one.
  return Math.abs(value) > Number.MAX_SAFE_INTEGER ? `is ${value}, a number too large to be exact; give it as a string` : null
}

/** The identity in a token; `null` if it is nothing that can name someone. */
export function readIdentity (value: unknown): string | null {
  return faultOf(value) === null ? String(value) : null
}

/**
 * The identity that the app has given.
 *
 * @param source What has given it, for the error.
 * @throws {TypeError}
 */
export function requireIdentity (value: unknown, source: string): string {
  const malformed = typeof value === 'string' && loneSurrogate.test(value)
  const fault = malformed ? 'has a lone surrogate, which is no character' : faultOf(value)
  if (fault !== null) throw new TypeError(`${source} must be a non-empty string, a finite number or a BigInt, but it ${fault}`)
  return String(value)
}
