import Fastify from 'fastify'
import t from 'tap'
import jwt, { MemoryStore } from '../../../lib/index.ts'
import { refresh, secretKey, sessionApp, verdict } from '../../helpers/session-app.ts'

t.test('with maxSessions, the oldest session of an identity ends for a new one', async t => {
  const app = await sessionApp(t, { maxSessions: 2 })
  const first = await app.jwt.createSession('ada')
  const second = await app.jwt.createSession('ada')
  await app.jwt.createSession('eve')
  const third = await app.jwt.createSession('ada')
  t.equal(await verdict(app, 'GET', '/me', first.accessToken), 'FST_JWT_REVOKED')
  for (const { accessToken } of [second, third]) t.equal(await verdict(app, 'GET', '/me', accessToken), 200)
  t.same((await app.jwt.listSessions('ada')).map(({ id }) => id).sort(), [second.sessionId, third.sessionId].sort())
})

t.test('or the new one is refused, and leaves nothing behind', async t => {
  const app = await sessionApp(t, { maxSessions: { max: 1, whenFull: 'refuse' } })
  app.post('/login', async () => app.jwt.createSession('ada'))
  const { sessionId } = await app.jwt.createSession('ada')
  const refused = await app.inject({ method: 'POST', url: '/login' })
  t.match([refused.statusCode, refused.json()], [403, { code: 'FST_JWT_TOO_MANY_SESSIONS', message: 'Too many sessions' }])
  t.equal((await app.jwt.listSessions('ada')).length, 1)
  await app.jwt.revokeSession(sessionId)
  t.ok(await app.jwt.createSession('ada'))
})

t.test('a login that is overtaken by a logout from everywhere is refused', async t => {
  const store = new class extends MemoryStore {
    override createSession (): ReturnType<MemoryStore['createSession']> {
      return { created: false, ended: [] }
    }
  }()
  t.teardown(() => store.close())
  const app = await sessionApp(t, { store })
  await t.rejects(app.jwt.createSession('ada'), { code: 'FST_JWT_REVOKED' })
})

t.test('a wrong maxSessions stops start-up', async t => {
  for (const maxSessions of [0, 1.5, '3', { max: 2, whenFull: 'panic' }, { maximum: 2 }, {}, null]) {
    await t.rejects(sessionApp(t, { maxSessions: maxSessions as number }), { code: 'FST_JWT_BAD_OPTION', message: /maxSessions/ }, JSON.stringify(maxSessions))
  }
})

t.test('a denylist and sessions can be kept apart', async t => {
  const [denylist, sessions] = [new MemoryStore(), new MemoryStore()]
  t.teardown(() => { denylist.close(); sessions.close() })
  const opened: string[] = []
  const app = await sessionApp(t, {
    store: {
      denylist: Object.assign(denylist, { open: async () => { opened.push('denylist') } }),
      sessions: Object.assign(sessions, { open: async () => { opened.push('sessions') } })
    }
  })
  t.strictSame(opened, ['denylist', 'sessions'])
  const first = await app.jwt.createSession('ada')
  const second = await refresh(app, first.refreshToken)
  t.equal(await verdict(app, 'GET', '/me', second.accessToken), 200)
  t.ok(sessions.getSession(first.sessionId))
  t.equal(denylist.getSession(first.sessionId), null)
  await app.jwt.revokeToken(second.accessToken)
  t.equal(await verdict(app, 'GET', '/me', second.accessToken), 'FST_JWT_REVOKED')
  t.equal(sessions.isDenied(app.jwt.decodeToken(second.accessToken).jti ?? '', null), false)
  t.equal((await app.jwt.listSessions('ada')).length, 1)
  t.equal(await app.jwt.revokeSession('of another issuer'), false)
  t.equal(denylist.isDenied(null, 'of another issuer'), true)
  t.equal(await app.jwt.revokeAllSessions('ada'), 1)
  t.equal(await verdict(app, 'GET', '/me', first.accessToken), 'FST_JWT_REVOKED')
  const third = await app.jwt.createSession('ada')
  t.equal(await app.jwt.revokeSession(third.sessionId), true)
})

t.test('two halves that answer with promises are asked at the same time', async t => {
  const memory = new MemoryStore()
  t.teardown(() => memory.close())
  const asked: string[] = []
  const answers = <T>(name: string, value: T): Promise<T> => { asked.push(name); return new Promise(resolve => { setImmediate(() => { resolve(value) }) }) }
  const app = await sessionApp(t, {
    store: {
      denylist: {
        denyToken: async (...args) => memory.denyToken(...args),
        denySession: async (...args) => memory.denySession(...args),
        isDenied: (...args) => answers('denylist', memory.isDenied(...args)),
        useOnce: async (...args) => memory.useOnce(...args)
      },
      sessions: Object.assign(new MemoryStore(), {
        createSession: async (...args: Parameters<MemoryStore['createSession']>) => memory.createSession(...args),
        getSessionState: (id: string) => answers('sessions', memory.getSessionState(id)),
        getSession: async (id: string) => memory.getSession(id)
      }) as never
    }
  })
  const { accessToken } = await app.jwt.createSession('ada')
  const response = verdict(app, 'GET', '/me', accessToken)
  while (asked.length === 0) await new Promise(resolve => { setImmediate(resolve) })
  t.strictSame(asked, ['denylist', 'sessions'])
  t.equal(await response, 200)
  await app.jwt.revokeToken(accessToken)
  t.equal(await verdict(app, 'GET', '/me', accessToken), 'FST_JWT_REVOKED')
})

