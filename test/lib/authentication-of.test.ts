import Fastify from 'fastify'
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import jwt, { authenticationOf, jwtOf, jwtOptional, jwtRequired } from '../../lib/index.ts'
import { bearer, secretKey } from '../helpers/protected-app.ts'

t.test('behind a hook, authenticationOf has all that was attached, and none of it is null', async t => {
  const app = Fastify() as unknown as FastifyInstance
  t.teardown(() => app.close())
  await app.register(jwt, { secretKey, userLookup: claims => ({ name: claims.identity }) })
  app.get('/', { preHandler: jwtRequired }, async request => {
    const { identity, claims, header, location, user } = authenticationOf<{ tenant: string }, { name: string }>(request)
    return { identity, tenant: claims.tenant, type: claims.type, alg: header?.alg, location, name: user.name }
  })
  app.get('/optional', { preHandler: jwtOptional }, async request => authenticationOf(request).identity)
  const token = app.jwt.createAccessToken('user123', { claims: { tenant: 'one' } })
  t.strictSame((await app.inject({ url: '/', headers: bearer(token) })).json(), { identity: 'user123', tenant: 'one', type: 'access', alg: 'HS256', location: 'headers', name: 'user123' })
  const anonymous = await app.inject('/optional')
  t.match([anonymous.statusCode, anonymous.json()], [401, { code: 'FST_JWT_MISSING_TOKEN' }])
})

t.test('jwtOf is the app.jwt of the nearest registration, and says if there is none yet', async t => {
  const app = Fastify() as unknown as FastifyInstance
  t.teardown(() => app.close())
  t.throws(() => jwtOf(app), { code: 'FST_JWT_NOT_REGISTERED', message: /await app\.register\(jwt, \{ … \}\) first/ })
  await app.register(jwt, { secretKey })
  t.equal(jwtOf(app), app.jwt)
  await app.register(async child => {
    t.equal(jwtOf(child), app.jwt)
    await child.register(jwt, { secretKey: 'another secret that is long enough for HS256' })
    t.equal(jwtOf(child), child.jwt)
    t.not(jwtOf(child), app.jwt)
  })
})
