import type { FastifyInstance } from 'fastify'
import type { TokenCookies } from './cookies/token-cookies.ts'
import type { Settings } from './options/settings.ts'
import type { Sessions } from './sessions/sessions.ts'
import type { TokenIssuer } from './jwt/create.ts'
import type { TokenVerifier } from './jwt/verify.ts'

/** What one `register` call has built: all a hook needs, found through the instance of the request's route. */
export interface Registration {
  readonly settings: Settings
  readonly verifier: TokenVerifier
  readonly issuer: TokenIssuer
  readonly cookies: TokenCookies
  /** `null` when the store option is false. */
  readonly sessions: Sessions | null
}

export const kRegistration = Symbol('fastify-jwt-extended.registration')

declare module 'fastify' {
  interface FastifyInstance {
    [kRegistration]: Registration | undefined
  }
}

/** The nearest registration of the instance a request's route belongs to. */
export function registrationOf (holder: FastifyInstance): Registration | undefined {
  return holder[kRegistration]
}
