import { challengeByProof, isJwtError } from '../errors.ts'
import type { FastifyRequest, onSendHookHandler } from 'fastify'
import type { JwtError } from '../types/errors.ts'

/** On a request: the refusal that it is answered with, unless something has made it good. No decorator, which a context declared before the plugin would lack. */
const kRefusal = Symbol.for('fastify-jwt-extended.refusal.1')

declare module 'fastify' {
  interface FastifyRequest {
    [kRefusal]?: JwtError | undefined
  }
}

/** Remembers why a request is refused. */
export function rememberRefusal (request: FastifyRequest, error: unknown): void {
  if (!isJwtError(error) || error.headers === undefined) return
  if (/^\s*dpop(\s|$)/i.test(request.headers.authorization ?? '')) challengeByProof(error)
  request[kRefusal] = error
}

/** Forgets it, since another hook has accepted the request, such as an alternative of `@fastify/auth`. */
export function forgetRefusal (request: FastifyRequest): void {
  if (request[kRefusal] !== undefined) request[kRefusal] = undefined
}

/**
 * Puts the challenge on the reply, whatever has answered the error (RFC 9110 §11.6.1): an error handler of the app knows nothing of
 * the headers of an error. An answer with another status is not that of the refusal.
 */
export const challengeOnSend: onSendHookHandler = function challengeOnSend (request, reply, payload, done) {
  const refusal = request[kRefusal]
  if (refusal?.headers !== undefined && reply.statusCode === refusal.statusCode && !reply.hasHeader('www-authenticate')) reply.headers(refusal.headers)
  done(null, payload)
}
