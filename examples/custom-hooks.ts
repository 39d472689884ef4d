// Hooks of the app's own, made of this package's.
//
//   npm run build && node --import ./scripts/typescript.js examples/custom-hooks.ts
import { randomBytes } from 'node:crypto'
import Fastify from 'fastify'
import jwt, { jwtRequired } from 'fastify-jwt-extended'
import type { FastifyReply, FastifyRequest } from 'fastify'

declare module 'fastify-jwt-extended' {
  interface JwtClaims { administrator?: boolean }
}

const app = Fastify()
// Without JWT_SECRET_KEY a random secret, and all logins end with this process.
await app.register(jwt, { secretKey: process.env.JWT_SECRET_KEY ?? randomBytes(32) })

interface Login { username: string, administrator?: boolean }

app.post<{ Body: Login }>('/login', async (request, reply) => {
  // This lets everybody in: check a password first, as examples/jwt-auth.ts does, and look up who is an administrator.
  const { username, administrator = false } = request.body
  reply.header('Cache-Control', 'no-store')
  return { access_token: app.jwt.createAccessToken(username, { claims: { administrator } }) }
})

/** A hook of its own. request.verifyJwt rejects with what a hook would answer, so there is nothing to catch. */
async function administratorRequired (request: FastifyRequest, reply: FastifyReply) {
  await request.verifyJwt({ type: 'access' })
  if (request.jwtClaims?.administrator !== true) {
    return reply.code(403).send({ statusCode: 403, error: 'Forbidden', message: 'Administrators only' })
  }
}
app.get('/administration', { preHandler: administratorRequired }, async request => ({ administrator: request.jwtIdentity }))

/** A hook that comes after jwtRequired, and uses what that has attached. */
async function ownerRequired (request: FastifyRequest<{ Params: { user: string } }>, reply: FastifyReply) {
  if (request.params.user !== request.jwtIdentity) {
    // To a stranger this page does not exist.
    return reply.code(404).send({ statusCode: 404, error: 'Not Found', message: 'No such page' })
  }
}
app.get<{ Params: { user: string } }>('/users/:user/letters', { preHandler: [jwtRequired, ownerRequired] }, async () => ({ letters: [] }))

// A decision in the middle of a handler: only a part of the answer is for members.
app.get<{ Querystring: { drafts?: string } }>('/articles', async request => {
  if (request.query.drafts === undefined) return { articles: ['published'] }
  await request.verifyJwt()
  return { articles: ['published', `a draft of ${request.jwtIdentity}`] }
})

const url = await app.listen({ port: Number(process.env.PORT ?? 3000), host: process.env.HOST ?? '127.0.0.1' })
console.log(`Listening on ${url}

  curl -H 'Content-Type: application/json' -d '{"username":"ada","administrator":true}' ${url}/login
  curl -H 'Authorization: Bearer <the access_token>' ${url}/administration
  curl -H 'Authorization: Bearer <the access_token>' ${url}/users/ada/letters
  curl '${url}/articles?drafts'`)
