import Fastify from 'fastify'
import formbody from '@fastify/formbody'
import t from 'tap'
import jwt, { jwtOptional, jwtRequired, refreshTokenRequired, role, verifyJwt } from '../../../lib/index.ts'
import type { FastifyInstance, FastifyServerOptions } from 'fastify'
import type { JwtExtendedOptions } from '../../../lib/index.ts'

const secretKey = 'a secret of at least thirty-two bytes'
const otherKey = 'another secret of at least 32 bytes!'

async function build (options: JwtExtendedOptions = {}, server: FastifyServerOptions = {}): Promise<FastifyInstance> {
  const app = Fastify(server)
  await app.register(jwt, { secretKey, protect: true, ...options })
  return app
}
const bearer = (token: string) => ({ authorization: `Bearer ${token}` })
const user = async (request: { jwtIdentity: string | null }) => ({ user: request.jwtIdentity })

t.test('protect puts jwtRequired on every route, and skipPaths and config.jwt make exceptions', async t => {
  const app = await build({ skipPaths: ['/login', '/public/*'] })
  app.get('/', user)
  app.get('/login', user)
  app.get('/public/about', user)
  app.get('/public', user)
  app.get('/health', { config: { jwt: false } }, user)
  app.get('/maybe', { config: { jwt: { optional: true } } }, user)
  app.get('/fresh', { config: { jwt: { fresh: true } } }, user)
  app.get('/default', { config: { jwt: undefined } as object }, user)

  const token = bearer(app.jwt.createAccessToken('user'))
  const expected: Record<string, [anonymous: number, known: number]> = {
    '/': [401, 200],
    '/login': [200, 200],
    '/public/about': [200, 200],
    '/public': [401, 200],
    '/health': [200, 200],
    '/maybe': [200, 200],
    '/fresh': [401, 401],
    '/default': [401, 200],
    '/nowhere': [404, 404]
  }
  for (const [url, [anonymous, known]] of Object.entries(expected)) {
    for (const method of ['GET', 'HEAD'] as const) {
      t.equal((await app.inject({ method, url })).statusCode, anonymous, `${method} ${url} with no token`)
      t.equal((await app.inject({ method, url, headers: token })).statusCode, known, `${method} ${url} with a token`)
    }
  }
  t.same((await app.inject({ url: '/maybe', headers: token })).json(), { user: 'user' })
  t.equal((await app.inject({ url: '/fresh', headers: bearer(app.jwt.createAccessToken('user', { fresh: true })) })).statusCode, 200)
})

t.test('a route declared before the plugin is protected, too', async t => {
  const app = Fastify()
  app.get('/early', user)
  app.get('/open', { config: { jwt: false } }, user)
  app.get('/skipped', user)
  app.get('/wrong', { config: { jwt: { fresch: true } as object } }, user)
  app.register(async child => { child.get('/child', user) })
  await app.register(jwt, { secretKey, protect: true, skipPaths: ['/skipped'] })
  t.equal((await app.inject('/early')).statusCode, 401)
  t.equal((await app.inject('/child')).statusCode, 401)
  t.equal((await app.inject('/open')).statusCode, 200)
  t.equal((await app.inject('/skipped')).statusCode, 200)
  t.equal((await app.inject('/wrong')).json().code, 'FST_JWT_BAD_OPTION', 'what could not be checked at start-up is refused')
  t.equal((await app.inject({ url: '/early', headers: bearer(app.jwt.createAccessToken('user')) })).statusCode, 200)
})

t.test('a request is refused before its body is parsed, unless the token may be in it', async t => {
  const app = await build()
  app.post('/', user)
  const big = { method: 'POST', url: '/', headers: { 'content-type': 'application/json' }, payload: '{ not json' } as const
  t.equal((await app.inject(big)).statusCode, 401)

  const inBody = await build({ tokenLocation: ['headers', 'json'] })
  inBody.post('/', user)
  inBody.post('/headers', { config: { jwt: { locations: 'headers' } } }, user)
  const payload = { access_token: inBody.jwt.createAccessToken('user') }
  t.same((await inBody.inject({ method: 'POST', url: '/', payload })).json(), { user: 'user' })
  t.equal((await inBody.inject({ method: 'POST', url: '/', payload: {} })).statusCode, 401)
  t.equal((await inBody.inject({ ...big, url: '/headers' })).statusCode, 401)
  t.equal((await inBody.inject(big)).statusCode, 400)
  const byRoute = await build()
  byRoute.post('/', { config: { jwt: { locations: 'json' } } }, user)
  t.same((await byRoute.inject({ method: 'POST', url: '/', payload })).json(), { user: 'user' })
})

