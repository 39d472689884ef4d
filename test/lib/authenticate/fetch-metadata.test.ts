import Fastify from 'fastify'
import type { FastifyInstance, FastifyServerOptions, InjectOptions } from 'fastify'
import t from 'tap'
import type { Test } from 'tap'
import jwt, { crossOriginProtection, verifyJwt } from '../../../lib/index.ts'
import { assertRefused, bearer, passes, protectedApp, refusals, refused, secretKey } from '../../helpers/protected-app.ts'
import type { Options } from '../../helpers/protected-app.ts'

type Headers = Record<string, string>

const tokenLocation: Options['tokenLocation'] = ['headers', 'cookies']

/** Headers a browser may send with a change, and whether they pass at `http://app.example`. */
const table: Array<[name: string, headers: Headers, passes: boolean]> = [
  ['no browser: neither header', {}, true],
  ['same-origin', { 'sec-fetch-site': 'same-origin' }, true],
  ['none, as from the address bar', { 'sec-fetch-site': 'none' }, true],
  ['same-site', { 'sec-fetch-site': 'same-site' }, false],
  ['cross-site', { 'sec-fetch-site': 'cross-site' }, false],
  ['a value nobody knows', { 'sec-fetch-site': 'friendly' }, false],
  ['same-origin in the wrong case', { 'sec-fetch-site': 'Same-Origin' }, false],
  ['same-origin, with the own origin', { 'sec-fetch-site': 'same-origin', origin: 'http://app.example' }, true],
  ['same-origin decides over an origin a proxy made foreign',
    { 'sec-fetch-site': 'same-origin', origin: 'https://public.example' }, true],
  ['cross-site decides over an origin that matches', { 'sec-fetch-site': 'cross-site', origin: 'http://app.example' }, false],
  ['same-site with an origin that matches', { 'sec-fetch-site': 'same-site', origin: 'http://app.example' }, false],
  ['cross-site from a trusted origin', { 'sec-fetch-site': 'cross-site', origin: 'https://trusted.example' }, true],
  ['same-site from a trusted origin', { 'sec-fetch-site': 'same-site', origin: 'https://trusted.example' }, true],
  ['a trusted origin alone', { origin: 'https://trusted.example' }, true],
  ['a trusted origin with a port', { origin: 'https://trusted.example:8443' }, false],
  ['a trusted origin with its own port', { origin: 'http://ported.example:8080' }, true],
  ['that origin without its port', { origin: 'http://ported.example' }, false],
  ['a trusted host over the wrong scheme', { origin: 'http://trusted.example' }, false],
  ['a host that only begins like a trusted one', { origin: 'https://trusted.example.evil.example' }, false],
  ['a host that only ends like a trusted one', { origin: 'https://eviltrusted.example' }, false],
  ['the own origin, no Sec-Fetch-Site', { origin: 'http://app.example' }, true],
  ['the own host behind TLS that ends before us', { origin: 'https://app.example' }, true],
  ['the own host in upper case in Host', { host: 'APP.EXAMPLE', origin: 'http://app.example' }, true],
  ['the own origin with a port', { host: 'app.example:8080', origin: 'http://app.example:8080' }, true],
  ['another port', { host: 'app.example:8080', origin: 'http://app.example:9090' }, false],
  ['a port where Host has none', { origin: 'http://app.example:8080' }, false],
  ['an IPv6 host with a port', { host: '[::1]:3000', origin: 'http://[::1]:3000' }, true],
  ['a foreign origin', { origin: 'https://evil.example' }, false],
  ['a subdomain', { origin: 'http://sub.app.example' }, false],
  ['a host that begins like ours', { origin: 'http://app.example.evil.example' }, false],
  ['our host as user information', { origin: 'http://app.example@evil.example' }, false],
  ['Origin: null', { origin: 'null' }, false],
  ['Origin: null with same-origin', { origin: 'null', 'sec-fetch-site': 'same-origin' }, true],
  ['Origin: null with cross-site', { origin: 'null', 'sec-fetch-site': 'cross-site' }, false],
  ['an origin that is none', { origin: 'app.example' }, false],
  ['an origin of nonsense', { origin: '://' }, false],
  ['a path in Host', { host: 'app.example/x', origin: 'http://app.example' }, false],
  ['user information in Host', { host: 'eve@app.example', origin: 'http://app.example' }, false],
  ['a query in Host', { host: 'app.example?x', origin: 'http://app.example' }, false],
  ['an ftp origin of the own host', { origin: 'ftp://app.example' }, false],
  ['a WebSocket origin of the own host', { origin: 'ws://app.example' }, false],
  ['X-Forwarded-Host from nobody we trust', { origin: 'https://public.example', 'x-forwarded-host': 'public.example' }, false]
]
const trustedOrigins = ['https://trusted.example', 'http://ported.example:8080']

