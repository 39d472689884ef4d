// Revoked tokens in a table of the app's own, with what the app wants to know about them.
//
// You don't need this to revoke tokens: app.jwt.revokeToken(request.jwtClaims) does it, in any store. The isRevoked option is for an
// app that has such a table already, or keeps more in it.
//
//   npm run build && node --import ./scripts/typescript.js examples/denylist-callback.ts
import { randomBytes } from 'node:crypto'
import Fastify from 'fastify'
import jwt, { jwtRequired, refreshTokenRequired, verifyJwt } from 'fastify-jwt-extended'

/** A row of a table with jti as its key. */
interface RevokedToken { jti: string, type: string, identity: string, revokedAt: Date, expiresAt: Date }

const table = new Map<string, RevokedToken>()

const app = Fastify()
await app.register(jwt, {
  // Without JWT_SECRET_KEY a random secret, and all logins end with this process.
  secretKey: process.env.JWT_SECRET_KEY ?? randomBytes(32),
  // Only the callback decides, so no store is needed.
  store: false,
  // Called for each token whose signature, type and times are right. It may be async, for a query. If it throws, nobody passes. A token
  // without an id could never be revoked, so it does not pass.
  isRevoked: async ({ jti }) => jti === undefined || table.has(jti)
})

app.post<{ Body: { username: string } }>('/login', async (request, reply) => {
  // This lets everybody in: check a password first, as examples/jwt-auth.ts does.
  const { username } = request.body
  reply.header('Cache-Control', 'no-store')
  return { access_token: app.jwt.createAccessToken(username), refresh_token: app.jwt.createRefreshToken(username) }
})

app.get('/protected', { preHandler: jwtRequired }, async request => ({ user: request.jwtIdentity }))

app.post('/refresh', { preHandler: refreshTokenRequired }, async (request, reply) => {
  reply.header('Cache-Control', 'no-store')
  return { access_token: app.jwt.createAccessToken(request.jwtIdentity as string) }
})

// One route for both: a client logs out with its access token, and again with its refresh token, or that could still get new access
// tokens. Sessions (app.jwt.createSession) end both at once.
app.delete('/logout', { preHandler: verifyJwt({ type: 'any' }) }, async request => {
  const { jti = '', type, identity, exp = 0 } = request.jwtClaims ?? {}
  table.set(jti, { jti, type: String(type), identity: String(identity), revokedAt: new Date(), expiresAt: new Date(exp * 1000) })
  return { message: `${type} token revoked` }
})

// A row is needed until its token would have expired anyway.
setInterval(() => {
  for (const { jti, expiresAt } of table.values()) {
    if (expiresAt.getTime() < Date.now()) table.delete(jti)
  }
}, 60_000).unref()

const url = await app.listen({ port: Number(process.env.PORT ?? 3000), host: process.env.HOST ?? '127.0.0.1' })
console.log(`Listening on ${url}

  curl -H 'Content-Type: application/json' -d '{"username":"ada"}' ${url}/login
  curl -X DELETE -H 'Authorization: Bearer <the access_token>' ${url}/logout
  curl -H 'Authorization: Bearer <the access_token>' ${url}/protected`)
