import type { FastifyInstance, FastifyReply, FastifyRequest, HookHandlerDoneFunction } from 'fastify'
import type { TokenType } from './claims.ts'

/** A place in a request where a token is looked for. */
export type TokenLocation = 'headers' | 'cookies' | 'queryString' | 'json'

/** Where the token of a request was found; `'extractToken'` when the option of that name gave it. */
export type FoundLocation = TokenLocation | 'extractToken'

/** What one hook asks of a request. */
export interface VerifyOptions {
  /** The token type that passes. Default: `'access'`. */
  type?: TokenType | 'any'
  /** Only a fresh token passes. Default: `false`. */
  fresh?: boolean
  /**
   * `true`: no token, or one that would be refused, is anonymous. `'strict'`: no token is anonymous,
   * a bad one is refused. Default: `false`.
   */
  optional?: boolean | 'strict'
  /** Where to look, in order of precedence. Default: the `tokenLocation` option. */
  locations?: TokenLocation | readonly TokenLocation[]
  /** Pass a revoked token, for example to tell its owner so. Default: `false`. */
  skipRevocationCheck?: boolean
}

/** A hook for `onRequest`, `preValidation` or `preHandler`, and for `@fastify/auth`. */
export type JwtHook = (
  this: FastifyInstance | void, request: FastifyRequest, reply: FastifyReply, done: HookHandlerDoneFunction
) => void
