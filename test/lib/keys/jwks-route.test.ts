import swagger from '@fastify/swagger'
import Fastify from 'fastify'
import { createLocalJWKSet, jwtVerify } from 'jose'
import t from 'tap'
import jwt, { allOf, anyOf, freshJwtRequired, guard, jwtRequired, not, refreshTokenRequired, role, scope, verifyJwt } from '../../../lib/index.ts'
import { ecPair, rsaPair } from '../../helpers/keys/key-pairs.ts'
import { appWith, secretKey } from '../../helpers/keys/found-keys-app.ts'

const pair = { privateKey: ecPair('P-256', 'a').privateKey, algorithm: 'ES256' as const, keyId: 'a' }
const jwksPath = '/.well-known/jwks.json'

t.test('the public keys are served as a JWK Set that others can verify with', async t => {
  const app = await appWith(t, {
    keys: [pair, { keyId: 'b', algorithm: 'RS256', privateKey: rsaPair('b').privateKey }, { keyId: 'c', secretKey }], jwksPath
  })
  const response = await app.inject(jwksPath)
  t.equal(response.statusCode, 200)
  t.equal(response.headers['content-type'], 'application/jwk-set+json')
  t.match(response.headers['cache-control'], /^public, max-age=[1-9]\d*$/)
  const { keys } = response.json<ReturnType<typeof app.jwt.jwks>>()
  t.strictSame(keys, JSON.parse(JSON.stringify(app.jwt.jwks().keys)))
  t.strictSame(keys.map(({ kid, alg, use }) => ({ kid, alg, use })), [{ kid: 'a', alg: 'ES256', use: 'sig' }, { kid: 'b', alg: 'RS256', use: 'sig' }])
  for (const key of keys) {
    for (const secret of ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k']) t.notOk(Object.hasOwn(key, secret), `no ${secret}`)
  }
  const { payload } = await jwtVerify(app.jwt.createAccessToken('user123'), createLocalJWKSet({ keys }))
  t.equal(payload.sub, 'user123')
})

t.test('HEAD is answered like GET, without a body', async t => {
  const app = Fastify({ exposeHeadRoutes: false })
  t.teardown(() => app.close())
  await app.register(jwt, { ...pair, jwksPath })
  const response = await app.inject({ method: 'HEAD', url: jwksPath })
  t.equal(response.statusCode, 200)
  t.equal(response.headers['content-type'], 'application/jwk-set+json')
  t.equal(response.body, '')
})

t.test('a rotation shows at once', async t => {
  const app = await appWith(t, { ...pair, jwksPath })
  app.jwt.rotateKeys([{ ...pair, keyId: 'b' }, pair])
  t.strictSame((await app.inject(jwksPath)).json<ReturnType<typeof app.jwt.jwks>>().keys.map(({ kid }) => kid), ['b', 'a'])
})

t.test('it is open under protect', async t => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(jwt, { ...pair, jwksPath, protect: true })
  t.equal((await app.inject(jwksPath)).statusCode, 200)
})

t.test('it is open where the app has put a hook on all routes', async t => {
  for (const [name, hook] of Object.entries({ jwtRequired, freshJwtRequired, refreshTokenRequired, strict: verifyJwt({ optional: 'strict' }) })) {
    const app = Fastify()
    t.teardown(() => app.close())
    await app.register(jwt, { ...pair, jwksPath })
    app.addHook('onRequest', hook)
    app.get('/', async () => ({}))
    t.equal((await app.inject('/')).statusCode, name === 'strict' ? 200 : 401, name)
    t.equal((await app.inject(jwksPath)).statusCode, 200, name)
    t.equal((await app.inject({ url: jwksPath, headers: { authorization: 'Bearer nonsense' } })).statusCode, 200, `${name}, bad token`)
  }
})

t.test('it is open where the app has put a guard on all routes', async t => {
  const guards = {
    role: role('admin'),
    scope: scope('keys'),
    anyOf: anyOf(role('admin'), jwtRequired),
    allOf: allOf(jwtRequired, role('admin')),
    not: not(role('banned')),
    custom: guard(() => false)
  }
  for (const [name, hook] of Object.entries(guards)) {
    const app = Fastify()
    t.teardown(() => app.close())
    await app.register(jwt, { ...pair, jwksPath })
    app.addHook('onRequest', hook)
    app.get('/', async () => ({}))
    t.equal((await app.inject('/')).statusCode, 401, name)
    t.equal((await app.inject(jwksPath)).statusCode, 200, name)
    t.equal((await app.inject({ url: jwksPath, method: 'HEAD' })).statusCode, 200, `${name}, HEAD`)
    const headers = { authorization: `Bearer ${app.jwt.createAccessToken('user123')}` }
    t.equal((await app.inject({ url: jwksPath, headers })).statusCode, 200, `${name}, a token that lacks what is asked for`)
  }
})

t.test('it lies under the prefix of its context, and each context has its own', async t => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(jwt, { ...pair, jwksPath })
  await app.register(async admin => {
    await admin.register(jwt, { ...pair, keyId: 'admin', jwksPath })
    admin.get('/', { preHandler: jwtRequired }, async () => ({}))
  }, { prefix: '/admin' })
  const kids = async (url: string) => (await app.inject(url)).json<ReturnType<typeof app.jwt.jwks>>().keys.map(({ kid }) => kid)
  t.strictSame(await kids(jwksPath), ['a'])
  t.strictSame(await kids(`/admin${jwksPath}`), ['admin'])
})

t.test('it is not in the OpenAPI document', async t => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(swagger, { openapi: {} })
  await app.register(jwt, { ...pair, jwksPath })
  app.get('/documented', async () => ({}))
  await app.ready()
  t.strictSame(Object.keys(app.swagger().paths ?? {}), ['/documented'])
})

t.test('without jwksPath nothing is served', async t => {
  const app = await appWith(t, pair)
  t.equal((await app.inject(jwksPath)).statusCode, 404)
})
