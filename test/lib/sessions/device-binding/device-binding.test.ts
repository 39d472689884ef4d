import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import swagger from '@fastify/swagger'
import Fastify from 'fastify'
import t from 'tap'
import jwt, { allOf, anyOf, crossOriginProtection, deviceBound, deviceProof, guard, jwtRequired, MemoryStore, not, role, verifyJwt } from '../../../../lib/index.ts'
import { ownKey } from '../../../helpers/own-key.ts'
import { addRoutes, bindingOptions, bound, boundApp, signedIn } from '../../../helpers/bound-app.ts'
import { Device, SoftwareBrowser } from '../../../helpers/device.ts'
import { movableTime, stoppedTime } from '../../../helpers/clock.ts'
import { secretKey } from '../../../helpers/session-app.ts'
import type { FastifyInstance, LightMyRequestResponse } from 'fastify'
import type { Test } from 'tap'
import type { JwtExtendedOptions } from '../../../../lib/index.ts'

/** `200`, or the code of the error. */
const verdictOf = (response: LightMyRequestResponse): number | string => response.statusCode === 200 ? 200 : response.json<{ code?: string }>().code ?? response.statusCode

const cookie = 'access_token_cookie'
const refreshCookie = 'refresh_token_cookie'

/** An app with hooks or routes of its own, before or after the plugin. */
async function appWith (t: Test, options: JwtExtendedOptions, before: (app: FastifyInstance) => void, after: (app: FastifyInstance) => void = () => {}): Promise<FastifyInstance> {
  const app = Fastify({ trustProxy: true })
  t.teardown(() => app.close())
  before(app)
  await app.register(jwt, ownKey({ ...bindingOptions, ...options }))
  addRoutes(app)
  after(app)
  return app
}

t.test('a login announces registration, and the browser binds the session', async t => {
  for (const device of [new Device('ES256'), new Device('RS256')]) {
    const app = await boundApp(t)
    const browser = await signedIn(app, device)
    t.match(browser.registration, { path: '/device-binding/registration', challenge: /^[\w-]{43}$/, authorization: /^[\w-]{43}$/ })
    t.equal((await browser.send('GET', '/me')).json().bound, false)
    const [before] = await app.jwt.listSessions('ada')
    t.equal(before?.bound, false)

    const response = await browser.register()
    t.equal(response.statusCode, 200)
    t.match(response.headers, { 'cache-control': 'no-store', 'content-type': /^application\/json/, 'secure-session-challenge': /^"[\w-]{43}";id="[\w-]{59}"$/ })
    t.match(response.json(), {
      session_identifier: new RegExp(`^${before?.id}-[\\w-]{22}$`),
      refresh_url: '/device-binding/refresh',
      scope: { include_site: false, scope_specification: [{ type: 'exclude', domain: '*', path: '/device-binding/registration' }] },
      credentials: [{ type: 'cookie', name: cookie, attributes: 'Path=/; HttpOnly; Secure; SameSite=Lax' }]
    })
    t.notOk('allowed_refresh_initiators' in response.json())
    t.match(await app.jwt.listSessions('ada'), [{ id: before?.id, bound: true }])
    const me = (await browser.send('GET', '/me')).json()
    t.match(me, { user: 'ada', bound: true, claims: { fresh: true, gen: 1 } }, 'the login stays fresh')
  }
})

t.test('what the browser is told of its cookie is what Set-Cookie says', async t => {
  const cases: JwtExtendedOptions[] = [
    {},
    { cookieSamesite: 'None', cookieSecure: true, cookiePartitioned: true },
    { accessCookieName: '__Host-access', cookieSecure: true, cookieSamesite: 'Strict' },
    { cookieHttponly: false, accessCookiePath: '/api', deviceBindingPath: '/api/devices' },
    { cookieDomain: 'app.example.test', deviceBinding: { includeSite: true } }
  ]
  for (const options of cases) {
    const app = await boundApp(t, options)
    const browser = await signedIn(app)
    const response = await browser.register()
    const { credentials: [credential], scope } = response.json()
    const line = [response.headers['set-cookie']].flat().find(text => String(text).startsWith(`${credential.name}=ey`)) as string
    t.equal(credential.attributes, line.split('; ').slice(1).filter(attribute => !attribute.startsWith('Max-Age')).join('; '))
    t.equal(scope.include_site, options.cookieDomain !== undefined)
    if (options.accessCookiePath !== undefined) {
      t.match(scope.scope_specification.slice(0, 2), [{ type: 'exclude', path: '/' }, { type: 'include', path: '/api' }], 'what gets no cookie waits for none')
    }
  }
  const app = await boundApp(t, { deviceBinding: { allowedRefreshInitiators: ['*.example.net'] } })
  t.same((await (await signedIn(app)).register()).json().allowed_refresh_initiators, ['*.example.net'])
})

