import { kAuthentication } from './authentication.ts'
import { nearest } from './authenticate/hooks.ts'
import type { FastifyRequest } from 'fastify'
import type { JwtHeader, JwtUser, VerifiedClaims } from './types/claims.ts'
import type { FoundLocation } from './types/hooks.ts'

/** The result of the hook that has accepted a request. */
export interface Authentication<Claims = unknown, User = JwtUser | null> {
  readonly identity: string
  readonly claims: VerifiedClaims<Claims>
  /** `null` for an opaque refresh token, which has none. */
  readonly header: JwtHeader | null
  readonly location: FoundLocation
  /** What `userLookup` returned; `null` without that option. */
  readonly user: User
}

/**
 * What a hook has attached to a request, for handlers behind `jwtRequired`. Unlike the properties of the request, `identity`, `claims` and
 * `location` are never `null`.
 *
 * ```ts
 * app.get('/me', { preHandler: jwtRequired }, async request => ({ user: authenticationOf(request).identity }))
 * // With the claims and the user of one of several registrations
 * const { claims, user } = authenticationOf<{ tenant: string }, Admin>(request)
 * ```
 *
 * @throws `FST_JWT_MISSING_TOKEN` (401) if no hook has verified a token.
 */
export function authenticationOf<Claims = unknown, User = JwtUser | null> (request: Pick<FastifyRequest, 'jwtIdentity'>): Authentication<Claims, User> {
  const held = request as FastifyRequest
  const authentication = held[kAuthentication]
  if (authentication === undefined) throw nearest(held).settings.errors.FST_JWT_MISSING_TOKEN()
  const { verified: { claims, header }, location, user } = authentication
  // The caller declares the types of claims and user. As with declaration merging, nothing checks them.
  return { identity: claims.identity, claims: claims as VerifiedClaims<Claims>, header, location, user: user as User }
}
