import t from 'tap'
import { createProject, run } from '../../helpers/packed-package.ts'

t.test('node:test: with all of its timers faked before start-up, time passes, and every call comes to its end', async t => {
  const directory = await createProject('node-test', {
    'session.test.js': `import assert from 'node:assert/strict'
import { after, before, mock, test } from 'node:test'
import Fastify from 'fastify'
import jwt, { jwtRequired, refreshTokenRequired } from 'fastify-jwt-extended'

const app = Fastify()
before(async () => {
  mock.timers.enable({ now: Date.now() })
  await app.register(jwt, { secretKey: 'a secret that is long enough for HS256', accessExpires: '15m' })
  app.get('/', { preHandler: jwtRequired }, async request => request.jwtIdentity)
  app.post('/login', async () => app.jwt.createSession('user123'))
  app.post('/refresh', { preHandler: refreshTokenRequired }, async request => app.jwt.rotateSession(request))
})
after(() => app.close())

const call = (method, url, token) => app.inject({ method, url, headers: { authorization: 'Bearer ' + token } })

test('an access token expires, and is refreshed', async () => {
  const { accessToken, refreshToken } = (await call('POST', '/login')).json()
  assert.equal((await call('GET', '/', accessToken)).body, 'user123')
  mock.timers.tick(16 * 60 * 1000)
  assert.equal((await call('GET', '/', accessToken)).json().code, 'FST_JWT_EXPIRED')
  const next = (await call('POST', '/refresh', refreshToken)).json()
  assert.equal((await call('GET', '/', next.accessToken)).body, 'user123')
})
test('what goes through all sessions of a user gives way to others in between', async () => {
  const { accessToken, refreshToken } = (await call('POST', '/login')).json()
  assert.equal(await app.jwt.updateAllSessions('user123', { metadata: { seen: true } }), 2)
  assert.equal(await app.jwt.revokeAllSessions('user123'), 2)
  assert.equal((await call('GET', '/', accessToken)).json().code, 'FST_JWT_REVOKED')
  assert.equal((await call('POST', '/refresh', refreshToken)).json().code, 'FST_JWT_REVOKED')
})
`
  }, { type: 'module' })
  const { stdout } = await run(process.execPath, ['--test', '--test-reporter=tap', '--test-timeout=60000'], directory)
  t.match(stdout, /^# pass 2\n# fail 0$/m)
})