t.test('a login is not announced if nothing could be bound', async t => {
  const announced = async (app: FastifyInstance, body?: object, headers: object = { 'x-forwarded-proto': 'https' }) => {
    const response = await app.inject({ method: 'POST', url: '/login', headers: { host: 'app.example.test', ...headers }, ...(body === undefined ? {} : { body }) })
    t.equal(response.statusCode, 200)
    return response.headers['secure-session-registration'] !== undefined
  }
  const app = await boundApp(t)
  t.equal(await announced(app), true)
  t.equal(await announced(app, undefined, {}), false, 'plain HTTP')
  t.equal(await announced(app, { persistent: false }), false, 'a session that ends with the browser')
  t.equal(await announced(app, { expiresIn: 240 }), false, 'a session too short to refresh')
  t.equal(await announced(await boundApp(t, { sessionCookie: true })), false, 'sessions that end with the browser')
  t.equal(await announced(await boundApp(t, { sessionCookie: true }), { persistent: true }), true)
  t.equal(await announced(await boundApp(t, { deviceBinding: false })), false)
  const site = { cookieDomain: '.example.test', deviceBinding: { includeSite: true } }
  t.equal(await announced(await boundApp(t, site)), false, 'a host that may not speak for the site')
  t.equal(await announced(await boundApp(t, site), undefined, { 'x-forwarded-proto': 'https', host: 'EXAMPLE.test' }), true)

  const other = await boundApp(t)
  other.post('/token', async (_request, reply) => {
    other.jwt.setAccessCookies(reply, other.jwt.createAccessToken('ada'))
    return {}
  })
  other.post('/text', async (_request, reply) => {
    other.jwt.setAccessCookies(reply, 'no token')
    return {}
  })
  t.equal((await other.inject({ method: 'POST', url: '/text', headers: { 'x-forwarded-proto': 'https' } })).headers['secure-session-registration'], undefined)
  t.equal((await other.inject({ method: 'POST', url: '/token', headers: { 'x-forwarded-proto': 'https' } })).headers['secure-session-registration'], undefined, 'a token of no session')
  const browser = await signedIn(other)
  t.equal((await browser.send('POST', '/refresh')).headers['secure-session-registration'], undefined, 'a refresh is no login')
})

t.test('only the login\'s own session is bound, soon after the login and once', async t => {
  const time = movableTime(t)
  const app = await boundApp(t)
  const [one, other] = [await signedIn(app), await signedIn(app)]
  const { challenge = '', authorization = '' } = one.registration ?? {}
  const proof = one.device.registration({ jti: challenge, authorization })

  t.equal(verdictOf(await other.register(proof)), 'FST_JWT_DEVICE_PROOF_INVALID', 'the challenge of another session')
  const token = one.cookies.get(cookie) as string
  one.cookies.delete(cookie)
  t.equal(verdictOf(await one.register()), 'FST_JWT_MISSING_TOKEN', 'a refresh cookie is no access cookie')
  one.cookies.set(cookie, one.cookies.get(refreshCookie) as string)
  t.equal(verdictOf(await one.register()), 'FST_JWT_MISSING_TOKEN', 'under no name')
  one.cookies.set(cookie, app.jwt.createAccessToken('ada'))
  t.equal(verdictOf(await one.register()), 'FST_JWT_MISSING_TOKEN', 'a token of no session')
  one.cookies.set(cookie, 'nonsense')
  t.equal(verdictOf(await one.register()), 'FST_JWT_MISSING_TOKEN')
  one.cookies.set(cookie, token)
  const { path = '' } = one.registration ?? {}
  const headers = { 'secure-session-response': proof }
  t.equal(verdictOf(await one.send('POST', path, { ...headers, 'sec-fetch-site': 'cross-site' })), 'FST_JWT_CSRF', 'another site')
  t.equal(verdictOf(await one.send('POST', path)), 'FST_JWT_DEVICE_PROOF_INVALID', 'no proof')
  t.equal(verdictOf(await one.send('POST', path, { 'secure-session-response': 'a b' })), 'FST_JWT_DEVICE_PROOF_INVALID', 'no string')
  t.same((await app.jwt.listSessions('ada')).map(session => session.bound), [false, false], 'nothing is bound so far')

  t.equal((await one.send('POST', path, { 'secure-session-response': `"${proof}"` })).statusCode, 200, 'a quoted string, as the specification has it')
  t.equal(verdictOf(await one.register(proof)), 'FST_JWT_DEVICE_PROOF_INVALID', 'once only')
  t.equal(verdictOf(await one.register(new Device().registration({ jti: challenge, authorization }))), 'FST_JWT_DEVICE_PROOF_INVALID', 'nor by another key')

  time.advance(301)
  t.equal(verdictOf(await other.register()), 'FST_JWT_DEVICE_PROOF_INVALID', 'the announcement has expired')
  await app.jwt.revokeAllSessions('ada')
  t.equal(verdictOf(await other.register()), 'FST_JWT_REVOKED', 'a session that has ended')
})

t.test('a browser that sends several access cookies binds the session of its login', async t => {
  const app = await boundApp(t)
  for (const ended of [true, false]) {
    const [before, login] = [await signedIn(app), await signedIn(app)]
    if (ended) await app.jwt.revokeSession(app.jwt.decodeToken(before.cookies.get(cookie) as string))
    const { path = '', challenge = '', authorization = '' } = login.registration ?? {}
    // The older cookie comes first (RFC 6265 §5.4).
    const response = await login.send('POST', path, {
      cookie: [before, login].map(({ cookies }) => `${cookie}=${cookies.get(cookie)}`).join('; '),
      'secure-session-response': login.device.registration({ jti: challenge, authorization })
    })
    t.equal(verdictOf(response), 200, ended ? 'beside that of a session that has ended' : 'beside that of another session')
    t.equal(response.json().session_identifier.slice(0, 36), app.jwt.decodeToken(login.cookies.get(cookie) as string).sid)
  }
})

