import type { JwtUser } from './types/claims.ts'
import type { FoundLocation } from './types/hooks.ts'
import type { StoredSession } from './types/store.ts'
import type { VerifiedToken } from './types/verified-token.ts'

/** What a hook attaches to a request, in one step after all checks. */
export interface Authentication {
  readonly verified: VerifiedToken
  readonly location: FoundLocation
  readonly user: JwtUser | null
  /** The session of a refresh token, as the store returned it. */
  readonly stored: StoredSession | null
  /** The thumbprint of the key whose proof was checked; `null` for a token that is not bound to a key. */
  readonly provenKey: string | null
}

export const kAuthentication = Symbol.for('fastify-jwt-extended.authentication.1')

declare module 'fastify' {
  interface FastifyRequest {
    /** `undefined` for an anonymous request. */
    [kAuthentication]?: Authentication | undefined
  }
}
