// An app on @fastify/jwt, as many are: after.ts beside it is the same app on this package. docs/from-fastify-jwt.md goes through both.
import fastifyCookie from '@fastify/cookie'
import fastifyJwt from '@fastify/jwt'
import Fastify from 'fastify'
import type { FastifyJwtNamespace } from '@fastify/jwt'
import type { FastifyInstance } from 'fastify'

interface User { id: number, role: 'admin' | 'member' }

declare module '@fastify/jwt' {
  interface FastifyJWT {
    payload: User | { file: string }
    user: User
  }
}

declare module 'fastify' {
  interface FastifyInstance {
    authenticate (request: FastifyRequest, reply: FastifyReply): Promise<void>
  }
  interface FastifyRequest extends FastifyJwtNamespace<{ namespace: 'ticket' }> {}
  interface FastifyReply extends FastifyJwtNamespace<{ namespace: 'ticket' }> {}
}

// Stands for your table of users.
const users = new Map<string, User & { password: string }>([
  ['ada', { id: 7, role: 'admin', password: 'correct horse' }],
  ['bob', { id: 8, role: 'member', password: 'battery staple' }]
])

export async function buildApp (secret: string, ticketSecret: string): Promise<FastifyInstance> {
  const app = Fastify()
  const blocked = new Set<number>()

  await app.register(fastifyCookie)
  await app.register(fastifyJwt, {
    secret,
    sign: { expiresIn: '1h' },
    verify: { clockTolerance: 5000 },
    cookie: { cookieName: 'token', signed: false },
    trusted: (_request, { id }) => !blocked.has(id)
  })
  // A second kind of token: links to files, signed with another secret.
  await app.register(fastifyJwt, {
    namespace: 'ticket',
    decoratorName: 'ticket',
    secret: ticketSecret,
    sign: { expiresIn: '1m' },
    verify: { extractToken: request => (request.query as { ticket?: string }).ticket }
  })

  app.decorate('authenticate', async request => { await request.jwtVerify() })

  app.post<{ Body: { name: string, password: string } }>('/login', async (request, reply) => {
    const { name, password } = request.body
    const user = users.get(name)
    if (user === undefined || user.password !== password) return reply.code(401).send({ message: 'Wrong name or password' })
    const token = await reply.jwtSign({ id: user.id, role: user.role })
    reply.setCookie('token', token, { path: '/', httpOnly: true, sameSite: 'lax' })
    return { token }
  })

  app.post('/logout', async (_request, reply) => {
    reply.clearCookie('token', { path: '/' })
    return { loggedOut: true }
  })

  app.get('/me', { onRequest: app.authenticate }, async request => ({ id: request.user.id, role: request.user.role }))

  app.delete<{ Params: { id: number } }>('/users/:id', {
    onRequest: app.authenticate,
    schema: { params: { type: 'object', properties: { id: { type: 'integer' } } } }
  }, async (request, reply) => {
    if (request.user.role !== 'admin') return reply.code(403).send({ message: 'Administrators only' })
    blocked.add(request.params.id)
    return { blocked: request.params.id }
  })

  app.post<{ Params: { file: string } }>('/files/:file/ticket', { onRequest: app.authenticate }, async (request, reply) => ({
    ticket: await reply.ticketJwtSign({ file: request.params.file })
  }))

  // Two namespaces on one route: who asks, and for what.
  app.get<{ Params: { file: string } }>('/files/:file', { onRequest: app.authenticate }, async (request, reply) => {
    const { file } = await request.ticketJwtVerify<{ file: string }>()
    if (file !== request.params.file) return reply.code(403).send({ message: 'The ticket is for another file' })
    return { file, for: request.user.id }
  })

  return app
}