t.test('a proof for the URL that the browser has asked passes, though the server rewrites it', async t => {
  const app = Fastify({ trustProxy: true, rewriteUrl: ({ url }) => String(url).replace('/app', '') })
  t.teardown(() => app.close())
  await app.register(jwt, bindingOptions)
  addRoutes(app)
  const browser = await signedIn(app)
  const { path = '', challenge = '', authorization = '' } = browser.registration ?? {}
  const register = async (aud: string) => verdictOf(await browser.send('POST', `/app${path}`, { 'secure-session-response': browser.device.registration({ jti: challenge, authorization, aud }) }))
  t.equal(await register(`https://app.example.test${path}`), 'FST_JWT_DEVICE_PROOF_INVALID')
  t.equal(await register(`https://app.example.test/app${path}`), 200)
})

t.test('two registrations at once: one binds the session', async t => {
  const app = await boundApp(t)
  const browser = await signedIn(app)
  const { challenge = '', authorization = '' } = browser.registration ?? {}
  const proofs = [browser.device, new Device(), new Device('RS256')].map(device => device.registration({ jti: challenge, authorization }))
  const verdicts = await Promise.all(proofs.map(async proof => verdictOf(await browser.copyWithRegistration().register(proof))))
  t.same(verdicts.sort(), [200, 'FST_JWT_DEVICE_PROOF_INVALID', 'FST_JWT_DEVICE_PROOF_INVALID'])
})

t.test('an announcement is good still when the key of the server was rotated', async t => {
  const app = await boundApp(t)
  const browser = await signedIn(app)
  app.jwt.rotateKeys([{ keyId: 'next', secretKey: 'another secret of the tests, of more than 32 bytes' }, { keyId: 'before', secretKey }])
  t.equal((await browser.register()).statusCode, 200)
})

for (const refreshTokenFormat of ['jwt', 'opaque'] as const) {
  t.test(`the device gets new tokens by a proof, with cookies and without (${refreshTokenFormat})`, async t => {
    const time = movableTime(t)
    const app = await boundApp(t, { refreshTokenFormat })
    const browser = await bound(app)
    for (const cookies of [true, false]) {
      const before = browser.cookies.get(cookie)
      time.advance(901)
      browser.cookies.delete(cookie)
      if (!cookies) browser.cookies.clear()
      const response = await browser.refresh()
      t.equal(response.statusCode, 200)
      t.same(response.json(), browser.instructions, 'the same instructions')
      t.not(browser.cookies.get(cookie), before)
      t.match((await browser.send('GET', '/me')).json(), { user: 'ada', bound: true, claims: { fresh: false } })
    }
  })

  t.test(`copied cookies end with the access cookie, and the owner goes on (${refreshTokenFormat})`, async t => {
    const time = movableTime(t)
    const app = await boundApp(t, { refreshTokenFormat })
    const browser = await signedIn(app)
    const early = browser.copy()
    await browser.register()
    t.equal((await browser.send('GET', '/me')).statusCode, 200)
    const thieves = [early, browser.copy()]
    for (const thief of thieves) t.equal((await thief.send('GET', '/me')).statusCode, 200, 'a copy works at first')
    await browser.refresh()
    thieves.push(browser.copy())
    time.advance(901)
    for (const thief of thieves) {
      const refreshed = await thief.send('POST', '/refresh')
      t.equal(refreshed.statusCode, 403)
      t.equal(verdictOf(refreshed), 'FST_JWT_DEVICE_BOUND')
      t.equal(refreshed.headers['www-authenticate'], undefined, 'no other token would help')
      t.equal(verdictOf(await thief.send('GET', '/me')), 'FST_JWT_EXPIRED')
      thief.instructions = browser.instructions
      t.equal(verdictOf(await thief.refresh()), 'FST_JWT_DEVICE_PROOF_INVALID', 'nor does another key help')
    }
    t.equal((await browser.refresh()).statusCode, 200)
    t.equal((await browser.send('GET', '/me')).statusCode, 200, 'what thieves try does not end the session')
  })
}

t.test('rotateSession refuses a bound session by itself, too', async t => {
  const app = await boundApp(t)
  app.post('/unchecked', { onRequest: app.verifyJwt({ type: 'refresh', skipRevocationCheck: true }) }, async request => app.jwt.rotateSession(request))
  const browser = await bound(app)
  await browser.send('GET', '/me')
  t.equal(verdictOf(await browser.send('POST', '/unchecked')), 'FST_JWT_DEVICE_BOUND')
})

t.test('if the answer of a registration is lost, the session goes on unbound', async t => {
  const app = await boundApp(t)
  const browser = await signedIn(app)
  const losing = browser.copyWithRegistration()
  t.equal((await losing.register()).statusCode, 200)
  t.equal((await browser.send('POST', '/refresh')).statusCode, 200, 'the browser knows of nothing')
  t.match((await browser.send('GET', '/me')).json(), { bound: false })
  t.match(await app.jwt.listSessions('ada'), [{ bound: false }])
  t.equal(verdictOf(await losing.refresh()), 'FST_JWT_REVOKED', 'the binding is gone')
})

t.test('if a token of the answer has come in, the session stays bound', async t => {
  const app = await boundApp(t)
  const browser = await signedIn(app)
  const thief = browser.copy()
  await browser.register()
  await browser.send('GET', '/me')
  t.equal(verdictOf(await thief.send('POST', '/refresh')), 'FST_JWT_DEVICE_BOUND')
  t.match(await app.jwt.listSessions('ada'), [{ bound: true }])

  const strict = await boundApp(t, { refreshUntilUsed: false })
  const other = await signedIn(strict)
  const copy = other.copy()
  await other.register()
  t.equal(verdictOf(await copy.send('POST', '/refresh')), 'FST_JWT_DEVICE_BOUND', 'refreshUntilUsed: false waits for nobody')
})

