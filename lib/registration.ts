import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { HookOptions } from './authenticate/hook-options.ts'
import type { ProofVerifier } from './dpop/verifier.ts'
import type { TokenCookies } from './cookies/token-cookies.ts'
import type { TokenIssuer } from './jwt/create.ts'
import type { TokenVerifier } from './jwt/verify.ts'
import type { Settings } from './options/settings.ts'
import type { Announce } from './sessions/device-binding/announce.ts'
import type { Sessions } from './sessions/sessions.ts'
import type { JwtExtended } from './types/app-jwt.ts'
import type { MaybePromise } from './types/claims.ts'
import type { Store } from './types/store.ts'

/** A hook prepared for a registration. What does not depend on the request is decided already. */
export interface PreparedHook {
  /** What the hook looks for in the body; `null` for nothing. */
  readonly needsBody: 'token' | 'CSRF token' | null
  /** Verifies the token of a request. @throws The refusal, also as a rejection. */
  authenticate (request: FastifyRequest): MaybePromise<void>
}

/** What one `register` call has built: all a hook needs. */
export interface Registration {
  /** The context it was made in. */
  readonly instance: FastifyInstance
  readonly settings: Settings
  readonly verifier: TokenVerifier
  readonly issuer: TokenIssuer
  readonly cookies: TokenCookies
  /** `null` if the store option is false. */
  readonly store: Store | null
  /** `null` if the store option is false. */
  readonly sessions: Sessions | null
  /** `null` without the `dpop` option. */
  readonly proofs: ProofVerifier | null
  /** Tells the browser at a login that it may bind the session to its device; `null` without device binding. */
  readonly announce: Announce | null
  /** Keeps tokens in the query string out of logs and responses. Called for each hook that looks for one. @throws `FST_JWT_BAD_OPTION` */
  hideQueryToken (): void
  /** Prepares a hook for this registration, once. @throws `FST_JWT_BAD_OPTION` */
  prepare (options: HookOptions): PreparedHook
}

// A registered symbol, so that hooks of another copy of this package find the registration, too. If the shape of the shared object changes,
// so does the number. Copies with different numbers do not see each other, and their hooks say that the plugin is not registered.
export const kRegistration = Symbol.for('fastify-jwt-extended.registration.1')

/** The `app.jwt` of an instance, under a key that no other plugin uses. */
export const kJwt = Symbol.for('fastify-jwt-extended.jwt.1')

declare module 'fastify' {
  interface FastifyInstance {
    [kJwt]?: JwtExtended
    [kRegistration]: Registration | undefined
  }
}

/** The nearest registration of a context. */
export function registrationOf (instance: FastifyInstance): Registration | undefined {
  return instance[kRegistration]
}
