import Fastify from 'fastify'
import cors from '@fastify/cors'
import helmet from '@fastify/helmet'
import t from 'tap'
import jwt, { jwtRequired } from '../../../lib/index.ts'

const secretKey = 'a secret of at least thirty-two bytes'
const origin = 'https://app.example.com'

t.test('a preflight is answered under protect, and no OPTIONS reaches a protected handler', async t => {
  const app = Fastify()
  await app.register(cors, { origin, credentials: true })
  await app.register(jwt, { secretKey, protect: true })
  const reached: string[] = []
  const handler = async (request: { method: string }) => { reached.push(request.method); return 'the secret' }
  app.get('/', handler)
  app.options('/own', handler)

  const preflight = await app.inject({ method: 'OPTIONS', url: '/', headers: { origin, 'access-control-request-method': 'GET' } })
  t.equal(preflight.statusCode, 204)
  t.equal(preflight.headers['access-control-allow-origin'], origin)
  t.equal((await app.inject({ method: 'OPTIONS', url: '/own', headers: { origin, 'access-control-request-method': 'GET' } })).statusCode, 204)
  t.same(reached, [])
  const plain = await app.inject({ method: 'OPTIONS', url: '/own', headers: { origin } })
  t.not(plain.statusCode, 200)
  t.same(reached, [])

  const refused = await app.inject({ url: '/', headers: { origin } })
  t.equal(refused.statusCode, 401)
  t.equal(refused.headers['access-control-allow-origin'], origin, 'so that the page can read why')
  t.equal((await app.inject({ url: '/', headers: { origin, authorization: `Bearer ${app.jwt.createAccessToken('user')}` } })).statusCode, 200)
})

t.test('registered after the plugin, @fastify/cors is asked after it: a preflight is refused, not let through', async t => {
  const app = Fastify()
  await app.register(jwt, { secretKey, protect: true })
  await app.register(cors, { origin })
  app.get('/', async () => 'the secret')
  const preflight = await app.inject({ method: 'OPTIONS', url: '/', headers: { origin, 'access-control-request-method': 'GET' } })
  t.equal(preflight.statusCode, 401)
})

t.test('@fastify/helmet puts its headers on refusals, and leaves ours', async t => {
  const app = Fastify()
  await app.register(helmet)
  await app.register(jwt, { secretKey, tokenLocation: ['headers', 'cookies'] })
  app.get('/', { onRequest: jwtRequired }, async () => 'in')
  app.post('/login', async (_request, reply) => { app.jwt.setAccessCookies(reply, app.jwt.createAccessToken('user')); return {} })
  const refused = await app.inject('/')
  t.equal(refused.statusCode, 401)
  t.equal(refused.headers['www-authenticate'], 'Bearer')
  t.match(refused.headers, { 'content-security-policy': /default-src/, 'x-content-type-options': 'nosniff' })
  const login = await app.inject({ method: 'POST', url: '/login' })
  t.match(login.headers, { 'x-frame-options': 'SAMEORIGIN', 'cache-control': 'no-store', 'set-cookie': /^access_token_cookie=/ })
})