t.test('a registration that is refused is no use of its access token', async t => {
  const time = movableTime(t)
  const app = await boundApp(t)
  const browser = await signedIn(app)
  const losing = browser.copyWithRegistration()
  t.equal((await losing.send('POST', '/refresh')).statusCode, 200, 'the answer is lost')
  const refused = await losing.send('POST', '/device-binding/registration', { 'secure-session-response': '"no.valid.proof"' })
  t.equal(verdictOf(refused), 'FST_JWT_DEVICE_PROOF_INVALID')
  time.advance(60)
  t.equal((await browser.send('POST', '/refresh')).statusCode, 200)
})

t.test('the cookie of a bound session expires before its token, or the browser would not refresh', async t => {
  const time = stoppedTime(t)
  const app = await boundApp(t)
  const browser = new SoftwareBrowser(app)
  const maxAge = (response: LightMyRequestResponse, name: string): number | undefined => response.cookies.find(cookie => cookie.name === name)?.maxAge
  t.equal(maxAge(await browser.send('POST', '/login'), cookie), 900)
  for (const response of [await browser.register(), await browser.refresh()]) {
    t.equal(maxAge(response, cookie), 890)
    t.equal(maxAge(response, refreshCookie), 30 * 24 * 3600)
  }

  const ending = await bound(await boundApp(t, { sessionMaxAge: 1000 }))
  for (const [now, expected] of [[900, 90], [985, 5], [995, 1]] as const) {
    time.reset()
    time.advance(now)
    t.equal(maxAge(await ending.refresh(), cookie), expected, 'not before its token, at the end of the session')
  }
})

t.test("a hook that takes either token never takes a bound session's refresh token", async t => {
  const time = movableTime(t)
  const app = await appWith(t, {}, () => {}, app => { app.get('/any', { onRequest: verifyJwt({ type: 'any' }) }, async () => ({})) })
  const browser = await bound(app)
  const skipped = { 'secure-session-skipped': 'unreachable' }
  t.equal(verdictOf(await browser.send('GET', '/any')), 200)
  time.advance(901)
  t.equal(verdictOf(await browser.send('GET', '/any')), 'FST_JWT_EXPIRED')
  t.equal(verdictOf(await browser.send('GET', '/any', skipped)), 'FST_JWT_DEVICE_REFRESH_SKIPPED')
  browser.cookies.delete(cookie)
  t.equal(verdictOf(await browser.send('GET', '/any')), 'FST_JWT_DEVICE_BOUND')
  t.equal(verdictOf(await browser.send('GET', '/any', skipped)), 'FST_JWT_DEVICE_REFRESH_SKIPPED')
})

t.test('what the app refuses gets no new token: nothing is spent, and nothing ends', async t => {
  const refusals: Record<string, (allowed: () => boolean) => JwtExtendedOptions> = {
    FST_JWT_REVOKED: allowed => ({ isRevoked: async () => !allowed() }),
    FST_JWT_CLAIMS_REJECTED: allowed => ({ verifyClaims: ({ type }) => type === 'refresh' || allowed() }),
    FST_JWT_USER_NOT_FOUND: allowed => ({ userLookup: async ({ identity }) => allowed() ? identity : null })
  }
  for (const [code, options] of Object.entries(refusals)) {
    let allowed = true
    const app = await boundApp(t, options(() => allowed))
    const [browser, other] = [await bound(app), await signedIn(app)]
    const before = new Map(browser.cookies)
    allowed = false
    t.equal(verdictOf(await browser.refresh()), code)
    t.equal(verdictOf(await other.register()), code)
    t.strictSame(browser.cookies, before)
    allowed = true
    t.equal((await browser.refresh()).statusCode, 200)
    t.equal((await other.register()).statusCode, 200)
  }
})

t.test('a challenge is used once, expires, and belongs to one session', async t => {
  const time = movableTime(t)
  const app = await boundApp(t)
  const browser = await bound(app)
  const first = browser.challenge as string
  const proof = browser.device.refresh({ jti: first })
  t.equal((await browser.refreshWith(proof)).statusCode, 200)
  t.not(browser.challenge, first)

  const again = await browser.refreshWith(proof)
  t.equal(again.statusCode, 403)
  t.equal(verdictOf(again), 'FST_JWT_DEVICE_PROOF_REQUIRED')
  t.match(again.headers['secure-session-challenge'], /^"[\w-]{43}";id="[\w-]{59}"$/, 'a browser may send a proof again: it gets a new challenge')
  t.equal((await browser.refreshWith(browser.device.refresh({ jti: browser.challenge }))).statusCode, 200, 'and nothing has ended')

  const other = await bound(app)
  other.challenge = browser.challenge
  t.equal(verdictOf(await other.refreshWith(other.device.refresh({ jti: other.challenge }))), 'FST_JWT_DEVICE_PROOF_REQUIRED')
  t.equal(verdictOf(await browser.refreshWith(browser.device.refresh({ jti: 'made-up' }))), 'FST_JWT_DEVICE_PROOF_REQUIRED')

  const asked = await browser.refreshWith(null)
  t.equal(asked.statusCode, 403, 'a browser that was started again has forgotten its challenge')
  const old = browser.challenge
  time.advance(1201)
  t.equal(verdictOf(await browser.refreshWith(browser.device.refresh({ jti: old }))), 'FST_JWT_DEVICE_PROOF_REQUIRED', 'expired')
  t.not(browser.challenge, old)
  t.equal((await browser.refresh()).statusCode, 200)
})

