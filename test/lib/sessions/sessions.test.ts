import Fastify from 'fastify'
import t from 'tap'
import jwt, { MemoryStore } from '../../../lib/index.ts'
import { refresh, send, sessionApp, verdict } from '../../helpers/session-app.ts'
import { movableTime } from '../../helpers/clock.ts'

t.test('createSession gives an access and a refresh token that share a session id', async t => {
  const app = await sessionApp(t)
  const { sessionId, accessToken, refreshToken } = await app.jwt.createSession('ada', { claims: { role: 'admin' } })
  const access = app.jwt.decodeToken(accessToken, { type: 'access' })
  const refreshed = app.jwt.decodeToken(refreshToken, { type: 'refresh' })
  t.match(sessionId, /^[0-9a-f-]{36}$/)
  t.match(access, { sub: 'ada', sid: sessionId, fresh: true, role: 'admin', auth_time: Number })
  t.match(refreshed, { sub: 'ada', sid: sessionId, auth_time: access.auth_time })
  t.equal(access.exp, (access.iat ?? 0) + 900)
  t.equal(refreshed.exp, (refreshed.iat ?? 0) + 2592000)
  t.equal('role' in refreshed, false, "the app's claims are for access tokens")
  t.not(access.jti, refreshed.jti)
  t.equal(await verdict(app, 'GET', '/me', accessToken), 200)
  t.equal(await verdict(app, 'GET', '/fresh', accessToken), 200)
  t.equal(await verdict(app, 'GET', '/refresh-token', refreshToken), 200)
  t.equal(await verdict(app, 'GET', '/me', refreshToken), 'FST_JWT_ACCESS_REQUIRED')
})

t.test('the first access token is as fresh as createSession is told', async t => {
  const time = movableTime(t)
  const app = await sessionApp(t)
  const stale = await app.jwt.createSession('ada', { fresh: false })
  t.equal(await verdict(app, 'GET', '/fresh', stale.accessToken), 'FST_JWT_FRESH_REQUIRED')
  const minute = await app.jwt.createSession('ada', { fresh: '1m' })
  t.equal(await verdict(app, 'GET', '/fresh', minute.accessToken), 200)
  time.advance(61)
  t.equal(await verdict(app, 'GET', '/fresh', minute.accessToken), 'FST_JWT_FRESH_REQUIRED')
})

t.test('listSessions shows the live sessions of an identity, newest first, with what was noted at login', async t => {
  const time = movableTime(t)
  const app = await sessionApp(t, { refreshExpires: '1h' })
  const phone = await app.jwt.createSession('ada', { metadata: { device: 'phone', ip: '192.0.2.1' } })
  await app.jwt.createSession('eve')
  time.advance(60)
  const laptop = await app.jwt.createSession('ada', { metadata: { device: 'laptop' } })
  time.advance(60)
  await refresh(app, phone.refreshToken)
  const sessions = await app.jwt.listSessions('ada')
  t.match(sessions, [
    { id: laptop.sessionId, metadata: { device: 'laptop' } },
    { id: phone.sessionId, metadata: { device: 'phone', ip: '192.0.2.1' } }
  ])
  t.equal(sessions.length, 2)
  for (const { createdAt, lastUsedAt, expiresAt } of sessions) {
    t.ok([createdAt, lastUsedAt, expiresAt].every(date => date instanceof Date))
  }
  const [used, rotated] = sessions
  t.equal(used?.lastUsedAt.getTime(), used?.createdAt.getTime())
  t.ok(Number(rotated?.lastUsedAt) - Number(rotated?.createdAt) >= 120_000)
  t.ok(Math.abs(Number(rotated?.expiresAt) - Number(rotated?.lastUsedAt) - 3_600_000) <= 1000)
  t.strictSame(await app.jwt.listSessions('nobody'), [])
  time.advance(3600)
  t.strictSame(await app.jwt.listSessions('ada'), [], 'idle ones have ended')
})

t.test('a session without end has no expiresAt, and a numeric identity is found by number and by text', async t => {
  const app = await sessionApp(t, { refreshExpires: false, accessExpires: false })
  const { accessToken, sessionId } = await app.jwt.createSession(42)
  t.match(await app.jwt.listSessions(42), [{ id: sessionId, expiresAt: null }])
  t.equal((await app.jwt.listSessions('42')).length, 1)
  t.equal(app.jwt.decodeToken(accessToken).exp, undefined)
  t.equal(await app.jwt.revokeSession(sessionId), true)
  t.equal(await verdict(app, 'GET', '/me', accessToken), 'FST_JWT_REVOKED')
})

