import type { FastifyPluginAsync } from 'fastify'
import type { User } from '../users.ts'

/** Who am I, and where am I logged in. */
export const profileRoutes: FastifyPluginAsync = async app => {
  app.get('/me', async request => {
    const { email, name, roles } = request.jwtUser as User
    return { email, name, roles }
  })

  app.get('/me/sessions', async request => {
    const sessions = await app.jwt.listSessions(request.jwtIdentity as string)
    return sessions.map(session => ({ ...session, current: session.id === request.jwtClaims?.sid }))
  })
}