t.test('many proofs of one challenge at once: one passes, on a store that waits', async t => {
  const memory = new MemoryStore()
  t.teardown(() => { memory.close() })
  const slow = new Proxy(memory, {
    get (target, name) {
      const value: unknown = Reflect.get(target, name)
      if (typeof value !== 'function') return value
      return async (...args: unknown[]) => {
        await new Promise(resolve => setImmediate(resolve))
        return Reflect.apply(value, target, args) as unknown
      }
    }
  })
  const app = await boundApp(t, { store: slow })
  const browser = await bound(app)
  const proof = browser.device.refresh({ jti: browser.challenge })
  const verdicts = await Promise.all(Array.from({ length: 8 }, async () => verdictOf(await browser.refreshWith(proof))))
  t.equal(verdicts.filter(verdict => verdict === 200).length, 1)
  t.equal(verdicts.filter(verdict => verdict === 'FST_JWT_DEVICE_PROOF_REQUIRED').length, 7)

  const { replaceSession } = memory
  let conflicts = 1
  memory.replaceSession = (...args) => conflicts-- > 0 ? false : Reflect.apply(replaceSession, memory, args)
  movableTime(t).advance(1201)
  t.equal((await browser.refreshWith(null)).statusCode, 403, 'a challenge is asked for while the session changes')
  t.equal(conflicts, -1, 'it was written at the second attempt')

  memory.replaceSession = () => false
  t.equal(verdictOf(await browser.refreshWith(browser.device.refresh({ jti: browser.challenge }))), 'FST_JWT_STORE_UNAVAILABLE', 'a store that never gets done')
})

t.test('a browser that nothing can be done for is told that its session has ended', async t => {
  const time = movableTime(t)
  const app = await boundApp(t, { refreshExpires: 2000 })
  const browser = await bound(app)
  const id = browser.instructions?.session_identifier ?? ''
  const refreshAs = (identifier: string) => browser.send('POST', '/device-binding/refresh', { 'sec-secure-session-id': identifier })
  for (const identifier of ['', 'x', id.slice(0, -1), `${id.slice(0, -2)}AA`, id.replace(/^.{8}/, '00000000'), `"${id}`]) {
    const response = await refreshAs(identifier)
    t.equal(response.statusCode, 401, identifier)
    t.equal(response.headers['secure-session-challenge'], undefined)
  }
  t.equal((await browser.send('POST', '/device-binding/refresh')).statusCode, 401)
  t.equal((await refreshAs(`"${id}"`)).statusCode, 403, 'the id may be a quoted string')
  t.equal(verdictOf(await browser.refreshWith('no proof')), 'FST_JWT_DEVICE_PROOF_INVALID')

  time.advance(2001)
  t.equal(verdictOf(await browser.refresh()), 'FST_JWT_EXPIRED')
  const revoked = await bound(app)
  await app.jwt.revokeToken(revoked.cookies.get(refreshCookie) as string)
  t.equal(verdictOf(await revoked.refresh()), 'FST_JWT_REVOKED', 'its refresh token was revoked alone')
  const ended = await bound(app)
  await app.jwt.revokeAllSessions('ada')
  t.equal(verdictOf(await ended.refresh()), 'FST_JWT_REVOKED')
})

t.test('a bound session ends at sessionMaxAge', async t => {
  const time = movableTime(t)
  const app = await boundApp(t, { sessionMaxAge: 1000 })
  const browser = await bound(app)
  time.advance(900)
  t.equal((await browser.refresh()).statusCode, 200)
  time.advance(101)
  t.equal(verdictOf(await browser.refresh()), 'FST_JWT_EXPIRED')
})

t.test('a session that ends while its refresh is under way is ended for good', async t => {
  const time = movableTime(t)
  const store = new MemoryStore()
  t.teardown(() => { store.close() })
  const app = await boundApp(t, { store, sessionMaxAge: 1000 })
  const browser = await bound(app)
  const { isDenied } = store
  store.isDenied = (...args) => {
    time.advance(1001)
    return Reflect.apply(isDenied, store, args)
  }
  t.equal(verdictOf(await browser.refresh()), 'FST_JWT_EXPIRED')
  t.same(await app.jwt.listSessions('ada'), [])
})

t.test('claims that have changed come with the next refresh', async t => {
  const app = await boundApp(t)
  const browser = await bound(app)
  const [session] = await app.jwt.listSessions('ada')
  await app.jwt.updateSession(session?.id ?? '', { claims: { roles: ['admin'] }, metadata: { device: 'laptop' }, now: true })
  t.equal(verdictOf(await browser.send('GET', '/me')), 'FST_JWT_STALE')
  t.equal((await browser.refresh()).statusCode, 200)
  t.match((await browser.send('GET', '/me')).json(), { bound: true, claims: { roles: ['admin'] } })
  t.match(await app.jwt.listSessions('ada'), [{ bound: true, metadata: { device: 'laptop' } }])
})

t.test('implicit refresh renews no cookie of a bound session', async t => {
  const time = movableTime(t)
  const app = await boundApp(t, { implicitRefresh: 600 })
  const [unbound, browser] = [await signedIn(app), await signedIn(app)]
  const early = browser.copy()
  await browser.register()
  time.advance(400)
  t.equal((await unbound.send('GET', '/me')).cookies.length, 1)
  t.equal((await browser.send('GET', '/me')).cookies.length, 0)
  t.equal((await early.send('GET', '/me')).cookies.length, 0, 'nor one from before the binding')
})

