import fastifyAuth from '@fastify/auth'
import Fastify from 'fastify'
import type { FastifyInstance, FastifyReply } from 'fastify'
import t from 'tap'
import type { Test } from 'tap'
import jwt, { allOf, anyOf, freshJwtRequired, guard, jwtOptional, jwtRequired, refreshTokenRequired, role, scope, verifyJwt } from '../../../lib/index.ts'
import type { JwtError, JwtExtendedOptions } from '../../../lib/index.ts'
import { bearer, secretKey } from '../../helpers/protected-app.ts'
import { forge } from '../../helpers/forge.ts'

const invalid = (message: string): string => `Bearer error="invalid_token", error_description="${message}"`

/** An app that answers every error by itself, and one route for each way to refuse. */
async function answeringApp (t: Test, answer: (error: JwtError, reply: FastifyReply) => unknown, options: Partial<JwtExtendedOptions> = {}): Promise<FastifyInstance> {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(fastifyAuth)
  await app.register(jwt, { secretKey, refreshReuseInterval: 0, refreshUntilUsed: false, tokenLocation: ['headers', 'cookies'], ...options })
  app.setErrorHandler((error: JwtError, _request, reply) => answer(error, reply))
  app.get('/required', { preHandler: jwtRequired }, async () => ({}))
  app.get('/early', { onRequest: jwtRequired }, async () => ({}))
  app.get('/fresh', { preValidation: freshJwtRequired }, async () => ({}))
  app.get('/strict', { preHandler: verifyJwt({ optional: 'strict' }) }, async () => ({}))
  app.get('/role', { preHandler: [jwtRequired, role('admin')] }, async () => ({}))
  app.get('/alone', { preHandler: role('admin') }, async () => ({}))
  app.get('/scope', { preHandler: allOf(jwtRequired, scope('read')) }, async () => ({}))
  app.get('/any', { preHandler: anyOf(freshJwtRequired, allOf(jwtRequired, role('admin'))) }, async () => ({}))
  app.get('/inside', async request => { await request.verifyJwt() })
  app.post('/rotate', { preHandler: verifyJwt({ type: 'refresh', skipRevocationCheck: true }) }, async request => app.jwt.rotateSession(request))
  app.get('/auth', { preHandler: app.auth([jwtRequired, refreshTokenRequired]) }, async () => ({}))
  app.get('/caught', async (request, reply) => {
    try {
      await request.verifyJwt()
    } catch {
      return reply.code(401).send({ own: true })
    }
  })
  // What is refused within, and is of no consequence.
  app.get('/forgiven', async (request, reply) => {
    await request.verifyJwt().catch(() => {})
    await request.verifyJwt({ optional: true })
    return reply.code(401).send({ password: 'wrong' })
  })
  app.get('/open', async (_request, reply) => reply.code(401).send({ password: 'wrong' }))
  app.post('/cross', { preHandler: jwtRequired }, async () => ({}))
  return app
}

