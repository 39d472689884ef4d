/**
 * Whether the `typ` of a header allows a token to be used here (explicit typing, RFC 8725 §3.11). What names itself
 * something else, such as a `logout+jwt` or `dpop+jwt` of the same issuer, is no access token, however well it is
 * signed; the `at+jwt` of RFC 9068 is one.
 */
export function isUsableType (typ: unknown): boolean {
  if (typ === undefined || typ === 'JWT') return true
  if (typeof typ !== 'string') return false
  const name = typ.toLowerCase().replace(/^application\//, '')
  return !name.endsWith('+jwt') || name === 'at+jwt'
}
