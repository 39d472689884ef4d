// One of several servers that share their sessions on one Redis or Valkey: start it as often as you like, on other ports.
// What one revokes, every other refuses at once.
//
//   npm run build && REDIS_URL=redis://127.0.0.1 JWT_SECRET_KEY=<32 bytes or more> node --import ./scripts/typescript.js examples/several-servers.ts
import Fastify from 'fastify'
import { Redis } from 'ioredis'
import jwt, { jwtRequired, refreshTokenRequired } from 'fastify-jwt-extended'
import { RedisStore } from 'fastify-jwt-extended/redis'

const { REDIS_URL, JWT_SECRET_KEY } = process.env
// A random secret would not do: the tokens of one server must pass on every other.
if (REDIS_URL === undefined || JWT_SECRET_KEY === undefined) throw new Error('Set REDIS_URL and JWT_SECRET_KEY')

const app = Fastify({ logger: { level: 'warn' } })

const redis = new Redis(REDIS_URL, {
  // Connect again within half a second; the default waits for up to two.
  retryStrategy: attempt => Math.min(attempt * 50, 500),
  // While Redis loads its data, ask again soon; the default waits for a second or more.
  maxLoadingRetryTime: 50,
  // Fail at once if Redis is down, and not after 20 attempts.
  maxRetriesPerRequest: 1
})
redis.on('error', error => { app.log.warn(error, 'Redis') })
// The store does not close the client.
app.addHook('onClose', async () => { redis.disconnect() })

// If Redis does not answer, every protected request is a 503, so no revoked token passes.
await app.register(jwt, { secretKey: JWT_SECRET_KEY, store: new RedisStore(redis, { commandTimeout: 1000 }) })

app.post<{ Body: { username: string } }>('/login', async (request, reply) => {
  // This lets everybody in: check a password first, as examples/jwt-auth.ts does.
  const { accessToken, refreshToken } = await app.jwt.createSession(request.body.username)
  reply.header('Cache-Control', 'no-store')
  return { access_token: accessToken, refresh_token: refreshToken }
})

app.get('/protected', { preHandler: jwtRequired }, async request => ({ user: request.jwtIdentity, server: process.pid }))

app.post('/refresh', { preHandler: refreshTokenRequired }, async (request, reply) => {
  const { accessToken, refreshToken } = await app.jwt.rotateSession(request)
  reply.header('Cache-Control', 'no-store')
  return { access_token: accessToken, refresh_token: refreshToken }
})

app.post('/logout', { preHandler: jwtRequired }, async (request, reply) => ({
  logout: await app.jwt.clearSession(request, reply)
}))

const url = await app.listen({ port: Number(process.env.PORT ?? 3000), host: process.env.HOST ?? '127.0.0.1' })
console.log(`Listening on ${url}

  curl -H 'Content-Type: application/json' -d '{"username":"ada"}' ${url}/login
  curl -X POST -H 'Authorization: Bearer <the access_token>' ${url}/logout
  curl -H 'Authorization: Bearer <the access_token>' <another server>/protected`)
