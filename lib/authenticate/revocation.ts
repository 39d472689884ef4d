import { after } from '../after.ts'
import type { FastifyRequest } from 'fastify'
import type { Settings } from '../options/settings.ts'
import type { Registration } from '../registration.ts'
import type { VerifiedToken } from '../types/verified-token.ts'
import type { JwtClaims, JwtHeader, MaybePromise } from '../types/claims.ts'

/**
 * Refuses a token that the store or the `isRevoked` option calls revoked.
 *
 * @throws `FST_JWT_REVOKED`, `FST_JWT_REUSED`, `FST_JWT_STORE_UNAVAILABLE`
 */
export function refuseRevoked ({ settings, sessions }: Registration, request: FastifyRequest, { claims, header, opaque }: VerifiedToken): MaybePromise<void> {
  const stored = sessions?.refuseRevoked(claims, opaque, request.log)
  return settings.isRevoked === null ? stored : askApp(stored, settings.isRevoked, settings.errors, request, claims, header)
}

function askApp (
  stored: MaybePromise<void>, isRevoked: NonNullable<Settings['isRevoked']>, errors: Settings['errors'], request: FastifyRequest, claims: JwtClaims, header: JwtHeader | null
): MaybePromise<void> {
  return after(stored, () => after(isRevoked(claims, request, header), revoked => {
    if (revoked) throw errors.FST_JWT_REVOKED()
  }))
}