t.test('the challenge is on the reply, whatever answers the error', async t => {
  const answers: Array<(error: JwtError, reply: FastifyReply) => unknown> = [
    (error, reply) => reply.code(error.statusCode ?? 500).send({ own: error.code }),
    // As a filter of NestJS does.
    (error, reply) => { reply.status(error.statusCode ?? 500).header('content-type', 'application/json').send(JSON.stringify({ own: error.code })) },
    (error, reply) => reply.code(error.statusCode ?? 500).type('text/html').send(`<p>${error.code}</p>`),
    (_error, reply) => { reply.code(401); return {} },
    (error, reply) => reply.send(error)
  ]
  for (const answer of answers) {
    const app = await answeringApp(t, answer)
    const access = app.jwt.createAccessToken('ada')
    const { refreshToken } = await app.jwt.createSession('ada')
    await app.inject({ method: 'POST', url: '/rotate', headers: bearer(refreshToken) })
    const sent: Array<[url: string, token: string | null, challenge: string]> = [
      ['/required', null, 'Bearer'],
      ['/early', 'a.b.c', invalid('Invalid token: malformed')],
      ['/fresh', access, invalid('Fresh token required')],
      ['/strict', app.jwt.createRefreshToken('ada'), invalid('Access token required')],
      ['/alone', null, 'Bearer'],
      ['/any', access, invalid('Fresh token required')],
      ['/inside', app.jwt.createAccessToken('ada', { expiresIn: -1 }), invalid('Token has expired')],
      ['/auth', 'a.b.c', invalid('Invalid token: malformed')],
      ['/caught', forge({ sub: 'ada' }), invalid('Invalid token: exp')]
    ]
    for (const [url, token, challenge] of sent) {
      const response = await app.inject({ url, headers: token === null ? {} : bearer(token) })
      t.equal(response.statusCode, 401, url)
      t.equal(response.headers['www-authenticate'], challenge, url)
    }
    const reused = await app.inject({ method: 'POST', url: '/rotate', headers: bearer(refreshToken) })
    t.equal(reused.headers['www-authenticate'], invalid('Refresh token has been reused'))
  }
})

t.test('with the status of the refusal: a 403 keeps its challenge, another status has none', async t => {
  const asItIs = await answeringApp(t, (error, reply) => reply.code(error.statusCode ?? 500).send({}))
  const access = asItIs.jwt.createAccessToken('ada')
  t.equal((await asItIs.inject({ url: '/role', headers: bearer(access) })).headers['www-authenticate'], 'Bearer error="insufficient_scope", error_description="Missing role: admin"')
  t.equal((await asItIs.inject({ url: '/scope', headers: bearer(access) })).headers['www-authenticate'], 'Bearer error="insufficient_scope", error_description="Missing scope: read", scope="read"')
  t.equal((await asItIs.inject({ url: '/required', headers: { authorization: 'Bearer' } })).headers['www-authenticate'], 'Bearer error="invalid_request", error_description="No token after Bearer"')
  const cross = await asItIs.inject({ method: 'POST', url: '/cross', cookies: { access_token_cookie: access }, headers: { 'sec-fetch-site': 'cross-site' } })
  t.equal(cross.statusCode, 403)
  t.notOk('www-authenticate' in cross.headers)

  const elsewhere = await answeringApp(t, (_error, reply) => reply.redirect('/login'))
  t.notOk('www-authenticate' in (await elsewhere.inject('/required')).headers)
  const hidden = await answeringApp(t, (_error, reply) => reply.code(404).send({}))
  t.notOk('www-authenticate' in (await hidden.inject('/required')).headers)
})

t.test('a challenge of the app stays, and a 401 of its own gets none of ours', async t => {
  const app = await answeringApp(t, (error, reply) => reply.code(error.statusCode ?? 500).header('www-authenticate', 'Basic realm="x"').send({}))
  t.equal((await app.inject('/required')).headers['www-authenticate'], 'Basic realm="x"')
  for (const url of ['/open', '/forgiven']) t.notOk('www-authenticate' in (await app.inject(url)).headers, url)
})

t.test('a refusal that another hook has made good leaves no challenge', async t => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(fastifyAuth)
  await app.register(jwt, { secretKey })
  const later = async (_request: unknown, reply: FastifyReply) => reply.code(401).send({ own: true })
  app.get('/auth', { preHandler: app.auth([refreshTokenRequired, jwtRequired]) }, later)
  app.get('/optional', { preHandler: app.auth([refreshTokenRequired, jwtOptional]) }, later)
  app.get('/guards', { preHandler: [jwtRequired, app.auth([role('admin'), guard(() => true)])] }, later)
  for (const url of ['/auth', '/optional', '/guards']) {
    const response = await app.inject({ url, headers: bearer(app.jwt.createAccessToken('ada')) })
    t.match(response.json(), { own: true })
    t.notOk('www-authenticate' in response.headers, url)
  }
})