t.test('half a store stops start-up, and says what is missing', async t => {
  const store = new MemoryStore()
  t.teardown(() => store.close())
  await t.rejects(sessionApp(t, { store: { denylist: {}, sessions: store } as never }), { code: 'FST_JWT_BAD_OPTION', message: /store\.denylist.*denyToken/ })
  await t.rejects(sessionApp(t, { store: { denylist: store, sessions: { createSession () {} } } as never }), { code: 'FST_JWT_BAD_OPTION', message: /store\.sessions.*getSession/ })
  await t.rejects(sessionApp(t, { store: { denyToken () {} } as never }), { code: 'FST_JWT_BAD_OPTION', message: /denySession/ })
})

t.test('a nested registration shares the store of the one above it, unless it is given one', async t => {
  const app = Fastify()
  const own = new MemoryStore()
  t.teardown(() => { own.close(); return app.close() })
  await app.register(jwt, { secretKey })
  for (const [prefix, options] of [['/shared', {}], ['/own', { store: own }]] as const) {
    await app.register(async scope => {
      await scope.register(jwt, { secretKey, ...options })
      scope.get('/me', { preHandler: scope.jwtRequired }, async request => ({ user: request.jwtIdentity }))
    }, { prefix })
  }
  const token = app.jwt.createAccessToken('ada')
  await app.jwt.revokeToken(token)
  t.equal(await verdict(app, 'GET', '/shared/me', token), 'FST_JWT_REVOKED')
  t.equal(await verdict(app, 'GET', '/own/me', token), 200)
})

t.test('revokeSession takes the claims of a token', async t => {
  const app = await sessionApp(t)
  const { accessToken } = await app.jwt.createSession('ada')
  t.equal(await app.jwt.revokeSession(app.jwt.decodeToken(accessToken)), true)
  t.equal(await verdict(app, 'GET', '/me', accessToken), 'FST_JWT_REVOKED')
  await t.rejects(app.jwt.revokeSession(app.jwt.decodeToken(app.jwt.createAccessToken('ada'))), { name: 'TypeError', message: /session id/ })
})

t.test('updateSession changes claims and metadata from the next refresh on', async t => {
  const app = await sessionApp(t)
  const first = await app.jwt.createSession('ada', { claims: { role: 'admin' }, metadata: { device: 'phone' } })
  t.equal(await app.jwt.updateSession(first.sessionId, { claims: { role: 'reader' } }), true)
  t.equal(await verdict(app, 'GET', '/me', first.accessToken), 200, 'until it expires')
  const second = await refresh(app, first.refreshToken)
  t.match(app.jwt.decodeToken(second.accessToken), { role: 'reader' })
  t.equal(await app.jwt.updateSession(first.sessionId, { metadata: { device: 'tablet' } }), true)
  t.match(await app.jwt.listSessions('ada'), [{ metadata: { device: 'tablet' } }])
  t.match(app.jwt.decodeToken((await refresh(app, second.refreshToken)).accessToken), { role: 'reader' })
  t.equal(await app.jwt.updateSession('no such session', { claims: {} }), false)
  for (const [changes, message] of [[{ claims: { sid: 'x' } }, /'sid'/], [{ metadata: 'x' }, /metadata/], [{ now: 'yes' }, /'now'/], [{ claim: {} }, /claim/]] as const) {
    await t.rejects(app.jwt.updateSession(first.sessionId, changes as object), { name: 'TypeError', message })
  }
})

t.test('with now: true the access tokens that are out are stale, and a refresh goes on with the new claims', async t => {
  const store = new MemoryStore()
  t.teardown(() => store.close())
  const [one, two] = [await sessionApp(t, { store }), await sessionApp(t, { store })]
  for (const refreshTokenFormat of ['jwt', 'opaque'] as const) {
    const app = refreshTokenFormat === 'jwt' ? one : await sessionApp(t, { store, refreshTokenFormat })
    const first = await app.jwt.createSession('ada', { claims: { role: 'admin' } })
    const other = await app.jwt.createSession('ada', { claims: { role: 'admin' } })
    t.equal(await app.jwt.updateSession(first.sessionId, { claims: {}, now: true }), true)
    t.equal(await verdict(app, 'GET', '/me', first.accessToken), 'FST_JWT_STALE')
    t.equal(await verdict(two, 'GET', '/me', first.accessToken), 'FST_JWT_STALE', 'on every server')
    t.equal(await verdict(app, 'GET', '/me', other.accessToken), 200)
    const next = await refresh(app, first.refreshToken)
    t.equal(await verdict(two, 'GET', '/me', next.accessToken), 200)
    t.equal(app.jwt.decodeToken(next.accessToken).role, undefined)
  }
})

t.test('updateSession tries again if somebody else has changed the session meanwhile', async t => {
  let conflicts = 1
  const store = new class extends MemoryStore {
    override replaceSession (...args: Parameters<MemoryStore['replaceSession']>): boolean {
      return conflicts-- <= 0 && super.replaceSession(...args)
    }
  }()
  t.teardown(() => store.close())
  const app = await sessionApp(t, { store })
  const { sessionId } = await app.jwt.createSession('ada')
  t.equal(await app.jwt.updateSession(sessionId, { metadata: { device: 'phone' } }), true)
  t.match(await app.jwt.listSessions('ada'), [{ metadata: { device: 'phone' } }])
})
