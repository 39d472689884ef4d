// The server of a mobile app. The phone keeps a refresh token in its keychain, and stays logged in for half a year after its last
// use; mobile-client.ts beside this file is what runs on the phone.
//
//   npm run build && node --import ./scripts/typescript.js examples/recipes/mobile-app.ts
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import Fastify from 'fastify'
import jwt, { jwtRequired, verifyJwt } from 'fastify-jwt-extended'
import { SqliteStore } from 'fastify-jwt-extended/sqlite'
import { openDatabase } from '../browser-session/database.ts'

const app = Fastify()
const database = await openDatabase(join(process.env.DATA_FOLDER ?? '.', 'mobile-app.db'))
const store = new SqliteStore(database)
app.addHook('onClose', async () => {
  store.close()
  database.close()
})
await app.register(jwt, {
  // Without JWT_SECRET_KEY a random secret, and all logins end with this process.
  secretKey: process.env.JWT_SECRET_KEY ?? randomBytes(32),
  store,
  accessExpires: process.env.ACCESS_EXPIRES ?? '15m',
  refreshExpires: '180 days',
  // Nothing to read in it; the store holds no more than its hash.
  refreshTokenFormat: 'opaque'
})

app.post<{ Body: { username: string, device: string } }>('/login', async (request, reply) => {
  // This lets everybody in: check a password first, as examples/jwt-auth.ts does.
  const { username, device } = request.body
  reply.header('cache-control', 'no-store')
  return await app.jwt.createSession(username, { metadata: { device } })
})

app.post('/refresh', { preHandler: verifyJwt({ type: 'refresh', locations: 'json' }) }, async (request, reply) => {
  reply.header('cache-control', 'no-store')
  return await app.jwt.rotateSession(request)
})

app.post('/logout', { preHandler: jwtRequired }, async (request, reply) => ({ logout: await app.jwt.clearSession(request, reply) }))

app.get('/me', { preHandler: jwtRequired }, async request => ({ name: request.jwtIdentity }))

const url = await app.listen({ port: Number(process.env.PORT ?? 3000), host: process.env.HOST ?? '127.0.0.1' })
console.log(`Listening on ${url}

  curl -H 'Content-Type: application/json' -d '{"username":"ada","device":"phone"}' ${url}/login
  curl -H 'Content-Type: application/json' -d '{"refresh_token":"<the refreshToken>"}' ${url}/refresh`)
