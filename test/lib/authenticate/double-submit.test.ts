import formbody from '@fastify/formbody'
import multipart from '@fastify/multipart'
import Fastify from 'fastify'
import type { FastifyInstance, FastifyRequest, InjectOptions } from 'fastify'
import t from 'tap'
import type { Test } from 'tap'
import jwt, { jwtOptional, jwtRequired, refreshTokenRequired, verifyJwt } from '../../../lib/index.ts'
import { fixtures } from '../../helpers/fixtures/flask-jwt-extended.ts'
import { assertRefused, bearer, passes, refused, refusals, secretKey, seen } from '../../helpers/protected-app.ts'
import type { Options, Refusal } from '../../helpers/protected-app.ts'

async function appWith (t: Test, options: Partial<Options> = {}): Promise<FastifyInstance> {
  const app = Fastify() as unknown as FastifyInstance
  t.teardown(() => app.close())
  await app.register(formbody)
  await app.register(jwt, { secretKey, tokenLocation: ['headers', 'cookies'], csrfProtection: 'double-submit', ...options } as Options)
  const handler = async (request: FastifyRequest) => seen(request)
  app.all('/access', { preHandler: jwtRequired }, handler)
  app.all('/refresh', { preHandler: refreshTokenRequired }, handler)
  app.all('/any', { preHandler: verifyJwt({ type: 'any' }) }, handler)
  app.all('/optional', { preHandler: jwtOptional }, handler)
  app.all('/strict', { preHandler: verifyJwt({ optional: 'strict' }) }, handler)
  app.get('/login', async (_request, reply) => {
    app.jwt.setAccessCookies(reply, app.jwt.createAccessToken('user123'))
    app.jwt.setRefreshCookies(reply, app.jwt.createRefreshToken('user123'))
    return {}
  })
  app.get('/logout', async (_request, reply) => {
    app.jwt.unsetJwtCookies(reply)
    return {}
  })
  await app.ready()
  return app
}

const missing: Refusal = { ...refusals.csrf, message: 'CSRF token is missing' }
const mismatch: Refusal = { ...refusals.csrf, message: 'CSRF token does not match' }

const kinds = ['access', 'refresh'] as const

t.test('the verdicts of Flask-JWT-Extended, on its own tokens, for each method, header, form field and cookie', async t => {
  const { tokens, verdicts } = fixtures.csrf
  t.equal(verdicts.length, 720)
  for (const csrfInCookies of [true, false]) {
    for (const csrfCheckForm of [true, false]) {
      const app = await appWith(t, {
        secretKey: fixtures.secret,
        csrfInCookies,
        csrfCheckForm,
        accessCsrfHeaderName: 'X-Access',
        refreshCsrfHeaderName: 'X-Refresh',
        accessCsrfFieldName: 'access_field',
        refreshCsrfFieldName: 'refresh_field'
      })
      for (const [checkForm, kind, method, header, field, expected] of verdicts) {
        if (checkForm !== csrfCheckForm) continue
        const other = kind === 'access' ? 'refresh' : 'access'
        const right = app.jwt.getCsrfToken(tokens[kind]) ?? ''
        const values = { right, wrong: app.jwt.getCsrfToken(tokens[other]) ?? '', empty: '', other: right, json: right }
        const request: InjectOptions = {
          method,
          url: `/${kind}`,
          cookies: { [`${kind}_token_cookie`]: tokens[kind] },
          headers: {
            ...header === 'none' ? {} : { [`x-${header === 'other' ? other : kind}`]: values[header] },
            ...field === 'none' || field === 'json' ? {} : { 'content-type': 'application/x-www-form-urlencoded' }
          }
        }
        if (field === 'json') request.payload = { [`${kind}_field`]: right }
        else if (field !== 'none') request.payload = `${field === 'other' ? other : kind}_field=${values[field]}`
        const { statusCode } = await app.inject(request)
        const name = `${kind} cookie, ${method}, header ${header}, field ${field}, csrfCheckForm ${csrfCheckForm}, csrfInCookies ${csrfInCookies}`
        if (statusCode !== (expected ? 200 : 403)) t.fail(`${name}: ${statusCode}`)
      }
      t.pass(`csrfCheckForm ${csrfCheckForm}, csrfInCookies ${csrfInCookies}`)
    }
  }
})

/** Value by name of what a login sets. */
async function jar (app: FastifyInstance): Promise<Record<string, string>> {
  return Object.fromEntries((await app.inject('/login')).cookies.map(({ name, value }) => [name, value]))
}

