import { fileURLToPath } from 'node:url'
import Fastify from 'fastify'
import autoload from '@fastify/autoload'
import t from 'tap'
import jwt from '../../../lib/index.ts'

// Node 20 cannot run TypeScript by itself, so @fastify/autoload has to be told that it is taken care of.
process.env['FASTIFY_AUTOLOAD_TYPESCRIPT'] = '1'

t.test('route modules that @fastify/autoload finds use the hooks by import', async t => {
  const app = Fastify()
  await app.register(jwt, { secretKey: 'a secret of at least thirty-two bytes' })
  await app.register(autoload, { dir: fileURLToPath(new URL('../../helpers/autoload-routes', import.meta.url)), forceESM: true })
  const ask = async (url: string, claims?: Record<string, unknown>) => {
    const headers = claims === undefined ? {} : { authorization: `Bearer ${app.jwt.createAccessToken('ada', { claims })}` }
    const answer = await app.inject({ url, headers })
    return answer.statusCode === 200 ? answer.json() : answer.statusCode
  }
  t.equal(await ask('/profile'), 401)
  t.same(await ask('/profile', {}), { user: 'ada' })
  t.equal(await ask('/admin'), 401)
  t.equal(await ask('/admin', {}), 403)
  t.same(await ask('/admin', { roles: ['admin'] }), { admin: 'ada' })
})
