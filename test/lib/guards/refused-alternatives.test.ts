import fastifyAuth from '@fastify/auth'
import Fastify from 'fastify'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import t from 'tap'
import type { Test } from 'tap'
import jwt, { allOf, anyOf, freshJwtRequired, guard, jwtRequired, not, refreshTokenRequired, role, scope } from '../../../lib/index.ts'
import type { JwtExtendedOptions, JwtHook, OptionsWithKeys } from '../../../lib/index.ts'
import { secretKey } from '../../helpers/protected-app.ts'

const later = guard(async () => true)
const refusesLater = guard(async () => false)
/** A guard that verifies a token itself, and then refuses. */
const attachesAndRefuses = guard(async request => {
  await request.verifyJwt({ type: 'refresh' })
  return false
})

const ops = allOf(refreshTokenRequired, role('ops'))

/** Alternatives of which the first attaches a refresh token and is then refused, before `role('admin')` is asked. */
const compositions: Record<string, JwtHook> = {
  'as reported': anyOf(ops, role('admin')),
  'refused later': anyOf(allOf(refreshTokenRequired, refusesLater), role('admin')),
  'attached later': anyOf(allOf(later, refreshTokenRequired, role('ops')), role('admin')),
  'nested in allOf': anyOf(allOf(allOf(refreshTokenRequired, later), role('ops')), role('admin')),
  'nested in anyOf': anyOf(anyOf(ops, scope('ops')), role('admin')),
  'an anyOf that is refused after one of it has passed': anyOf(allOf(anyOf(refreshTokenRequired, later), role('ops')), role('admin')),
  'several before': anyOf(ops, allOf(refreshTokenRequired, scope('x')), ops, role('admin')),
  'not, in which the token is attached': anyOf(allOf(refreshTokenRequired, not(role('admin'))), role('admin')),
  'a second hook that is refused': anyOf(allOf(refreshTokenRequired, freshJwtRequired), role('admin'))
}

async function appWith (t: Test, options: Partial<JwtExtendedOptions> = {}): Promise<FastifyInstance> {
  const app = Fastify() as unknown as FastifyInstance
  t.teardown(() => app.close())
  await app.register(fastifyAuth as never)
  await app.register(jwt, { secretKey, tokenLocation: ['headers', 'cookies'], ...options } as OptionsWithKeys)
  return app
}

const who = async (request: FastifyRequest): Promise<unknown> => ({ user: request.jwtIdentity, type: request.jwtClaims?.type ?? null, location: request.jwtLocation })

t.test('an alternative that is refused leaves no identity for the next one', async t => {
  for (const [kind, options] of [['at once', {}], ['later', { isRevoked: async () => false }]] as const) {
    const app = await appWith(t, options)
    const refresh = app.jwt.createRefreshToken('eve', { claims: { roles: 'admin' } })
    const names = Object.keys(compositions)
    for (const [index, hook] of Object.values(compositions).entries()) app.get(`/${index}`, { preHandler: hook }, who)
    for (const [index, name] of names.entries()) {
      const answer = await app.inject({ url: `/${index}`, headers: { authorization: `Bearer ${refresh}` } })
      t.equal(answer.statusCode, 401, `${name}, ${kind}`)
    }
  }
})

t.test('the alternative that passes is the one whose identity is attached', async t => {
  const app = await appWith(t)
  const both = {
    authorization: `Bearer ${app.jwt.createAccessToken('ada', { claims: { roles: 'admin' } })}`,
    cookie: `refresh_token_cookie=${app.jwt.createRefreshToken('eve', { claims: { roles: 'ops' } })}`
  }
  app.get('/first', { preHandler: anyOf(ops, allOf(jwtRequired, role('admin'))) }, who)
  app.get('/second', { preHandler: anyOf(allOf(refreshTokenRequired, role('nobody')), allOf(jwtRequired, role('admin'))) }, who)
  app.get('/third', { preHandler: [jwtRequired, anyOf(allOf(refreshTokenRequired, role('nobody')), role('admin'))] }, who)
  t.strictSame((await app.inject({ url: '/first', headers: both })).json(), { user: 'eve', type: 'refresh', location: 'cookies' })
  t.strictSame((await app.inject({ url: '/second', headers: both })).json(), { user: 'ada', type: 'access', location: 'headers' })
  t.strictSame((await app.inject({ url: '/third', headers: both })).json(), { user: 'ada', type: 'access', location: 'headers' }, 'what a hook before has attached is back')
})