t.test('a CSRF token in a form field is read once the body is there', async t => {
  const app = await build({ tokenLocation: 'cookies', csrfProtection: 'double-submit', csrfCheckForm: true })
  await app.register(formbody)
  app.post('/', user)
  const token = app.jwt.createAccessToken('user')
  const send = (payload: string) => app.inject({
    method: 'POST', url: '/', cookies: { access_token_cookie: token }, headers: { 'content-type': 'application/x-www-form-urlencoded' }, payload
  })
  t.equal((await send(`csrf_token=${app.jwt.getCsrfToken(token)}`)).statusCode, 200)
  t.equal((await send('csrf_token=')).statusCode, 403)
})

t.test('a hook of the route that requires a token decides for it; an optional one does not open it', async t => {
  const app = await build({ tokenLocation: ['headers', 'queryString'] })
  app.post('/refresh', { preHandler: refreshTokenRequired }, user)
  app.get('/download', { onRequest: [verifyJwt({ locations: 'queryString' })] }, user)
  app.get('/optional', { preHandler: jwtOptional }, user)
  app.get('/admin', { preHandler: role('admin') }, user)
  app.get('/both', { preHandler: refreshTokenRequired, config: { jwt: {} } }, user)
  const access = app.jwt.createAccessToken('user', { claims: { role: 'admin' } })
  const refresh = app.jwt.createRefreshToken('user')
  const ask = async (method: 'GET' | 'HEAD' | 'POST', url: string, headers = {}) => (await app.inject({ method, url, headers })).statusCode

  t.equal(await ask('POST', '/refresh', bearer(refresh)), 200)
  t.equal(await ask('POST', '/refresh', bearer(access)), 401)
  t.equal(await ask('POST', '/refresh'), 401)
  t.equal(await ask('GET', `/download?jwt=${access}`), 200)
  t.equal(await ask('GET', '/download', bearer(access)), 401)
  t.equal(await ask('GET', '/download'), 401)
  t.equal(await ask('HEAD', '/download'), 401)
  t.equal(await ask('GET', '/optional'), 401)
  t.equal(await ask('GET', '/optional', bearer(access)), 200)
  t.equal(await ask('GET', '/admin'), 401)
  t.equal(await ask('GET', '/admin', bearer(access)), 200)
  t.equal(await ask('GET', '/both', bearer(refresh)), 401, 'config.jwt is asked besides')
})

t.test('skip paths are compared with the whole pattern: prefix, parameters, case and trailing slash', async t => {
  const app = await build({ skipPaths: ['/api/login', '/users/:id', '/api'] })
  await app.register(async api => {
    api.get('/', user)
    api.get('/login', user)
    api.get('/Login', user)
    api.get('/login/', user)
    api.get('/login/next', user)
  }, { prefix: '/api' })
  app.get('/login', user)
  app.get('/users/:id', user)
  app.get('/:page', user)
  const expected: Record<string, number> = {
    '/api': 200,
    '/api/': 200,
    '/api/login': 200,
    '/api/Login': 401,
    '/api/login/': 401,
    '/api/login/next': 401,
    '/login': 401,
    '/users/1': 200,
    '/users/login': 200,
    '/anything': 401
  }
  for (const [url, status] of Object.entries(expected)) t.equal((await app.inject(url)).statusCode, status, url)
})

t.test('all that a context protects is in it, and nothing outside', async t => {
  const app = Fastify()
  app.get('/outside', async () => 'open')
  await app.register(async inner => {
    await inner.register(jwt, { secretKey, protect: true })
    inner.get('/inside', user)
    await inner.register(async deeper => { deeper.get('/deeper', user) })
  })
  t.equal((await app.inject('/outside')).statusCode, 200)
  t.equal((await app.inject('/inside')).statusCode, 401)
  t.equal((await app.inject('/deeper')).statusCode, 401)
})

