import Fastify from 'fastify'
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import type { Test } from 'tap'
import jwt, { verifyJwt } from '../../../lib/index.ts'
import type { VerifyOptions } from '../../../lib/index.ts'
import { forge } from '../../helpers/forge.ts'
import { bearer, otherSecretKey, passes, refusals, refused, secretKey, seen } from '../../helpers/protected-app.ts'
import type { Options, Refusal } from '../../helpers/protected-app.ts'

/** One route that asks for `check` in a hook, one that asks for it in its handler. */
async function appAsking (t: Test, check: VerifyOptions, options: Partial<Options> = {}): Promise<FastifyInstance> {
  const app = Fastify() as unknown as FastifyInstance
  t.teardown(() => app.close())
  await app.register(jwt, { secretKey, ...options } as Options)
  app.all('/hook', { preHandler: verifyJwt(check) }, async request => seen(request))
  app.all('/handler', async request => {
    await request.verifyJwt(check)
    return seen(request)
  })
  return app
}

const tokens = {
  none: () => undefined,
  access: app => app.jwt.createAccessToken('user123'),
  fresh: app => app.jwt.createAccessToken('user123', { fresh: true }),
  'fresh until later': app => app.jwt.createAccessToken('user123', { fresh: '5m' }),
  'fresh until a while ago': app => app.jwt.createAccessToken('user123', { fresh: -1 }),
  refresh: app => app.jwt.createRefreshToken('user123'),
  expired: app => app.jwt.createAccessToken('user123', { expiresIn: -1 }),
  foreign: () => 'nonsense'
} as const satisfies Record<string, (app: FastifyInstance) => string | undefined>

type Verdict = 'user123' | null | Refusal
const { missing, expired, invalid, accessRequired, refreshRequired, freshRequired } = refusals
const pass = 'user123'

/** Verdict by token, in the order of `tokens`. */
const table: ReadonlyArray<[VerifyOptions, ...Verdict[]]> = [
  //                                         none     access         fresh  f. later  f. ago        refresh          expired  foreign
  [{}, /*                                 */ missing, pass, /*     */ pass, pass, /**/ pass, /*   */ accessRequired, expired, invalid],
  [{ type: 'access' }, /*                 */ missing, pass, /*     */ pass, pass, /**/ pass, /*   */ accessRequired, expired, invalid],
  [{ type: 'refresh' }, /*                */ missing, refreshRequired, refreshRequired, refreshRequired, refreshRequired, pass, expired, invalid],
  [{ type: 'any' }, /*                    */ missing, pass, /*     */ pass, pass, /**/ pass, /*   */ pass, /*     */ expired, invalid],
  [{ fresh: true }, /*                    */ missing, freshRequired, pass, pass, /* */ freshRequired, accessRequired, expired, invalid],
  [{ optional: true }, /*                 */ null, /**/ pass, /*   */ pass, pass, /**/ pass, /*   */ null, /*     */ null, /**/ null],
  [{ optional: true, fresh: true }, /*    */ null, /**/ null, /*   */ pass, pass, /**/ null, /*   */ null, /*     */ null, /**/ null],
  [{ optional: true, type: 'refresh' }, /**/ null, /**/ null, /*   */ null, null, /**/ null, /*   */ pass, /*     */ null, /**/ null],
  [{ optional: 'strict' }, /*             */ null, /**/ pass, /*   */ pass, pass, /**/ pass, /*   */ accessRequired, expired, invalid],
  [{ optional: 'strict', fresh: true }, /**/ null, /**/ freshRequired, pass, pass, /**/ freshRequired, accessRequired, expired, invalid],
  [{ optional: 'strict', type: 'any' }, /**/ null, /**/ pass, /*   */ pass, pass, /**/ pass, /*   */ pass, /*     */ expired, invalid],
  [{ optional: false, fresh: false, skipRevocationCheck: false }, missing, pass, pass, pass, pass, accessRequired, expired, invalid]
]

