// A website whose visitors stay logged in while they use it: the access cookie is renewed on the way out.
//
//   npm run build && node --import ./scripts/typescript.js examples/implicit-refresh.ts
import { randomBytes } from 'node:crypto'
import Fastify from 'fastify'
import jwt, { crossOriginProtection, freshJwtRequired, jwtRequired } from 'fastify-jwt-extended'

const app = Fastify()
await app.register(jwt, {
  // Without JWT_SECRET_KEY a random secret, and all logins end with this process.
  secretKey: process.env.JWT_SECRET_KEY ?? randomBytes(32),
  tokenLocation: 'cookies',
  // A user who is away for an hour is logged out. Others get a new cookie with the first answer in the second half hour.
  accessExpires: process.env.ACCESS_EXPIRES ?? '1h',
  implicitRefresh: process.env.IMPLICIT_REFRESH ?? '30m',
  // However much the site is used, after so long a password is asked for again. No refresh token is made here: this is
  // how long after the login an access cookie is renewed.
  refreshExpires: '7 days'
})

// With crossOriginProtection, no other site can log its visitors in here as somebody else.
app.post<{ Body: { username: string } }>('/login', { preHandler: crossOriginProtection }, async (request, reply) => {
  // This lets everybody in: check a password first, as examples/jwt-auth.ts does.
  app.jwt.setAccessCookies(reply, app.jwt.createAccessToken(request.body.username, { fresh: true }))
  return { login: true }
})

// An answer that sets or clears token cookies itself is not given a renewed one.
app.post('/logout', { preHandler: jwtRequired }, async (_request, reply) => {
  app.jwt.unsetAccessCookies(reply)
  return { logout: true }
})

app.get('/protected', { preHandler: jwtRequired }, async request => ({ user: request.jwtIdentity }))

// A renewed token is never fresh.
app.post('/change-password', { preHandler: freshJwtRequired }, async () => ({ status: 'password changed' }))

const url = await app.listen({ port: Number(process.env.PORT ?? 3000), host: process.env.HOST ?? '127.0.0.1' })
console.log(`Listening on ${url}

  curl -c jar -H 'Content-Type: application/json' -d '{"username":"ada"}' ${url}/login
  curl -b jar -c jar ${url}/protected
  curl -b jar -c jar -X POST ${url}/logout`)