t.test('a nested registration brings its own keys, and opens nothing unless it says so', async t => {
  const nested = async (options: JwtExtendedOptions, outer: JwtExtendedOptions = {}) => {
    const app = await build({ skipPaths: ['/admin/login'], ...outer })
    app.get('/user', user)
    await app.register(async admin => {
      await admin.register(jwt, { secretKey: otherKey, ...options })
      admin.get('/panel', user)
      admin.get('/login', user)
      admin.get('/own', { config: { jwt: false } }, user)
      admin.get('/refresh', { preHandler: refreshTokenRequired }, user)
      admin.get('/token', async () => [admin.jwt.createAccessToken('admin'), admin.jwt.createRefreshToken('admin')])
    }, { prefix: '/admin' })
    await app.ready()
    return app
  }
  const keys = Fastify()
  await keys.register(jwt, { secretKey: otherKey })
  const theirs = bearer(keys.jwt.createAccessToken('admin'))
  const theirRefresh = bearer(keys.jwt.createRefreshToken('admin'))
  const status = async (app: FastifyInstance, url: string, headers = {}) => (await app.inject({ url, headers })).statusCode

  const inherited = await nested({})
  const ours = bearer(inherited.jwt.createAccessToken('user'))
  t.equal(await status(inherited, '/admin/panel'), 401, 'what was protected stays so')
  t.equal(await status(inherited, '/admin/panel', ours), 401, 'and not with the keys of the outer context')
  t.equal(await status(inherited, '/admin/panel', theirs), 200)
  t.equal(await status(inherited, '/admin/login'), 200, 'skipPaths of the outer context hold')
  t.equal(await status(inherited, '/admin/own'), 200)
  t.equal(await status(inherited, '/admin/refresh', theirRefresh), 200)
  t.equal(await status(inherited, '/admin/refresh'), 401)
  t.equal(await status(inherited, '/user', theirs), 401)
  t.equal(await status(inherited, '/user', ours), 200)

  const own = await nested({ protect: true, skipPaths: ['/admin/token'] })
  t.equal(await status(own, '/admin/panel'), 401)
  t.equal(await status(own, '/admin/panel', theirs), 200)
  t.equal(await status(own, '/admin/login'), 401, 'the nearest protect and its skipPaths decide')
  t.equal(await status(own, '/admin/token'), 200)

  const opened = await nested({ protect: false })
  t.equal(await status(opened, '/admin/panel'), 200, 'protect: false is said, not forgotten')
  t.equal(await status(opened, '/admin/refresh'), 401)
  t.equal(await status(opened, '/user'), 401)

  const only = await nested({ protect: true }, { protect: false, skipPaths: [] })
  t.equal(await status(only, '/user'), 200)
  t.equal(await status(only, '/admin/panel'), 401)
})

t.test('a nested registration that loads before the protecting one is protected, too', async t => {
  const app = Fastify()
  app.register(async admin => {
    await admin.register(jwt, { secretKey: otherKey, tokenLocation: 'json' })
    admin.post('/panel', user)
  })
  app.register(jwt, { secretKey, protect: true })
  await app.ready()
  t.equal((await app.inject({ method: 'POST', url: '/panel', payload: {} })).statusCode, 401)
})

t.test('a skip path that matches no route is warned of at start-up', async t => {
  const lines: { level: number, msg: string }[] = []
  const logger = { level: 'warn', stream: { write: (line: string) => { lines.push(JSON.parse(line)) } } }
  const app = Fastify({ logger })
  app.get('/early', user)
  await app.register(jwt, { secretKey, protect: true, skipPaths: ['/early', '/login', '/logni', '/public/*', '/assets/*', '/Login', '/login/'] })
  app.get('/login', user)
  await app.register(async child => { child.get('/file', user) }, { prefix: '/public' })
  await app.ready()
  t.same(lines.map(({ level, msg }) => [level, msg.split(';')[0]]), [
    [40, "skipPaths: '/logni' matches no route"],
    [40, "skipPaths: '/assets/*' matches no route"],
    [40, "skipPaths: '/Login' matches no route"],
    [40, "skipPaths: '/login/' matches no route"]
  ])
})

t.test('a wrong config.jwt stops start-up', async t => {
  const declare = async (options: JwtExtendedOptions, config: unknown, preHandler: object = {}) => {
    const app = await build(options)
    app.get('/route', { config: { jwt: config } as object, ...preHandler }, user)
  }
  const message = /option 'config.jwt' of route \/route takes false, or options of verifyJwt/
  for (const wrong of [true, null, 'fresh', 1, { fresch: true }, { type: 'both' }]) {
    await t.rejects(declare({}, wrong), { code: 'FST_JWT_BAD_OPTION', message })
  }
  await t.rejects(declare({}, { locations: 'cookies' }), { code: 'FST_JWT_BAD_OPTION', message: /tokenLocation does not/ })
  await t.rejects(declare({ protect: false }, { fresh: true }), { code: 'FST_JWT_BAD_OPTION', message: /does nothing without protect: true/ })
  await t.resolves(declare({ protect: false }, false), 'a shared route module may say that it is open')
})

t.test('a 404 handler of the app still answers', async t => {
  const app = await build()
  app.setNotFoundHandler((request, reply) => reply.code(404).send({ lost: request.url }))
  app.get('/there', { preHandler: jwtRequired }, (_request, reply) => { reply.callNotFound() })
  t.same((await app.inject('/nowhere')).json(), { lost: '/nowhere' })
  t.equal((await app.inject('/there')).statusCode, 401)
})
