import type { FastifyInstance } from 'fastify'
import type { TokenCookies } from './cookies.ts'
import type { Settings } from './options.ts'
import type { Sessions } from './sessions/sessions.ts'
import type { TokenIssuer } from './tokens/create.ts'
import type { TokenVerifier } from './tokens/verify.ts'
import type { FoundLocation, JwtUser } from './types.ts'
import type { VerifiedToken } from './tokens/verified-cache.ts'

/** What one `register` call has built: all a hook needs, found through the instance of the request's route. */
export interface Registration {
  readonly settings: Settings
  readonly verifier: TokenVerifier
  readonly issuer: TokenIssuer
  readonly cookies: TokenCookies
  /** `null` when the store option is false. */
  readonly sessions: Sessions | null
}

/** What a hook attaches to a request, at once and last. */
export interface Authentication {
  readonly verified: VerifiedToken
  readonly location: FoundLocation
  readonly user: JwtUser | null
}

export const kRegistration = Symbol('fastify-jwt-extended.registration')
export const kAuthentication = Symbol('fastify-jwt-extended.authentication')

declare module 'fastify' {
  interface FastifyInstance {
    [kRegistration]: Registration | undefined
  }
  interface FastifyRequest {
    /** `undefined` for nobody. */
    [kAuthentication]?: Authentication | undefined
  }
}

/** The nearest registration of the instance a request's route belongs to. */
export function registrationOf (holder: FastifyInstance): Registration | undefined {
  return holder[kRegistration]
}
