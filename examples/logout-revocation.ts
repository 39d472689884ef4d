// A logout that ends the session: its tokens are refused from then on, although they have not expired.
//
//   npm run build && node --import ./scripts/typescript.js examples/logout-revocation.ts
import { randomBytes } from 'node:crypto'
import Fastify from 'fastify'
import jwt, { jwtRequired, refreshTokenRequired } from 'fastify-jwt-extended'

const app = Fastify()
await app.register(jwt, {
  // Without JWT_SECRET_KEY a random secret, and all logins end with this process.
  secretKey: process.env.JWT_SECRET_KEY ?? randomBytes(32)
  // Revocations are kept in memory unless there is a `store`: examples/several-servers.ts has one on Redis.
})

app.post<{ Body: { username: string } }>('/login', async (request, reply) => {
  // This lets everybody in: check a password first, as examples/jwt-auth.ts does.
  const { accessToken, refreshToken } = await app.jwt.createSession(request.body.username)
  reply.header('Cache-Control', 'no-store')
  return { access_token: accessToken, refresh_token: refreshToken }
})

app.get('/protected', { preHandler: jwtRequired }, async request => ({ user: request.jwtIdentity }))

app.post('/refresh', { preHandler: refreshTokenRequired }, async (request, reply) => {
  const { accessToken, refreshToken } = await app.jwt.rotateSession(request)
  reply.header('Cache-Control', 'no-store')
  return { access_token: accessToken, refresh_token: refreshToken }
})

// A token of no session, for a script: it is revoked by itself.
app.post('/api-token', { preHandler: jwtRequired }, async (request, reply) => {
  reply.header('Cache-Control', 'no-store')
  return { api_token: app.jwt.createAccessToken(request.jwtIdentity as string, { expiresIn: '90 days' }) }
})

// With either token: an app that is closed for a day has nothing but its refresh token to log out with.
app.post('/logout', async (request, reply) => {
  // The whole session ends, with all its access and refresh tokens. A token of no session is revoked by itself.
  await app.jwt.clearSession(request, reply)
  return { logout: true }
})

const url = await app.listen({ port: Number(process.env.PORT ?? 3000), host: process.env.HOST ?? '127.0.0.1' })
console.log(`Listening on ${url}

  curl -H 'Content-Type: application/json' -d '{"username":"ada"}' ${url}/login
  curl -X POST -H 'Authorization: Bearer <either token>' ${url}/logout
  curl -H 'Authorization: Bearer <the access_token>' ${url}/protected`)