async function assertVerdict (t: Test, app: FastifyInstance, request: InjectOptions, pass: boolean, name: string): Promise<void> {
  const full = { ...request, headers: { host: 'app.example', ...request.headers } }
  if (pass) await passes(t, app, full, 'user123', name)
  else await refused(t, app, full, refusals.csrf, name)
}

for (const method of ['POST', 'PUT', 'PATCH', 'DELETE'] as const) {
  t.test(`${method} with a token cookie is checked`, async t => {
    const app = await protectedApp(t, { tokenLocation, trustedOrigins })
    const cookies = { access_token_cookie: app.jwt.createAccessToken('user123') }
    for (const [name, headers, pass] of table) {
      await assertVerdict(t, app, { method, url: '/required', headers, cookies }, pass, name)
    }
  })
}

t.test('a refresh cookie is checked the same way', async t => {
  const app = await protectedApp(t, { tokenLocation: 'cookies', trustedOrigins })
  const cookies = { refresh_token_cookie: app.jwt.createRefreshToken('user123') }
  for (const [name, headers, pass] of table) {
    await assertVerdict(t, app, { method: 'POST', url: '/refresh', headers, cookies }, pass, name)
  }
})

t.test('GET and HEAD are not checked, nor is a token in a header, nor anything when it is off', async t => {
  const app = await protectedApp(t, { tokenLocation, trustedOrigins })
  const off = await protectedApp(t, { tokenLocation, csrfProtection: false })
  const token = app.jwt.createAccessToken('user123')
  const cookies = { access_token_cookie: token }
  for (const [name, headers] of table) {
    await passes(t, app, { url: '/required', headers, cookies }, 'user123', `GET: ${name}`)
    t.equal((await app.inject({ method: 'HEAD', url: '/required', headers, cookies })).statusCode, 200, `HEAD: ${name}`)
    await passes(t, app, { method: 'POST', url: '/required', headers: { ...headers, ...bearer(token) } }, 'user123', `header: ${name}`)
    await passes(t, app, { method: 'POST', url: '/required', headers: { ...headers, ...bearer(token) }, cookies },
      'user123', `header, with the cookie beside it: ${name}`)
    await passes(t, off, { method: 'POST', url: '/required', headers, cookies }, 'user123', `off: ${name}`)
  }
})

t.test('csrfMethods says which methods are checked', async t => {
  const app = await protectedApp(t, { tokenLocation, csrfMethods: ['GET', 'DELETE'] })
  const cookies = { access_token_cookie: app.jwt.createAccessToken('user123') }
  const headers = { 'sec-fetch-site': 'cross-site' }
  for (const [method, pass] of [['GET', false], ['DELETE', false], ['POST', true], ['PUT', true], ['PATCH', true]] as const) {
    await assertVerdict(t, app, { method, url: '/required', headers, cookies }, pass, method)
  }
})

t.test('behind a proxy that is trusted the host is the forwarded one', async t => {
  const origin = 'https://public.example'
  const forwarded = { host: 'internal:3000', 'x-forwarded-host': 'public.example', 'x-forwarded-proto': 'https' }
  for (const [trustProxy, headers, pass] of [
    [true, { ...forwarded, origin }, true],
    [true, { ...forwarded, origin: 'https://evil.example' }, false],
    [true, { ...forwarded, origin: 'http://internal:3000' }, false],
    [false, { ...forwarded, origin }, false],
    [false, { ...forwarded, origin: 'http://internal:3000' }, true]
  ] as Array<[boolean, Headers, boolean]>) {
    const server: FastifyServerOptions = { trustProxy }
    const app = await protectedApp(t, { tokenLocation }, server)
    const cookies = { access_token_cookie: app.jwt.createAccessToken('user123') }
    await assertVerdict(t, app, { method: 'POST', url: '/required', headers, cookies }, pass,
      `trustProxy ${trustProxy}, ${headers.origin}`)
  }
})

