// No more than three devices at a time. Who logs in on a fourth is asked which one to log out.
//
//   npm run build && node --import ./scripts/typescript.js examples/recipes/device-limit.ts
import { randomBytes } from 'node:crypto'
import Fastify from 'fastify'
import jwt, { jwtRequired } from 'fastify-jwt-extended'
import type { JwtError } from 'fastify-jwt-extended'

const app = Fastify()
await app.register(jwt, {
  // Without JWT_SECRET_KEY a random secret, and all logins end with this process.
  secretKey: process.env.JWT_SECRET_KEY ?? randomBytes(32),
  // maxSessions: 3 alone would end the oldest login, and ask nobody.
  maxSessions: { max: 3, whenFull: 'refuse' }
})

interface Login { username: string, device: string, logOut?: string }

const login = {
  type: 'object',
  required: ['username', 'device'],
  properties: { username: { type: 'string', maxLength: 100 }, device: { type: 'string', maxLength: 100 }, logOut: { type: 'string', maxLength: 100 } }
}

app.post<{ Body: Login }>('/login', { schema: { body: login } }, async (request, reply) => {
  // This lets everybody in: check a password first, as examples/jwt-auth.ts does, also if a device is named, so that nobody can log
  // devices out without it.
  const { username, device, logOut } = request.body
  reply.header('cache-control', 'no-store')
  const devices = await app.jwt.listSessions(username)
  if (logOut !== undefined) {
    // A session id is no secret: it must be one of this user's.
    if (!devices.some(({ id }) => id === logOut)) return reply.code(404).send({ message: 'No such device' })
    await app.jwt.revokeSession(logOut)
  }
  try {
    return await app.jwt.createSession(username, { metadata: { device } })
  } catch (error) {
    // The store counts, so that two logins at once can't both be the third.
    if ((error as JwtError).code !== 'FST_JWT_TOO_MANY_SESSIONS') throw error
    return reply.code(409).send({
      message: 'Choose a device to log out, and send its id as logOut',
      devices: devices.map(({ id, metadata, lastUsedAt }) => ({ id, device: metadata?.['device'], lastUsedAt }))
    })
  }
})

app.get('/me', { preHandler: jwtRequired }, async request => ({ name: request.jwtIdentity }))

const url = await app.listen({ port: Number(process.env.PORT ?? 3000), host: process.env.HOST ?? '127.0.0.1' })
console.log(`Listening on ${url}

  curl -H 'Content-Type: application/json' -d '{"username":"ada","device":"phone"}' ${url}/login
  curl -H 'Content-Type: application/json' -d '{"username":"ada","device":"tv","logOut":"<an id>"}' ${url}/login`)
