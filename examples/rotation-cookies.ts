// A web site that keeps its users logged in: short access tokens, and a refresh token that is another one after each
// use, both in cookies. One that is stolen is noticed when the thief or the user comes with the old one.
//
//   npm run build && node --import ./scripts/typescript.js examples/rotation-cookies.ts
import { randomBytes } from 'node:crypto'
import Fastify from 'fastify'
import jwt, { crossOriginProtection, jwtRequired, refreshTokenRequired, verifyJwt } from 'fastify-jwt-extended'
import type { FastifyReply } from 'fastify'
import type { SessionTokens } from 'fastify-jwt-extended'

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
  // The refresh token travels to the routes that need it, and with no other request.
  refreshCookiePath: '/auth',
  // Nothing to read in it; the store holds no more than its hash.
  refreshTokenFormat: 'opaque'
})

function setCookies (reply: FastifyReply, { accessToken, refreshToken }: SessionTokens): void {
  app.jwt.setAccessCookies(reply, accessToken)
  app.jwt.setRefreshCookies(reply, refreshToken)
}

app.post<{ Body: { username: string } }>('/auth/login', { preHandler: crossOriginProtection }, async (request, reply) => {
  // Whoever asks is let in: check a password before this line, as examples/jwt-auth.ts does.
  setCookies(reply, await app.jwt.createSession(request.body.username))
  return { login: true }
})

app.get('/protected', { preHandler: jwtRequired }, async request => ({ user: request.jwtIdentity }))

// The page posts here when a request has come back with FST_JWT_EXPIRED, and repeats it. Two tabs that do so at once both
// get the same tokens, and so does one whose answer was lost, for 10 seconds (refreshReuseInterval).
app.post('/auth/refresh', { preHandler: refreshTokenRequired }, async (request, reply) => {
  setCookies(reply, await app.jwt.rotateSession(request))
  return { refresh: true }
})

// By the refresh token, since the access token may have expired. Optional, since who is logged out already may click again.
app.post('/auth/logout', { preHandler: [crossOriginProtection, verifyJwt({ type: 'refresh', optional: true })] }, async (request, reply) => {
  const sessionId = request.jwtClaims?.sid
  if (sessionId !== undefined) await app.jwt.revokeSession(sessionId)
  app.jwt.unsetJwtCookies(reply)
  return { logout: true }
})

const url = await app.listen({ port: Number(process.env.PORT ?? 3000), host: process.env.HOST ?? '127.0.0.1' })
console.log(`Listening on ${url}

  curl -c jar -H 'Content-Type: application/json' -d '{"username":"ada"}' ${url}/auth/login
  curl -b jar ${url}/protected
  curl -b jar -c jar -X POST ${url}/auth/refresh
  curl -b jar -X POST ${url}/auth/logout
  curl -b jar ${url}/protected`)
