import cookie from '@fastify/cookie'
import newestCookie from 'fastify-cookie-newest'
import Fastify from 'fastify'
import type { FastifyInstance, FastifyReply, FastifyServerOptions } from 'fastify'
import t from 'tap'
import type { Test } from 'tap'
import jwt from '../../../lib/index.ts'
import { bearer, secretKey } from '../../helpers/protected-app.ts'
import type { Options } from '../../helpers/protected-app.ts'
import { claims, forge, now } from '../../helpers/forge.ts'

/** Set-Cookie values taken apart (RFC 6265 §4.1.1): name, value, and attributes in lower case. */
function setCookies (response: { headers: Record<string, unknown> }) {
  const header = response.headers['set-cookie'] ?? []
  return (Array.isArray(header) ? header as string[] : [String(header)]).map(line => {
    const [pair = '', ...rest] = line.split('; ')
    const separator = pair.indexOf('=')
    const attributes = Object.fromEntries(rest.map(part => {
      const [key = '', value] = part.split('=')
      return [key.toLowerCase(), value ?? true]
    })) as Record<string, string | true>
    return { name: pair.slice(0, separator), value: pair.slice(separator + 1), attributes }
  }).sort((a, b) => a.name < b.name ? -1 : 1)
}

const login = (app: FastifyInstance) => async (_request: unknown, reply: FastifyReply) => {
  app.jwt.setAccessCookies(reply, app.jwt.createAccessToken('user123'))
  app.jwt.setRefreshCookies(reply, app.jwt.createRefreshToken('user123'))
  return { login: true }
}

/** An app with a route for each way to set and to clear. */
async function cookieApp (t: Test, options: Partial<Options> = {}, server: FastifyServerOptions = {}): Promise<FastifyInstance> {
  const app = Fastify(server) as unknown as FastifyInstance
  t.teardown(() => app.close())
  await app.register(jwt, { secretKey, tokenLocation: 'cookies', ...options } as Options)
  app.get('/login', login(app))
  for (const name of ['unsetJwtCookies', 'unsetAccessCookies', 'unsetRefreshCookies'] as const) {
    app.get(`/${name}`, async (_request, reply) => {
      app.jwt[name](reply)
      return {}
    })
  }
  app.get('/protected', { onRequest: app.jwtRequired }, async request => ({
    identity: request.jwtIdentity, location: request.jwtLocation
  }))
  await app.ready()
  return app
}

function maxAgeOf (value: string | true | undefined): number {
  return typeof value === 'string' && /^-?\d+$/.test(value) ? Number(value) : NaN
}

t.test('cookies are HttpOnly, SameSite=Lax, for the whole site, and last as long as their token', async t => {
  const app = await cookieApp(t)
  const [access, refresh, ...more] = setCookies(await app.inject('/login'))
  t.equal(more.length, 0)
  t.equal(access?.name, 'access_token_cookie')
  t.equal(refresh?.name, 'refresh_token_cookie')
  t.equal(app.jwt.decodeToken(access?.value ?? '').type, 'access')
  t.equal(app.jwt.decodeToken(refresh?.value ?? '').type, 'refresh')
  for (const [set, life] of [[access, 900], [refresh, 2592000]] as const) {
    const { 'max-age': maxAge, ...others } = set?.attributes ?? {}
    t.strictSame(others, { path: '/', httponly: true, samesite: 'Lax' })
    t.ok(maxAgeOf(maxAge) > life - 60 && maxAgeOf(maxAge) <= life, `Max-Age of ${maxAge}`)
  }
})

t.test('Max-Age is what is left of the token, not what it had', async t => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(jwt, { secretKey, tokenLocation: 'cookies' })
  const halfway = forge(claims({ iat: now() - 600, nbf: now() - 600, exp: now() + 300 }))
  app.get('/', async (_request, reply) => {
    app.jwt.setAccessCookies(reply, halfway)
    return {}
  })
  const maxAge = maxAgeOf(setCookies(await app.inject('/'))[0]?.attributes['max-age'])
  t.ok(maxAge > 240 && maxAge <= 300, `Max-Age of ${maxAge}`)
})

