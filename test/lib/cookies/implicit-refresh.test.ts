import { generateKeyPairSync } from 'node:crypto'
import { Writable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import Fastify from 'fastify'
import type { FastifyInstance, FastifyReply, FastifyRequest, FastifyServerOptions } from 'fastify'
import t from 'tap'
import type { Test } from 'tap'
import jwt, { jwtOptional, jwtRequired, MemoryStore, refreshTokenRequired, verifyJwt } from '../../../lib/index.ts'
import { ownKey } from '../../helpers/own-key.ts'
import { fixtures } from '../../helpers/fixtures/flask-jwt-extended.ts'
import { bearer, secretKey, seen } from '../../helpers/protected-app.ts'
import type { Options } from '../../helpers/protected-app.ts'
import { claims, forge, now } from '../../helpers/forge.ts'
import { movableTime } from '../../helpers/clock.ts'

const day = 24 * 60 * 60

/** Access tokens live an hour and are renewed in their last half hour. */
const hourly = { secretKey, tokenLocation: ['headers', 'cookies'], accessExpires: '1h', implicitRefresh: '30m' } as const

type Handler = (request: FastifyRequest, reply: FastifyReply, app: FastifyInstance) => unknown

async function appWith (
  t: Test, options: Partial<Options> = {}, handler: Handler = seen, server: FastifyServerOptions = {}
): Promise<FastifyInstance> {
  const app = Fastify(server) as unknown as FastifyInstance
  t.teardown(() => app.close())
  await app.register(jwt, ownKey({ ...hourly, ...options }))
  app.all('/', { preHandler: jwtRequired }, async (request, reply) => handler(request, reply, app))
  app.get('/optional', { preHandler: jwtOptional }, async request => seen(request))
  app.get('/refresh', { preHandler: refreshTokenRequired }, async request => seen(request))
  app.get('/unchecked', { preHandler: verifyJwt({ skipRevocationCheck: true }) }, async request => seen(request))
  app.post('/rotate', { preHandler: refreshTokenRequired }, async request => app.jwt.rotateSession(request))
  app.get('/open', async () => ({}))
  app.get('/inside', async request => {
    await request.verifyJwt()
    return seen(request)
  })
  await app.ready()
  return app
}

/** A token of a login some time ago that has so many seconds left. */
function aging (left: number, changes: Record<string, unknown> = {}): string {
  return forge(claims({ iat: now() - 3600 + left, nbf: now() - 3600 + left, exp: now() + left, ...changes }))
}

interface Sent { url?: string, method?: 'GET' | 'POST', token: string, headers?: Record<string, string> }

/** What a request with a token cookie gets as its new one, if any. */
async function renewal (app: FastifyInstance, { token, url = '/', method = 'GET', headers = {} }: Sent) {
  const response = await app.inject({ url, method, headers, cookies: { access_token_cookie: token } })
  return { status: response.statusCode, response, cookie: response.cookies.find(({ name }) => name === 'access_token_cookie') }
}

t.test('an access cookie near its expiry is renewed on the way out, and one that is not is left', async t => {
  const app = await appWith(t)
  for (const [left, renewed] of [[3600, false], [1860, false], [1740, true], [60, true], [2, true]] as const) {
    for (const url of ['/', '/optional', '/inside']) {
      const { status, cookie } = await renewal(app, { token: aging(left), url })
      t.equal(status, 200)
      t.equal(cookie !== undefined, renewed, `${left} seconds left, ${url}`)
      if (cookie === undefined) continue
      const { exp = 0, iat = 0 } = app.jwt.decodeToken(cookie.value)
      t.ok(exp - now() > 3590 && exp - now() <= 3600, `a whole life from now: ${exp - now()}`)
      t.ok(iat >= now() - 5 && iat <= now(), 'issued now')
      t.match(cookie, { path: '/', httpOnly: true, sameSite: 'Lax' }, 'as a login would set it')
      t.ok(cookie.maxAge !== undefined && cookie.maxAge > 3590 && cookie.maxAge <= 3600, `Max-Age ${cookie.maxAge}`)
    }
  }
})

t.test('a renewal is not to be stored by a shared cache', async t => {
  const app = await appWith(t)
  t.equal((await renewal(app, { token: aging(60) })).response.headers['cache-control'], 'no-store')
  t.equal((await renewal(app, { token: aging(3600) })).response.headers['cache-control'], undefined)
})

t.test('the new token keeps the claims of its own and the sid, has an id of its own, and is never fresh', async t => {
  const app = await appWith(t, { issuer: 'https://here.example', audience: ['api', 'site'], additionalClaims: () => ({ role: 'of the callback' }) })
  const login = now() - day
  for (const fresh of [true, false, now() + 3600]) {
    const before = { iss: 'https://here.example', aud: 'site', role: 'editor', nested: { list: [1] }, sid: 'session 1', auth_time: login, fresh, jti: 'old' }
    const { cookie } = await renewal(app, { token: aging(60, before) })
    const after = app.jwt.decodeToken(cookie?.value ?? '')
    t.match(after, {
      identity: 'user123',
      sub: 'user123',
      type: 'access',
      fresh: false,
      role: 'editor',
      nested: { list: [1] },
      sid: 'session 1',
      auth_time: login,
      iss: 'https://here.example',
      aud: ['api', 'site']
    })
    t.not(after.jti, 'old')
    t.match(after.jti, /^[0-9a-f-]{36}$/)
  }
})

t.test('auth_time is the login: written at creation, taken from iat where it is missing, kept from then on', async t => {
  const app = await appWith(t)
  const created = app.jwt.decodeToken(app.jwt.createAccessToken('user123'))
  t.equal(created.auth_time, created.iat)
  const first = (await renewal(app, { token: aging(60) })).cookie?.value ?? ''
  const login = app.jwt.decodeToken(first).auth_time ?? 0
  t.ok(Math.abs(login - (now() - 3540)) <= 2)
  const again = (await renewal(app, { token: aging(60, { auth_time: login }) })).cookie?.value ?? ''
  t.equal(app.jwt.decodeToken(again).auth_time, login)
})

t.test('never past refreshExpires after the login', async t => {
  const app = await appWith(t, { refreshExpires: '10 days' })
  const lastDay = await renewal(app, { token: aging(60, { auth_time: now() - 10 * day + 600 }) })
  const { exp = 0 } = app.jwt.decodeToken(lastDay.cookie?.value ?? '')
  t.ok(exp - now() > 590 && exp - now() <= 600, `ends with the login: ${exp - now()}`)
  for (const login of [now() - 10 * day + 30, now() - 10 * day, now() - 400 * day, 0]) {
    t.equal((await renewal(app, { token: aging(60, { auth_time: login }) })).cookie, undefined, `a login ${now() - login} seconds ago`)
  }
  const fraction = await renewal(app, { token: aging(60, { auth_time: now() - 10 * day + 600.5 }) })
  t.ok(Number.isInteger(app.jwt.decodeToken(fraction.cookie?.value ?? '').exp))
})

t.test('refreshExpires: false renews for as long as it is used', async t => {
  const app = await appWith(t, { refreshExpires: false })
  t.ok((await renewal(app, { token: aging(60, { auth_time: now() - 4000 * day }) })).cookie)
})

t.test('a token of a session ends with sessionMaxAge, one of none with refreshExpires', async t => {
  const app = await appWith(t, { refreshExpires: '10 days', sessionMaxAge: '1 day' })
  const login = { auth_time: now() - day - 60 }
  t.equal((await renewal(app, { token: aging(60, { ...login, sid: 'a session' }) })).cookie, undefined)
  t.ok((await renewal(app, { token: aging(60, login) })).cookie)
})

t.test('a token that cannot tell when its login was is not renewed', async t => {
  const app = await appWith(t)
  t.equal((await renewal(app, { token: aging(60, { iat: undefined, nbf: undefined }) })).cookie, undefined)
})

t.test('a token that does not expire has nothing to renew', async t => {
  const app = await appWith(t)
  const token = app.jwt.createAccessToken('user123', { expiresIn: false })
  const response = await app.inject({ url: '/', cookies: { access_token_cookie: token } })
  t.equal(response.cookies.length, 0)
})

t.test('only cookies are renewed, and only access tokens', async t => {
  const app = await appWith(t)
  const header = await app.inject({ url: '/', headers: bearer(aging(60)) })
  t.equal(header.statusCode, 200)
  t.equal(header.cookies.length, 0, 'a token in the header')
  const refresh = forge(claims({ type: 'refresh', exp: now() + 60 }))
  const cookie = await app.inject({ url: '/refresh', cookies: { refresh_token_cookie: refresh } })
  t.equal(cookie.statusCode, 200)
  t.equal(cookie.cookies.length, 0, 'a refresh token')
  t.equal((await renewal(app, { token: aging(60), url: '/open' })).cookie, undefined, 'a route that asks for no token')
})

t.test('not when the handler set or cleared token cookies itself', async t => {
  for (const [name, handler] of [
    ['setAccessCookies', (_request, reply, app) => { app.jwt.setAccessCookies(reply, app.jwt.createAccessToken('another')); return {} }],
    ['setRefreshCookies', (_request, reply, app) => { app.jwt.setRefreshCookies(reply, app.jwt.createRefreshToken('another')); return {} }],
    ['unsetJwtCookies', (_request, reply, app) => { app.jwt.unsetJwtCookies(reply); return {} }],
    ['unsetAccessCookies', (_request, reply, app) => { app.jwt.unsetAccessCookies(reply); return {} }],
    ['unsetRefreshCookies', (_request, reply, app) => { app.jwt.unsetRefreshCookies(reply); return {} }]
  ] as ReadonlyArray<[string, Handler]>) {
    const app = await appWith(t, {}, handler)
    const { response } = await renewal(app, { token: aging(60) })
    t.equal(response.statusCode, 200)
    const access = response.cookies.filter(({ name }) => name === 'access_token_cookie')
    t.ok(access.every(({ value }) => value === '' || app.jwt.decodeToken(value).identity === 'another'), name)
  }
  const app = await appWith(t, {}, (_request, reply) => { reply.setCookie('theme', 'dark'); return {} })
  const { response, cookie } = await renewal(app, { token: aging(60) })
  t.ok(cookie, 'a cookie of another kind is no hindrance')
  t.ok(response.cookies.some(({ name }) => name === 'theme'), 'and is kept')
})

t.test('not on an error response, whoever made it', async t => {
  for (const [name, handler, status] of [
    ['thrown', () => { throw new Error('a fault') }, 500],
    ['sent', (_request, reply) => reply.code(404).send({}), 404],
    ['a client error', (_request, reply) => reply.code(400).send({}), 400],
    ['a redirect is none', (_request, reply) => reply.redirect('/elsewhere'), 302],
    ['no content is none', (_request, reply) => reply.code(204).send(), 204]
  ] as ReadonlyArray<[string, Handler, number]>) {
    const app = await appWith(t, {}, handler)
    const { status: got, cookie } = await renewal(app, { token: aging(60) })
    t.equal(got, status, name)
    t.equal(cookie !== undefined, status < 400, name)
  }
})

t.test('not for a refused token, and not for a visitor', async t => {
  const app = await appWith(t)
  t.match(await renewal(app, { token: aging(-60) }), { status: 401, cookie: undefined })
  t.match(await renewal(app, { token: aging(-60), url: '/optional' }), { status: 200, cookie: undefined })
  t.match(await renewal(app, { token: aging(60), method: 'POST', headers: { 'sec-fetch-site': 'cross-site' } }), { status: 403, cookie: undefined })
})

t.test('a token past its expiry that leeway still lets in is renewed', async t => {
  const app = await appWith(t, { leeway: 60 })
  t.ok((await renewal(app, { token: aging(-30) })).cookie)
})

t.test('not when the handler has revoked the token', async t => {
  for (const wait of [false, true]) {
    const denied = new Set<unknown>()
    const app = await appWith(t, {
      isRevoked: claims => wait ? sleep(1).then(() => denied.has(claims.jti)) : denied.has(claims.jti)
    }, request => {
      if (request.method === 'POST') denied.add(request.jwtClaims?.jti)
      return {}
    })
    t.ok((await renewal(app, { token: aging(60) })).cookie)
    t.match(await renewal(app, { token: aging(60), method: 'POST' }), { status: 200, cookie: undefined })
  }
  const app = await appWith(t, {}, async (request, _reply, app) => {
    await app.jwt.revokeToken(request.jwtClaims as never)
    return {}
  })
  t.match(await renewal(app, { token: aging(60) }), { status: 200, cookie: undefined }, 'through the store')
})

t.test('under double submit the CSRF token stays the one an open page has', async t => {
  for (const csrfInCookies of [true, false]) {
    const app = await appWith(t, { csrfProtection: 'double-submit', csrfInCookies })
    const token = aging(60, { csrf: 'the token of the page' })
    const { response, cookie } = await renewal(app, { token })
    t.equal(app.jwt.getCsrfToken(cookie?.value ?? ''), 'the token of the page')
    const companion = response.cookies.find(({ name }) => name === 'csrf_access_token')
    t.equal(companion?.value, csrfInCookies ? 'the token of the page' : undefined, 'its companion lives on with it')
    const next = await app.inject({
      method: 'POST', url: '/', cookies: { access_token_cookie: cookie?.value ?? '' }, headers: { 'x-csrf-token': 'the token of the page' }
    })
    t.equal(next.statusCode, 200)
    const without = await renewal(app, { token: aging(60) })
    t.match(app.jwt.getCsrfToken(without.cookie?.value ?? ''), /^[0-9a-f-]{36}$/, 'one that had none gets one')
  }
})

t.test('a token of Flask-JWT-Extended is renewed by its iat, like one of ours', async t => {
  const flask = fixtures.flask['access with claims'] ?? ''
  const { exp, iat } = JSON.parse(Buffer.from(flask.split('.')[1] ?? '', 'base64url').toString()) as { exp: number, iat: number }
  const app = await appWith(t, { secretKey: fixtures.secret, accessExpires: exp - iat, implicitRefresh: exp - iat - 1, refreshExpires: '300000 days' })
  const { cookie } = await renewal(app, { token: flask })
  t.match(app.jwt.decodeToken(cookie?.value ?? ''), { identity: 'user123', role: 'admin', auth_time: app.jwt.decodeToken(flask).iat })
})

t.test('a token whose successor would be refused here is left as it is', async t => {
  const app = await appWith(t, { decodeIssuer: 'https://elsewhere.example' })
  t.match(await renewal(app, { token: aging(60, { iss: 'https://elsewhere.example' }) }), { status: 200, cookie: undefined })
})

/** Lines of the log of an app. */
function logTo (lines: string[]): FastifyServerOptions {
  return { logger: { level: 'error', stream: new Writable({ write (chunk, _encoding, done) { lines.push(String(chunk)); done() } }) } }
}

t.test('a fault leaves the answer as it is and is logged, without the token', async t => {
  for (const wait of [false, true]) {
    for (const reason of [new Error('the database is away'), undefined]) {
      const lines: string[] = []
      let calls = 0
      const app = await appWith(t, {
        isRevoked: () => {
          calls++
          if (calls === 1) return false
          if (wait) return Promise.reject(reason)
          throw reason
        }
      }, seen, logTo(lines))
      const token = aging(60)
      t.match(await renewal(app, { token }), { status: 200, cookie: undefined })
      t.equal(lines.length, 1)
      t.match(lines[0], 'The access cookie could not be renewed')
      t.notMatch(lines[0], token.slice(0, 30))
    }
  }
})

t.test('a cookie that would be too large is not renewed, and logged', async t => {
  const lines: string[] = []
  const app = await appWith(t, {}, seen, logTo(lines))
  t.match(await renewal(app, { token: aging(60, { text: 'x'.repeat(2900) }) }), { status: 200, cookie: undefined })
  t.match(lines, [/FST_JWT_COOKIE_TOO_LARGE/])
})

t.test('requests at the same time are each renewed, for their own user', async t => {
  const app = await appWith(t, { isRevoked: async () => { await sleep(1); return false } })
  const identities = Array.from({ length: 20 }, (_, index) => `user ${index}`)
  const renewals = await Promise.all(identities.map(sub => renewal(app, { token: aging(60, { sub }) })))
  t.strictSame(renewals.map(({ cookie }) => app.jwt.getIdentity(cookie?.value ?? '')), identities)
})

t.test('a nested context renews by its own options, once', async t => {
  const app = Fastify() as unknown as FastifyInstance
  t.teardown(() => app.close())
  await app.register(jwt, hourly as unknown as Options)
  await app.register(async inner => {
    await inner.register(jwt, { ...hourly, accessCookieName: 'inner', implicitRefresh: false } as unknown as Options)
    inner.get('/off', { preHandler: jwtRequired }, async request => seen(request))
  })
  await app.register(async inner => {
    await inner.register(jwt, { ...hourly, accessCookieName: 'inner', accessExpires: '2h' } as unknown as Options)
    inner.get('/own', { preHandler: jwtRequired }, async request => seen(request))
  })
  app.get('/', { preHandler: jwtRequired }, async request => seen(request))
  const cookies = { access_token_cookie: aging(60), inner: aging(60, { iat: now() - 7140, nbf: now() - 7140 }) }
  const names = async (url: string) => (await app.inject({ url, cookies })).cookies.map(({ name }) => name)
  t.strictSame(await names('/'), ['access_token_cookie'])
  t.strictSame(await names('/off'), [])
  t.strictSame(await names('/own'), ['inner'])
})

t.test('options that cannot work together stop start-up', async t => {
  const { publicKey } = generateKeyPairSync('ed25519')
  for (const [options, message] of [
    [{ tokenLocation: 'headers' }, /'implicitRefresh'.*tokenLocation/],
    [{ accessExpires: false }, /'implicitRefresh'.*accessExpires/],
    [{ implicitRefresh: '1h' }, /'implicitRefresh'.*shorter than accessExpires/],
    [{ implicitRefresh: 0 }, /'implicitRefresh'/],
    [{ secretKey: undefined, algorithm: 'EdDSA', publicKey }, /'implicitRefresh'.*privateKey/]
  ] as unknown as ReadonlyArray<[Partial<Options>, RegExp]>) {
    await t.rejects(appWith(t, options), { code: 'FST_JWT_BAD_OPTION', message }, String(message))
  }
})

t.test('a token whose lifetime was given by hand ends then', async t => {
  const app = await appWith(t)
  for (const lifetime of [60, 1800, 3599, 3601, 7200]) {
    const token = aging(30, { iat: now() - lifetime + 30, nbf: now() - lifetime + 30 })
    t.equal((await renewal(app, { token })).cookie, undefined, `${lifetime} seconds`)
  }
  const token = app.jwt.createAccessToken('user123', { expiresIn: 60 })
  t.match(await renewal(app, { token }), { status: 200, cookie: undefined })
})

t.test('nothing is renewed on a response that a shared cache may store, nor on a 304', async t => {
  const shared: Record<string, string | string[]>[] = [
    { 'cache-control': 'public' }, { 'cache-control': 'public, max-age=300' }, { 'cache-control': 'max-age=60' }, { 'cache-control': 'S-MaxAge=60' },
    { 'cache-control': 'must-revalidate' }, { 'cache-control': 'private="set-cookie", max-age=5' }, { 'cache-control': 'no-cache="x, no-store"' },
    { 'cache-control': ['public', 'max-age=5'] }, { expires: new Date(Date.now() + 60_000).toUTCString() },
    { 'cdn-cache-control': 'max-age=60' }, { 'surrogate-control': 'max-age=60' }
  ]
  for (const headers of shared) {
    const app = await appWith(t, {}, (request, reply) => { reply.headers(headers); return seen(request) })
    const { status, cookie, response } = await renewal(app, { token: aging(60) })
    t.match({ status, cookie }, { status: 200, cookie: undefined }, JSON.stringify(headers))
    for (const [name, value] of Object.entries(headers)) t.strictSame(response.headers[name], value, 'and its header stays')
  }
  const notModified = await appWith(t, {}, (_request, reply) => reply.code(304).send())
  t.match(await renewal(notModified, { token: aging(60) }), { status: 304, cookie: undefined })
})

t.test('a response that is renewed on is kept out of shared caches, as strictly as the app says or more', async t => {
  const table: [given: string | string[] | undefined, sent: string | string[]][] = [
    [undefined, 'no-store'], ['private', 'private'], ['no-store', 'no-store'], ['no-cache', 'no-cache'], ['Private, max-age=60', 'Private, max-age=60'],
    [['max-age=5', 'private'], ['max-age=5', 'private']]
  ]
  for (const [given, sent] of table) {
    const app = await appWith(t, {}, (request, reply) => { if (given !== undefined) reply.header('cache-control', given); return seen(request) })
    const { cookie, response } = await renewal(app, { token: aging(60) })
    t.ok(cookie, String(given))
    t.strictSame(response.headers['cache-control'], sent)
  }
})

t.test('the public keys are answered without a cookie, though a hook covers the whole app', async t => {
  const app = Fastify() as unknown as FastifyInstance
  t.teardown(() => app.close())
  const pair = generateKeyPairSync('ed25519', { privateKeyEncoding: { type: 'pkcs8', format: 'pem' }, publicKeyEncoding: { type: 'spki', format: 'pem' } })
  await app.register(jwt, ownKey({ ...hourly, secretKey: undefined, algorithm: 'EdDSA', privateKey: pair.privateKey, jwksPath: '/jwks', accessExpires: 200, implicitRefresh: 100 }))
  app.addHook('onRequest', jwtRequired)
  app.get('/', async request => seen(request))
  const token = app.jwt.createAccessToken('user123')
  movableTime(t).advance(150)
  t.ok((await renewal(app, { token })).cookie)
  const { response, cookie } = await renewal(app, { token, url: '/jwks' })
  t.equal(cookie, undefined)
  t.match(response.headers['cache-control'], /public/)
})

t.test('a session whose access token is renewed lives at least as long, stays revocable, and is not renewed once it is gone', async t => {
  const store = new MemoryStore()
  t.teardown(() => store.close())
  const app = await appWith(t, { store, accessExpires: 200, implicitRefresh: 100, refreshExpires: 3600 })
  const { accessToken, sessionId } = await app.jwt.createSession('user123')
  const before = store.getSession(sessionId)?.session.expiresAt ?? 0
  movableTime(t).advance(150)
  const renewed = (await renewal(app, { token: accessToken })).cookie?.value ?? ''
  t.match(app.jwt.decodeToken(renewed), { sid: sessionId, gen: 0, fresh: false })
  t.ok((store.getSession(sessionId)?.session.expiresAt ?? 0) >= before)
  await app.jwt.revokeSession(sessionId)
  t.match((await renewal(app, { token: renewed })).response.json(), { code: 'FST_JWT_REVOKED' })
})

t.test('the record of a session learns of a renewed token that outlives it, and a session that is gone is not renewed', async t => {
  let gone = false
  let conflicts = 1
  const store = new class extends MemoryStore {
    override getSession (id: string): ReturnType<MemoryStore['getSession']> {
      return gone ? null : super.getSession(id)
    }

    override replaceSession (...args: Parameters<MemoryStore['replaceSession']>): boolean {
      return conflicts-- <= 0 && super.replaceSession(...args)
    }
  }()
  t.teardown(() => store.close())
  // Before a deploy that lets sessions live longer.
  const before = await appWith(t, { store, accessExpires: 100, implicitRefresh: 90, refreshExpires: 120 })
  const after = await appWith(t, { store, accessExpires: 100, implicitRefresh: 90, refreshExpires: 36_000 })
  const { accessToken, sessionId } = await before.jwt.createSession('user123')
  movableTime(t).advance(50)
  const expiresAt = store.getSession(sessionId)?.session.expiresAt ?? 0
  t.ok((await renewal(after, { token: accessToken })).cookie)
  t.ok((store.getSession(sessionId)?.session.expiresAt ?? 0) > expiresAt)
  gone = true
  t.match(await renewal(after, { token: accessToken }), { status: 200, cookie: undefined })
})

t.test('a pair whose tokens only skipRevocationCheck lets in is written down as used when the store is asked', async t => {
  const time = movableTime(t)
  const store = new MemoryStore()
  t.teardown(() => store.close())
  const app = await appWith(t, { store })
  const { sessionId, refreshToken } = await app.jwt.createSession('ada')
  const { accessToken } = (await app.inject({ method: 'POST', url: '/rotate', headers: bearer(refreshToken) })).json<{ accessToken: string }>()
  t.equal((await renewal(app, { token: accessToken, url: '/unchecked' })).cookie, undefined)
  t.equal(store.getSession(sessionId)?.session.used, false)
  time.advance(2000)
  t.ok((await renewal(app, { token: accessToken, url: '/unchecked' })).cookie !== undefined)
  t.equal(store.getSession(sessionId)?.session.used, true)
})
