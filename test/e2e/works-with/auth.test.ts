import Fastify from 'fastify'
import fastifyAuth from '@fastify/auth'
import t from 'tap'
import jwt, { freshJwtRequired, jwtRequired, permission, refreshTokenRequired, role } from '../../../lib/index.ts'

t.test('hooks and guards are functions for @fastify/auth, in its or and its and', async t => {
  const app = Fastify()
  await app.register(fastifyAuth)
  await app.register(jwt, { secretKey: 'a secret of at least thirty-two bytes' })
  const apiKey = (request: { headers: { 'x-api-key'?: string } }, _reply: unknown, done: (error?: Error) => void) => {
    done(request.headers['x-api-key'] === 'key' ? undefined : Object.assign(new Error('No key'), { statusCode: 401 }))
  }
  const who = async (request: { jwtIdentity: string | null }) => ({ user: request.jwtIdentity })
  app.get('/or', { preHandler: app.auth([apiKey as never, jwtRequired]) }, who)
  app.get('/and', { preHandler: app.auth([jwtRequired, role('admin')], { relation: 'and' }) }, who)
  app.get('/mixed', { preHandler: app.auth([[jwtRequired, role('admin')], [jwtRequired, permission('read')], [refreshTokenRequired]]) }, who)
  app.get('/decorated', { onRequest: app.auth([app.freshJwtRequired, app.refreshTokenRequired]) }, who)
  app.get('/all', { preHandler: app.auth([jwtRequired, freshJwtRequired], { relation: 'and', run: 'all' }) }, who)

  const user = app.jwt.createAccessToken('user')
  const admin = app.jwt.createAccessToken('admin', { fresh: true, claims: { roles: 'admin' } })
  const reader = app.jwt.createAccessToken('reader', { claims: { permissions: ['read'] } })
  const refresh = app.jwt.createRefreshToken('user')
  const table: [string, Record<string, string>, number, unknown?][] = [
    ['/or', {}, 401], ['/or', { 'x-api-key': 'key' }, 200, { user: null }], ['/or', { authorization: `Bearer ${user}` }, 200, { user: 'user' }],
    ['/and', {}, 401], ['/and', { authorization: `Bearer ${user}` }, 403], ['/and', { authorization: `Bearer ${admin}` }, 200, { user: 'admin' }],
    ['/mixed', {}, 401], ['/mixed', { authorization: `Bearer ${user}` }, 401], ['/mixed', { authorization: `Bearer ${reader}` }, 200, { user: 'reader' }],
    ['/mixed', { authorization: `Bearer ${admin}` }, 200, { user: 'admin' }], ['/mixed', { authorization: `Bearer ${refresh}` }, 200, { user: 'user' }],
    ['/decorated', { authorization: `Bearer ${user}` }, 401], ['/decorated', { authorization: `Bearer ${admin}` }, 200, { user: 'admin' }],
    ['/all', { authorization: `Bearer ${user}` }, 401], ['/all', { authorization: `Bearer ${admin}` }, 200, { user: 'admin' }]
  ]
  for (const [url, headers, status, body] of table) {
    const answer = await app.inject({ url, headers })
    t.equal(answer.statusCode, status, `${url} ${Object.keys(headers).join()}`)
    if (body !== undefined) t.same(answer.json(), body)
  }
})
