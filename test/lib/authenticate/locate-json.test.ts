import { once } from 'node:events'
import { request as httpRequest } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import formbody from '@fastify/formbody'
import Fastify from 'fastify'
import type { FastifyInstance, FastifyServerOptions } from 'fastify'
import t from 'tap'
import type { Test } from 'tap'
import jwt, { jwtOptional, jwtRequired, verifyJwt } from '../../../lib/index.ts'
import { bearer, passes, protectedApp, refusals, refused, secretKey, seen } from '../../helpers/protected-app.ts'
import type { Options } from '../../helpers/protected-app.ts'

const post = (url: string, payload: unknown, type = 'application/json') =>
  ({ method: 'POST' as const, url, payload: JSON.stringify(payload), headers: { 'content-type': type } })

t.test('a token in a JSON body, access and refresh each by its own key', async t => {
  const app = await protectedApp(t, { tokenLocation: 'json' })
  const access = app.jwt.createAccessToken('user123')
  const refresh = app.jwt.createRefreshToken('user123')
  for (const method of ['POST', 'PUT', 'PATCH', 'DELETE'] as const) {
    await passes(t, app, { ...post('/required', { access_token: access }), method }, 'user123', `${method}, access`)
    await passes(t, app, { ...post('/refresh', { refresh_token: refresh }), method }, 'user123', `${method}, refresh`)
  }
  await passes(t, app, post('/required', { access_token: access, refresh_token: 'nonsense' }), 'user123', 'access beside another refresh token')
  await refused(t, app, post('/required', { refresh_token: refresh }), refusals.missing, 'a refresh token is no access token')
  await refused(t, app, post('/refresh', { access_token: access }), refusals.missing, 'an access token is no refresh token')
  await refused(t, app, post('/required', { access_token: refresh }), refusals.accessRequired, 'a refresh token under the key of the other')
  t.equal((await app.inject(post('/required', { access_token: access }))).json().location, 'json')
})

t.test('the keys are options', async t => {
  const app = await protectedApp(t, { tokenLocation: 'json', jsonKey: 'a', refreshJsonKey: 'r' })
  await passes(t, app, post('/required', { a: app.jwt.createAccessToken('user123') }), 'user123', 'access')
  await passes(t, app, post('/refresh', { r: app.jwt.createRefreshToken('user123') }), 'user123', 'refresh')
  await refused(t, app, post('/required', { access_token: app.jwt.createAccessToken('user123') }), refusals.missing, 'the default key')
})

t.test('bodies without a token, and with something else in its place', async t => {
  const app = await protectedApp(t, { tokenLocation: 'json' })
  for (const [name, body, refusal] of [
    ['an empty object', {}, refusals.missing],
    ['an empty string', { access_token: '' }, refusals.missing],
    ['null', { access_token: null }, refusals.missing],
    ['a number', { access_token: 1 }, refusals.badRequest],
    ['false', { access_token: false }, refusals.badRequest],
    ['an array', { access_token: ['a'] }, refusals.badRequest],
    ['an object', { access_token: { token: 'a' } }, refusals.badRequest],
    ['no token', { access_token: 'nonsense' }, refusals.invalid],
    ['a body that is an array', ['access_token'], refusals.missing],
    ['a body that is a string', 'access_token', refusals.missing],
    ['a body that is null', null, refusals.missing],
    ['a body that is a number', 7, refusals.missing]
  ] as const) {
    await refused(t, app, post('/required', body), refusal, name)
  }
  await refused(t, app, { method: 'GET', url: '/required' }, refusals.missing, 'GET, which has no body')
  await refused(t, app, { method: 'POST', url: '/required' }, refusals.missing, 'POST without a body')
})

t.test('only a body that says it is JSON', async t => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(formbody)
  app.addContentTypeParser(['application/vnd.api+json', 'application/jsonish', 'application/x-json+xml'], { parseAs: 'string' },
    (_request, body, done) => { done(null, JSON.parse(body as string)) })
  await app.register(jwt, { secretKey, tokenLocation: 'json' })
  app.post('/required', { preHandler: jwtRequired }, async request => seen(request))
  const token = app.jwt.createAccessToken('user123')
  const send = async (type: string, payload = JSON.stringify({ access_token: token })) =>
    (await app.inject({ method: 'POST', url: '/required', payload, headers: { 'content-type': type } })).statusCode
  for (const type of ['application/json', 'Application/JSON', 'application/json; charset=utf-8', 'application/vnd.api+json']) {
    t.equal(await send(type), 200, type)
  }
  t.equal(await send('text/plain'), 401, 'text/plain')
  t.equal(await send('application/jsonish'), 401, 'a name that begins alike')
  t.equal(await send('application/x-json+xml'), 401, 'a name with json in it')
  t.equal(await send('application/x-www-form-urlencoded', `access_token=${token}`), 401, 'a form')
})

/** The plugin with `json` among its locations, and a route whose handler or hook looks before the body is there. */
async function appWithHook (t: Test, declare: (app: FastifyInstance) => void, options: Partial<Options> = {}, server: FastifyServerOptions = {}): Promise<FastifyInstance> {
  const app = Fastify(server) as unknown as FastifyInstance
  t.teardown(() => app.close())
  await app.register(jwt, { secretKey, tokenLocation: ['headers', 'json'], ...options } as Options)
  declare(app)
  return app
}

