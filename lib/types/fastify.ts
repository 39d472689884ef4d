import type { JwtExtended } from './app-jwt.ts'
import type { JwtClaims, JwtHeader, JwtUser } from './claims.ts'
import type { FoundLocation, JwtHook, VerifyOptions } from './hooks.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** Tokens, cookies and sessions. Available after `await app.register(jwt, { … })`; `undefined` before. */
    jwt: JwtExtended
    /** The hook of the same name that the package exports. `undefined` before the plugin is registered: import it. */
    jwtRequired: JwtHook
    /** The hook of the same name that the package exports. `undefined` before the plugin is registered: import it. */
    jwtOptional: JwtHook
    /** The hook of the same name that the package exports. `undefined` before the plugin is registered: import it. */
    freshJwtRequired: JwtHook
    /** The hook of the same name that the package exports. `undefined` before the plugin is registered: import it. */
    refreshTokenRequired: JwtHook
    /** The function of the same name that the package exports. `undefined` before the plugin is registered: import it. */
    verifyJwt: (options?: VerifyOptions) => JwtHook
  }

  interface FastifyRequest {
    /** The identity of the verified token; `null` if anonymous or not verified yet. */
    readonly jwtIdentity: string | null
    /** The claims of the verified token, deeply frozen. */
    readonly jwtClaims: JwtClaims | null
    /** The header of the verified token, frozen. */
    readonly jwtHeader: JwtHeader | null
    /** Where the token was found. */
    readonly jwtLocation: FoundLocation | null
    /** What `userLookup` returned. */
    readonly jwtUser: JwtUser | null
    /** Verifies the token of this request as a hook does. @throws The error that the hook would answer with. */
    verifyJwt (options?: VerifyOptions): Promise<void>
  }

  interface FastifyContextConfig {
    /** With the `protect` option: `false` leaves the route open; options replace `jwtRequired`. */
    jwt?: false | VerifyOptions
  }
}