t.test('a guard that not() turns round leaves the request as it was', async t => {
  const app = await appWith(t)
  const headers = {
    authorization: `Bearer ${app.jwt.createAccessToken('ada')}`,
    cookie: `refresh_token_cookie=${app.jwt.createRefreshToken('eve', { claims: { roles: 'admin' } })}`
  }
  app.get('/', { preHandler: [jwtRequired, not(attachesAndRefuses)] }, who)
  app.get('/nested', { preHandler: [jwtRequired, not(not(not(attachesAndRefuses)))] }, who)
  app.get('/all', { preHandler: [jwtRequired, allOf(not(allOf(later, attachesAndRefuses)), role('admin'))] }, who)
  for (const url of ['/', '/nested']) t.strictSame((await app.inject({ url, headers })).json(), { user: 'ada', type: 'access', location: 'headers' }, url)
  t.equal((await app.inject({ url: '/all', headers })).statusCode, 403)
})

t.test('a refused guard leaves the request as it was, for @fastify/auth and for an error handler', async t => {
  const app = await appWith(t)
  const pass = (_request: unknown, _reply: unknown, done: () => void): void => { done() }
  const fastify = app as unknown as { auth (functions: unknown[]): never }
  app.get('/role', { preHandler: fastify.auth([ops, role('admin')]) }, who)
  app.get('/guard', { preHandler: fastify.auth([attachesAndRefuses, role('admin')]) }, who)
  app.get('/other', { preHandler: fastify.auth([ops, pass]) }, who)
  app.get('/before', { onRequest: jwtRequired, preHandler: fastify.auth([ops, pass]) }, who)
  app.get('/alone', { preHandler: ops, errorHandler: async (_error, request) => who(request) }, who)

  const refresh = app.jwt.createRefreshToken('eve', { claims: { roles: 'admin' } })
  const nobody = { user: null, type: null, location: null }
  const asEve = { authorization: `Bearer ${refresh}` }
  t.equal((await app.inject({ url: '/role', headers: asEve })).statusCode, 401)
  const cookie = `refresh_token_cookie=${refresh}`
  t.equal((await app.inject({ url: '/guard', headers: { cookie } })).statusCode, 401)
  t.strictSame((await app.inject({ url: '/other', headers: asEve })).json(), nobody)
  t.strictSame((await app.inject({ url: '/alone', headers: asEve })).json(), nobody)
  const asAda = { authorization: `Bearer ${app.jwt.createAccessToken('ada')}`, cookie }
  t.strictSame((await app.inject({ url: '/before', headers: asAda })).json(), { user: 'ada', type: 'access', location: 'headers' })
})

t.test('a guard that fails leaves the request as it was', async t => {
  const app = await appWith(t)
  const fails = [
    guard(() => { throw new Error('bug') }),
    guard(async () => { throw new Error('bug') }),
    guard(() => 'yes' as never)
  ]
  for (const [index, faulty] of fails.entries()) {
    app.get(`/${index}`, { preHandler: anyOf(allOf(refreshTokenRequired, faulty), role('admin')), errorHandler: async (_error, request) => who(request) }, who)
  }
  const headers = { authorization: `Bearer ${app.jwt.createRefreshToken('eve', { claims: { roles: 'admin' } })}` }
  for (const index of fails.keys()) t.strictSame((await app.inject({ url: `/${index}`, headers })).json(), { user: null, type: null, location: null })
})
