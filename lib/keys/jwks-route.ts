import type { FastifyInstance, FastifyRequest, FastifySchema } from 'fastify'
import type { TokenVerifier } from '../jwt/verify.ts'

/** In the config of the route. */
const kPublicKeys = Symbol.for('fastify-jwt-extended.publicKeys.1')

declare module 'fastify' {
  interface FastifyContextConfig {
    [kPublicKeys]?: true
  }
}

/**
 * Whether a request is for the public keys. No hook or guard refuses it: who fetches them has no token yet, and an app may
 * have put one on all of its routes.
 */
export function asksForPublicKeys (request: FastifyRequest): boolean {
  return request.routeOptions.config?.[kPublicKeys] === true
}

/** Seconds that whoever verifies with our keys may keep them. A new key is published for as long before it signs. */
const maxAge = 300

/** `hide` keeps the route out of what @fastify/swagger documents. */
const schema: FastifySchema & { hide: boolean } = { hide: true }

/** Serves the public keys as they are at the time, as a JWK Set (RFC 7517 §5, §8.5.1), open to everyone. */
export function addJwksRoute (fastify: FastifyInstance, url: string, verifier: TokenVerifier): void {
  fastify.route({
    method: 'GET',
    url,
    exposeHeadRoute: true,
    config: { jwt: false, [kPublicKeys]: true },
    schema,
    handler (_request, reply) {
      reply
        .header('content-type', 'application/jwk-set+json')
        .header('cache-control', `public, max-age=${maxAge}`)
        // As bytes: to text that is JSON, Fastify adds a charset, which the media type does not have (RFC 7517 §8.5.1).
        .send(Buffer.from(JSON.stringify(verifier.keys.jwks)))
    }
  })
}