t.test('a login that is fresh for a time stays so for the rest of it', async t => {
  const app = await boundApp(t)
  const time = movableTime(t)
  for (const [fresh, wait, expected] of [[200, 10, 200], [5, 10, 'FST_JWT_FRESH_REQUIRED'], [false, 0, 'FST_JWT_FRESH_REQUIRED']] as const) {
    const browser = new SoftwareBrowser(app)
    const login = await app.inject({ method: 'POST', url: '/login', body: { fresh }, headers: { 'x-forwarded-proto': 'https', host: 'app.example.test' } })
    browser.receive(login)
    time.advance(wait)
    t.equal((await browser.register()).statusCode, 200)
    t.equal((await browser.send('GET', '/me')).json().claims.fresh !== false, expected === 200)
  }
})

t.test('the store down and back: 503, and nothing has ended', async t => {
  const store = new MemoryStore()
  t.teardown(() => { store.close() })
  const app = await boundApp(t, { store })
  const [browser, unbound] = [await bound(app), await signedIn(app)]
  const { getSession, checkToken } = store
  store.getSession = () => { throw new Error('down') }
  store.checkToken = () => { throw new Error('down') }
  t.equal(verdictOf(await browser.refresh()), 'FST_JWT_STORE_UNAVAILABLE')
  t.equal((await browser.refresh()).statusCode, 503)
  t.equal((await unbound.register()).statusCode, 503)
  Object.assign(store, { getSession, checkToken })
  t.equal((await browser.refresh()).statusCode, 200)
  t.equal((await unbound.register()).statusCode, 200)
})

t.test('what a hook of the app answers is no verdict on the session', async t => {
  let answer: (() => { status: number, headers?: Record<string, string>, body?: unknown }) | null = null
  const app = await appWith(t, {}, app => {
    app.addHook('onRequest', async (_request, reply) => {
      if (answer === null) return
      const { status, headers = {}, body = {} } = answer()
      return reply.code(status).headers(headers).send(body)
    })
  })
  const browser = await bound(app)
  for (const status of [200, 302, 400, 401, 403, 404, 429, 500]) {
    answer = () => ({ status, headers: { 'retry-after': '7' } })
    const response = await browser.refresh()
    t.equal(response.statusCode, status === 500 ? 500 : 503, `${status}`)
    t.equal(response.headers['retry-after'], '7')
  }
  answer = () => { throw Object.assign(new Error('no'), { statusCode: 403 }) }
  t.equal((await browser.refresh()).statusCode, 503)
  answer = null
  t.equal((await browser.refresh()).statusCode, 200)
})

t.test('hooks and guards on all routes let these pass, and an error handler changes no verdict', async t => {
  const store = new MemoryStore()
  t.teardown(() => { store.close() })
  const open = await boundApp(t, { store })
  const whole = await appWith(t, { store, protect: true }, () => {}, app => {
    app.setErrorHandler(async (_error, _request, reply) => reply.code(200).send('all is well'))
    app.addHook('onRequest', crossOriginProtection)
    app.addHook('onRequest', jwtRequired)
    app.addHook('onRequest', deviceProof())
    app.addHook('preHandler', allOf(deviceBound, guard(() => false)))
    app.addHook('preHandler', role('admin'))
  })
  const browser = await signedIn(open)
  browser.app = whole
  t.equal((await browser.send('GET', '/me')).body, 'all is well', 'another route is refused')
  t.equal((await browser.register()).json().refresh_url, '/device-binding/refresh')
  t.equal((await browser.refresh()).statusCode, 200)
  browser.cookies.clear()
  t.equal((await browser.send('POST', '/device-binding/registration')).statusCode, 401)
  t.equal((await browser.send('POST', '/device-binding/refresh', { 'sec-fetch-site': 'cross-site' })).statusCode, 401)
  t.equal((await browser.refreshWith(null)).statusCode, 403)
  t.equal((await browser.refresh()).statusCode, 200, 'a refresh that begins on another site brings no cookie')
})

t.test('the document of @fastify/swagger has no word of them, and says what the guards require', async t => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(swagger, { openapi: { openapi: '3.1.0' } })
  await app.register(jwt, bindingOptions)
  addRoutes(app)
  await app.ready()
  const { paths } = app.swagger() as unknown as { paths: Record<string, Record<string, object>> }
  t.same(Object.keys(paths).filter(path => path.startsWith('/device-binding')), [])
  t.match(paths['/vault']?.['get'], { 'x-jwt': { token: 'access', requires: 'a session bound to its device' } })
  t.match(paths['/transfer']?.['post'], { 'x-jwt': { token: 'access', requires: 'a session bound to its device' } })
})

t.test('a fault of the app is answered by its error handler, and ends nothing', async t => {
  for (const option of ['isRevoked', 'decodeKey']) {
    const app = await boundApp(t, { [option]: () => { throw new Error('a fault') } })
    const browser = await signedIn(app)
    t.equal((await browser.register()).statusCode, 500, option)
  }
  const app = await boundApp(t, { isRevoked: (() => undefined) as never })
  t.match((await (await signedIn(app)).register()).json(), { statusCode: 500, message: 'Authentication is not set up correctly' }, 'a client learns nothing of the options')
})