t.test('a WebSocket upgrade with a token cookie is checked, though it is a GET', async t => {
  const app = await protectedApp(t, { tokenLocation, trustedOrigins })
  const off = await protectedApp(t, { tokenLocation, csrfProtection: false })
  const token = app.jwt.createAccessToken('user123')
  const cookies = { access_token_cookie: token }
  for (const upgrade of ['websocket', 'WebSocket']) {
    const handshake = { connection: 'Upgrade', upgrade, 'sec-websocket-version': '13' }
    for (const [name, headers, pass] of table) {
      await assertVerdict(t, app, { url: '/required', headers: { ...handshake, ...headers }, cookies }, pass, `${upgrade}: ${name}`)
    }
    const foreign = { ...handshake, origin: 'https://evil.example' }
    await passes(t, app, { url: '/required', headers: { ...foreign, ...bearer(token) } }, 'user123', 'a token in the header')
    await passes(t, off, { url: '/required', headers: foreign, cookies }, 'user123', 'protection off')
  }
})

t.test('the verdict comes before the token is looked at, so a foreign page learns nothing about it', async t => {
  const app = await protectedApp(t, { tokenLocation })
  const headers = { 'sec-fetch-site': 'cross-site' }
  for (const token of ['nonsense', app.jwt.createAccessToken('user123', { expiresIn: -1 }), app.jwt.createRefreshToken('user123')]) {
    await refused(t, app, { method: 'POST', url: '/required', headers, cookies: { access_token_cookie: token } },
      refusals.csrf, 'a bad token in the cookie')
  }
  await refused(t, app, { method: 'POST', url: '/required', headers }, refusals.missing, 'no cookie')
})

t.test('an optional hook makes a cross-origin request anonymous, a strict one refuses it', async t => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(jwt, { secretKey, tokenLocation: ['headers', 'cookies'] })
  app.post('/optional', { preHandler: verifyJwt({ optional: true }) }, async request => ({ identity: request.jwtIdentity }))
  app.post('/strict', { preHandler: verifyJwt({ optional: 'strict' }) }, async request => ({ identity: request.jwtIdentity }))
  await app.ready()
  const cookies = { access_token_cookie: app.jwt.createAccessToken('user123') }
  const headers = { 'sec-fetch-site': 'cross-site' }
  await passes(t, app, { method: 'POST', url: '/optional', headers, cookies }, null, 'optional')
  await passes(t, app, { method: 'POST', url: '/optional', cookies }, 'user123', 'optional, no browser')
  await refused(t, app, { method: 'POST', url: '/strict', headers, cookies }, refusals.csrf, 'strict')
  await passes(t, app, { method: 'POST', url: '/strict', headers }, null, 'strict, no token')
})

for (const phase of ['onRequest', 'preValidation', 'preHandler'] as const) {
  t.test(`crossOriginProtection is the same check for a route without a token, as ${phase}`, async t => {
    const app = Fastify()
    t.teardown(() => app.close())
    await app.register(jwt, { secretKey, trustedOrigins })
    app.post('/login', { [phase]: crossOriginProtection }, async () => ({ identity: 'user123' }))
    await app.ready()
    for (const [name, headers, pass] of table) {
      await assertVerdict(t, app, { method: 'POST', url: '/login', headers }, pass, name)
    }
  })
}

