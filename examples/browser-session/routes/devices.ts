import { Type } from 'typebox'
import { jwtRequired } from 'fastify-jwt-extended'
import { noStore } from './no-store.ts'
import { signedIn } from './signed-in.ts'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'

/** Where someone is signed in: one session for each browser. */
const deviceRoutes: FastifyPluginAsyncTypebox = async app => {
  app.addHook('onRequest', noStore)
  app.addHook('onRequest', jwtRequired)

  app.get('/', async request => {
    const { name, sessionId } = signedIn(request)
    const sessions = await app.jwt.listSessions(name)
    return {
      devices: sessions.map(({ id, createdAt, lastUsedAt, metadata, bound }) =>
        ({ id, createdAt, lastUsedAt, userAgent: metadata['userAgent'], ip: metadata['ip'], current: id === sessionId, bound }))
    }
  })

  app.delete('/:id', { schema: { params: Type.Object({ id: Type.String({ maxLength: 100 }) }) } }, async (request, reply) => {
    const { name, sessionId } = signedIn(request)
    const { id } = request.params
    // One's own only: the id of someone else's session is answered like one that does not exist.
    const own = await app.jwt.listSessions(name)
    if (!own.some(session => session.id === id)) {
      return reply.code(404).send({ statusCode: 404, code: 'NO_SUCH_DEVICE', error: 'Not Found', message: 'You are not signed in there' })
    }
    await app.jwt.revokeSession(id)
    if (id === sessionId) app.jwt.unsetJwtCookies(reply)
    return reply.code(204).send()
  })

  // Everywhere, here too.
  app.delete('/', async (request, reply) => {
    await app.jwt.revokeAllSessions(signedIn(request).name)
    app.jwt.unsetJwtCookies(reply)
    return reply.code(204).send()
  })
}

export default deviceRoutes