t.test('double submit: the CSRF token of a page outlives registration and refresh', async t => {
  const app = await boundApp(t, { csrfProtection: 'double-submit' })
  const browser = await signedIn(app)
  const csrf = browser.cookies.get('csrf_access_token') as string
  await browser.register()
  await browser.refresh()
  t.equal(browser.cookies.get('csrf_access_token'), csrf)
  t.equal((await browser.send('POST', '/change', { 'x-csrf-token': csrf })).statusCode, 200)
  t.equal(verdictOf(await browser.send('POST', '/change')), 'FST_JWT_CSRF')
})

t.test('a request whose refresh was skipped signs nobody out', async t => {
  const app = await boundApp(t)
  const browser = await bound(app)
  const skipped = { 'secure-session-skipped': `unreachable;session_identifier="${browser.instructions?.session_identifier}"` }
  browser.cookies.delete(cookie)
  const response = await browser.send('GET', '/me', skipped)
  t.equal(response.statusCode, 503)
  t.equal(verdictOf(response), 'FST_JWT_DEVICE_REFRESH_SKIPPED')
  t.equal(verdictOf(await browser.send('GET', '/me')), 'FST_JWT_MISSING_TOKEN')
  browser.cookies.set(cookie, 'nonsense')
  t.equal(verdictOf(await browser.send('GET', '/me', skipped)), 'FST_JWT_INVALID_TOKEN', 'what no refresh would mend stays as it is')
  const without = await boundApp(t, { deviceBinding: false })
  t.equal(verdictOf(await new SoftwareBrowser(without).send('GET', '/me', skipped)), 'FST_JWT_MISSING_TOKEN')
})

t.test('a logout ends the session, and the browser learns it from its next refresh', async t => {
  const app = await boundApp(t)
  const browser = await bound(app)
  t.same((await browser.send('POST', '/logout')).json(), { ended: true })
  t.equal(browser.cookies.size, 0)
  t.equal((await browser.refresh()).statusCode, 401)

  const other = await bound(app)
  await other.send('POST', '/forget')
  t.equal((await other.refresh()).statusCode, 401, 'cookies that were only cleared do not come back either')

  const plain = await signedIn(app)
  await plain.send('POST', '/forget')
  t.equal((await app.jwt.listSessions('ada')).length, 1, 'a session that is not bound stays, as before')
})

t.test('a login in place of a bound session ends that one, so that it does not come back', async t => {
  const app = await boundApp(t)
  const browser = await bound(app)
  const { instructions, challenge } = browser
  t.equal((await browser.send('POST', '/login')).statusCode, 200)
  await browser.register()
  const [session, ...others] = await app.jwt.listSessions('ada')
  t.match(session, { bound: true })
  t.same(others, [])
  const next = browser.instructions
  Object.assign(browser, { instructions, challenge })
  t.equal((await browser.refresh()).statusCode, 401, 'the browser drops the session before')
  browser.instructions = next
  t.equal((await browser.refresh()).statusCode, 200)
})

t.test('a login stands if the session before could not be ended', async t => {
  const store = new MemoryStore()
  t.teardown(() => { store.close() })
  const app = await boundApp(t, { store })
  const browser = await bound(app)
  const { getSession } = store
  store.getSession = () => { throw new Error('down') }
  t.equal((await browser.send('POST', '/login')).statusCode, 200)
  store.getSession = getSession
  t.equal((await browser.send('GET', '/me')).statusCode, 200)
})

t.test('deviceBound passes what a device has proved, and composes', async t => {
  const app = await boundApp(t)
  app.get('/either', { onRequest: jwtRequired, preHandler: anyOf(role('admin'), deviceBound) }, async () => ({}))
  app.get('/neither', { onRequest: jwtRequired, preHandler: not(deviceBound) }, async () => ({}))
  const browser = await signedIn(app)
  const refused = await browser.send('GET', '/vault')
  t.equal(verdictOf(refused), 'FST_JWT_FORBIDDEN')
  t.equal(refused.json().message, 'Missing device binding')
  t.equal((await browser.send('GET', '/either')).json().message, 'Missing role: admin or device binding')
  t.equal((await browser.send('GET', '/neither')).statusCode, 200)
  await browser.register()
  for (const path of ['/vault', '/either']) t.equal((await browser.send('GET', path)).statusCode, 200)
  t.equal((await browser.send('GET', '/neither')).json().message, 'Not for a session bound to its device')
  t.throws(() => app.jwt.createAccessToken('ada', { claims: { bound: true } }), /'bound'/, 'no app writes the claim by itself')
})

t.test('deviceProof sends a request back until the device has proved itself', async t => {
  const time = movableTime(t)
  const app = await boundApp(t, { tokenLocation: ['cookies', 'headers'] })
  app.post('/open', { onRequest: deviceProof() }, async () => ({}))
  const browser = await signedIn(app)
  t.equal(verdictOf(await browser.send('POST', '/transfer')), 'FST_JWT_FORBIDDEN', 'a session that is not bound')
  t.equal(verdictOf(await browser.send('POST', '/open')), 'FST_JWT_MISSING_TOKEN', 'nobody')
  await browser.register()
  t.equal((await browser.send('POST', '/transfer')).statusCode, 200)

  time.advance(11)
  const thief = browser.copy()
  for (const [url, location] of [['/transfer', './transfer'], ['/transfer?to=https://a.test/b', './transfer?to=https://a.test/b']] as const) {
    const response = await browser.copy().send('POST', url)
    t.equal(response.statusCode, 307)
    t.equal(response.headers.location, location)
  }
  t.equal((await browser.send('POST', '/transfer')).statusCode, 307)
  t.notOk(browser.cookies.has(cookie), 'the browser has to refresh')
  t.equal((await browser.refresh()).statusCode, 200)
  t.equal((await browser.send('POST', '/transfer')).statusCode, 200)

  t.equal((await thief.send('POST', '/transfer')).statusCode, 307)
  t.equal(verdictOf(await thief.send('POST', '/transfer')), 'FST_JWT_MISSING_TOKEN', 'a copy does not come back')
  const token = browser.cookies.get(cookie) as string
  browser.cookies.clear()
  t.equal(verdictOf(await browser.send('POST', '/transfer', { authorization: `Bearer ${token}` })), 'FST_JWT_FORBIDDEN', 'a token in a header')
  t.throws(() => deviceProof({ maxAge: 9 }), { code: 'FST_JWT_BAD_OPTION' })
  t.throws(() => deviceProof({ maxage: 60 } as object), { code: 'FST_JWT_BAD_OPTION' })
})