t.test('revokeSession refuses every token of the session at once, and those of no other', async t => {
  const app = await sessionApp(t)
  const first = await app.jwt.createSession('ada')
  const second = await app.jwt.createSession('ada')
  const next = await refresh(app, first.refreshToken)
  t.equal(await app.jwt.revokeSession(first.sessionId), true)
  for (const token of [first.accessToken, next.accessToken]) t.equal(await verdict(app, 'GET', '/me', token), 'FST_JWT_REVOKED')
  for (const token of [first.refreshToken, next.refreshToken]) {
    t.equal(await verdict(app, 'GET', '/refresh-token', token), 'FST_JWT_REVOKED')
    t.equal(await verdict(app, 'POST', '/refresh', token), 'FST_JWT_REVOKED')
  }
  t.equal(await verdict(app, 'GET', '/me', second.accessToken), 200)
  t.equal(await app.jwt.revokeSession(first.sessionId), false)
  t.equal(await app.jwt.revokeSession('no such session'), false)
  t.match(await app.jwt.listSessions('ada'), [{ id: second.sessionId }])
})

t.test('a revoked session stays refused for as long as its last access token would have lived', async t => {
  const time = movableTime(t)
  const app = await sessionApp(t, { accessExpires: '1h', leeway: 30 })
  const { accessToken, sessionId } = await app.jwt.createSession('ada')
  await app.jwt.revokeSession(sessionId)
  time.advance(3600 + 29)
  t.equal(await verdict(app, 'GET', '/me', accessToken), 'FST_JWT_REVOKED')
  time.advance(2)
  t.equal(await verdict(app, 'GET', '/me', accessToken), 'FST_JWT_EXPIRED')
})

t.test('revokeAllSessions ends all of an identity, but the one it is told to keep', async t => {
  const app = await sessionApp(t)
  const sessions = await Promise.all([1, 2, 3].map(async () => app.jwt.createSession('ada')))
  const other = await app.jwt.createSession('eve')
  const [kept, ...ended] = sessions
  t.equal(await app.jwt.revokeAllSessions('ada', { except: kept?.sessionId ?? '' }), 2)
  t.equal(await verdict(app, 'GET', '/me', kept?.accessToken ?? ''), 200)
  for (const { accessToken } of ended) t.equal(await verdict(app, 'GET', '/me', accessToken), 'FST_JWT_REVOKED')
  t.equal(await app.jwt.revokeAllSessions('ada'), 1)
  t.equal(await app.jwt.revokeAllSessions('ada'), 0)
  t.equal(await verdict(app, 'GET', '/me', other.accessToken), 200)
})

t.test('with userIdentity, sessions belong to what it makes of a user, and are found by user and by identity', async t => {
  const app = await sessionApp(t, { userIdentity: user => (user as { id: number }).id })
  const { sessionId, accessToken } = await app.jwt.createSession({ id: 7 })
  t.equal((await send(app, 'GET', '/me', accessToken)).json().user, '7')
  t.match(await app.jwt.listSessions({ id: 7 }), [{ id: sessionId }])
  t.match(await app.jwt.listSessions('7'), [{ id: sessionId }])
  t.equal(await app.jwt.revokeAllSessions({ id: 7 }), 1)
})

t.test('what createSession cannot write is refused before anything is stored', async t => {
  const store = new MemoryStore()
  t.teardown(() => store.close())
  const app = await sessionApp(t, { store })
  const circular: Record<string, unknown> = {}
  circular['self'] = circular
  const wrong: Array<[options: object, message: RegExp]> = [
    ...['sub', 'identity', 'iat', 'exp', 'nbf', 'jti', 'type', 'fresh', 'csrf', 'sid', 'gen', 'auth_time'].map((name): [object, RegExp] =>
      [{ claims: { [name]: 1 } }, new RegExp(`'${name}'`)]),
    [{ claims: [] }, /claims/],
    [{ claims: null }, /claims/],
    [{ claims: { big: 1n } }, /BigInt/],
    [{ claims: circular }, /circular/],
    [{ metadata: circular }, /circular/],
    [{ metadata: { big: 1n } }, /BigInt/],
    [{ metadata: 'phone' }, /'metadata' must be a plain object/],
    [{ metadata: null }, /'metadata' must be a plain object/],
    [{ metadata: [] }, /'metadata' must be a plain object/],
    [{ fresh: 'soon' }, /'fresh'/],
    [{ claim: {} }, /Unknown option 'claim'/]
  ]
  for (const [options, message] of wrong) await t.rejects(app.jwt.createSession('ada', options), { name: 'TypeError', message })
  for (const identity of ['', NaN, {}]) await t.rejects(app.jwt.createSession(identity), TypeError)
  t.strictSame(store.listSessions('ada', null, 10).sessions, [])
})

t.test('a session list needs someone whose it is', async t => {
  const app = await sessionApp(t)
  for (const identity of ['', NaN, {}, null, undefined]) {
    await t.rejects(app.jwt.listSessions(identity as string), TypeError)
    await t.rejects(app.jwt.revokeAllSessions(identity as string), TypeError)
  }
  await t.rejects(app.jwt.revokeAllSessions('ada', { Except: 'x' } as object), { message: /Unknown option 'Except'/ })
  await t.rejects(app.jwt.revokeSession(undefined as unknown as string), { name: 'TypeError', message: /session id/ })
})

