import type { Settings } from '../options/settings.ts'
import type { JwtClaims, JwtHeader } from '../types/claims.ts'

/**
 * Tells an access token of another issuer from its ID tokens, which have the same signature (RFC 9068 §4): by `typ`, and by the client
 * that it was issued to.
 *
 * @throws `FST_JWT_INVALID_TOKEN`
 */
export function checkAccessTokenType ({ typ }: JwtHeader, { client_id: clientId }: JwtClaims, { errors }: Settings): void {
  if (typ?.toLowerCase().replace(/^application\//, '') !== 'at+jwt') throw errors.FST_JWT_INVALID_TOKEN('typ')
  if (typeof clientId !== 'string') throw errors.FST_JWT_INVALID_TOKEN('client_id')
}
