// Fresh tokens: what matters most needs a password of a moment ago, and everything else does not.
//
//   npm run build && node --import ./scripts/typescript.js examples/freshness.ts
import { randomBytes } from 'node:crypto'
import Fastify from 'fastify'
import jwt, { freshJwtRequired, jwtRequired, refreshTokenRequired } from 'fastify-jwt-extended'

const app = Fastify()
// Without JWT_SECRET_KEY a random secret, and all logins end with this process.
await app.register(jwt, { secretKey: process.env.JWT_SECRET_KEY ?? randomBytes(32), accessExpires: '1h' })

app.post<{ Body: { username: string } }>('/login', async (request, reply) => {
  // This lets everybody in: check a password first, as examples/jwt-auth.ts does.
  const { username } = request.body
  reply.header('Cache-Control', 'no-store')
  return {
    // The password was given just now. With fresh: true the token would be fresh for its whole hour; with '5m' it is so for five minutes.
    access_token: app.jwt.createAccessToken(username, { fresh: '5m' }),
    refresh_token: app.jwt.createRefreshToken(username)
  }
})

app.post('/refresh', { preHandler: refreshTokenRequired }, async (request, reply) => {
  reply.header('Cache-Control', 'no-store')
  // Nobody gave a password for this one, so it is not fresh, which is the default. Whoever has stolen a refresh token can't lock the
  // owner out with it.
  return { access_token: app.jwt.createAccessToken(request.jwtIdentity as string) }
})

app.get('/profile', { preHandler: jwtRequired }, async request => ({ user: request.jwtIdentity }))

// The client that gets FST_JWT_FRESH_REQUIRED here asks for the password, and not for a refresh.
app.put('/email', { preHandler: freshJwtRequired }, async () => ({ email: 'changed' }))

const url = await app.listen({ port: Number(process.env.PORT ?? 3000), host: process.env.HOST ?? '127.0.0.1' })
console.log(`Listening on ${url}

  curl -H 'Content-Type: application/json' -d '{"username":"ada"}' ${url}/login
  curl -X POST -H 'Authorization: Bearer <the refresh_token>' ${url}/refresh
  curl -X PUT -H 'Authorization: Bearer <either access_token>' ${url}/email`)
