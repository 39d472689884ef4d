import type { JwtUser } from './types/claims.ts'
import type { FoundLocation } from './types/hooks.ts'
import type { StoredSession } from './types/store.ts'
import type { VerifiedToken } from './types/verified-token.ts'

/** What a hook attaches to a request, at once and last. */
export interface Authentication {
  readonly verified: VerifiedToken
  readonly location: FoundLocation
  readonly user: JwtUser | null
  /** The session of a refresh token, as the store has answered it. */
  readonly stored: StoredSession | null
  /** The thumbprint of the key that a proof was checked with; `null` for a token that is bound to none. */
  readonly provenKey: string | null
}

export const kAuthentication = Symbol.for('fastify-jwt-extended.authentication.1')

declare module 'fastify' {
  interface FastifyRequest {
    /** `undefined` for an anonymous request. */
    [kAuthentication]?: Authentication | undefined
  }
}
