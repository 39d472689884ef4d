import { publicRoute } from '../own-route.ts'
import type { FastifyInstance } from 'fastify'
import type { TokenVerifier } from '../jwt/verify.ts'

/** Seconds for which a verifier may cache the keys. A new key should be published this long before it signs. */
const maxAge = 300

/** Serves the current public keys as a JWK Set (RFC 7517 §5, §8.5.1), to everyone. */
export function addJwksRoute (fastify: FastifyInstance, url: string, verifier: TokenVerifier): void {
  fastify.route({
    ...publicRoute,
    url,
    handler (_request, reply) {
      reply
        .header('content-type', 'application/jwk-set+json')
        .header('cache-control', `public, max-age=${maxAge}`)
        // As bytes: Fastify would add a charset to JSON text, and this media type has none (RFC 7517 §8.5.1).
        .send(Buffer.from(JSON.stringify(verifier.keys.jwks)))
    }
  })
}