t.test('each setter sets its own cookie only', async t => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(jwt, { secretKey, tokenLocation: 'cookies' })
  app.get('/access', async (_request, reply) => {
    app.jwt.setAccessCookies(reply, app.jwt.createAccessToken('user123'))
    return {}
  })
  app.get('/refresh', async (_request, reply) => {
    app.jwt.setRefreshCookies(reply, app.jwt.createRefreshToken('user123'))
    return {}
  })
  t.strictSame(setCookies(await app.inject('/access')).map(({ name }) => name), ['access_token_cookie'])
  t.strictSame(setCookies(await app.inject('/refresh')).map(({ name }) => name), ['refresh_token_cookie'])
})

t.test('each unset clears its own', async t => {
  const app = await cookieApp(t)
  const names = async (url: string) => setCookies(await app.inject(url)).map(({ name }) => name)
  t.strictSame(await names('/unsetJwtCookies'), ['access_token_cookie', 'refresh_token_cookie'])
  t.strictSame(await names('/unsetAccessCookies'), ['access_token_cookie'])
  t.strictSame(await names('/unsetRefreshCookies'), ['refresh_token_cookie'])
})

t.test('cookies are cleared with the very attributes they were set with', async t => {
  const table: Record<string, Partial<Options>> = {
    defaults: {},
    'names and paths of their own': {
      accessCookieName: 'a', refreshCookieName: 'r', accessCookiePath: '/api', refreshCookiePath: '/auth/refresh'
    },
    Strict: { cookieSamesite: 'Strict' },
    'None and secure': { cookieSamesite: 'None', cookieSecure: true },
    'not secure': { cookieSecure: false },
    'not HttpOnly': { cookieHttponly: false },
    '__Host-': { accessCookieName: '__Host-access', refreshCookieName: '__Host-refresh', cookieSecure: true },
    '__Secure-': {
      accessCookieName: '__Secure-access', refreshCookieName: '__Secure-refresh', refreshCookiePath: '/refresh', cookieSecure: true
    },
    Partitioned: { cookiePartitioned: true, cookieSecure: true },
    'session cookies': { sessionCookie: true }
  }
  for (const [name, options] of Object.entries(table)) {
    const app = await cookieApp(t, options)
    const set = setCookies(await app.inject('/login'))
    const cleared = setCookies(await app.inject('/unsetJwtCookies'))
    t.equal(set.length, 2, `${name}: two are set`)
    t.equal(cleared.length, 2, `${name}: two are cleared`)
    for (const [index, { name: cookieName, attributes }] of set.entries()) {
      const { 'max-age': _life, expires: _until, ...identifying } = attributes
      const clear = cleared[index]
      const { 'max-age': maxAge, expires, ...same } = clear?.attributes ?? {}
      t.equal(clear?.name, cookieName, `${name}: name`)
      t.equal(clear?.value, '', `${name}: value`)
      t.strictSame(same, identifying, `${name}: attributes of ${cookieName}`)
      t.equal(maxAge, '0', `${name}: Max-Age`)
      t.equal(expires, 'Thu, 01 Jan 1970 00:00:00 GMT', `${name}: Expires`)
    }
  }
})

