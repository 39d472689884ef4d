import { challengeByProof, isJwtError } from '../errors.ts'
import type { FastifyRequest, onSendHookHandler } from 'fastify'
import type { JwtError } from '../types/errors.ts'

/**
 * On a request: the refusal to answer it with, unless a later hook accepts the request. Not a decorator, since a context declared before
 * the plugin would not have it.
 */
export const kRefusal: unique symbol = Symbol.for('fastify-jwt-extended.refusal.1')

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

/**
 * Adds the challenge to the response (RFC 9110 §11.6.1), also if an error handler of the app has sent it without the headers of the error.
 * A response with another status does not answer the refusal.
 */
export const challengeOnSend: onSendHookHandler = function challengeOnSend (request, reply, payload, done) {
  const refusal = request[kRefusal]
  if (refusal?.headers !== undefined && reply.statusCode === refusal.statusCode && !reply.hasHeader('www-authenticate')) reply.headers(refusal.headers)
  done(null, payload)
}
