import { role } from 'fastify-jwt-extended'
import type { FastifyPluginAsync } from 'fastify'
import type { Users } from '../users.ts'

/** For administrators only: the guard is on the whole context, so that no route of it is forgotten. */
export const adminRoutes: FastifyPluginAsync<{ users: Users }> = async (app, { users }) => {
  app.addHook('onRequest', role('admin'))

  app.get('/dashboard', async () => {
    const everybody = await users.list()
    const sessions = await Promise.all(everybody.map(user => app.jwt.listSessions(user.email)))
    return { total_users: everybody.length, active_sessions: sessions.flat().length }
  })

  app.post<{ Body: { email: string } }>('/promote', {
    schema: { body: { type: 'object', required: ['email'], properties: { email: { type: 'string', maxLength: 254 } } } }
  }, async (request, reply) => {
    const email = request.body.email.trim().toLowerCase()
    const user = await users.grant(email, 'admin')
    if (user === undefined) return reply.code(404).send({ statusCode: 404, error: 'Not Found', message: 'User not found' })
    // It is in the tokens from the user's next refresh or login on.
    return { message: `${email} promoted to admin`, roles: user.roles }
  })
}
