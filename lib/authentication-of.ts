import { kAuthentication } from './authentication.ts'
import { nearest } from './authenticate/hooks.ts'
import type { FastifyRequest } from 'fastify'
import type { JwtHeader, JwtUser, VerifiedClaims } from './types/claims.ts'
import type { FoundLocation } from './types/hooks.ts'

/** Who a request is from, once a hook has let it in. */
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
 * What a hook has attached to a request, none of it `null`: for a handler behind `jwtRequired`.
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
  // The types of claims and user are the caller's word, as those of declaration merging are.
  return { identity: claims.identity, claims: claims as VerifiedClaims<Claims>, header, location, user: user as User }
}