t.test('the routes lie under the prefix of their context', async t => {
  const app = Fastify({ trustProxy: true })
  t.teardown(() => app.close())
  await app.register(async app => {
    await app.register(jwt, { ...bindingOptions, deviceBindingPath: '/devices' })
    addRoutes(app)
  }, { prefix: '/shop' })
  const browser = new SoftwareBrowser(app)
  await browser.send('POST', '/shop/login')
  t.equal(browser.registration?.path, '/shop/devices/registration')
  t.equal((await browser.register()).statusCode, 200)
  t.equal(browser.instructions?.refresh_url, '/shop/devices/refresh')
  t.equal((await browser.refresh()).statusCode, 200)
})

t.test('options that can\'t work together stop start-up', async t => {
  const { publicKey } = new Device().keyPair
  const cases: Array<[JwtExtendedOptions, string, RegExp]> = [
    [{ tokenLocation: 'headers' }, 'deviceBinding', /add 'cookies' to tokenLocation/],
    [{ store: false }, 'deviceBinding', /needs a store/],
    [{ accessExpires: 299 }, 'accessExpires', /at least 300/],
    [{ accessExpires: false }, 'accessExpires', /at least 300/],
    [{ cookieSecure: false }, 'deviceBinding', /Secure/],
    [{ cookieDomain: 'example.test' }, 'deviceBinding', /includeSite: true/],
    [{ deviceBinding: { includeSite: true } }, 'deviceBinding', /set cookieDomain/],
    [{ deviceBinding: { includeSite: 1 } as object }, 'deviceBinding.includeSite', /true or false/],
    [{ deviceBinding: { site: true } as object }, 'deviceBinding.site', /is unknown/],
    [{ deviceBinding: 'yes' as unknown as boolean }, 'deviceBinding', /true, false, or an object/],
    [{ deviceBinding: { allowedRefreshInitiators: ['https://a.test'] } }, 'deviceBinding.allowedRefreshInitiators[0]', /a host/],
    [{ deviceBindingPath: 'devices' }, 'deviceBindingPath', /a path/],
    [{ deviceBinding: false, deviceBindingPath: '/devices' }, 'deviceBindingPath', /does nothing/],
    [{ accessCookiePath: '/api' }, 'deviceBindingPath', /accessCookiePath/],
    [{ accessCookiePath: '/device' }, 'deviceBindingPath', /accessCookiePath/],
    [{ secretKey: undefined, publicKey, algorithm: 'ES256' }, 'deviceBinding', /privateKey/]
  ]
  for (const [options, option, problem] of cases) {
    const app = Fastify()
    await t.rejects(async () => app.register(jwt, ownKey({ ...bindingOptions, ...options })), { code: 'FST_JWT_BAD_OPTION', message: new RegExp(`option '${option.replace(/[[\].]/g, '\\$&')}' .*${problem.source}`) })
  }
  const app = Fastify()
  await t.rejects(async () => app.register(async app => { await app.register(jwt, bindingOptions) }, { prefix: '/:tenant' }), /has a parameter/)
})

t.test('events tell of sessions bound, refreshed and refused', async t => {
  const events: Array<[string, unknown]> = []
  const listen = (message: unknown, name: string | symbol) => { events.push([String(name), message]) }
  const names = ['device.bound', 'device.refreshed', 'device.refused'].map(name => `fastify-jwt-extended:${name}`)
  for (const name of names) subscribe(name, listen)
  t.teardown(() => { for (const name of names) unsubscribe(name, listen) })
  const app = await boundApp(t)
  const browser = await signedIn(app)
  await browser.register('no proof at all')
  await browser.register()
  await browser.refresh()
  await browser.refreshWith('no.proof.either')
  await browser.refreshWith(null)
  await browser.send('POST', '/device-binding/refresh', { 'sec-secure-session-id': 'whatever-a-client-has-made-up' })
  const sessionId = browser.instructions?.session_identifier.slice(0, 36)
  t.match(events, [
    ['fastify-jwt-extended:device.refused', { code: 'FST_JWT_DEVICE_PROOF_INVALID', reason: 'Invalid device proof: malformed', registration: true, sessionId: null, requestId: /./ }],
    ['fastify-jwt-extended:device.bound', { sessionId, identity: 'ada', algorithm: 'ES256' }],
    ['fastify-jwt-extended:device.refreshed', { sessionId, identity: 'ada' }],
    ['fastify-jwt-extended:device.refused', { code: 'FST_JWT_DEVICE_PROOF_INVALID', registration: false, sessionId }],
    ['fastify-jwt-extended:device.refused', { code: 'FST_JWT_REVOKED', registration: false, sessionId: null }]
  ])
  t.equal(events.length, 5, 'a browser that asks for a challenge is not refused')
})
