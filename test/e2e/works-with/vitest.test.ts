import { join } from 'node:path'
import t from 'tap'
import { createProject, modules, run } from '../../helpers/packed-package.ts'

t.test('Vitest loads the package, and time that it has faked before start-up passes for tokens and sessions', async t => {
  const directory = await createProject('vitest', {
    'vitest.config.mjs': 'export default { test: { globals: true, testTimeout: 60000 } }',
    'session.test.js': `import Fastify from 'fastify'
import jwt, { jwtRequired, refreshTokenRequired } from 'fastify-jwt-extended'
test('a session under faked timers', async () => {
  vi.useFakeTimers()
  const app = Fastify()
  await app.register(jwt, { secretKey: 'a secret that is long enough for HS256', tokenLocation: ['headers', 'cookies'], accessExpires: '15m' })
  app.get('/', { preHandler: jwtRequired }, async request => request.jwtIdentity)
  app.get('/login', async (_request, reply) => {
    const session = await app.jwt.createSession('user123')
    app.jwt.setSessionCookies(reply, session)
    return session
  })
  app.post('/refresh', { preHandler: refreshTokenRequired }, async request => app.jwt.rotateSession(request))
  const status = async (url, token, method = 'GET') => app.inject({ method, url, headers: { authorization: 'Bearer ' + token } })
  const { accessToken, refreshToken } = (await app.inject('/login')).json()
  expect((await status('/', accessToken)).statusCode).toBe(200)
  vi.advanceTimersByTime(16 * 60 * 1000)
  expect((await status('/', accessToken)).json().code).toBe('FST_JWT_EXPIRED')
  const next = await status('/refresh', refreshToken, 'POST')
  expect((await status('/', next.json().accessToken)).body).toBe('user123')
  expect(await app.jwt.updateAllSessions('user123', { metadata: {} })).toBe(1)
  expect(await app.jwt.revokeAllSessions('user123')).toBe(1)
  await app.close()
  vi.useRealTimers()
})
test('what hangs if queueMicrotask is faked, too, is the start of Fastify, without this package', async () => {
  vi.useFakeTimers({ toFake: ['queueMicrotask'] })
  let ready = false
  const app = Fastify()
  app.ready().then(() => { ready = true })
  const turns = async run => { for (let turn = 0; turn < 100 && !ready; turn++) { run(); await new Promise(resolve => setImmediate(resolve)) } }
  await turns(() => {})
  expect(ready).toBe(false)
  await turns(() => vi.runAllTicks())
  expect(ready).toBe(true)
  vi.useRealTimers()
  await app.close()
})
`
  }, { type: 'module' })
  const { stdout } = await run(process.execPath, [join(modules, 'vitest/vitest.mjs'), 'run', '--no-color'], directory, { NO_COLOR: '1' })
  t.match(stdout, /Tests +2 passed \(2\)/)
})