t.test('cookie options become the attributes', async t => {
  const table: Array<[options: Partial<Options>, access: object, refresh: object]> = [
    [{ cookieSecure: true },
      { path: '/', httponly: true, samesite: 'Lax', secure: true }, { path: '/', httponly: true, samesite: 'Lax', secure: true }],
    [{ cookieSecure: false, cookieHttponly: false },
      { path: '/', samesite: 'Lax' }, { path: '/', samesite: 'Lax' }],
    [{ cookieSamesite: 'Strict' },
      { path: '/', httponly: true, samesite: 'Strict' }, { path: '/', httponly: true, samesite: 'Strict' }],
    [{ cookiePartitioned: true, cookieSecure: true },
      { path: '/', httponly: true, samesite: 'Lax', secure: true, partitioned: true }, { path: '/', httponly: true, samesite: 'Lax', secure: true, partitioned: true }],
    [{ cookieSamesite: 'None', cookieSecure: true },
      { path: '/', httponly: true, samesite: 'None', secure: true }, { path: '/', httponly: true, samesite: 'None', secure: true }],
    [{ accessCookiePath: '/api', refreshCookiePath: '/auth/refresh' },
      { path: '/api', httponly: true, samesite: 'Lax' }, { path: '/auth/refresh', httponly: true, samesite: 'Lax' }]
  ]
  for (const [options, ...expected] of table) {
    const app = await cookieApp(t, options)
    const found = setCookies(await app.inject('/login')).map(({ attributes }) => {
      const { 'max-age': maxAge, ...others } = attributes
      t.ok(maxAgeOf(maxAge) > 0, JSON.stringify(options))
      return others
    })
    t.strictSame(found, expected, JSON.stringify(options))
  }
})

t.test('sessionCookie: true leaves the end to the browser', async t => {
  const app = await cookieApp(t, { sessionCookie: true })
  for (const { attributes } of setCookies(await app.inject('/login'))) {
    t.strictSame(attributes, { path: '/', httponly: true, samesite: 'Lax' })
  }
})

t.test("cookieSecure: 'auto' goes by the request's protocol, which trustProxy may tell", async t => {
  const https = { 'x-forwarded-proto': 'https' }
  const table: Array<[trustProxy: boolean, headers: Record<string, string>, secure: boolean]> = [
    [false, {}, false], [false, https, false], [true, {}, false], [true, https, true],
    [true, { 'x-forwarded-proto': 'http' }, false]
  ]
  for (const [trustProxy, headers, secure] of table) {
    const app = await cookieApp(t, { cookieSecure: 'auto' }, { trustProxy })
    for (const url of ['/login', '/unsetJwtCookies']) {
      const set = setCookies(await app.inject({ url, headers }))
      t.equal(set.length, 2)
      for (const { name, attributes } of set) {
        t.equal(attributes.secure ?? false, secure, `${url}, ${name}, trustProxy ${trustProxy}, ${JSON.stringify(headers)}`)
      }
    }
  }
})

t.test("cookieSecure: 'auto' warns in production over plain HTTP, once, and not elsewhere", async t => {
  const before = process.env.NODE_ENV
  t.teardown(() => {
    if (before === undefined) delete process.env.NODE_ENV
    else process.env.NODE_ENV = before
  })
  for (const [environment, options, warns] of [
    ['production', {}, true], ['production', { cookieSecure: true }, false], ['production', { cookieSecure: false }, false],
    ['development', {}, false]
  ] as const) {
    process.env.NODE_ENV = environment
    const lines: string[] = []
    const app = await cookieApp(t, { ...options, store: false }, { logger: { level: 'warn', stream: { write: (line: string) => { lines.push(line) } } } })
    await app.inject('/login')
    await app.inject('/login')
    const warnings = lines.map(line => JSON.parse(line) as { level: number, msg: string })
    t.strictSame(warnings.map(({ level }) => level), warns ? [40] : [], `${environment}, ${JSON.stringify(options)}`)
    if (warns) t.match(warnings[0]?.msg, /cookieSecure/, 'the warning names the option')
  }
})

