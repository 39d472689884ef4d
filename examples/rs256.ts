// Tokens signed with a private key. Others verify them with the public key, and no secret is shared.
//
//   npm run build && node --import ./scripts/typescript.js examples/rs256.ts
import { generateKeyPairSync } from 'node:crypto'
import Fastify from 'fastify'
import jwt, { jwtRequired } from 'fastify-jwt-extended'

// `openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048` makes one. Without it, a random key, and all logins end
// with this process.
const privateKey = process.env.JWT_PRIVATE_KEY ?? generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey

const app = Fastify()
await app.register(jwt, {
  algorithm: 'RS256',
  privateKey,
  // Goes into the header of each token as `kid`, so that the next key can be told from this one.
  keyId: process.env.JWT_KEY_ID ?? '2026-01',
  // The public key as a JWK Set. Nothing in it is secret.
  jwksPath: '/.well-known/jwks.json'
})

app.post<{ Body: { username: string } }>('/login', async (request, reply) => {
  reply.header('Cache-Control', 'no-store')
  // This lets everybody in: check a password first, as examples/jwt-auth.ts does.
  return { access_token: app.jwt.createAccessToken(request.body.username) }
})

app.get('/protected', { preHandler: jwtRequired }, async request => ({ user: request.jwtIdentity, key: request.jwtHeader?.kid }))

const url = await app.listen({ port: Number(process.env.PORT ?? 3000), host: process.env.HOST ?? '127.0.0.1' })
console.log(`Listening on ${url}

  curl ${url}/.well-known/jwks.json
  curl -H 'Content-Type: application/json' -d '{"username":"ada"}' ${url}/login
  curl -H 'Authorization: Bearer <the access_token>' ${url}/protected`)
