import Fastify from 'fastify'
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import type { Test } from 'tap'
import jwt, { allOf, anyOf, freshJwtRequired, jwtRequired, not, role, scope } from '../../../lib/index.ts'
import { secretKey } from '../../helpers/protected-app.ts'
import type { Options } from '../../helpers/protected-app.ts'

/** The warnings of an app at start-up. */
async function warningsOf (t: Test, routes: (app: FastifyInstance) => void, options: Partial<Options> = {}): Promise<string[]> {
  const lines: string[] = []
  const app = Fastify({ exposeHeadRoutes: false, logger: { level: 'warn', stream: { write (line: string) { if (line.includes('guard')) lines.push((JSON.parse(line) as { msg: string }).msg) } } } }) as unknown as FastifyInstance
  t.teardown(() => app.close())
  await app.register(jwt, { secretKey, ...options })
  routes(app)
  await app.ready()
  return lines
}

const handler = async () => ({})

t.test('start-up warns of a guard with no hook before it that verifies a token, and names the routes', async t => {
  const lines = await warningsOf(t, app => {
    app.get('/admin', { preHandler: role('admin') }, handler)
    app.post('/both', { preHandler: [anyOf(scope('a'), not(role('b'))), jwtRequired] }, handler)
    app.get('/right', { preHandler: [jwtRequired, role('admin')] }, handler)
  }, { tokenLocation: ['headers', 'cookies'] })
  t.match(lines, [/: GET \/admin, POST \/both\. Put jwtRequired before the guard$/])
  t.equal(lines.length, 1)
})

for (const [name, routes, options] of [
  ['an earlier phase', app => { app.get('/', { onRequest: jwtRequired, preHandler: role('admin') }, handler) }],
  ['addHook', app => {
    app.addHook('onRequest', jwtRequired)
    app.get('/', { preHandler: role('admin') }, handler)
  }],
  ['the guard itself', app => { app.get('/', { preHandler: [anyOf(role('admin'), allOf(freshJwtRequired, role('editor')))] }, handler) }],
  ['protect', app => { app.get('/', { preHandler: role('admin') }, handler) }, { protect: true }],
  ['a function of the app, which may verify it', app => { app.get('/', { preHandler: [async request => { await request.verifyJwt() }, role('admin')] }, handler) }]
] as Array<[string, (app: FastifyInstance) => void, Partial<Options>?]>) {
  t.test(`it does not warn if the token is verified by ${name}`, async t => {
    t.strictSame(await warningsOf(t, routes, options), [])
  })
}

t.test('a registration speaks of its own routes alone', async t => {
  const lines = await warningsOf(t, app => {
    app.register(async child => {
      await child.register(jwt, { secretKey })
      child.get('/child', { preHandler: role('admin') }, handler)
    })
  })
  t.match(lines, [/GET \/child/])
  t.equal(lines.length, 1)
})