t.test('a response that sets a token cookie is not to be stored, unless the app said otherwise', async t => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(jwt, { secretKey, tokenLocation: 'cookies' })
  const set = (reply: FastifyReply) => app.jwt.setAccessCookies(reply, app.jwt.createAccessToken('user123'))
  app.get('/set', async (_request, reply) => { set(reply); return {} })
  app.get('/refresh', async (_request, reply) => {
    app.jwt.setRefreshCookies(reply, app.jwt.createRefreshToken('user123'))
    return {}
  })
  app.get('/before', async (_request, reply) => { reply.header('Cache-Control', 'private, max-age=5'); set(reply); return {} })
  app.get('/after', async (_request, reply) => { set(reply); reply.header('cache-control', 'private, max-age=5'); return {} })
  app.get('/none', async () => ({}))
  const cacheControl = async (url: string) => (await app.inject(url)).headers['cache-control']
  t.equal(await cacheControl('/set'), 'no-store')
  t.equal(await cacheControl('/refresh'), 'no-store')
  t.equal(await cacheControl('/before'), 'private, max-age=5')
  t.equal(await cacheControl('/after'), 'private, max-age=5')
  t.equal(await cacheControl('/none'), undefined)
})

t.test('a cookie that a browser would drop for its size is an error that names the size', async t => {
  for (const [type, setter] of [['access', 'setAccessCookies'], ['refresh', 'setRefreshCookies']] as const) {
    const app = Fastify()
    t.teardown(() => app.close())
    await app.register(jwt, { secretKey, tokenLocation: 'cookies' })
    let token = ''
    app.get('/', async (_request, reply) => {
      app.jwt[setter](reply, token)
      return {}
    })
    await app.ready()
    const create = (length: number) => {
      const options = { claims: { filler: 'a'.repeat(length) } }
      return type === 'access' ? app.jwt.createAccessToken('user123', options) : app.jwt.createRefreshToken('user123', options)
    }
    token = create(4000)
    const response = await app.inject('/')
    t.equal(response.statusCode, 500, type)
    const body = response.json<{ code: string, message: string }>()
    t.equal(body.code, 'FST_JWT_COOKIE_TOO_LARGE')
    t.ok(body.message.includes(`${type}_token_cookie`), 'the message names the cookie')
    const sizes = (body.message.match(/\d[\d,]*\d/g) ?? []).map(size => Number(size.replaceAll(',', '')))
    t.ok(sizes.includes(4096), 'the message names the limit')
    t.ok(sizes.some(size => size >= token.length && size < token.length + 300), 'the message names the size')
    t.equal(response.headers['set-cookie'], undefined, 'nothing is set')
    for (const part of token.split('.')) t.notOk(response.payload.includes(part), 'no part of the token in the message')

    token = create(2500)
    t.equal((await app.inject('/')).statusCode, 200, 'a big one that fits')
  }
})

t.test('@fastify/cookie is registered when cookies are a location, and only then', async t => {
  for (const [tokenLocation, there] of [
    ['headers', false], [['headers'], false], ['cookies', true], [['headers', 'cookies'], true]
  ] as Array<[Options['tokenLocation'], boolean]>) {
    const app = Fastify() as unknown as FastifyInstance
    t.teardown(() => app.close())
    await app.register(jwt, { secretKey, tokenLocation } as Options)
    await app.ready()
    t.equal(app.hasPlugin('@fastify/cookie'), there, JSON.stringify(tokenLocation))
    t.equal(app.hasReplyDecorator('setCookie'), there, JSON.stringify(tokenLocation))
  }
})

