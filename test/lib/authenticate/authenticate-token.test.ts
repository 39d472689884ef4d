import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { MemoryStore } from '../../../lib/index.ts'
import { refresh, sessionApp } from '../../helpers/session-app.ts'

t.test('a token that came in no request gets the verdict of a hook', async t => {
  const app = await sessionApp(t)
  const { accessToken, refreshToken, sessionId } = await app.jwt.createSession('ada', { claims: { role: 'admin' } })
  const { claims, header, user } = await app.jwt.authenticate(accessToken)
  t.match([claims, header, user], [{ identity: 'ada', role: 'admin', sid: sessionId }, { alg: 'HS256' }, null])
  t.ok(await app.jwt.authenticate(accessToken, { fresh: true }))
  t.equal((await app.jwt.authenticate(refreshToken, { type: 'refresh' })).claims.type, 'refresh')
  t.ok(await app.jwt.authenticate(refreshToken, { type: 'any' }))

  const refused: Array<[token: unknown, options: object, code: string]> = [
    [refreshToken, {}, 'FST_JWT_ACCESS_REQUIRED'],
    [accessToken, { type: 'refresh' }, 'FST_JWT_REFRESH_REQUIRED'],
    [app.jwt.createAccessToken('ada'), { fresh: true }, 'FST_JWT_FRESH_REQUIRED'],
    [app.jwt.createAccessToken('ada', { expiresIn: -1 }), {}, 'FST_JWT_EXPIRED'],
    [`${accessToken.slice(0, -4)}AAAA`, {}, 'FST_JWT_INVALID_SIGNATURE'],
    ['', {}, 'FST_JWT_INVALID_TOKEN'],
    [undefined, {}, 'FST_JWT_INVALID_TOKEN']
  ]
  for (const [token, options, code] of refused) await t.rejects(app.jwt.authenticate(token as string, options), { code })
  await t.rejects(app.jwt.authenticate(accessToken, { type: 'session' as 'any' }), { code: 'FST_JWT_BAD_OPTION' })
  await t.rejects(app.jwt.authenticate(accessToken, { locations: ['headers'] } as object), TypeError)

  await app.jwt.revokeSession(sessionId)
  for (const [token, type] of [[accessToken, 'access'], [refreshToken, 'refresh']] as const) {
    await t.rejects(app.jwt.authenticate(token, { type }), { code: 'FST_JWT_REVOKED' })
  }
})

t.test('it marks a token as used, and ends the session of one that is reused', async t => {
  const app = await sessionApp(t, { refreshReuseInterval: 0 })
  const first = await app.jwt.createSession('ada')
  const second = await refresh(app, first.refreshToken)
  t.ok(await app.jwt.authenticate(first.refreshToken, { type: 'refresh' }), 'the answer may have been lost')
  await app.jwt.authenticate(second.accessToken)
  await t.rejects(app.jwt.authenticate(first.refreshToken, { type: 'refresh' }), { code: 'FST_JWT_REUSED' })
  await t.rejects(app.jwt.authenticate(second.accessToken), { code: 'FST_JWT_REVOKED' })
})

t.test('it reads opaque refresh tokens', async t => {
  const app = await sessionApp(t, { refreshTokenFormat: 'opaque' })
  const { refreshToken } = await app.jwt.createSession('ada')
  t.match(await app.jwt.authenticate(refreshToken, { type: 'refresh' }), { claims: { identity: 'ada' }, header: null })
  await t.rejects(app.jwt.authenticate(refreshToken), { code: 'FST_JWT_ACCESS_REQUIRED' })
})

t.test('callbacks are asked, with the request that was given, or null', async t => {
  const requests: unknown[] = []
  const app = await sessionApp(t, {
    isRevoked: (claims, request) => { requests.push(request); return claims.identity === 'eve' },
    verifyClaims: async (claims, request) => { requests.push(request); return claims.identity !== 'mallory' },
    userLookup: (claims, request) => { requests.push(request); return claims.identity === 'nobody' ? null : { name: claims.identity } }
  })
  const token = (identity: string): string => app.jwt.createAccessToken(identity)
  t.match(await app.jwt.authenticate(token('ada')), { user: { name: 'ada' } })
  t.strictSame(requests, [null, null, null])
  await t.rejects(app.jwt.authenticate(token('eve')), { code: 'FST_JWT_REVOKED' })
  await t.rejects(app.jwt.authenticate(token('mallory')), { code: 'FST_JWT_CLAIMS_REJECTED' })
  await t.rejects(app.jwt.authenticate(token('nobody')), { code: 'FST_JWT_USER_NOT_FOUND' })

  app.get('/socket', async request => (await app.jwt.authenticate(token('ada'), { request })).claims.identity)
  requests.length = 0
  t.equal((await app.inject('/socket')).body, 'ada')
  t.equal(new Set(requests).size, 1)
  t.not(requests[0], null)
})

t.test('time is judged after the last wait', async t => {
  const app = await sessionApp(t, { userLookup: async () => { await sleep(1500); return {} } })
  await t.rejects(app.jwt.authenticate(app.jwt.createAccessToken('ada', { expiresIn: 1 })), { code: 'FST_JWT_EXPIRED' })
  await t.rejects(app.jwt.authenticate(app.jwt.createAccessToken('ada', { fresh: 1 }), { fresh: true }), { code: 'FST_JWT_FRESH_REQUIRED' })
})

t.test('a fault is no verdict, and without a store none is asked', async t => {
  const store = new class extends MemoryStore {
    override isDenied (): boolean { throw new Error('away') }
  }()
  t.teardown(() => store.close())
  const app = await sessionApp(t, { store })
  await t.rejects(app.jwt.authenticate(app.jwt.createAccessToken('ada')), { code: 'FST_JWT_STORE_UNAVAILABLE' })
  const without = await sessionApp(t, { store: false })
  t.ok(await without.jwt.authenticate(without.jwt.createAccessToken('ada')))
  await t.rejects(without.jwt.authenticate('a.b.c'), { code: 'FST_JWT_INVALID_TOKEN' })
})

t.test('a session whose cookies are too large, and that cannot be ended, is told to the log', async t => {
  const store = new class extends MemoryStore {
    override endSession (): string | null { throw new Error('away') }
  }()
  t.teardown(() => store.close())
  const lines: string[] = []
  const app = await sessionApp(t, { store, tokenLocation: ['headers', 'cookies'] }, { logger: { level: 'error', stream: { write (line: string) { lines.push(line) } } } })
  app.post('/login', async (_request, reply) => {
    app.jwt.setSessionCookies(reply, await app.jwt.createSession('ada', { claims: { long: 'x'.repeat(4000) } }))
  })
  t.match((await app.inject({ method: 'POST', url: '/login' })).json(), { code: 'FST_JWT_COOKIE_TOO_LARGE' })
  t.match(lines.join(''), /could not be ended/)
})
