import { jwtRequired } from '../../../lib/index.ts'
import type { FastifyPluginAsync } from 'fastify'

/** A route module with no handle on the app that registers the plugin. */
const profile: FastifyPluginAsync = async app => {
  app.get('/profile', { preHandler: jwtRequired }, async request => ({ user: request.jwtIdentity }))
}
export default profile