t.test('the challenge names the scheme that the header takes', async t => {
  for (const [headerType, scheme] of [['JWT', 'JWT'], ['bearer', 'bearer'], ['', 'Bearer'], [undefined, 'Bearer']] as const) {
    for (const answer of [undefined, (error: JwtError, reply: FastifyReply) => reply.code(error.statusCode ?? 500).send({})]) {
      const app = Fastify()
      t.teardown(() => app.close())
      await app.register(jwt, { secretKey, realm: 'shop', ...headerType === undefined ? {} : { headerType } })
      if (answer !== undefined) app.setErrorHandler((error: JwtError, _request, reply) => answer(error, reply))
      app.get('/', { preHandler: [jwtRequired, role('admin')] }, async () => ({}))
      const header = (token: string) => ({ authorization: headerType === '' ? token : `${headerType ?? 'Bearer'} ${token}` })
      t.equal((await app.inject('/')).headers['www-authenticate'], `${scheme} realm="shop"`)
      t.equal((await app.inject({ url: '/', headers: header('a.b.c') })).headers['www-authenticate'],
        `${scheme} realm="shop", error="invalid_token", error_description="Invalid token: malformed"`)
      t.equal((await app.inject({ url: '/', headers: header(app.jwt.createAccessToken('ada')) })).headers['www-authenticate'],
        `${scheme} realm="shop", error="insufficient_scope", error_description="Missing role: admin"`)
    }
  }
})

t.test('messages may be a function of code and details, for other languages', async t => {
  const german: Partial<Record<string, (reason: string) => string>> = {
    FST_JWT_MISSING_TOKEN: () => 'Bitte anmelden 🦉',
    FST_JWT_INVALID_TOKEN: reason => `Ungültig: ${reason}`,
    FST_JWT_FORBIDDEN: reason => `Nicht erlaubt (${reason})`
  }
  const asked: unknown[] = []
  const app = await answeringApp(t, (error, reply) => reply.send(error), {
    messages (code, details) {
      asked.push({ code, ...details })
      return german[code]?.(details.reason)
    }
  })
  const message = async (url: string, headers = {}) => (await app.inject({ url, headers })).json().message
  t.equal(await message('/required'), 'Bitte anmelden 🦉')
  t.equal(await message('/required', bearer('a.b.c')), 'Ungültig: malformed')
  t.equal(await message('/role', bearer(app.jwt.createAccessToken('ada'))), 'Nicht erlaubt (Missing role: admin)')
  t.equal(await message('/fresh', bearer(app.jwt.createAccessToken('ada'))), 'Fresh token required', 'without a text, our own')
  t.strictSame(asked, [
    { code: 'FST_JWT_MISSING_TOKEN', reason: '', message: 'Missing JWT token' },
    { code: 'FST_JWT_INVALID_TOKEN', reason: 'malformed', message: 'Invalid token: malformed' },
    { code: 'FST_JWT_FORBIDDEN', reason: 'Missing role: admin', message: 'Missing role: admin' },
    { code: 'FST_JWT_FRESH_REQUIRED', reason: '', message: 'Fresh token required' }
  ])
  t.equal((await app.inject('/required')).headers['www-authenticate'], 'Bearer')
})

t.test('a function of messages that throws lets nobody in', async t => {
  const app = await answeringApp(t, (error, reply) => reply.code(error.statusCode ?? 500).send({}), { messages: () => { throw new Error('no language') } })
  for (const url of ['/required', '/inside', '/any', '/strict']) t.equal((await app.inject({ url, headers: bearer('a.b.c') })).statusCode, 500)
  t.equal(app.jwt.verifyToken('a.b.c'), false)
  await t.rejects(Promise.resolve(Fastify().register(jwt, { secretKey, messages: 1 as never })), { code: 'FST_JWT_BAD_OPTION', message: /'messages' takes/ })
})