t.test('@fastify/cookie is reused when it is there, whatever its version and options', async t => {
  const secret = 'a secret for the cookies of the app itself'
  const table: Record<string, cookie.FastifyCookieOptions> = {
    'no options': {},
    'hook onRequest': { hook: 'onRequest' },
    'hook preParsing': { hook: 'preParsing' },
    'hook preValidation': { hook: 'preValidation' },
    'hook preHandler': { hook: 'preHandler' },
    'no hook': { hook: false },
    'a secret': { secret },
    'signed by default': { secret, parseOptions: { signed: true } },
    'other attributes by default': {
      parseOptions: { path: '/other', maxAge: 5, httpOnly: false, sameSite: 'none', secure: true }
    },
    'another domain by default': { parseOptions: { domain: 'other.example' } },
    'an expiry by default': { parseOptions: { expires: new Date(0) } }
  }
  const versions = Object.entries(table).flatMap(([name, options]) => [
    // Before 11.1.1, this one writes no cookies at all without its hook.
    ...(options.hook === false ? [] : [{ name, options, plugin: cookie }]),
    { name: `${name}, the newest`, options, plugin: newestCookie }
  ])
  for (const { name, options, plugin } of versions) {
    const app = Fastify() as unknown as FastifyInstance
    t.teardown(() => app.close())
    await app.register(plugin, options)
    await app.register(jwt, { secretKey, tokenLocation: 'cookies' })
    app.get('/login', login(app))
    app.get('/protected', { onRequest: app.jwtRequired }, async request => ({ identity: request.jwtIdentity }))
    app.get('/logout', async (_request, reply) => {
      app.jwt.unsetJwtCookies(reply)
      return {}
    })
    const response = await app.inject('/login')
    t.equal(response.statusCode, 200, name)
    const set = setCookies(response)
    t.strictSame(set.map(({ name }) => name), ['access_token_cookie', 'refresh_token_cookie'], name)
    for (const { attributes } of set) {
      const { 'max-age': maxAge, ...others } = attributes
      t.strictSame(others, { path: '/', httponly: true, samesite: 'Lax' }, `${name}: our attributes, not those of the app's cookies`)
      t.ok(maxAgeOf(maxAge) > 60, `${name}: Max-Age of ${maxAge}`)
    }
    const cookies = Object.fromEntries(response.cookies.map(({ name, value }) => [name, value]))
    t.ok(app.jwt.verifyToken(cookies.access_token_cookie ?? ''), `${name}: the value is the token`)
    const inside = await app.inject({ url: '/protected', cookies })
    t.equal(inside.statusCode, 200, `${name}: read in onRequest`)
    t.strictSame(inside.json(), { identity: 'user123' }, name)
    t.equal((await app.inject('/protected')).statusCode, 401, `${name}: and nobody without cookies`)
    for (const { attributes } of setCookies(await app.inject('/logout'))) {
      const { 'max-age': maxAge, expires, ...others } = attributes
      t.strictSame(others, { path: '/', httponly: true, samesite: 'Lax' }, `${name}: cleared with the same`)
      t.equal(maxAge, '0')
      t.equal(expires, 'Thu, 01 Jan 1970 00:00:00 GMT')
    }
  }
})

t.test('@fastify/cookie of an outer context serves an inner one, and two contexts beside each other get their own', async t => {
  for (const outer of [true, false]) {
    const app = Fastify() as unknown as FastifyInstance
    t.teardown(() => app.close())
    if (outer) await app.register(cookie)
    for (const name of ['one', 'two']) {
      await app.register(async context => {
        await context.register(jwt, { secretKey, tokenLocation: 'cookies', accessCookieName: name })
        context.get(`/${name}/login`, async (_request, reply) => {
          context.jwt.setAccessCookies(reply, context.jwt.createAccessToken(name))
          return {}
        })
        context.get(`/${name}`, { preHandler: context.jwtRequired }, async request => ({ identity: request.jwtIdentity }))
      })
    }
    for (const name of ['one', 'two']) {
      const [set] = (await app.inject(`/${name}/login`)).cookies
      t.equal(set?.name, name)
      const response = await app.inject({ url: `/${name}`, cookies: { [name]: set?.value ?? '' } })
      t.strictSame(response.json(), { identity: name }, `outer cookie plugin: ${outer}`)
    }
  }
})

t.test("the app's own cookies are set beside the tokens", async t => {
  const app = Fastify() as unknown as FastifyInstance
  t.teardown(() => app.close())
  await app.register(jwt, { secretKey, tokenLocation: 'cookies' })
  app.get('/', async (_request, reply) => {
    reply.setCookie('theme', 'dark')
    app.jwt.setAccessCookies(reply, app.jwt.createAccessToken('user123'))
    return {}
  })
  t.strictSame(setCookies(await app.inject('/')).map(({ name }) => name), ['access_token_cookie', 'theme'])
})

