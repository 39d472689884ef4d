import Fastify from 'fastify'
import t from 'tap'
import jwt, { jwtRequired } from '../../../lib/index.ts'
import { bearer, otherSecretKey, passes, protectedApp, refusals, refused, secretKey, seen } from '../../helpers/protected-app.ts'
import type { Refusal } from '../../helpers/protected-app.ts'
import { claims, forge } from '../../helpers/forge.ts'

t.test('each hook reads the cookie of its own type', async t => {
  const app = await protectedApp(t, { tokenLocation: 'cookies' })
  const access = app.jwt.createAccessToken('user123', { fresh: true })
  const refresh = app.jwt.createRefreshToken('user456')
  const cookies = { access_token_cookie: access, refresh_token_cookie: refresh }
  for (const url of ['/required', '/optional', '/fresh']) await passes(t, app, { url, cookies }, 'user123', url)
  await passes(t, app, { url: '/refresh', cookies }, 'user456', '/refresh')
  const response = await app.inject({ url: '/required', cookies })
  t.equal(response.json<{ location: string }>().location, 'cookies')
})

t.test('cookies that hold no valid token', async t => {
  const app = await protectedApp(t, { tokenLocation: 'cookies' })
  const good = app.jwt.createAccessToken('user123')
  const table: Record<string, [cookie: string, refusal: Refusal]> = {
    'another cookie': [`other=${good}`, refusals.missing],
    'the name in another case': [`ACCESS_TOKEN_COOKIE=${good}`, refusals.missing],
    'a name that only ends alike': [`x_access_token_cookie=${good}`, refusals.missing],
    'no equals sign': ['access_token_cookie', refusals.missing],
    nonsense: ['access_token_cookie=nonsense', refusals.invalid],
    'a scheme before the token': [`access_token_cookie=Bearer%20${good}`, refusals.invalid],
    'another key': [`access_token_cookie=${forge(claims(), {}, otherSecretKey)}`, refusals.signature],
    expired: [`access_token_cookie=${app.jwt.createAccessToken('user123', { expiresIn: -1 })}`, refusals.expired],
    'a refresh token': [`access_token_cookie=${app.jwt.createRefreshToken('user123')}`, refusals.accessRequired],
    '100 kB': [`access_token_cookie=${'a'.repeat(100_000)}`, refusals.invalid],
    'a broken escape': ['access_token_cookie=%E0%A4%A', refusals.invalid]
  }
  for (const [name, [cookie, refusal]] of Object.entries(table)) {
    await refused(t, app, { url: '/required', headers: { cookie } }, refusal, name)
    await passes(t, app, { url: '/optional', headers: { cookie } }, null, `optional: ${name}`)
  }
  // An empty value may read as no token or as a malformed one.
  for (const cookie of ['access_token_cookie=', 'access_token_cookie=""', 'access_token_cookie=; b=c']) {
    const response = await app.inject({ url: '/required', headers: { cookie } })
    t.ok([400, 401].includes(response.statusCode), `${cookie}: ${response.statusCode}`)
  }
  await passes(t, app, { url: '/required', headers: { cookie: `a=b; access_token_cookie=${good}; c=d` } }, 'user123', 'among others')
})

t.test('a token that comes again is known by itself, whatever other cookies come with it', async t => {
  const app = await protectedApp(t, { tokenLocation: 'cookies' })
  const access = app.jwt.createAccessToken('user123', { fresh: true })
  const another = app.jwt.createAccessToken('user456')
  const refresh = app.jwt.createRefreshToken('user123')
  const header = (token: string, rest = 'theme=dark'): string => `${rest}; access_token_cookie=${token}; refresh_token_cookie=${refresh}`
  for (const rest of ['theme=dark', 'theme=dark', 'theme=dark', 'theme=light', 'theme=dark', `theme=${'x'.repeat(2000)}`]) {
    for (const url of ['/required', '/fresh', '/refresh']) await passes(t, app, { url, headers: { cookie: header(access, rest) } }, 'user123', `${url}, ${rest.slice(0, 20)}`)
    await passes(t, app, { url: '/required', headers: { cookie: header(another, rest) } }, 'user456', 'another')
  }
  const [head, body, signature] = access.split('.') as [string, string, string]
  const forged = `${head}.${Buffer.from(JSON.stringify(claims({ sub: 'admin' }))).toString('base64url')}.${signature}`
  await refused(t, app, { url: '/required', headers: { cookie: header(forged) } }, refusals.signature, 'other claims under its signature')
  await refused(t, app, { url: '/required', headers: { cookie: header(`${head}.${body}`) } }, refusals.invalid, 'no signature')
  app.jwt.rotateKeys([{ keyId: 'new', secretKey: otherSecretKey }])
  await refused(t, app, { url: '/required', headers: { cookie: header(access) } }, refusals.signature, 'the key is gone')
})

