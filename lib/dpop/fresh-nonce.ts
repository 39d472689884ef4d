import { keepPrivate } from '../cookies/shared-cache.ts'
import type { FastifyRequest, onSendHookHandler } from 'fastify'

/** On a request: the nonce that its answer brings. No decorator, which a context declared before the plugin would lack. */
const kFreshNonce = Symbol('fastify-jwt-extended.freshNonce')

declare module 'fastify' {
  interface FastifyRequest {
    [kFreshNonce]?: string
  }
}

/** Sends a nonce with every response to a request. */
export function sendNonce (request: FastifyRequest, nonce: string): void {
  request[kFreshNonce] = nonce
}

/** RFC 9449 §8.1, §8.2: no cache shall hand a nonce out again. */
export const nonceOnSend: onSendHookHandler = function nonceOnSend (request, reply, payload, done) {
  const nonce = request[kFreshNonce]
  if (nonce !== undefined) {
    reply.header('dpop-nonce', nonce)
    keepPrivate(reply)
  }
  done(null, payload)
}
