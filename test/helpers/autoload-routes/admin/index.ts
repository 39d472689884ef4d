import { jwtRequired, role } from '../../../../lib/index.ts'
import type { FastifyPluginAsync } from 'fastify'

const admin: FastifyPluginAsync = async app => {
  app.addHook('onRequest', jwtRequired)
  app.addHook('onRequest', role('admin'))
  app.get('/', async request => ({ admin: request.jwtIdentity }))
}
export default admin
