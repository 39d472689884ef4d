// Two servers: one lets people in and signs their tokens, the other has what they came for. The second knows the first's
// URL and nothing else: no secret, no key, and no restart when keys change.
//
//   npm run build && node --import ./scripts/typescript.js examples/issuer-and-resource-server.ts
import { generateKeyPairSync, randomUUID } from 'node:crypto'
import Fastify from 'fastify'
import jwt, { jwtRequired } from 'fastify-jwt-extended'
import type { NamedKey } from 'fastify-jwt-extended'

// The name of the issuer, written into each token as `iss`: the URL that others reach it at.
const issuerUrl = process.env.ISSUER_URL ?? 'http://127.0.0.1:3001'
// Whom the tokens are for, `aud`: a token for another server of the same issuer is no good here.
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
  // Whoever asks is let in: check a password before this line, as examples/jwt-auth.ts does.
  return { access_token: issuer.jwt.createAccessToken(request.body.username) }
})

// A rotation, here when somebody asks for it; else a timer or an administrator would. The old key still verifies what it
// has signed, until the next rotation drops it: wait at least the life of a token in between. After a key has leaked
// there is no waiting: rotate to the new one alone.
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
