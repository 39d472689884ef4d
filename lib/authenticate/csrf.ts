import { checkDoubleSubmit } from './double-submit.ts'
import { checkFetchMetadata, isWebSocketUpgrade } from './fetch-metadata.ts'
import type { FastifyRequest } from 'fastify'
import type { Settings } from '../options/settings.ts'
import type { JwtClaims, TokenType } from '../types/claims.ts'

/**
 * Refuses a cross-origin request that would act with the user's cookie. WebSocket upgrades are included, although they may be a GET.
 *
 * @throws `FST_JWT_CSRF`
 */
export function refuseCrossOrigin (request: FastifyRequest, { csrfProtection, csrfMethods, trustedOrigins, errors }: Settings): void {
  const byMethod = csrfMethods.has(request.method) && csrfProtection !== false && csrfProtection.includes('fetch-metadata')
  if (byMethod || (csrfProtection !== false && isWebSocketUpgrade(request))) checkFetchMetadata(request, trustedOrigins, errors)
}

/**
 * Double submit. WebSocket upgrades are exempt: a page can't add a header to them, and `refuseCrossOrigin` has checked their origin.
 *
 * @param cookie Which cookie the token came in.
 * @throws `FST_JWT_CSRF`
 */
export function refuseWithoutCsrfToken (request: FastifyRequest, claims: Pick<JwtClaims, 'csrf'>, cookie: TokenType, settings: Settings): void {
  const { csrfProtection, csrfMethods } = settings
  if (csrfProtection === false || !csrfProtection.includes('double-submit')) return
  if (csrfMethods.has(request.method) && !isWebSocketUpgrade(request)) checkDoubleSubmit(request, claims, cookie, settings)
}
