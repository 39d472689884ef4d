/**
 * Whether the `typ` of a header allows a token to be used here (explicit typing, RFC 8725 §3.11). A token of another type, such as a
 * `logout+jwt` or `dpop+jwt` of the same issuer, is not an access token, even with a valid signature. An `at+jwt` (RFC 9068) is one.
 */
export function isUsableType (typ: unknown): boolean {
  if (typ === undefined || typ === 'JWT') return true
  if (typeof typ !== 'string') return false
  const name = typ.toLowerCase().replace(/^application\//, '')
  return !name.endsWith('+jwt') || name === 'at+jwt'
}
