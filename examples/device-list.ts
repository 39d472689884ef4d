// "Where you're logged in": lists the sessions of a user, and logs out one or all others.
//
//   npm run build && node --import ./scripts/typescript.js examples/device-list.ts
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import Fastify from 'fastify'
import jwt, { freshJwtRequired, jwtRequired } from 'fastify-jwt-extended'
import { SqliteStore } from 'fastify-jwt-extended/sqlite'
import { openDatabase } from './browser-session/database.ts'

// Behind a proxy set `trustProxy`, or every device has the address of the proxy.
const app = Fastify()
// Sessions outlive a restart; their tokens do so, too, if JWT_SECRET_KEY is set.
const database = await openDatabase(join(process.env.DATA_FOLDER ?? '.', 'device-list.db'))
const store = new SqliteStore(database)
app.addHook('onClose', async () => {
  store.close()
  database.close()
})
await app.register(jwt, {
  store,
  // Without JWT_SECRET_KEY a random secret, and all logins end with this process.
  secretKey: process.env.JWT_SECRET_KEY ?? randomBytes(32)
})

app.post<{ Body: { username: string } }>('/login', async (request, reply) => {
  // This lets everybody in: check a password first, as examples/jwt-auth.ts does.
  const { accessToken, refreshToken } = await app.jwt.createSession(request.body.username, {
    // What helps a user to tell devices apart. A client chooses its user agent, so limit its length here, and escape it where you show it.
    metadata: { device: request.headers['user-agent']?.slice(0, 200) ?? 'unknown', address: request.ip }
  })
  reply.header('Cache-Control', 'no-store')
  return { access_token: accessToken, refresh_token: refreshToken }
})

app.get('/sessions', { preHandler: jwtRequired }, async request => {
  const sessions = await app.jwt.listSessions(request.jwtIdentity as string)
  return sessions.map(session => ({ ...session, current: session.id === request.jwtClaims?.sid }))
})

app.delete<{ Params: { id: string } }>('/sessions/:id', { preHandler: jwtRequired }, async (request, reply) => {
  const { id } = request.params
  // A session id is no secret: whoever ends one must own it.
  const sessions = await app.jwt.listSessions(request.jwtIdentity as string)
  const ended = sessions.some(session => session.id === id) && await app.jwt.revokeSession(id)
  if (!ended) return reply.code(404).send({ statusCode: 404, error: 'Not Found', message: 'No such session' })
  return { ended: 1 }
})

// Fresh: a thief with a stolen token must not log everybody else out.
app.delete('/sessions', { preHandler: freshJwtRequired }, async request => ({
  ended: await app.jwt.revokeAllSessions(request.jwtIdentity as string, { except: request.jwtClaims?.sid })
}))

const url = await app.listen({ port: Number(process.env.PORT ?? 3000), host: process.env.HOST ?? '127.0.0.1' })
console.log(`Listening on ${url}

  curl -A phone -H 'Content-Type: application/json' -d '{"username":"ada"}' ${url}/login
  curl -H 'Authorization: Bearer <the access_token>' ${url}/sessions
  curl -X DELETE -H 'Authorization: Bearer <the access_token>' ${url}/sessions/<an id>
  curl -X DELETE -H 'Authorization: Bearer <the access_token>' ${url}/sessions`)
