// Two servers: on one users log in, and it signs their tokens; the other has the notes that they want to read. The second one knows
// only the URL of the first: it has no secret and no key, and needs no restart when keys change.
//
//   npm run build && node --import ./scripts/typescript.js examples/issuer-and-resource-server.ts
import { generateKeyPairSync, randomUUID } from 'node:crypto'
import Fastify from 'fastify'
import jwt, { jwtRequired } from 'fastify-jwt-extended'
import type { NamedKey } from 'fastify-jwt-extended'

// The name of the issuer, written into each token as `iss`: the URL that others reach it at.
const issuerUrl = process.env.ISSUER_URL ?? 'http://127.0.0.1:3001'
// Whom the tokens are for (`aud`): a token for another server of the same issuer is refused here.
const audience = 'notes'

/* The issuer */

function newKey (): NamedKey {
  return { keyId: randomUUID(), algorithm: 'ES256', privateKey: generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey }
}

// The first signs, all verify, and all are published.
let keys = [newKey()]

const issuer = Fastify()
await issuer.register(jwt, { keys, issuer: issuerUrl, audience, jwksPath: '/jwks.json' })

// Where the keys are, for whoever knows the URL alone (OpenID Connect Discovery 1.0, section 4).
issuer.get('/.well-known/openid-configuration', async () => ({ issuer: issuerUrl, jwks_uri: `${issuerUrl}/jwks.json` }))

issuer.post<{ Body: { username: string } }>('/login', async (request, reply) => {
  reply.header('Cache-Control', 'no-store')
  // This lets everybody in: check a password first, as examples/jwt-auth.ts does.
  return { access_token: issuer.jwt.createAccessToken(request.body.username) }
})

// A rotation. Here it is a request; usually a timer or an administrator starts it. The old key verifies what it has signed until the
// next rotation drops it, so wait at least as long as a token is valid. If a key has leaked, don't wait: rotate to the new one alone.
issuer.post<{ Querystring: { leaked?: string } }>('/rotate', async request => {
  const [current] = keys
  keys = request.query.leaked === undefined && current !== undefined ? [newKey(), current] : [newKey()]
  issuer.jwt.rotateKeys(keys)
  return { keys: issuer.jwt.jwks().keys.map(key => key.kid) }
})

/* The resource server */

const notes = Fastify()
// Keys are fetched when the first token comes, and again when one names a key that is new.
await notes.register(jwt, { issuers: [{ issuer: issuerUrl, audience }] })

notes.get('/notes', { preHandler: jwtRequired }, async request => ({
  notes: [`a note of ${request.jwtIdentity}`], key: request.jwtHeader?.kid
}))

const { hostname, port } = new URL(issuerUrl)
await issuer.listen({ host: hostname, port: Number(port) })
const url = await notes.listen({ port: Number(process.env.PORT ?? 3000), host: process.env.HOST ?? '127.0.0.1' })
console.log(`Notes on ${url} for tokens of ${issuerUrl}

  curl -H 'Content-Type: application/json' -d '{"username":"ada"}' ${issuerUrl}/login
  curl -H 'Authorization: Bearer <the access_token>' ${url}/notes
  curl -X POST ${issuerUrl}/rotate`)