t.test('a token that the app has put in the place of a cookie decides', async t => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(jwt, { secretKey, tokenLocation: 'cookies' })
  app.addHook('onRequest', async request => {
    const { 'x-as': as } = request.headers
    if (as !== undefined) request.cookies['access_token_cookie'] = String(as)
  })
  app.get('/required', { preHandler: jwtRequired }, seen)
  const own = app.jwt.createAccessToken('user123')
  const other = app.jwt.createAccessToken('user456')
  const headers = { cookie: `access_token_cookie=${own}` }
  for (let times = 0; times < 4; times++) {
    await passes(t, app, { url: '/required', headers }, 'user123', 'the browser')
    await passes(t, app, { url: '/required', headers: { ...headers, 'x-as': other } }, 'user456', 'the app')
    await refused(t, app, { url: '/required', headers: { ...headers, 'x-as': `${other.slice(0, -6)}AAAAAA` } }, refusals.signature, 'the app, badly')
  }
})

t.test('names of the cookies are options', async t => {
  const app = await protectedApp(t, { tokenLocation: 'cookies', accessCookieName: 'at', refreshCookieName: 'rt' })
  const access = app.jwt.createAccessToken('user123')
  const refresh = app.jwt.createRefreshToken('user123')
  await passes(t, app, { url: '/required', cookies: { at: access } }, 'user123', 'access')
  await passes(t, app, { url: '/refresh', cookies: { rt: refresh } }, 'user123', 'refresh')
  await refused(t, app, { url: '/required', cookies: { access_token_cookie: access } }, refusals.missing, 'the default name')
})

t.test('cookies are not read where they are no location', async t => {
  const app = await protectedApp(t)
  await refused(t, app, { url: '/required', cookies: { access_token_cookie: app.jwt.createAccessToken('user123') } },
    refusals.missing, 'headers only')
})

t.test('the first location that holds a token of the right type decides, even when that token is bad', async t => {
  const headersFirst = await protectedApp(t, { tokenLocation: ['headers', 'cookies'] })
  const cookiesFirst = await protectedApp(t, { tokenLocation: ['cookies', 'headers'] })
  const inHeader = headersFirst.jwt.createAccessToken('in header')
  const inCookie = headersFirst.jwt.createAccessToken('in cookie')
  const expired = headersFirst.jwt.createAccessToken('expired', { expiresIn: -1 })
  const wrongType = headersFirst.jwt.createRefreshToken('wrong type')
  const request = (header?: string, cookie?: string) => ({
    url: '/required',
    ...header !== undefined && { headers: bearer(header) },
    ...cookie !== undefined && { cookies: { access_token_cookie: cookie } }
  })

  await passes(t, headersFirst, request(inHeader, inCookie), 'in header', 'headers first, both good')
  await passes(t, headersFirst, request(inHeader), 'in header', 'headers first, header alone')
  await passes(t, headersFirst, request(undefined, inCookie), 'in cookie', 'headers first, cookie alone')
  await passes(t, headersFirst, request(inHeader, expired), 'in header', 'headers first, bad cookie')
  await refused(t, headersFirst, request(expired, inCookie), refusals.expired, 'headers first, expired header')
  await refused(t, headersFirst, request('nonsense', inCookie), refusals.invalid, 'headers first, nonsense in the header')
  await passes(t, headersFirst, request(wrongType, inCookie), 'in cookie', 'headers first, wrong type in the header')
  await refused(t, headersFirst, request(wrongType), refusals.accessRequired, 'headers first, wrong type in the header alone')
  await refused(t, headersFirst, request(wrongType, expired), refusals.expired, 'headers first, wrong type in the header, expired cookie')
  await refused(t, headersFirst, request(), refusals.missing, 'headers first, none')

  await passes(t, cookiesFirst, request(inHeader, inCookie), 'in cookie', 'cookies first, both good')
  await passes(t, cookiesFirst, request(inHeader), 'in header', 'cookies first, header alone')
  await passes(t, cookiesFirst, request(undefined, inCookie), 'in cookie', 'cookies first, cookie alone')
  await passes(t, cookiesFirst, request(expired, inCookie), 'in cookie', 'cookies first, bad header')
  await refused(t, cookiesFirst, request(inHeader, expired), refusals.expired, 'cookies first, expired cookie')
  await refused(t, cookiesFirst, request(inHeader, 'nonsense'), refusals.invalid, 'cookies first, nonsense in the cookie')
  await passes(t, cookiesFirst, request(inHeader, wrongType), 'in header', 'cookies first, wrong type in the cookie')
  await refused(t, cookiesFirst, request(), refusals.missing, 'cookies first, none')

  // The optional hook follows the same order: a bad token that decides makes the request anonymous.
  await passes(t, headersFirst, { ...request(expired, inCookie), url: '/optional' }, null, 'optional, expired header')
  await passes(t, headersFirst, { ...request(inHeader, expired), url: '/optional' }, 'in header', 'optional, bad cookie')
})