t.test('a hook that needs the body in onRequest or preParsing stops start-up', async t => {
  const handler = async () => ({})
  for (const [phase, declare] of [
    ['onRequest', app => app.post('/', { onRequest: jwtRequired, handler })],
    ['onRequest', app => app.post('/', { onRequest: [jwtOptional], handler })],
    ['onRequest', app => app.post('/', { onRequest: verifyJwt({ locations: 'json' }), handler })],
    ['preParsing', app => app.route({ method: 'POST', url: '/', handler, ...{ preParsing: jwtRequired } as object })]
  ] as ReadonlyArray<[string, (app: FastifyInstance) => void]>) {
    await t.rejects(appWithHook(t, declare), { code: 'FST_JWT_BAD_OPTION', message: new RegExp(`'${phase}' of route / .*preHandler`) }, phase)
  }
  const app = await appWithHook(t, app => {
    app.post('/', { onRequest: verifyJwt({ locations: 'headers' }), handler })
    app.post('/later', { preValidation: jwtRequired, handler })
  })
  t.equal((await app.inject({ method: 'POST', url: '/', headers: bearer(app.jwt.createAccessToken('user123')) })).statusCode, 200)
  t.equal((await app.inject(post('/later', { access_token: app.jwt.createAccessToken('user123') }))).statusCode, 200)
})

t.test('a hook of the whole app in onRequest refuses a body it cannot look into, and says why in the log: never a silent pass', async t => {
  for (const hook of [jwtRequired, jwtOptional, verifyJwt({ optional: 'strict' })]) {
    const lines: string[] = []
    const app = await appWithHook(t, app => {
      app.addHook('onRequest', hook)
      app.post('/', async request => seen(request))
    }, {}, { logger: { level: 'error', stream: { write (line: string) { lines.push(line) } } } })
    const token = app.jwt.createAccessToken('user123')
    await refused(t, app, post('/', { access_token: token }), refusals.missing, 'JSON')
    t.match(lines.join(''), /not parsed in onRequest.*preHandler/)
    t.notMatch(lines.join(''), token)
    await refused(t, app, {
      method: 'POST', url: '/', payload: '{}', headers: { 'content-type': 'application/vnd.api+json', 'transfer-encoding': 'chunked' }
    }, refusals.missing, 'of any kind of JSON, of unknown length')
    t.equal((await app.inject({ method: 'POST', url: '/', headers: bearer(token) })).statusCode, 200, 'a token in the header goes before the body')
  }
})

t.test('before the body, a request that has none is answered for itself', async t => {
  const app = await appWithHook(t, app => {
    app.addHook('onRequest', jwtRequired)
    app.all('/', async request => seen(request))
  })
  for (const request of [
    { method: 'GET', url: '/' },
    { method: 'GET', url: '/', headers: { 'content-type': 'application/json', 'content-length': '2' } },
    { method: 'POST', url: '/' },
    { method: 'POST', url: '/', headers: { 'content-type': 'application/json', 'content-length': '0' } },
    { method: 'POST', url: '/', payload: 'text', headers: { 'content-type': 'text/plain' } }
  ] as const) {
    await refused(t, app, request, refusals.missing, JSON.stringify(request))
  }
})

t.test('a method that has no body is not asked for one, whatever its headers say', async t => {
  const app = Fastify()
  app.addHttpMethod('PROPFIND')
  t.teardown(() => app.close())
  await app.register(jwt, { secretKey, tokenLocation: ['json', 'headers'] })
  app.route({ method: ['GET', 'PROPFIND'], url: '/', preHandler: jwtRequired, handler: async request => seen(request) })
  for (const method of ['GET', 'PROPFIND'] as const) {
    const request = { ...post('/', { access_token: 'nonsense' }), method: method as 'GET' }
    await refused(t, app, request, refusals.missing, method)
    const { authorization } = bearer(app.jwt.createAccessToken('user123'))
    await passes(t, app, { ...request, headers: { ...request.headers, authorization } }, 'user123', `${method}, token in a header`)
  }
})

t.test('over a real socket, too, a body that was not read is no silent pass', async t => {
  const app = await appWithHook(t, app => {
    app.addHook('onRequest', jwtOptional)
    app.post('/', async request => seen(request))
  })
  await app.listen({ port: 0, host: '127.0.0.1' })
  const { port } = app.server.address() as AddressInfo
  const outgoing = httpRequest({ port, host: '127.0.0.1', method: 'POST', headers: { 'content-type': 'application/json' } })
  outgoing.end(JSON.stringify({ access_token: app.jwt.createAccessToken('user123') }))
  const [response] = await once(outgoing, 'response') as [import('node:http').IncomingMessage]
  t.equal(response.statusCode, 401)
  t.match(JSON.parse(await text(response)), { code: 'FST_JWT_MISSING_TOKEN' })
})

t.test('from inside a handler the body is there', async t => {
  const app = await appWithHook(t, app => {
    app.post('/', async request => {
      await request.verifyJwt({ locations: 'json' })
      return seen(request)
    })
  })
  await passes(t, app, post('/', { access_token: app.jwt.createAccessToken('user123') }), 'user123', 'in a handler')
})
