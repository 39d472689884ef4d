import { keepPrivate } from '../cookies/shared-cache.ts'
import type { FastifyRequest, onSendHookHandler } from 'fastify'

/** On a request: the nonce for its response. Not a decorator, since a context declared before the plugin would not have it. */
const kFreshNonce = Symbol('fastify-jwt-extended.freshNonce')

declare module 'fastify' {
  interface FastifyRequest {
    [kFreshNonce]?: string
  }
}

/** Sends a nonce with the response to a request. */
export function sendNonce (request: FastifyRequest, nonce: string): void {
  request[kFreshNonce] = nonce
}

/** Sends the nonce, and keeps the response out of caches, which must not repeat a nonce (RFC 9449 §8.1, §8.2). */
export const nonceOnSend: onSendHookHandler = function nonceOnSend (request, reply, payload, done) {
  const nonce = request[kFreshNonce]
  if (nonce !== undefined) {
    reply.header('dpop-nonce', nonce)
    keepPrivate(reply)
  }
  done(null, payload)
}
