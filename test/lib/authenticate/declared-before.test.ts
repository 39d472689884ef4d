import fastifySwagger from '@fastify/swagger'
import Fastify from 'fastify'
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import type { Test } from 'tap'
import jwt, {
  allOf, anyOf, crossOriginProtection, freshJwtRequired, guard, jwtOptional, jwtRequired, not, permission, refreshTokenRequired, role, scope, verifyJwt
} from '../../../lib/index.ts'
import type { JwtExtendedOptions } from '../../../lib/index.ts'
import { secretKey, seen } from '../../helpers/protected-app.ts'
import { movableTime } from '../../helpers/clock.ts'

type Routes = (child: FastifyInstance) => void

/** The same routes in a child context declared before the plugin, and in one declared after it. */
async function bothApps (t: Test, options: Partial<JwtExtendedOptions>, routes: Routes, prepare: Routes = () => {}): Promise<[before: FastifyInstance, after: FastifyInstance]> {
  const apps = [Fastify(), Fastify()] as const
  for (const app of apps) t.teardown(() => app.close())
  const [before, after] = apps
  const child = async (context: FastifyInstance): Promise<void> => { routes(context) }
  prepare(before)
  before.register(async outer => { outer.register(child) })
  await before.after()
  await before.register(jwt, { secretKey, ...options })
  prepare(after)
  await after.register(jwt, { secretKey, ...options })
  after.register(async outer => { outer.register(child) })
  for (const app of apps) await app.ready()
  return [before, after]
}

const bearer = (token: string) => ({ authorization: `Bearer ${token}` })

t.test('every hook and guard decides in a context declared before the plugin as in one declared after it', async t => {
  const hooks = {
    required: jwtRequired,
    optional: jwtOptional,
    fresh: freshJwtRequired,
    refresh: refreshTokenRequired,
    strict: verifyJwt({ type: 'any', optional: 'strict' }),
    origin: crossOriginProtection,
    role: [jwtRequired, role('admin')],
    alone: role('admin'),
    any: anyOf(allOf(refreshTokenRequired, role('ops')), allOf(jwtRequired, role('admin'))),
    not: [jwtRequired, not(permission('write'))],
    scope: [jwtRequired, scope('read')],
    guard: [jwtRequired, guard(request => request.jwtIdentity === 'ada')]
  }
  const apps = await bothApps(t, {}, child => {
    for (const [name, hook] of Object.entries(hooks)) {
      for (const phase of ['onRequest', 'preValidation', 'preHandler']) child.get(`/${name}/${phase}`, { [phase]: hook }, async request => seen(request))
    }
    child.get('/inside', async request => {
      const before = seen(request)
      await request.verifyJwt({ optional: true })
      return { before, after: seen(request), header: request.jwtHeader, user: request.jwtUser }
    })
  })
  const [, { jwt: tokens }] = apps
  const sent = [
    {},
    bearer('a.b.c'),
    bearer(tokens.createAccessToken('ada', { fresh: true, claims: { roles: ['admin'], scope: 'read' } })),
    bearer(tokens.createAccessToken('eve', { claims: { permissions: ['write'] } })),
    bearer(tokens.createAccessToken('ada', { expiresIn: -1 })),
    bearer(tokens.createRefreshToken('ada', { claims: { roles: ['ops'] } })),
    { 'sec-fetch-site': 'cross-site' }
  ]
  const statuses = new Set<number>()
  for (const url of [...Object.keys(hooks).flatMap(name => ['onRequest', 'preValidation', 'preHandler'].map(phase => `/${name}/${phase}`)), '/inside', '/nowhere']) {
    for (const headers of sent) {
      const [early, late] = await Promise.all(apps.map(app => app.inject({ url, headers })))
      t.equal(early?.statusCode, late?.statusCode, `${url} ${JSON.stringify(headers)}`)
      t.equal(early?.body, late?.body)
      t.equal(early?.headers['www-authenticate'], late?.headers['www-authenticate'])
      statuses.add(early?.statusCode ?? 0)
    }
  }
  t.strictSame([...statuses].sort(), [200, 401, 403, 404])
})

