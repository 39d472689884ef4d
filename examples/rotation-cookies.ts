// A site that keeps its users logged in: a short access token, and a refresh token that each refresh replaces, both in cookies. If a
// refresh token is stolen, that is noticed when the thief or the user comes with the old one.
//
//   npm run build && node --import ./scripts/typescript.js examples/rotation-cookies.ts
import { randomBytes } from 'node:crypto'
import Fastify from 'fastify'
import jwt, { crossOriginProtection, jwtRequired, refreshTokenRequired } from 'fastify-jwt-extended'

// Behind a proxy that ends TLS, set `trustProxy`, or cookies are not marked Secure.
const app = Fastify()
await app.register(jwt, {
  // Without JWT_SECRET_KEY a random secret, and all logins end with this process.
  secretKey: process.env.JWT_SECRET_KEY ?? randomBytes(32),
  tokenLocation: 'cookies',
  accessExpires: '10m',
  // A user who is away for longer logs in again, and so does everybody after half a year.
  refreshExpires: '30 days',
  sessionMaxAge: '180 days',
  // The browser sends the refresh token to the routes that need it, and nowhere else.
  refreshCookiePath: '/auth',
  // Nothing to read in it; the store holds no more than its hash.
  refreshTokenFormat: 'opaque'
})

app.post<{ Body: { username: string } }>('/auth/login', { preHandler: crossOriginProtection }, async (request, reply) => {
  // This lets everybody in: check a password first, as examples/jwt-auth.ts does.
  app.jwt.setSessionCookies(reply, await app.jwt.createSession(request.body.username))
  return { login: true }
})

app.get('/protected', { preHandler: jwtRequired }, async request => ({ user: request.jwtIdentity }))

// The page posts here if a request is refused with FST_JWT_EXPIRED, and sends it again. Two tabs that do so at once get the same tokens,
// and so does a page whose answer was lost.
app.post('/auth/refresh', { preHandler: refreshTokenRequired }, async (request, reply) => {
  app.jwt.setSessionCookies(reply, await app.jwt.rotateSession(request))
  return { refresh: true }
})

// Works also if the access token has expired, and for a user who is logged out already and clicks again.
app.post('/auth/logout', { preHandler: crossOriginProtection }, async (request, reply) => {
  await app.jwt.clearSession(request, reply)
  return { logout: true }
})

const url = await app.listen({ port: Number(process.env.PORT ?? 3000), host: process.env.HOST ?? '127.0.0.1' })
console.log(`Listening on ${url}

  curl -c jar -H 'Content-Type: application/json' -d '{"username":"ada"}' ${url}/auth/login
  curl -b jar ${url}/protected
  curl -b jar -c jar -X POST ${url}/auth/refresh
  curl -b jar -X POST ${url}/auth/logout
  curl -b jar ${url}/protected`)