t.test('a mistake of the app is a 500 that tells the client nothing of it, and the log all', async t => {
  const lines: string[] = []
  const stream = { write (line: string) { lines.push(line) } }
  const app = Fastify({ logger: { level: 'error', stream } })
  t.teardown(() => app.close())
  app.get('/unregistered', { preHandler: jwtRequired }, async () => ({}))
  app.get('/unregistered/guard', { preHandler: role('admin') }, async () => ({}))
  await app.register(async context => {
    await context.register(jwt, { secretKey, isRevoked: async () => undefined as never })
    context.get('/revoked', { preHandler: jwtRequired }, async () => ({}))
    context.get('/cookie', async (_request, reply) => { context.jwt.setAccessCookies(reply, context.jwt.createAccessToken('ada')) })
    context.get('/options', async request => { await request.verifyJwt({ fresh: 'yes' as never }) })
    context.get('/locations', async request => { await request.verifyJwt({ locations: 'cookies' }) })
    context.get('/query', async request => { await request.verifyJwt({ locations: 'queryString' }) })
  })
  await app.register(async context => {
    await context.register(jwt, { secretKey, store: false, extractToken: (async () => 'token') as never })
    context.get('/extract', { preHandler: jwtRequired }, async () => ({}))
    context.get('/extract/optional', { preHandler: jwtOptional }, async () => ({}))
    context.get('/store', async () => context.jwt.listSessions('ada'))
  })
  await app.register(async context => {
    await context.register(jwt, { decodeKey: () => 'short' })
    context.get('/key', { preHandler: jwtRequired }, async () => ({}))
    context.get('/sign', async () => context.jwt.createAccessToken('ada'))
  })
  await app.register(async context => {
    await context.register(jwt, { secretKey })
    context.get('/guard', { preHandler: [jwtRequired, guard(() => 'yes' as never)] }, async () => ({}))
    context.get('/guard/inside', { preHandler: [jwtRequired, guard(async request => { await request.verifyJwt({ locations: 'cookies' }); return true })] }, async () => ({}))
  })
  const token = forge({ sub: 'ada', exp: 4_000_000_000, jti: 'x' })
  const told: Array<[url: string, cause: RegExp]> = [
    ['/unregistered', /not registered in the context/],
    ['/unregistered/guard', /not registered in the context/],
    ['/revoked', /'isRevoked' must return true or false/],
    ['/cookie', /'tokenLocation' lacks 'cookies'/],
    ['/options', /'verifyJwt\.fresh' takes true or false/],
    ['/locations', /'verifyJwt\.locations' names 'cookies'/],
    ['/query', /'tokenLocation' has 'queryString' in a nested context/],
    ['/extract', /'extractToken' must return a string or undefined, and not a promise/],
    ['/extract/optional', /'extractToken' must return a string or undefined, and not a promise/],
    ['/store', /'store' is false/],
    ['/key', /'decodeKey' has 5 bytes/],
    ['/sign', /can only verify/],
    ['/guard', /'guard' must return true or false/],
    ['/guard/inside', /'verifyJwt\.locations' names 'cookies'/]
  ]
  for (const [url, cause] of told) {
    lines.length = 0
    const response = await app.inject({ url, headers: bearer(token) })
    t.equal(response.statusCode, 500, url)
    const { code, message, ...rest } = response.json()
    if (code !== undefined) t.match(code, /^FST_JWT_(?:BAD_OPTION|NOT_REGISTERED)$/, url)
    t.equal(message, 'Authentication is not set up correctly', url)
    t.strictSame(rest, { statusCode: 500, error: 'Internal Server Error' })
    t.equal(lines.length, 1, url)
    t.match(JSON.parse(String(lines[0])).err.stack, cause, url)
    t.notOk(String(lines[0]).includes(token))
  }
})
