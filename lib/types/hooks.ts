import type { FastifyReply, FastifyRequest, HookHandlerDoneFunction } from 'fastify'
import type { TokenType } from './claims.ts'

/** A place in a request where a token is looked for. */
export type TokenLocation = 'headers' | 'cookies' | 'queryString' | 'json'

/** Where the token of a request was found; `'extractToken'` if the option of that name returned it. */
export type FoundLocation = TokenLocation | 'extractToken'

/** Options of `verifyJwt`: what a hook requires of a request. */
export interface VerifyOptions {
  /** The token type that passes. Default: `'access'`. */
  type?: TokenType | 'any'
  /** Only a fresh token passes. Default: `false`. */
  fresh?: boolean
  /**
   * `true`: a request without a token is anonymous, and so is one whose token would be refused. `'strict'`: only a request
   * without a token is anonymous; a bad token is refused. Default: `false`.
   */
  optional?: boolean | 'strict'
  /** Where to look, in order of precedence. Default: the `tokenLocation` option. */
  locations?: TokenLocation | readonly TokenLocation[]
  /** Accept a revoked token, for example to tell its owner that it was revoked. Default: `false`. */
  skipRevocationCheck?: boolean
}

/**
 * A hook for `onRequest`, `preValidation` or `preHandler`, and for `@fastify/auth`. It takes the requests of every kind of server, HTTP/2
 * and HTTPS included, and so names no more of a request than all of them have.
 */
export type JwtHook = (
  this: unknown, request: Pick<FastifyRequest, 'jwtIdentity'>, reply: Pick<FastifyReply, 'statusCode'>, done: HookHandlerDoneFunction
) => void
