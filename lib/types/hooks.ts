import type { FastifyReply, FastifyRequest, HookHandlerDoneFunction } from 'fastify'
import type { TokenType } from './claims.ts'

/** A place in a request that may hold a token. */
export type TokenLocation = 'headers' | 'cookies' | 'queryString' | 'json'

/** Where the token of a request was found; `'extractToken'` if the option of that name returned it. */
export type FoundLocation = TokenLocation | 'extractToken'

/** Options of `verifyJwt`: what a hook requires of a request. */
export interface VerifyOptions {
  /**
   * The token type that is accepted. With `'any'`, both; if an access token has expired or is stale, the refresh token in the same location
   * is accepted. It carries no claims of the app, so a guard behind the hook may refuse it. Default: `'access'`.
   */
  type?: TokenType | 'any'
  /** Accept only a fresh token. Default: `false`. */
  fresh?: boolean
  /**
   * `true`: a request without a token, or with an invalid one, is anonymous. `'strict'`: a request without a token is anonymous, and an
   * invalid token is refused. Default: `false`.
   */
  optional?: boolean | 'strict'
  /** The locations to look in, in order of precedence. Default: the `tokenLocation` option. */
  locations?: TokenLocation | readonly TokenLocation[]
  /** Do not check whether the token was revoked. Default: `false`. */
  skipRevocationCheck?: boolean
}

/**
 * A hook for `onRequest`, `preValidation` or `preHandler`, and for `@fastify/auth`. Its type fits every kind of server, HTTP/2 and HTTPS
 * included, so it names only what their requests have in common.
 */
export type JwtHook = (
  this: unknown, request: Pick<FastifyRequest, 'jwtIdentity'>, reply: Pick<FastifyReply, 'statusCode'>, done: HookHandlerDoneFunction
) => void
