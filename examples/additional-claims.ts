// Claims of the app's own in a token: some for every token, some for one.
//
//   npm run build && node --import ./scripts/typescript.js examples/additional-claims.ts
import { randomBytes } from 'node:crypto'
import Fastify from 'fastify'
import jwt, { jwtRequired } from 'fastify-jwt-extended'

interface Account { id: string, plan: 'free' | 'paid' }

// Declared here, they have types wherever claims are given or read, and a misspelt one does not compile.
declare module 'fastify-jwt-extended' {
  interface JwtClaims { plan?: Account['plan'], theme?: string }
}

const accounts = new Map<string, Account>([
  ['ada', { id: 'ada', plan: 'paid' }],
  ['bob', { id: 'bob', plan: 'free' }]
])

const app = Fastify()
await app.register(jwt, {
  // Without JWT_SECRET_KEY a random secret, and all logins end with this process.
  secretKey: process.env.JWT_SECRET_KEY ?? randomBytes(32),
  // For every token, access and refresh. It is called when the token is made, so add nothing that may change before the token expires.
  // Add nothing secret either: a token is signed, not encrypted, and whoever has it can read it.
  additionalClaims: identity => ({ plan: accounts.get(identity)?.plan ?? 'free' }),
  // Into the header, for a gateway that routes by it, say, without reading the claims.
  additionalHeaders: () => ({ region: 'north' })
})

app.post<{ Body: { username: string } }>('/login', async (request, reply) => {
  // This lets everybody in: check a password first, as examples/jwt-auth.ts does.
  const { username } = request.body
  reply.header('Cache-Control', 'no-store')
  // For this token alone. It would win over a claim of the same name from additionalClaims.
  return { access_token: app.jwt.createAccessToken(username, { claims: { theme: 'dark' } }) }
})

app.get('/protected', { preHandler: jwtRequired }, async request => ({
  user: request.jwtIdentity,
  plan: request.jwtClaims?.plan,
  theme: request.jwtClaims?.theme,
  region: request.jwtHeader?.['region']
}))

const url = await app.listen({ port: Number(process.env.PORT ?? 3000), host: process.env.HOST ?? '127.0.0.1' })
console.log(`Listening on ${url}

  curl -H 'Content-Type: application/json' -d '{"username":"ada"}' ${url}/login
  curl -H 'Authorization: Bearer <the access_token>' ${url}/protected`)
