// The app of before.ts on fastify-jwt-extended. What was signed before the change is still accepted.
import Fastify from 'fastify'
import jwt, { crossOriginProtection, jwtRequired, role } from 'fastify-jwt-extended'
import type { FastifyInstance } from 'fastify'
import type { JwtExtended } from 'fastify-jwt-extended'

interface User { id: number, role: 'admin' | 'member' }

// In place of FastifyJWT.
declare module 'fastify-jwt-extended' {
  interface JwtClaims { role?: User['role'], file?: string }
}

declare module 'fastify' {
  interface FastifyInstance {
    authenticate (request: FastifyRequest, reply: FastifyReply): Promise<void>
  }
}

// Stands for your table of users.
const users = new Map<string, User & { password: string }>([
  ['ada', { id: 7, role: 'admin', password: 'correct horse' }],
  ['bob', { id: 8, role: 'member', password: 'battery staple' }]
])

export async function buildApp (secret: string, ticketSecret: string): Promise<FastifyInstance> {
  const app = Fastify()
  const blocked = new Set<string>()

  // A namespace is a registration in a context of its own. Its app.jwt is all that is needed from outside.
  let tickets: JwtExtended | undefined
  app.register(async context => {
    await context.register(jwt, { secretKey: ticketSecret, identityClaim: 'file', accessExpires: '1m', store: false })
    tickets = context.jwt
  })

  await app.register(jwt, {
    secretKey: secret,
    // Tokens that are out there name their user so.
    identityClaim: 'id',
    accessExpires: '1h',
    // Seconds, where clockTolerance takes milliseconds.
    leeway: 5,
    tokenLocation: ['headers', 'cookies'],
    accessCookieName: 'token',
    // In place of trusted, the other way round.
    isRevoked: claims => blocked.has(claims.identity)
  })

  // The decorator stays, and so do all routes that use it.
  app.decorate('authenticate', async request => { await request.verifyJwt() })

  app.post<{ Body: { name: string, password: string } }>('/login', { onRequest: crossOriginProtection }, async (request, reply) => {
    const { name, password } = request.body
    const user = users.get(name)
    if (user === undefined || user.password !== password) return reply.code(401).send({ message: 'Wrong name or password' })
    const token = app.jwt.createAccessToken(user.id, { claims: { role: user.role } })
    app.jwt.setAccessCookies(reply, token)
    return { token }
  })

  // The token is worth nothing afterwards; before, only the cookie was cleared.
  app.post('/logout', async (request, reply) => {
    await app.jwt.clearSession(request, reply)
    return { loggedOut: true }
  })

  // An identity is text; request.user is made of request.jwtIdentity and request.jwtClaims.
  app.get('/me', { onRequest: app.authenticate }, async request => ({ id: Number(request.jwtIdentity), role: request.jwtClaims?.role }))

  app.delete<{ Params: { id: number } }>('/users/:id', {
    preHandler: [jwtRequired, role('admin')],
    schema: { params: { type: 'object', properties: { id: { type: 'integer' } } } }
  }, async request => {
    blocked.add(String(request.params.id))
    return { blocked: request.params.id }
  })

  app.post<{ Params: { file: string } }>('/files/:file/ticket', { onRequest: app.authenticate }, async request => ({
    ticket: tickets?.createAccessToken(request.params.file)
  }))

  // Two kinds of token on one route: the second is no request's, so it is authenticated by itself.
  app.get<{ Params: { file: string }, Querystring: { ticket?: string } }>('/files/:file', { onRequest: app.authenticate }, async (request, reply) => {
    const ticket = await tickets?.authenticate(String(request.query.ticket))
    if (ticket?.claims.identity !== request.params.file) return reply.code(403).send({ message: 'The ticket is for another file' })
    return { file: ticket.claims.identity, for: Number(request.jwtIdentity) }
  })

  return app
}
