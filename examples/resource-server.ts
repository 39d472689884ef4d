// An API whose tokens somebody else makes, and that says where to get one. A client needs its URL and nothing else: the challenge
// of a refused request names the metadata (RFC 9728), and these name the authorization server.
//
//   npm run build && node --import ./scripts/typescript.js examples/resource-server.ts
import { generateKeyPairSync } from 'node:crypto'
import Fastify from 'fastify'
import jwt, { jwtRequired, scope } from 'fastify-jwt-extended'

declare module 'fastify-jwt-extended' {
  interface JwtClaims { client_id?: string }
}

const issuerUrl = process.env.ISSUER_URL ?? 'http://127.0.0.1:3001'
const apiUrl = process.env.API_URL ?? 'http://127.0.0.1:3000'

/* The authorization server: here a stand-in for the one that you have. */

const issuer = Fastify()
const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
await issuer.register(jwt, { algorithm: 'ES256', privateKey, keyId: 'one', issuer: issuerUrl, audience: apiUrl, jwksPath: '/jwks.json' })

// RFC 8414, and the same document where OpenID Connect has it.
for (const url of ['/.well-known/oauth-authorization-server', '/.well-known/openid-configuration']) {
  issuer.get(url, async () => ({
    issuer: issuerUrl,
    jwks_uri: `${issuerUrl}/jwks.json`,
    authorization_endpoint: `${issuerUrl}/authorize`,
    token_endpoint: `${issuerUrl}/token`,
    response_types_supported: ['code']
  }))
}

// Whoever asks gets tokens. A real one asks for a password and a consent.
issuer.post('/token', async (_request, reply) => {
  reply.header('cache-control', 'no-store')
  const tokenOf = (typ: string): string => issuer.jwt.createAccessToken('ada', { headers: { typ }, claims: { client_id: 'a client', scope: 'notes:read' } })
  return { access_token: tokenOf('at+jwt'), id_token: tokenOf('JWT'), token_type: 'Bearer', expires_in: 900 }
})

/* The API */

const api = Fastify()
await api.register(jwt, {
  issuers: [{ issuer: issuerUrl, audience: apiUrl }],
  resourceMetadata: { resource: apiUrl, scopes_supported: ['notes:read'], resource_name: 'Notes' },
  // An ID token has the same signature, and is for the client alone (RFC 9068, section 4).
  requireAccessTokenType: true
})

api.get('/notes', { preHandler: [jwtRequired, scope('notes:read')] }, async request => ({ notes: [`a note of ${request.jwtIdentity}`] }))

const listen = { host: '127.0.0.1' }
await issuer.listen({ ...listen, port: Number(new URL(issuerUrl).port) })
const url = await api.listen({ ...listen, port: Number(new URL(apiUrl).port) })
console.log(`Notes on ${url} for tokens of ${issuerUrl}

  curl -i ${url}/notes
  curl ${url}/.well-known/oauth-protected-resource
  curl -X POST ${issuerUrl}/token
  curl -H 'Authorization: Bearer <the access_token>' ${url}/notes`)
