import Fastify from 'fastify'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import t from 'tap'
import type { Test } from 'tap'
import jwt, { jwtOptional, jwtRequired, refreshTokenRequired, verifyJwt } from '../../../lib/index.ts'
import { bearer, passes, refusals, refused, secretKey, seen } from '../../helpers/protected-app.ts'
import type { Options } from '../../helpers/protected-app.ts'

async function appWith (t: Test, options: Partial<Options>): Promise<FastifyInstance> {
  const app = Fastify() as unknown as FastifyInstance
  t.teardown(() => app.close())
  await app.register(jwt, { secretKey, ...options } as Options)
  const method = ['GET', 'POST']
  const handler = async (request: FastifyRequest) => seen(request)
  app.route({ method, url: '/required', preHandler: jwtRequired, handler })
  app.route({ method, url: '/optional', preHandler: jwtOptional, handler })
  app.route({ method, url: '/refresh', preHandler: refreshTokenRequired, handler })
  app.route({ method, url: '/any', preHandler: verifyJwt({ type: 'any' }), handler })
  return app
}

const fromHeader = (request: FastifyRequest) => request.headers['x-token'] as string | undefined

t.test('extractToken is asked before the locations, and told the type', async t => {
  const types: string[] = []
  const app = await appWith(t, { extractToken: (request, type) => { types.push(type); return fromHeader(request) } })
  const own = { 'x-token': app.jwt.createAccessToken('of extractToken') }
  const other = bearer(app.jwt.createAccessToken('of the header'))
  await passes(t, app, { url: '/required', headers: { ...own, ...other } }, 'of extractToken', 'both')
  await passes(t, app, { url: '/required', headers: other }, 'of the header', 'the header alone')
  t.equal((await app.inject({ url: '/required', headers: own })).json().location, 'extractToken')
  t.equal((await app.inject({ url: '/required', headers: other })).json().location, 'headers')
  await passes(t, app, { url: '/any', headers: own }, 'of extractToken', 'any type')
  await refused(t, app, { url: '/refresh', headers: own }, refusals.refreshRequired, 'another type')
  await refused(t, app, { url: '/required', headers: { ...other, 'x-token': 'nonsense' } }, refusals.invalid, 'a bad one decides, too')
  t.strictSame(types, ['access', 'access', 'access', 'access', 'any', 'refresh', 'access'])
})

t.test('undefined, null and an empty string are no token', async t => {
  for (const nothing of [undefined, null, '']) {
    const app = await appWith(t, { extractToken: () => nothing as undefined })
    await refused(t, app, { url: '/required' }, refusals.missing, String(nothing))
    await passes(t, app, { url: '/optional' }, null, String(nothing))
    await passes(t, app, { url: '/required', headers: bearer(app.jwt.createAccessToken('user123')) }, 'user123', String(nothing))
  }
})

t.test('what a client may have put where the app expects a string is a 400', async t => {
  for (const odd of [1, true, {}, ['token', 'token']]) {
    const app = await appWith(t, { extractToken: (() => odd) as () => string })
    await refused(t, app, { url: '/required' }, refusals.badRequest, String(odd))
    await passes(t, app, { url: '/optional' }, null, String(odd))
  }
})

t.test('a promise is a 500 whose cause names the option, and nobody passes', async t => {
  for (const odd of [Promise.resolve('token'), 'a promise that rejects']) {
    const app = await appWith(t, {
      extractToken: (() => odd === 'a promise that rejects' ? Promise.reject(new Error('rejected')) : odd) as () => string
    })
    for (const url of ['/required', '/optional']) {
      const response = await app.inject({ url, headers: bearer(app.jwt.createAccessToken('user123')) })
      t.equal(response.statusCode, 500, `${url}: ${String(odd)}`)
      t.strictSame(response.json().message, 'Authentication is not set up correctly')
    }
  }
})

t.test('extractToken that throws is a 500, on an optional route as well', async t => {
  const app = await appWith(t, { extractToken: () => { throw new Error('a fault of the app') } })
  for (const url of ['/required', '/optional']) {
    const response = await app.inject({ url, headers: bearer(app.jwt.createAccessToken('user123')) })
    t.equal(response.statusCode, 500)
    t.equal(response.json().message, 'a fault of the app')
  }
})

t.test('a token it found is not checked for CSRF, a token cookie beside it is not looked at', async t => {
  const app = await appWith(t, { tokenLocation: 'cookies', extractToken: fromHeader })
  const token = app.jwt.createAccessToken('user123')
  const crossSite = { 'sec-fetch-site': 'cross-site' }
  await passes(t, app, { method: 'POST', url: '/required', headers: { ...crossSite, 'x-token': token } }, 'user123', 'extractToken')
  await refused(t, app, { method: 'POST', url: '/required', headers: crossSite, cookies: { access_token_cookie: token } }, refusals.csrf, 'a cookie')
})