t.test('crossOriginProtection takes the trusted origins of its own context, and the proxy into account', async t => {
  const app = Fastify({ trustProxy: true })
  t.teardown(() => app.close())
  await app.register(jwt, { secretKey, trustedOrigins: ['https://outer.example'] })
  app.post('/outer', { preHandler: crossOriginProtection }, async () => ({ identity: 'user123' }))
  await app.register(async context => {
    await context.register(jwt, { secretKey, trustedOrigins: ['https://inner.example'] })
    context.post('/inner', { preHandler: crossOriginProtection }, async () => ({ identity: 'user123' }))
  })
  await app.ready()
  for (const url of ['/outer', '/inner']) {
    for (const origin of ['https://outer.example', 'https://inner.example']) {
      const pass = origin.includes(url.slice(1))
      await assertVerdict(t, app, { method: 'POST', url, headers: { origin } }, pass, `${origin} at ${url}`)
    }
    await assertVerdict(t, app, {
      method: 'POST', url, headers: { host: 'internal', 'x-forwarded-host': 'public.example', origin: 'https://public.example' }
    }, true, `forwarded at ${url}`)
  }
})

t.test('crossOriginProtection without the plugin is a 500 that names the cause', async t => {
  const app = Fastify()
  t.teardown(() => app.close())
  app.post('/login', { preHandler: crossOriginProtection }, async () => t.fail('reached'))
  const response = await app.inject({ method: 'POST', url: '/login' })
  t.equal(response.statusCode, 500)
  t.equal(response.json<{ code: string }>().code, 'FST_JWT_NOT_REGISTERED')
})

t.test('the answer says why, and nothing about the token', async t => {
  const app = await protectedApp(t, { tokenLocation: 'cookies' })
  const token = app.jwt.createAccessToken('user123')
  const response = await app.inject({
    method: 'POST', url: '/required', headers: { 'sec-fetch-site': 'cross-site' }, cookies: { access_token_cookie: token }
  })
  assertRefused(t, response, { ...refusals.csrf, message: /cross-(origin|site)/i }, 'why')
  for (const part of token.split('.')) t.notOk(response.payload.includes(part))
})

t.test('every method but GET, HEAD, OPTIONS and TRACE is checked by default, those that an app adds included', async t => {
  const app = Fastify() as unknown as FastifyInstance
  t.teardown(() => app.close())
  for (const method of ['PROPPATCH', 'REPORT', 'QUERY', 'MKCOL', 'CONNECT']) app.addHttpMethod(method)
  await app.register(jwt, { secretKey, tokenLocation: 'cookies' } as Options)
  const methods = ['GET', 'HEAD', 'OPTIONS', 'TRACE', 'POST', 'PUT', 'PATCH', 'DELETE', 'PROPPATCH', 'REPORT', 'QUERY', 'MKCOL', 'CONNECT']
  app.route({ method: methods as ['GET'], url: '/', preHandler: verifyJwt(), handler: async () => ({}) })
  const cookies = { access_token_cookie: app.jwt.createAccessToken('user123') }
  for (const method of methods) {
    const response = await app.inject({ method: method as 'GET', url: '/', cookies, headers: { 'sec-fetch-site': 'cross-site' } })
    t.equal(response.statusCode, methods.indexOf(method) < 4 ? 200 : 403, method)
  }
})

t.test('the methods can be given, and an empty list stops start-up', async t => {
  const app = await protectedApp(t, { tokenLocation: 'cookies', csrfMethods: ['put'] })
  const cookies = { access_token_cookie: app.jwt.createAccessToken('user123') }
  await assertVerdict(t, app, { method: 'PUT', url: '/required', cookies, headers: { 'sec-fetch-site': 'cross-site' } }, false, 'given')
  await assertVerdict(t, app, { method: 'POST', url: '/required', cookies, headers: { 'sec-fetch-site': 'cross-site' } }, true, 'not given')
  await t.rejects(protectedApp(t, { tokenLocation: 'cookies', csrfMethods: [] }), { code: 'FST_JWT_BAD_OPTION', message: /csrfMethods.*csrfProtection: false/ })
})