t.test('protect covers it, and its exceptions hold there', async t => {
  for (const options of [{}, { tokenLocation: ['headers', 'json'] }] as const) {
    const apps = await bothApps(t, { protect: true, skipPaths: ['/skipped', '/open/*'], ...options }, child => {
      child.post('/shut', async request => seen(request))
      child.post('/skipped', async request => seen(request))
      child.post('/open/:id', async request => seen(request))
      child.post('/configured', { config: { jwt: false } }, async request => seen(request))
      child.post('/strict', { config: { jwt: { type: 'refresh' } } }, async request => seen(request))
      child.post('/optional', { preHandler: jwtOptional }, async request => seen(request))
      child.post('/own', { preHandler: refreshTokenRequired }, async request => seen(request))
    })
    const access = apps[0].jwt.createAccessToken('ada')
    const refresh = apps[0].jwt.createRefreshToken('ada')
    for (const url of ['/shut', '/skipped', '/open/1', '/configured', '/strict', '/optional', '/own', '/nowhere']) {
      for (const headers of [{}, bearer(access), bearer(refresh)]) {
        const [early, late] = await Promise.all(apps.map(app => app.inject({ method: 'POST', url, headers, payload: {} })))
        t.equal(early?.statusCode, late?.statusCode, `${url} ${JSON.stringify(headers)}`)
        t.equal(early?.body, late?.body)
      }
    }
  }
})

t.test('protect covers a route whose path Fastify prints in another way, whatever its own hook', async t => {
  const [early] = await bothApps(t, { protect: true }, child => {
    child.get('/shut/:id?', async request => seen(request))
    child.get('/optional/:id?', { preHandler: jwtOptional }, async request => seen(request))
  })
  for (const url of ['/shut', '/shut/1', '/optional/1']) {
    t.equal((await early.inject(url)).statusCode, 401, url)
    t.equal((await early.inject({ url, headers: bearer(early.jwt.createAccessToken('ada')) })).statusCode, 200, url)
  }
})

t.test('cookies are set, read, renewed and cleared there', async t => {
  for (const csrfProtection of ['fetch-metadata', 'double-submit'] as const) {
    const apps = await bothApps(t, { tokenLocation: ['cookies'], implicitRefresh: 600, accessExpires: 900, csrfProtection }, child => {
      child.post('/login', async (_request, reply) => {
        const { accessToken, refreshToken } = await child.jwt.createSession('ada')
        child.jwt.setAccessCookies(reply, accessToken)
        child.jwt.setRefreshCookies(reply, refreshToken)
        return {}
      })
      child.get('/me', { preHandler: jwtRequired }, async request => ({ identity: request.jwtIdentity }))
      child.post('/me', { preHandler: jwtRequired }, async request => ({ identity: request.jwtIdentity }))
      child.post('/refresh', { preHandler: refreshTokenRequired }, async (request, reply) => {
        child.jwt.setAccessCookies(reply, (await child.jwt.rotateSession(request)).accessToken)
        return {}
      })
      child.get('/public', { preHandler: jwtRequired }, async (_request, reply) => reply.header('cache-control', 'public, max-age=60').send({}))
      child.post('/logout', async (_request, reply) => {
        child.jwt.unsetJwtCookies(reply)
        return {}
      })
    })
    for (const app of apps) {
      const login = await app.inject({ method: 'POST', url: '/login' })
      t.equal(login.statusCode, 200)
      t.equal(login.headers['cache-control'], 'no-store')
      const cookies = Object.fromEntries(login.cookies.map(({ name, value }) => [name, value]))
      t.ok(cookies['access_token_cookie'] && cookies['refresh_token_cookie'])
      t.equal((await app.inject({ url: '/me', cookies })).json().identity, 'ada')
      const csrf = csrfProtection === 'double-submit' ? { 'x-csrf-token': cookies['csrf_access_token'] ?? '' } : {}
      const refreshCsrf = csrfProtection === 'double-submit' ? { 'x-csrf-token': cookies['csrf_refresh_token'] ?? '' } : {}
      t.equal((await app.inject({ method: 'POST', url: '/me', cookies, headers: { 'sec-fetch-site': 'same-origin', ...csrf } })).statusCode, 200)
      t.equal((await app.inject({ method: 'POST', url: '/me', cookies, headers: { 'sec-fetch-site': 'cross-site' } })).statusCode, 403)
      const rotated = await app.inject({ method: 'POST', url: '/refresh', cookies, headers: refreshCsrf })
      t.equal(rotated.statusCode, 200)
      t.ok(rotated.cookies.some(({ name }) => name === 'access_token_cookie'))
      const logout = await app.inject({ method: 'POST', url: '/logout', cookies })
      t.ok(logout.cookies.every(({ value, expires }) => value === '' && expires?.getTime() === 0))
      t.ok(logout.cookies.length >= 2)

      const old = app.jwt.createAccessToken('ada')
      const time = movableTime(t)
      time.advance(400)
      const renewed = await app.inject({ url: '/me', cookies: { access_token_cookie: old } })
      t.equal(renewed.statusCode, 200)
      t.ok(renewed.cookies.some(({ name, value }) => name === 'access_token_cookie' && value !== old && app.jwt.verifyToken(value)), 'renewed')
      t.equal(renewed.headers['cache-control'], 'no-store')
      const shared = await app.inject({ url: '/public', cookies: { access_token_cookie: old } })
      t.equal(shared.cookies.length, 0)
      t.equal(shared.headers['cache-control'], 'public, max-age=60')
      time.reset()
    }
  }
})

