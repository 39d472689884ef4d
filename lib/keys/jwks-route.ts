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
 * Whether a request is for the public keys. Hooks and guards let it pass, even if an app has put them on all of its routes:
 * a client that fetches keys has no token yet.
 */
export function asksForPublicKeys (request: FastifyRequest): boolean {
  return request.routeOptions.config?.[kPublicKeys] === true
}

/** Seconds for which a verifier may cache the keys. A new key should be published for as long before it signs. */
const maxAge = 300

/** `hide` keeps the route out of the document of @fastify/swagger. */
const schema: FastifySchema & { hide: boolean } = { hide: true }

/** Serves the current public keys as a JWK Set (RFC 7517 §5, §8.5.1), to everyone. */
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
        // As bytes: Fastify would add a charset to JSON text, and this media type has none (RFC 7517 §8.5.1).
        .send(Buffer.from(JSON.stringify(verifier.keys.jwks)))
    }
  })
}
