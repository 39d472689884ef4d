import type { Settings } from '../options/settings.ts'
import type { JwtClaims, JwtHeader } from '../types/claims.ts'

/**
 * Refuses an ID token of another issuer, which is signed with the same key as its access tokens (RFC 9068 §4). An access token has the
 * `typ` `at+jwt` and a `client_id`.
 *
 * @throws `FST_JWT_INVALID_TOKEN`
 */
export function checkAccessTokenType ({ typ }: JwtHeader, { client_id: clientId }: JwtClaims, { errors }: Settings): void {
  if (typ?.toLowerCase().replace(/^application\//, '') !== 'at+jwt') throw errors.FST_JWT_INVALID_TOKEN('typ')
  if (typeof clientId !== 'string') throw errors.FST_JWT_INVALID_TOKEN('client_id')
}