t.test('revokeToken refuses that token alone, until it would have expired', async t => {
  const time = movableTime(t)
  const app = await sessionApp(t, { leeway: 20 })
  const [token, other] = [app.jwt.createAccessToken('ada'), app.jwt.createAccessToken('ada')]
  await app.jwt.revokeToken(token)
  t.equal(await verdict(app, 'GET', '/me', token), 'FST_JWT_REVOKED')
  t.equal(await verdict(app, 'GET', '/me', other), 200)
  t.equal(await verdict(app, 'GET', '/unchecked', token), 200, 'skipRevocationCheck')
  await app.jwt.revokeToken(app.jwt.decodeToken(other))
  t.equal(await verdict(app, 'GET', '/me', other), 'FST_JWT_REVOKED', 'by its claims')
  // With seconds to spare: the clock goes on meanwhile.
  time.advance(900 + 15)
  t.equal(await verdict(app, 'GET', '/me', token), 'FST_JWT_REVOKED')
  time.advance(6)
  t.equal(await verdict(app, 'GET', '/me', token), 'FST_JWT_EXPIRED')
  await app.jwt.revokeToken(token)
})

t.test('revokeToken takes a refresh token, of a session or of none, and one that never expires', async t => {
  const app = await sessionApp(t, { accessExpires: false })
  const refreshToken = app.jwt.createRefreshToken('ada')
  await app.jwt.revokeToken(refreshToken)
  t.equal(await verdict(app, 'GET', '/refresh-token', refreshToken), 'FST_JWT_REVOKED')
  const session = await app.jwt.createSession('ada')
  await app.jwt.revokeToken(session.refreshToken)
  t.equal(await verdict(app, 'POST', '/refresh', session.refreshToken), 'FST_JWT_REVOKED')
  t.equal(await verdict(app, 'GET', '/me', session.accessToken), 200)
  await app.jwt.revokeToken(session.accessToken)
  t.equal(await verdict(app, 'GET', '/me', session.accessToken), 'FST_JWT_REVOKED')
})

t.test('revokeToken refuses what is no token of ours, and one it could not find again', async t => {
  const app = await sessionApp(t)
  const foreign = Fastify()
  t.teardown(() => foreign.close())
  await foreign.register(jwt, { secretKey: 'another secret, and just as long as this' })
  await t.rejects(app.jwt.revokeToken(foreign.jwt.createAccessToken('ada')), { code: 'FST_JWT_INVALID_SIGNATURE' })
  await t.rejects(app.jwt.revokeToken('x'), { code: 'FST_JWT_INVALID_TOKEN' })
  await t.rejects(app.jwt.revokeToken({ identity: 'ada', type: 'access' }), { code: 'FST_JWT_INVALID_TOKEN', statusCode: 401, message: 'Invalid token: jti' })
  for (const nothing of [null, undefined, 7]) {
    await t.rejects(app.jwt.revokeToken(nothing as unknown as string), { name: 'TypeError', message: /revokeToken expects a token/ })
  }
})

t.test('with store: false the methods say what they need, and tokens pass unasked', async t => {
  const app = await sessionApp(t, { store: false })
  const token = app.jwt.createAccessToken('ada')
  const calls: Array<() => Promise<unknown>> = [
    async () => app.jwt.revokeToken(token), async () => app.jwt.createSession('ada'), async () => app.jwt.listSessions('ada'),
    async () => app.jwt.revokeSession('x'), async () => app.jwt.revokeAllSessions('ada')
  ]
  for (const call of calls) await t.rejects(async () => { await call() }, { name: 'TypeError', message: 'Authentication is not set up correctly', cause: { message: /'store' is false/ } })
  t.equal(await verdict(app, 'GET', '/me', token), 200)
  const refused = await send(app, 'POST', '/refresh', app.jwt.createRefreshToken('ada'))
  t.equal(refused.statusCode, 500)
})

t.test('each context has its own store unless it is given one, and one it is given is shared', async t => {
  const shared = new MemoryStore()
  t.teardown(() => shared.close())
  const [one, two] = [await sessionApp(t, { store: shared }), await sessionApp(t, { store: shared })]
  const alone = await sessionApp(t)
  const { accessToken, refreshToken, sessionId } = await one.jwt.createSession('ada')
  t.equal(await verdict(alone, 'GET', '/me', accessToken), 'FST_JWT_REVOKED', 'an access token of a session it does not know')
  t.equal(await verdict(alone, 'GET', '/refresh-token', refreshToken), 'FST_JWT_REVOKED', 'a session it does not know')
  t.equal(await two.jwt.revokeSession(sessionId), true)
  t.equal(await verdict(one, 'GET', '/me', accessToken), 'FST_JWT_REVOKED')
})