t.test('setting twice in one response leaves the last', async t => {
  const app = Fastify() as unknown as FastifyInstance
  t.teardown(() => app.close())
  await app.register(jwt, { secretKey, tokenLocation: 'cookies' })
  const second = app.jwt.createAccessToken('second')
  app.get('/', async (_request, reply) => {
    app.jwt.setAccessCookies(reply, app.jwt.createAccessToken('first'))
    app.jwt.setAccessCookies(reply, second)
    return {}
  })
  t.strictSame((await app.inject('/')).cookies.map(({ value }) => value), [second])
})

t.test('cookie setters where cookies are no location are an error whose cause names the option', async t => {
  const app = Fastify() as unknown as FastifyInstance
  t.teardown(() => app.close())
  await app.register(jwt, { secretKey })
  app.get('/', async (_request, reply) => {
    app.jwt.setAccessCookies(reply, app.jwt.createAccessToken('user123'))
    return {}
  })
  const response = await app.inject({ url: '/', headers: bearer('x') })
  t.match(response.json(), { statusCode: 500, code: 'FST_JWT_BAD_OPTION' })
  t.throws(() => { app.jwt.setAccessCookies({} as FastifyReply, '') }, { code: 'FST_JWT_BAD_OPTION', cause: { message: /'tokenLocation' lacks 'cookies'/ } })
})

t.test('with a domain, a cookie of the host alone is expired first, and with the same attributes: a browser would send it before the new one', async t => {
  for (const csrf of [false, true]) {
    const app = await cookieApp(t, { cookieDomain: 'app.example', cookieSamesite: 'Strict', ...csrf ? { csrfProtection: 'double-submit' } : {} })
    for (const url of ['/login', '/unsetJwtCookies']) {
      const set = setCookies(await app.inject(url))
      t.equal(set.length, csrf ? 8 : 4, url)
      for (const name of new Set(set.map(({ name }) => name))) {
        const [hostOnly, ofDomain] = set.filter(cookie => cookie.name === name)
        t.match(hostOnly, { value: '', attributes: { domain: undefined, 'max-age': '0' } }, `${url}: ${name}`)
        t.match(ofDomain, { attributes: { domain: 'app.example', path: hostOnly?.attributes.path, samesite: 'Strict' } }, `${url}: ${name}`)
        t.equal(ofDomain?.value === '', url !== '/login')
      }
    }
  }
})

t.test('a response that sets or clears a token cookie is kept out of shared caches, whatever the app says of it, and when', async t => {
  const table: [name: string, given: string | undefined, sent: string][] = [
    ['nothing', undefined, 'no-store'], ['private', 'private, max-age=60', 'private, max-age=60'], ['no-cache', 'no-cache', 'no-cache'],
    ['public', 'public, max-age=300', 'no-store'], ['s-maxage', 's-maxage=60', 'no-store'], ['no-cache of a field', 'no-cache="x"', 'no-store']
  ]
  for (const [name, given, sent] of table) {
    for (const when of ['before', 'after'] as const) {
      const app = Fastify() as unknown as FastifyInstance
      t.teardown(() => app.close())
      await app.register(jwt, { secretKey, tokenLocation: 'cookies' } as Options)
      const say = (reply: FastifyReply): void => { if (given !== undefined) reply.header('cache-control', given) }
      const route = (url: string, act: (reply: FastifyReply) => void) => app.get(url, async (_request, reply) => {
        if (when === 'before') say(reply)
        act(reply)
        if (when === 'after') say(reply)
        reply.header('cdn-cache-control', 'max-age=60')
        return {}
      })
      route('/login', reply => { app.jwt.setAccessCookies(reply, app.jwt.createAccessToken('user123')) })
      route('/logout', reply => { app.jwt.unsetJwtCookies(reply) })
      for (const url of ['/login', '/logout']) {
        const { headers } = await app.inject(url)
        t.equal(headers['cache-control'], sent, `${url}, ${name}, ${when}`)
        t.equal(headers['cdn-cache-control'], undefined)
      }
    }
  }
})