t.test('by default: a companion cookie that scripts can read, sent back as X-CSRF-TOKEN', async t => {
  const app = await appWith(t)
  const login = await app.inject('/login')
  for (const kind of kinds) {
    const token = login.cookies.find(({ name }) => name === `${kind}_token_cookie`)
    const companion = login.cookies.find(({ name }) => name === `csrf_${kind}_token`)
    t.equal(token?.httpOnly, true)
    t.equal(companion?.httpOnly, undefined)
    t.equal(companion?.value, app.jwt.getCsrfToken(token?.value ?? ''))
    t.match(companion, { path: '/', sameSite: 'Lax', maxAge: token?.maxAge })
    const request = { method: 'POST' as const, url: `/${kind}`, cookies: { [`${kind}_token_cookie`]: token?.value ?? '' } }
    await passes(t, app, { ...request, headers: { 'x-csrf-token': companion?.value ?? '' } }, 'user123', kind)
    await refused(t, app, request, missing, `${kind} without`)
    await refused(t, app, { ...request, headers: { 'x-csrf-token': 'nonsense' } }, mismatch, `${kind} with another`)
    await refused(t, app, { ...request, cookies: { ...request.cookies, [`csrf_${kind}_token`]: companion?.value ?? '' } }, missing,
      `${kind}: the cookie alone, which a browser sends by itself, is not enough`)
  }
})

t.test('a header that nearly is the token does not match', async t => {
  const app = await appWith(t)
  const token = app.jwt.createAccessToken('user123')
  const csrf = app.jwt.getCsrfToken(token) ?? ''
  for (const sent of [csrf.slice(1), `${csrf}0`, csrf.toUpperCase(), ` ${csrf}x`, `${csrf}, ${csrf}`, 'ü'.repeat(csrf.length / 2)]) {
    await refused(t, app, { method: 'POST', url: '/access', cookies: { access_token_cookie: token }, headers: { 'x-csrf-token': sent } }, mismatch, sent)
  }
})

t.test('a token without a csrf claim passes for no write', async t => {
  const app = await appWith(t, { secretKey: fixtures.secret })
  const token = fixtures.flask['access without a csrf claim'] ?? ''
  const request = { url: '/access', cookies: { access_token_cookie: token } }
  for (const sent of ['anything', 'undefined', 'null']) {
    await refused(t, app, { ...request, method: 'POST', headers: { 'x-csrf-token': sent } }, mismatch, sent)
  }
  await refused(t, app, { ...request, method: 'POST' }, missing, 'nothing')
  await passes(t, app, { ...request, method: 'GET' }, 'user123', 'GET')
  t.equal(app.jwt.getCsrfToken(token), null)
})

t.test('a token from anywhere but a cookie needs no CSRF token', async t => {
  const app = await appWith(t, { tokenLocation: ['headers', 'queryString', 'json', 'cookies'] })
  const token = app.jwt.createAccessToken('user123')
  await passes(t, app, { method: 'POST', url: '/access', headers: bearer(token) }, 'user123', 'headers')
  await passes(t, app, { method: 'POST', url: '/access', query: { jwt: token } }, 'user123', 'queryString')
  await passes(t, app, { method: 'POST', url: '/access', payload: { access_token: token } }, 'user123', 'json')
})

t.test('an optional hook makes a request without CSRF token anonymous, a strict one refuses it', async t => {
  const app = await appWith(t)
  const cookies = { access_token_cookie: app.jwt.createAccessToken('user123') }
  await passes(t, app, { method: 'POST', url: '/optional', cookies }, null, 'optional')
  await refused(t, app, { method: 'POST', url: '/strict', cookies }, missing, 'strict')
})

t.test("type 'any' takes the CSRF token of the cookie it found", async t => {
  const app = await appWith(t, { accessCsrfHeaderName: 'X-Access', refreshCsrfHeaderName: 'X-Refresh' })
  for (const [kind, token] of [['access', app.jwt.createAccessToken('user123')], ['refresh', app.jwt.createRefreshToken('user123')]] as const) {
    const request = { method: 'POST' as const, url: '/any', cookies: { [`${kind}_token_cookie`]: token } }
    const csrf = app.jwt.getCsrfToken(token) ?? ''
    await passes(t, app, { ...request, headers: { [`x-${kind}`]: csrf } }, 'user123', kind)
    await refused(t, app, { ...request, headers: { [`x-${kind === 'access' ? 'refresh' : 'access'}`]: csrf } }, missing, `${kind}, under the other header`)
  }
})

t.test('csrfInCookies: false sets no companions and clears none; getCsrfToken gives the token', async t => {
  const app = await appWith(t, { csrfInCookies: false })
  t.strictSame(Object.keys(await jar(app)).sort(), ['access_token_cookie', 'refresh_token_cookie'])
  t.equal((await app.inject('/logout')).cookies.length, 2)
  const token = app.jwt.createAccessToken('user123')
  t.match(app.jwt.getCsrfToken(token), /^[0-9a-f-]{36}$/)
})

