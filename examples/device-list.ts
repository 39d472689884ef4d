// "Where you're logged in": the sessions of a user, with log out for one and for all others.
//
//   npm run build && node --import ./scripts/typescript.js examples/device-list.ts
import { randomBytes } from 'node:crypto'
import Fastify from 'fastify'
import jwt, { freshJwtRequired, jwtRequired } from 'fastify-jwt-extended'

// Behind a proxy set `trustProxy`, or every device has the address of the proxy.
const app = Fastify()
await app.register(jwt, {
  // Without JWT_SECRET_KEY a random secret, and all logins end with this process.
  secretKey: process.env.JWT_SECRET_KEY ?? randomBytes(32)
})

app.post<{ Body: { username: string } }>('/login', async (request, reply) => {
  // Whoever asks is let in: check a password before this line, as examples/jwt-auth.ts does.
  const { accessToken, refreshToken } = await app.jwt.createSession(request.body.username, {
    // What helps a user to tell devices apart. A client chooses its user agent, so it gets a limit here, and is escaped
    // wherever it is shown.
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

// Fresh: a thief with a stolen token must not be the one who logs everybody else out.
app.delete('/sessions', { preHandler: freshJwtRequired }, async request => ({
  ended: await app.jwt.revokeAllSessions(request.jwtIdentity as string, { except: request.jwtClaims?.sid })
}))

const url = await app.listen({ port: Number(process.env.PORT ?? 3000), host: process.env.HOST ?? '127.0.0.1' })
console.log(`Listening on ${url}

  curl -A phone -H 'Content-Type: application/json' -d '{"username":"ada"}' ${url}/login
  curl -H 'Authorization: Bearer <the access_token>' ${url}/sessions
  curl -X DELETE -H 'Authorization: Bearer <the access_token>' ${url}/sessions/<an id>
  curl -X DELETE -H 'Authorization: Bearer <the access_token>' ${url}/sessions`)