t.test('its routes are missing from the OpenAPI document, and a log line says so', async t => {
  const lines: string[] = []
  const app = Fastify({ logger: { level: 'warn', stream: { write (line: string) { lines.push(line) } } } })
  t.teardown(() => app.close())
  app.register(fastifySwagger, { openapi: { openapi: '3.1.0' } })
  app.register(async child => {
    child.get('/early', { preHandler: jwtRequired }, async () => ({}))
    child.get('/early/open', async () => ({}))
  })
  app.register(async child => {
    await child.register(jwt, { secretKey })
    child.get('/own', { preHandler: jwtRequired }, async () => ({}))
  })
  await app.register(jwt, { secretKey })
  app.get('/late', { preHandler: jwtRequired }, async () => ({}))
  await app.ready()
  const { paths = {} } = app.swagger() as { paths?: Record<string, { get?: { security?: object } }> }
  for (const url of ['/late', '/own']) t.strictSame(paths[url]?.get?.security, [{ bearerAuth: [] }])
  t.equal(paths['/early']?.get?.security, undefined)
  const warnings = lines.filter(line => line.includes('OpenAPI'))
  t.ok(warnings.length > 0)
  for (const line of warnings) t.match(line, /before fastify-jwt-extended: GET \/early, HEAD \/early"/)
})

t.test('a context with a registration of its own, before the one that protects, decides by its own hooks', async t => {
  const app = Fastify()
  t.teardown(() => app.close())
  app.register(async child => {
    await child.register(jwt, { secretKey })
    child.get('/own', { preHandler: refreshTokenRequired }, async request => seen(request))
    child.get('/shut', async request => seen(request))
    // Which of the two a request is for can't be told from what Fastify prints: the route is shut.
    child.get('/twice', { preHandler: refreshTokenRequired }, async request => seen(request))
    child.get('/twice', { constraints: { version: '1.0.0' } }, async request => seen(request))
  })
  await app.register(jwt, { secretKey, protect: true })
  const refresh = bearer(app.jwt.createRefreshToken('ada'))
  t.equal((await app.inject({ url: '/own', headers: refresh })).statusCode, 200)
  t.equal((await app.inject({ method: 'HEAD', url: '/own', headers: refresh })).statusCode, 200)
  for (const url of ['/own', '/shut', '/twice']) {
    t.equal((await app.inject({ url })).statusCode, 401)
    t.equal((await app.inject({ url, headers: { 'accept-version': '1.0.0' } })).statusCode, url === '/twice' ? 401 : 404)
  }
  t.equal((await app.inject({ url: '/twice', headers: refresh })).statusCode, 401)
})

t.test('its tokens in the query are in no log line', async t => {
  const lines: string[] = []
  const app = Fastify({ logger: { level: 'trace', stream: { write (line: string) { lines.push(line) } } } })
  t.teardown(() => app.close())
  app.register(async child => {
    child.get('/me', { preHandler: jwtRequired }, async request => {
      request.log.info(request.url)
      return { identity: request.jwtIdentity }
    })
    child.get('/file', async (_request, reply) => reply.callNotFound())
  })
  await app.register(jwt, { secretKey, tokenLocation: 'queryString' })
  const token = app.jwt.createAccessToken('ada')
  t.equal((await app.inject(`/me?jwt=${token}`)).json().identity, 'ada')
  t.notMatch((await app.inject(`/file?jwt=${token}`)).body, token)
  t.ok(lines.length > 3)
  t.notOk(lines.some(line => line.includes(token)))
})