for (const [check, ...verdicts] of table) {
  t.test(`verifyJwt(${JSON.stringify(check)})`, async t => {
    const app = await appAsking(t, check)
    for (const [index, [name, make]] of Object.entries(tokens).entries()) {
      const token = make(app)
      const verdict = verdicts[index]
      for (const url of ['/hook', '/handler']) {
        const request = { url, headers: token === undefined ? {} : bearer(token) }
        if (verdict === null || verdict === 'user123') await passes(t, app, request, verdict, `${name}, ${url}`)
        else await refused(t, app, request, verdict as Refusal, `${name}, ${url}`)
      }
    }
  })
}

t.test('a malformed header is refused by a strict hook, and anonymous to an optional one', async t => {
  const strict = await appAsking(t, { optional: 'strict' })
  await refused(t, strict, { url: '/hook', headers: { authorization: 'Bearer' } }, refusals.badRequest, 'strict')
  const optional = await appAsking(t, { optional: true })
  await passes(t, optional, { url: '/hook', headers: { authorization: 'Bearer' } }, null, 'optional')
})

t.test('locations of a hook go before those of the app, in their own order', async t => {
  const app = await appAsking(t, { locations: ['queryString', 'cookies'] }, { tokenLocation: ['headers', 'cookies'] })
  const [header, cookie, query] = ['header', 'cookie', 'query'].map(identity => app.jwt.createAccessToken(identity)) as [string, string, string]
  const all = { headers: bearer(header), cookies: { access_token_cookie: cookie }, query: { jwt: query } }
  for (const url of ['/hook', '/handler']) {
    await passes(t, app, { url, ...all }, 'query', 'every place')
    await passes(t, app, { url, ...all, query: {} }, 'cookie', 'header and cookie')
    await refused(t, app, { url, headers: bearer(header) }, missing, 'the header alone')
  }
  const single = await appAsking(t, { locations: 'json' })
  await passes(t, single, { method: 'POST', url: '/hook', payload: { access_token: single.jwt.createAccessToken('user123') } }, 'user123', 'one location')
})

t.test("type 'any' looks under the names of both types, access first", async t => {
  const app = await appAsking(t, { type: 'any' }, { tokenLocation: ['cookies', 'json'] })
  const access = app.jwt.createAccessToken('access')
  const refresh = app.jwt.createRefreshToken('refresh')
  const request = { method: 'POST' as const, url: '/hook' }
  await passes(t, app, { ...request, cookies: { refresh_token_cookie: refresh } }, 'refresh', 'the refresh cookie')
  await passes(t, app, { ...request, cookies: { refresh_token_cookie: refresh, access_token_cookie: access } }, 'access', 'both cookies')
  await passes(t, app, { ...request, payload: { refresh_token: refresh } }, 'refresh', 'the refresh key')
  await passes(t, app, { ...request, payload: { refresh_token: refresh, access_token: access } }, 'access', 'both keys')
  await passes(t, app, { ...request, cookies: { refresh_token_cookie: refresh }, payload: { access_token: access } }, 'refresh', 'a cookie before the body')
})