t.test('names and paths of the companions are options, and clearing uses the same', async t => {
  const app = await appWith(t, {
    accessCsrfCookieName: 'ac',
    refreshCsrfCookieName: 'rc',
    accessCsrfCookiePath: '/app',
    refreshCsrfCookiePath: '/auth',
    cookieDomain: 'example.com',
    cookieSecure: true,
    cookieSamesite: 'Strict'
  })
  for (const url of ['/login', '/logout']) {
    const { cookies } = await app.inject(url)
    const shared = { domain: 'example.com', secure: true, sameSite: 'Strict' }
    t.match(cookies.findLast(({ name }) => name === 'ac'), { ...shared, path: '/app' }, url)
    t.match(cookies.findLast(({ name }) => name === 'rc'), { ...shared, path: '/auth' }, url)
  }
})

t.test('sessionCookie: true makes companions that end with the browser, too', async t => {
  const app = await appWith(t, { sessionCookie: true })
  for (const cookie of (await app.inject('/login')).cookies) {
    t.equal(cookie.maxAge, undefined, cookie.name)
    t.equal(cookie.expires, undefined, cookie.name)
  }
})

t.test('without double submit there is no csrf claim and no companion', async t => {
  for (const csrfProtection of ['fetch-metadata', false] as const) {
    const app = await appWith(t, { csrfProtection })
    t.strictSame(Object.keys(await jar(app)).sort(), ['access_token_cookie', 'refresh_token_cookie'])
    t.equal(app.jwt.getCsrfToken(app.jwt.createAccessToken('user123')), null)
  }
})

t.test('csrfMethods says which methods need the token', async t => {
  const app = await appWith(t, { csrfMethods: ['get'] })
  const cookies = { access_token_cookie: app.jwt.createAccessToken('user123') }
  await refused(t, app, { method: 'GET', url: '/access', cookies }, missing, 'GET')
  await passes(t, app, { method: 'POST', url: '/access', cookies }, 'user123', 'POST')
  // A page has no way to send a header with it; its origin is checked instead.
  const upgrade = { connection: 'Upgrade', upgrade: 'websocket' }
  await passes(t, app, { method: 'GET', url: '/access', cookies, headers: upgrade }, 'user123', 'a WebSocket upgrade')
  await refused(t, app, { method: 'GET', url: '/access', cookies, headers: { ...upgrade, 'sec-fetch-site': 'cross-site' } },
    { ...refusals.csrf, message: 'Cross-origin request refused' }, 'one of another origin')
})

const crossSite = { 'sec-fetch-site': 'cross-site' }
const sameOrigin = { 'sec-fetch-site': 'same-origin' }

t.test('each protection, both, and none: what a cross-site page and a request without CSRF token get', async t => {
  for (const [csrfProtection, verdicts] of [
    //                                         both right, no token,  cross-site, neither
    ['double-submit', /*                  */ [200, 'missing', 200, 'missing']],
    ['fetch-metadata', /*                 */ [200, 200, 'crossOrigin', 'crossOrigin']],
    [['double-submit', 'fetch-metadata'], /**/ [200, 'missing', 'crossOrigin', 'crossOrigin']],
    [['fetch-metadata', 'double-submit'], /**/ [200, 'missing', 'crossOrigin', 'crossOrigin']],
    [false, /*                            */ [200, 200, 200, 200]]
  ] as const) {
    const app = await appWith(t, { csrfProtection })
    for (const kind of kinds) {
      const token = kind === 'access' ? app.jwt.createAccessToken('user123') : app.jwt.createRefreshToken('user123')
      const csrf = { 'x-csrf-token': app.jwt.getCsrfToken(token) ?? 'none' }
      for (const method of ['POST', 'PUT', 'PATCH', 'DELETE', 'GET', 'HEAD', 'OPTIONS'] as const) {
        const safe = ['GET', 'HEAD', 'OPTIONS'].includes(method)
        for (const [index, headers] of [{ ...sameOrigin, ...csrf }, sameOrigin, { ...crossSite, ...csrf }, crossSite].entries()) {
          const response = await app.inject({ method, url: `/${kind}`, headers, cookies: { [`${kind}_token_cookie`]: token } })
          const verdict = safe ? 200 : verdicts[index]
          const name = `${JSON.stringify(csrfProtection)}, ${kind}, ${method}, ${Object.keys(headers).join(' ')}`
          if (verdict === 200) t.equal(response.statusCode, 200, name)
          else assertRefused(t, response, verdict === 'missing' ? missing : { ...refusals.csrf, message: 'Cross-origin request refused' }, name)
        }
      }
    }
  }
})

