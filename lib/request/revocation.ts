import { after } from '../after.ts'
import type { FastifyRequest } from 'fastify'
import type { Registration } from '../registration.ts'
import type { VerifiedToken } from '../tokens/verified-cache.ts'
import type { MaybePromise } from '../types.ts'

/**
 * Refuses a token that the store or the `isRevoked` option calls revoked.
 *
 * @throws `FST_JWT_REVOKED`, `FST_JWT_REUSED`, `FST_JWT_STORE_UNAVAILABLE`
 */
export function refuseRevoked ({ settings, sessions }: Registration, request: FastifyRequest, { claims, header, session }: VerifiedToken): MaybePromise<void> {
  const { isRevoked, errors } = settings
  const stored = sessions?.refuseRevoked(claims, session)
  if (isRevoked === null) return stored
  return after(stored, () => after(isRevoked(claims, request, header), revoked => {
    if (revoked) throw errors.FST_JWT_REVOKED()
  }))
}
