import Fastify from 'fastify'
import t from 'tap'
import type { Test } from 'tap'
import type { FastifyInstance } from 'fastify'
import jwt, { jwtRequired } from '../../../lib/index.ts'
import type { JwtExtendedOptions } from '../../../lib/index.ts'
import { secretKey } from '../../helpers/protected-app.ts'
import { base64url, parts } from '../../helpers/forge.ts'

/** An app whose hook puts the cookie of the tenant in the place of the session cookie. */
async function tenantApp (t: Test, options: Partial<JwtExtendedOptions> = {}): Promise<FastifyInstance> {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(jwt, { secretKey, tokenLocation: 'cookies', accessCookieName: 'session', ...options })
  app.addHook('onRequest', async request => {
    const { tenant } = request.headers
    if (tenant !== undefined) request.cookies['session'] = request.cookies[`session_${String(tenant)}`]
  })
  app.get('/', { preHandler: jwtRequired }, async request => ({ identity: request.jwtIdentity, roles: request.jwtClaims?.['roles'] }))
  await app.ready()
  return app
}

/** Other claims with the signature of a token that is good, so that length and end are the same. */
function forgeWithSignatureOf (token: string, changes: Record<string, unknown>): string {
  const [header, payload, signature] = parts(token)
  const claims = JSON.parse(Buffer.from(payload, 'base64url').toString()) as Record<string, unknown>
  return `${header}.${base64url({ ...claims, ...changes })}.${signature}`
}

t.test('what is presented is what is verified, whatever stands beside it in the Cookie header', async t => {
  const app = await tenantApp(t)
  const token = app.jwt.createAccessToken('ada', { claims: { roles: 'user0' } })
  const forged = forgeWithSignatureOf(token, { roles: 'admin' })
  t.equal(forged.length, token.length)
  t.equal(forged.slice(-20), token.slice(-20))

  const cookie = `session=${token}; session_a=${forged}`
  for (let times = 0; times < 4; times++) {
    const honest = await app.inject({ url: '/', headers: { cookie } })
    t.strictSame(honest.json(), { identity: 'ada', roles: 'user0' })
    const attack = await app.inject({ url: '/', headers: { cookie, tenant: 'a' } })
    t.equal(attack.json<{ code: string }>().code, 'FST_JWT_INVALID_SIGNATURE')
  }
})

t.test('a forged token beside the token it was made of is refused from every place', async t => {
  const app = await tenantApp(t, { tokenLocation: ['headers', 'cookies', 'queryString'] })
  const token = app.jwt.createAccessToken('ada')
  const forged = forgeWithSignatureOf(token, { sub: 'bob' })
  const places = (value: string) => [
    { url: '/', headers: { authorization: `Bearer ${value}` } },
    { url: '/', headers: { authorization: `Bearer ${value}`, cookie: `session=${token}` } },
    { url: '/', headers: { cookie: `session=${value}` } },
    { url: '/', headers: { cookie: `session=${token}; session_a=${value}`, tenant: 'a' } },
    { url: '/', headers: { cookie: `session_a=${value}; session=${token}`, tenant: 'a' } },
    { url: `/?jwt=${value}` },
    { url: `/?jwt=${value}`, headers: { 'x-token': token } }
  ]
  for (let times = 0; times < 3; times++) {
    for (const place of places(token)) t.equal((await app.inject(place)).statusCode, 200, JSON.stringify(place))
    for (const place of places(forged)) {
      const { statusCode, body } = await app.inject(place)
      t.strictSame([statusCode, JSON.parse(body).code], [401, 'FST_JWT_INVALID_SIGNATURE'], JSON.stringify(place))
    }
  }
})

t.test('a cookie that a hook of the app has taken away is not there', async t => {
  const app = await tenantApp(t)
  const cookie = `session=${app.jwt.createAccessToken('ada')}`
  t.equal((await app.inject({ url: '/', headers: { cookie } })).statusCode, 200)
  t.equal((await app.inject({ url: '/', headers: { cookie, tenant: 'none' } })).json<{ code: string }>().code, 'FST_JWT_MISSING_TOKEN')
})

t.test('a cookie that a hook of the app has replaced by something else than a text is refused, not a fault', async t => {
  for (const value of [5, true, {}, [], ['a', 'b'], { length: 5 }, Buffer.from('a.b.c'), () => 'a.b.c']) {
    const app = Fastify()
    t.teardown(() => app.close())
    await app.register(jwt, { secretKey, tokenLocation: 'cookies' })
    app.addHook('onRequest', async request => { Object.assign(request.cookies, { access_token_cookie: value }) })
    app.get('/', { preHandler: jwtRequired }, async () => 'in')
    const { statusCode, body } = await app.inject({ url: '/', headers: { cookie: `access_token_cookie=${app.jwt.createAccessToken('ada')}` } })
    t.strictSame([statusCode, JSON.parse(body).code], [400, 'FST_JWT_BAD_REQUEST'], String(value))
  }
})

t.test('a cookie that a hook has set without any Cookie header is judged by itself', async t => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(jwt, { secretKey, tokenLocation: 'cookies', accessCookieName: 'session' })
  app.addHook('onRequest', async request => { request.cookies['session'] = String(request.headers['x-token']) })
  app.get('/', { preHandler: jwtRequired }, async request => ({ identity: request.jwtIdentity }))
  t.equal((await app.inject({ url: '/', headers: { 'x-token': 'none' } })).statusCode, 401)
  t.equal((await app.inject({ url: '/', headers: { 'x-token': app.jwt.createAccessToken('user123') } })).statusCode, 200)
})