t.test('the verdict on a bad token comes before that on its CSRF token, but never a pass', async t => {
  const app = await appWith(t)
  const expired = app.jwt.createAccessToken('user123', { expiresIn: -1 })
  await refused(t, app, { method: 'POST', url: '/access', cookies: { access_token_cookie: expired } }, refusals.expired, 'expired')
  await refused(t, app, { method: 'POST', url: '/access', cookies: { access_token_cookie: 'nonsense' } }, refusals.invalid, 'no token')
})

t.test('csrfCheckForm with a hook in onRequest stops start-up', async t => {
  const app = Fastify() as unknown as FastifyInstance
  t.teardown(() => app.close())
  await app.register(jwt, { secretKey, tokenLocation: 'cookies', csrfProtection: 'double-submit', csrfCheckForm: true })
  t.throws(() => app.post('/', { onRequest: jwtRequired }, async request => seen(request)), { code: 'FST_JWT_BAD_OPTION', message: /'onRequest' of route \/ .*CSRF token in the body.*preHandler/ })
})

t.test('csrfCheckForm with a hook of the whole app in onRequest refuses the form, and says why in the log', async t => {
  const lines: string[] = []
  const app = Fastify({ logger: { level: 'error', stream: { write (line: string) { lines.push(line) } } } }) as unknown as FastifyInstance
  t.teardown(() => app.close())
  await app.register(formbody)
  await app.register(jwt, { secretKey, tokenLocation: 'cookies', csrfProtection: 'double-submit', csrfCheckForm: true })
  app.addHook('onRequest', jwtRequired)
  app.post('/', async request => seen(request))
  const token = app.jwt.createAccessToken('user123')
  const csrf = app.jwt.getCsrfToken(token) ?? ''
  const request: InjectOptions = { method: 'POST', url: '/', cookies: { access_token_cookie: token }, payload: `csrf_token=${csrf}` }
  const form = { 'content-type': 'application/x-www-form-urlencoded' }
  await refused(t, app, { ...request, headers: form }, missing, 'the form is not parsed yet')
  t.match(lines.join(''), /not parsed in onRequest/)
  await passes(t, app, { ...request, headers: { ...form, 'x-csrf-token': csrf } }, 'user123', 'with the header nobody needs the body')
})

t.test('a multipart form: its parsed field counts, and one left for the handler to stream has none', async t => {
  for (const [name, body, verdict] of [['parsed', true, null], ['left unread', false, missing]] as const) {
    const app = Fastify() as unknown as FastifyInstance
    t.teardown(() => app.close())
    const token = () => app.jwt.createAccessToken('user123')
    app.addContentTypeParser('multipart/form-data', (request, _payload, done) => {
      done(null, body ? { csrf_token: request.headers['x-field'] } : undefined)
    })
    await app.register(jwt, { secretKey, tokenLocation: 'cookies', csrfProtection: 'double-submit', csrfCheckForm: true })
    app.post('/', { preHandler: jwtRequired }, async request => seen(request))
    const cookie = token()
    const request: InjectOptions = {
      method: 'POST',
      url: '/',
      payload: '--x--',
      cookies: { access_token_cookie: cookie },
      headers: { 'content-type': 'multipart/form-data; boundary=x', 'x-field': app.jwt.getCsrfToken(cookie) ?? '' }
    }
    if (verdict === null) await passes(t, app, request, 'user123', name)
    else await refused(t, app, request, verdict, name)
  }
})

t.test('the field of a form that @fastify/multipart has parsed counts, as a field and as a value', async t => {
  for (const attachFieldsToBody of [true, 'keyValues'] as const) {
    const app = Fastify() as unknown as FastifyInstance
    t.teardown(() => app.close())
    await app.register(multipart, { attachFieldsToBody })
    await app.register(jwt, { secretKey, tokenLocation: 'cookies', csrfProtection: 'double-submit', csrfCheckForm: true })
    app.post('/', { preHandler: jwtRequired }, async request => seen(request))
    const token = app.jwt.createAccessToken('user123')
    const form = (csrf: string): InjectOptions => ({
      method: 'POST',
      url: '/',
      cookies: { access_token_cookie: token },
      headers: { 'content-type': 'multipart/form-data; boundary=x' },
      payload: `--x\r\nContent-Disposition: form-data; name="csrf_token"\r\n\r\n${csrf}\r\n--x--\r\n`
    })
    await passes(t, app, form(app.jwt.getCsrfToken(token) ?? ''), 'user123', `${attachFieldsToBody}, the right one`)
    t.equal((await app.inject(form('another'))).json().message, 'CSRF token does not match', `${attachFieldsToBody}, another`)
  }
})
