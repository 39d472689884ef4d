import Fastify from 'fastify'
import t from 'tap'
import jwt, { jwtRequired } from '../../../lib/index.ts'
import { secretKey } from '../../helpers/protected-app.ts'

for (const phase of ['onRequest', 'preValidation', 'preHandler'] as const) {
  t.test(`start-up stops at a route whose ${phase} was read from an app that was not ready`, async t => {
    const app = Fastify()
    t.teardown(() => app.close().catch(() => {}))
    app.register(jwt, { secretKey })
    app.get('/me', { [phase]: app.jwtRequired }, async () => ({ secret: true }))
    await t.rejects(Promise.resolve(app.ready()), {
      code: 'FST_JWT_BAD_OPTION',
      message: new RegExp(`'${phase}' of route '/me' is undefined, .*Import the hook, as in import jwt, \\{ jwtRequired \\} from 'fastify-jwt-extended', or await app\\.register`)
    })
  })
}

t.test('the same in a context of its own', async t => {
  const app = Fastify()
  t.teardown(() => app.close().catch(() => {}))
  app.register(async child => {
    child.register(jwt, { secretKey })
    child.get('/one', { preHandler: child.jwtRequired }, async () => ({}))
    child.get('/two', { preHandler: child.jwtRequired }, async () => ({}))
  })
  await t.rejects(Promise.resolve(app.ready()), { message: /of route '\/one' is undefined/ })
})

t.test('an imported hook on a route before the plugin is ready protects it', async t => {
  const app = Fastify()
  t.teardown(() => app.close())
  app.register(jwt, { secretKey })
  app.get('/me', { preHandler: jwtRequired }, async () => ({ secret: true }))
  app.get('/open', async () => ({}))
  t.equal((await app.inject('/me')).statusCode, 401)
  t.equal((await app.inject('/open')).statusCode, 200)
})

t.test('an undefined hook of another context, or of a route after the plugin, is left to the app', async t => {
  const app = Fastify()
  t.teardown(() => app.close())
  app.register(async child => { child.get('/other', { preHandler: undefined } as object, async () => ({})) })
  await app.register(jwt, { secretKey })
  app.get('/later', { preHandler: undefined } as object, async () => ({}))
  t.equal((await app.inject('/other')).statusCode, 200)
  t.equal((await app.inject('/later')).statusCode, 200)
})
