// The user of a token, loaded before the handler runs: request.jwtUser.
//
//   npm run build && node --import ./scripts/typescript.js examples/user-loading.ts
import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import Fastify from 'fastify'
import jwt, { jwtRequired } from 'fastify-jwt-extended'

interface User { id: number, name: string }

// request.jwtUser has this type from here on.
declare module 'fastify-jwt-extended' {
  interface JwtUser extends User {}
}

const users = new Map<number, User>([
  [1, { id: 1, name: 'Ada' }],
  [2, { id: 2, name: 'Bob' }]
])

/** Stands for a query. */
async function findUser (id: number): Promise<User | undefined> {
  await sleep(5)
  return users.get(id)
}

const app = Fastify()
await app.register(jwt, {
  // Without JWT_SECRET_KEY a random secret, and all logins end with this process.
  secretKey: process.env.JWT_SECRET_KEY ?? randomBytes(32),
  // So that createAccessToken can be given a user. The id goes into the token, never the whole object: what is in a token
  // can be read by its holder, and grows old.
  userIdentity: user => (user as User).id,
  // Called for each request that needs a token, after all other checks. undefined or null is a 401: a deleted user is refused at once,
  // although the token has not expired.
  userLookup: claims => findUser(Number(claims.identity))
})

app.post<{ Body: { id: number } }>('/login', async (request, reply) => {
  // This lets everybody in: check a password first, as examples/jwt-auth.ts does.
  const user = await findUser(request.body.id)
  if (user === undefined) return reply.code(401).send({ statusCode: 401, error: 'Unauthorized', message: 'Wrong user' })
  reply.header('Cache-Control', 'no-store')
  return { access_token: app.jwt.createAccessToken(user) }
})

app.get('/me', { preHandler: jwtRequired }, async request => ({ id: request.jwtUser?.id, name: request.jwtUser?.name }))

app.delete('/me', { preHandler: jwtRequired }, async (request, reply) => {
  users.delete(Number(request.jwtIdentity))
  return reply.code(204).send()
})

const url = await app.listen({ port: Number(process.env.PORT ?? 3000), host: process.env.HOST ?? '127.0.0.1' })
console.log(`Listening on ${url}

  curl -H 'Content-Type: application/json' -d '{"id":1}' ${url}/login
  curl -H 'Authorization: Bearer <the access_token>' ${url}/me
  curl -X DELETE -H 'Authorization: Bearer <the access_token>' ${url}/me`)