t.test("with type 'any', an access token that has expired hides no refresh token: who is signed in stays so", async t => {
  for (const optional of [false, true, 'strict'] as const) {
    const app = await appAsking(t, { type: 'any', optional }, { tokenLocation: 'cookies' })
    const ask = async (access: string, refresh: string) => app.inject({ url: '/hook', cookies: { access_token_cookie: access, refresh_token_cookie: refresh } })
    const session = await app.jwt.createSession('ada')
    const expired = app.jwt.createAccessToken('ada', { expiresIn: -1 })
    t.match((await ask(expired, session.refreshToken)).json(), { identity: 'ada', claims: { type: 'refresh' } })
    t.match((await ask(session.accessToken, session.refreshToken)).json(), { identity: 'ada', claims: { type: 'access' } })
    await app.jwt.updateSession(session.sessionId, { claims: { role: 'admin' }, now: true })
    t.match((await ask(session.accessToken, session.refreshToken)).json(), { identity: 'ada', claims: { type: 'refresh' } }, 'a stale one neither')
    const refusedAs = async (access: string, refresh: string): Promise<unknown> => {
      const response = await ask(access, refresh)
      return response.statusCode === 200 ? response.json().identity : response.json().code
    }
    const code = (code: string): string | null => optional === true ? null : code
    t.equal(await refusedAs(expired, app.jwt.createRefreshToken('ada', { expiresIn: -1 })), code('FST_JWT_EXPIRED'))
    t.equal(await refusedAs(expired, ''), code('FST_JWT_EXPIRED'), 'alone')
    const { accessToken, refreshToken, sessionId } = await app.jwt.createSession('ada')
    await app.jwt.revokeSession(sessionId)
    t.equal(await refusedAs(expired, refreshToken), code('FST_JWT_EXPIRED'), 'a client refreshes, and is told then')
    t.equal(await refusedAs(accessToken, session.refreshToken), code('FST_JWT_REVOKED'), 'one that was revoked decides')
    t.equal(await refusedAs(forge({ sub: 'ada', exp: 1 }, {}, otherSecretKey), session.refreshToken), code('FST_JWT_INVALID_SIGNATURE'), 'and one that is not genuine')
  }
})

t.test("with type 'any', an expired token lets no token of another location decide, which may be another user's", async t => {
  const app = await appAsking(t, { type: 'any' }, { tokenLocation: ['headers', 'cookies', 'json'], dpop: 'allowed' })
  const expired = app.jwt.createAccessToken('ada', { expiresIn: -1 })
  const [access, refresh] = [app.jwt.createAccessToken('bob'), app.jwt.createRefreshToken('bob')]
  const request = { method: 'POST' as const, url: '/hook' }
  for (const scheme of ['Bearer', 'DPoP']) {
    for (const cookies of [{ access_token_cookie: access }, { refresh_token_cookie: refresh }]) {
      const response = await app.inject({ ...request, headers: { authorization: `${scheme} ${expired}` }, cookies })
      t.match([response.statusCode, response.json()], [401, { code: 'FST_JWT_EXPIRED' }], scheme)
    }
  }
  t.match((await app.inject({ ...request, cookies: { access_token_cookie: expired }, payload: { access_token: access } })).json(), { code: 'FST_JWT_EXPIRED' }, 'the body')
  await passes(t, app, { ...request, cookies: { access_token_cookie: expired, refresh_token_cookie: refresh } }, 'bob', 'the cookie beside it')
  await passes(t, app, { ...request, payload: { access_token: expired, refresh_token: refresh } }, 'bob', 'the field beside it')
})

t.test("with type 'any', several access cookies hide no refresh cookie if one of them is over", async t => {
  const app = await appAsking(t, { type: 'any' }, { tokenLocation: 'cookies' })
  const { accessToken, refreshToken, sessionId } = await app.jwt.createSession('ada')
  await app.jwt.updateSession(sessionId, { claims: { role: 'admin' }, now: true })
  const revoked = app.jwt.createAccessToken('ada')
  await app.jwt.revokeToken(revoked)
  for (const over of [accessToken, app.jwt.createAccessToken('ada', { expiresIn: -1 })]) {
    for (const other of ['a.b.c', revoked]) {
      for (const [first, second] of [[over, other], [other, over]]) {
        await passes(t, app, { url: '/hook', headers: { cookie: `access_token_cookie=${first}; access_token_cookie=${second}; refresh_token_cookie=${refreshToken}` } }, 'ada', 'either order')
      }
    }
  }
  const verdict = await app.inject({ url: '/hook', headers: { cookie: `access_token_cookie=${revoked}; refresh_token_cookie=${refreshToken}` } })
  t.match(verdict.json(), { code: 'FST_JWT_REVOKED' })
})