t.test('a WebSocket handshake is checked by its origin: a GET over HTTP/1.1, a CONNECT over HTTP/2', async t => {
  for (const csrfProtection of ['fetch-metadata', 'double-submit'] as const) {
    const app = Fastify() as unknown as FastifyInstance
    t.teardown(() => app.close())
    app.addHttpMethod('CONNECT')
    await app.register(jwt, { secretKey, tokenLocation: 'cookies', csrfProtection } as Options)
    app.route({ method: ['GET', 'CONNECT', 'POST'] as string[] as ['GET'], url: '/', preHandler: verifyJwt(), handler: async () => ({}) })
    const cookies = { access_token_cookie: app.jwt.createAccessToken('user123') }
    const status = async (method: string, headers: Headers) => (await app.inject({ method: method as 'GET', url: '/', cookies, headers: { host: 'app.example', ...headers } })).statusCode
    for (const [method, headers] of [['GET', { upgrade: 'WebSocket' }], ['CONNECT', { ':protocol': 'websocket' }]] as const) {
      t.equal(await status(method, { ...headers, origin: 'https://evil.example' }), 403, `${csrfProtection}, ${method}, another origin`)
      t.equal(await status(method, { ...headers, origin: 'http://app.example' }), 200, `${csrfProtection}, ${method}, the own origin`)
    }
    if (csrfProtection === 'double-submit') {
      for (const headers of [{ upgrade: 'websocket' }, { ':protocol': 'websocket' }]) {
        t.equal(await status('POST', { ...headers, origin: 'http://app.example' }), 403, 'no other method is a handshake: the CSRF token is missing')
      }
      t.equal(await status('CONNECT', { origin: 'http://app.example' }), 403, 'nor is a CONNECT for something else')
    }
  }
})

t.test('trusted origins may be of any scheme, or decided by a function that says true and nothing else', async t => {
  const origins = ['capacitor://localhost', 'tauri://localhost', 'chrome-extension://abcdefghijklmnop', 'https://trusted.example']
  const listed = await protectedApp(t, { tokenLocation, trustedOrigins: origins })
  const cookies = { access_token_cookie: listed.jwt.createAccessToken('user123') }
  const post = (origin: string): InjectOptions => ({ method: 'POST', url: '/required', cookies, headers: { origin, 'sec-fetch-site': 'cross-site' } })
  for (const origin of origins) await assertVerdict(t, listed, post(origin), true, origin)
  for (const origin of ['capacitor://evil', 'tauri://localhost:1', 'chrome-extension://other', 'null']) await assertVerdict(t, listed, post(origin), false, origin)

  const asked: unknown[] = []
  const decided = await protectedApp(t, {
    tokenLocation,
    trustedOrigins (origin, request) {
      asked.push([origin, request.method])
      return (origin === 'https://a.tenants.example' || (origin === 'https://truthy.example' && 1)) as boolean
    }
  })
  await assertVerdict(t, decided, post('https://a.tenants.example'), true, 'true')
  await assertVerdict(t, decided, post('https://b.tenants.example'), false, 'false')
  await assertVerdict(t, decided, post('https://truthy.example'), false, 'truthy')
  t.strictSame(asked[0], ['https://a.tenants.example', 'POST'])
  const broken = await protectedApp(t, { tokenLocation, trustedOrigins () { throw new Error('down') } })
  t.equal((await broken.inject(post('https://a.tenants.example'))).statusCode, 500, 'a failure is no pass')

  for (const origin of ['https://*.example.com', '*', 'capacitor://*']) {
    await t.rejects(protectedApp(t, { tokenLocation, trustedOrigins: [origin] }), { code: 'FST_JWT_BAD_OPTION', message: /function \(origin, request\)/ }, origin)
  }
  for (const origin of ['app.example', 'https://app.example/', 'https://app.example:443', 'https://eve@app.example', 'ftp://app.example', 'ws://app.example', 'tauri://', 'capacitor://localhost/x', '', 'null', 7]) {
    await t.rejects(protectedApp(t, { tokenLocation, trustedOrigins: [origin] as string[] }), { code: 'FST_JWT_BAD_OPTION', message: /trustedOrigins/ }, String(origin))
  }
})

t.test('SameSite=None and Partitioned are never sent without Secure: start-up stops', async t => {
  for (const cookieSecure of ['auto', false] as const) {
    await t.rejects(protectedApp(t, { tokenLocation, cookieSamesite: 'None', cookieSecure }), { code: 'FST_JWT_BAD_OPTION', message: /cookieSamesite.*cookieSecure: true/ })
    await t.rejects(protectedApp(t, { tokenLocation, cookiePartitioned: true, cookieSecure }), { code: 'FST_JWT_BAD_OPTION', message: /cookiePartitioned.*cookieSecure: true/ })
  }
})