t.test("with type 'any' and double submit, an access cookie that is over is answered so that a client refreshes", async t => {
  const app = await appAsking(t, { type: 'any' }, { tokenLocation: 'cookies', csrfProtection: 'double-submit' })
  const { refreshToken } = await app.jwt.createSession('ada')
  const expired = app.jwt.createAccessToken('ada', { expiresIn: -1 })
  const ask = (csrf: string) => ({ method: 'POST' as const, url: '/hook', cookies: { access_token_cookie: expired, refresh_token_cookie: refreshToken }, headers: { 'x-csrf-token': csrf } })
  await refused(t, app, ask(app.jwt.getCsrfToken(expired) ?? ''), refusals.expired, 'the CSRF token of the access cookie')
  await passes(t, app, ask(app.jwt.getCsrfToken(refreshToken) ?? ''), 'ada', 'that of the refresh cookie')
})

t.test('an option that is unknown or of the wrong kind is an error at once, named', async t => {
  for (const [options, message] of [
    [null, /'verifyJwt' takes an object of options, got null/],
    ['refresh', /'verifyJwt' takes an object of options, got a string/],
    [{ refresh: true }, /'verifyJwt\.refresh' is unknown; the options are type, fresh, optional, locations, skipRevocationCheck/],
    [{ type: 'session' }, /'verifyJwt\.type' takes "access", "refresh", "any", got "session"/],
    [{ type: null }, /'verifyJwt\.type'/],
    [{ fresh: 1 }, /'verifyJwt\.fresh' takes true or false, got 1/],
    [{ optional: 'yes' }, /'verifyJwt\.optional'/],
    [{ locations: [] }, /'verifyJwt\.locations' takes one value or several, got an empty array/],
    [{ locations: ['headers', 'body'] }, /'verifyJwt\.locations\[1\]'/],
    [{ locations: ['headers', 'headers'] }, /'verifyJwt\.locations' names the same value twice/],
    [{ skipRevocationCheck: 'no' }, /'verifyJwt\.skipRevocationCheck'/],
    [{ fresh: true, type: 'refresh' }, /'verifyJwt\.fresh' goes with type: 'access' only/],
    [{ fresh: true, type: 'any' }, /'verifyJwt\.fresh' goes with type: 'access' only/],
    [{ __proto__: null, toString: true }, /'verifyJwt\.toString' is unknown/]
  ] as ReadonlyArray<[VerifyOptions, RegExp]>) {
    t.throws(() => verifyJwt(options), { code: 'FST_JWT_BAD_OPTION', message }, String(message))
  }
})

t.test('request.verifyJwt with a bad option rejects, and nobody passes', async t => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(jwt, { secretKey })
  app.get('/', async request => {
    await request.verifyJwt({ typ: 'access' } as VerifyOptions)
    return 'inside'
  })
  const response = await app.inject({ url: '/', headers: bearer(app.jwt.createAccessToken('user123')) })
  t.equal(response.statusCode, 500)
  t.equal(response.json().code, 'FST_JWT_BAD_OPTION')
})

t.test('cookies as the location of a hook only stop start-up, since nobody would parse them', async t => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(jwt, { secretKey })
  t.throws(() => app.get('/', { preHandler: verifyJwt({ locations: 'cookies' }) }, async () => ({})),
    { code: 'FST_JWT_BAD_OPTION', message: /'verifyJwt\.locations'.*tokenLocation/ })
})

t.test('a hook takes its options as they were when it was made', async t => {
  const check: VerifyOptions = { locations: ['headers'] }
  const hook = verifyJwt(check)
  check.optional = true
  ;(check.locations as string[])[0] = 'queryString'
  const app = Fastify() as unknown as FastifyInstance
  t.teardown(() => app.close())
  await app.register(jwt, { secretKey })
  app.get('/', { preHandler: hook }, async request => seen(request))
  await refused(t, app, { url: '/' }, missing, 'no token')
  await passes(t, app, { url: '/', headers: bearer(app.jwt.createAccessToken('user123')) }, 'user123', 'a token in the header')
})
