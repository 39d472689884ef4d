import Fastify from 'fastify'
import type { FastifyInstance, FastifyReply } from 'fastify'
import t from 'tap'
import type { Test } from 'tap'
import jwt from '../../../lib/index.ts'
import { secretKey } from '../../helpers/protected-app.ts'
import type { Options } from '../../helpers/protected-app.ts'

async function appOf (t: Test, options: Partial<Options> = {}): Promise<FastifyInstance> {
  const app = Fastify() as unknown as FastifyInstance
  t.teardown(() => app.close())
  await app.register(jwt, { secretKey, tokenLocation: ['headers', 'cookies'], ...options })
  return app
}

/** What a call inside a handler ends with. */
async function outcome (app: FastifyInstance, call: (reply: FastifyReply) => unknown): Promise<unknown> {
  const url = `/${app.printRoutes().length}`
  app.get(url, async (_request, reply) => {
    await call(reply)
    return {}
  })
  const response = await app.inject(url)
  return response.statusCode === 200 ? null : (response.json() as { message: string }).message
}

t.test('each mistake with the arguments of a cookie setter is an error that names the remedy', async t => {
  const prepared = async (): Promise<FastifyInstance> => appOf(t)
  const { jwt } = await prepared()
  const [access, refresh] = [jwt.createAccessToken('user123'), jwt.createRefreshToken('user123')]
  const session = await jwt.createSession('user123')
  const opaque = (await (await appOf(t, { refreshTokenFormat: 'opaque' })).jwt.createSession('user123')).refreshToken
  const mistakes: Array<[string, RegExp, (app: FastifyInstance, reply: FastifyReply) => unknown]> = [
    ['swapped', /setAccessCookies takes \(reply, token\), in this order/, (app, reply) => { app.jwt.setAccessCookies(access as never, reply as never) }],
    ['no reply', /setRefreshCookies takes \(reply, token\), and the first is not a reply/, app => { app.jwt.setRefreshCookies(null as never, refresh) }],
    ['a session in place of a token', /use setSessionCookies, or give its accessToken/, (app, reply) => { app.jwt.setAccessCookies(reply, session as never) }],
    ['a promise in place of a token', /got a promise: await it first/, (app, reply) => { app.jwt.setAccessCookies(reply, Promise.resolve(access) as never) }],
    ['nothing in place of a token', /and the second is not a token/, (app, reply) => { app.jwt.setAccessCookies(reply, undefined as never) }],
    ['an empty token', /and the second is not a token/, (app, reply) => { app.jwt.setAccessCookies(reply, '') }],
    ['a refresh token as access cookie', /setAccessCookies got a refresh token: use setRefreshCookies/, (app, reply) => { app.jwt.setAccessCookies(reply, refresh) }],
    ['an opaque refresh token as access cookie', /setAccessCookies got a refresh token: use setRefreshCookies/, (app, reply) => { app.jwt.setAccessCookies(reply, opaque) }],
    ['an access token as refresh cookie', /setRefreshCookies got an access token: use setAccessCookies/, (app, reply) => { app.jwt.setRefreshCookies(reply, access) }],
    ['a session, swapped', /setSessionCookies takes \(reply, session\), in this order/, (app, reply) => { app.jwt.setSessionCookies(session as never, reply as never) }],
    ['a promise of a session', /await createSession or rotateSession first/, (app, reply) => { app.jwt.setSessionCookies(reply, app.jwt.createSession('user123') as never) }],
    ['a token in place of a session', /setSessionCookies got a token: use setAccessCookies/, (app, reply) => { app.jwt.setSessionCookies(reply, access as never) }],
    ['nothing in place of a session', /not what createSession or rotateSession has returned/, (app, reply) => { app.jwt.setSessionCookies(reply, undefined as never) }],
    ['unset without a reply', /unsetJwtCookies takes the reply/, app => { app.jwt.unsetJwtCookies(undefined as never) }],
    ['unset with the request', /unsetAccessCookies takes the reply/, (app, reply) => { app.jwt.unsetAccessCookies(reply.request as never) }],
    ['unset with a token', /unsetRefreshCookies takes the reply/, app => { app.jwt.unsetRefreshCookies(refresh as never) }]
  ]
  for (const [name, message, call] of mistakes) {
    const app = await prepared()
    t.match(await outcome(app, reply => call(app, reply)), message, name)
  }
})

t.test('arguments that swapped places are named where cookies are no location, too', async t => {
  const app = await appOf(t, { tokenLocation: 'headers' })
  const token = app.jwt.createAccessToken('user123')
  t.match(await outcome(app, reply => { app.jwt.setAccessCookies(token as never, reply as never) }), /in this order/)
})

t.test('what is no token of this package, or says nothing of its type, may be an access cookie', async t => {
  const app = await appOf(t)
  t.equal(await outcome(app, reply => { app.jwt.setAccessCookies(reply, 'a token of another kind') }), null)
})

t.test('cookies that come too late for the reply are an error', async t => {
  const errors: unknown[] = []
  const app = await appOf(t)
  const attempt = (call: () => void) => {
    try {
      call()
    } catch (error) {
      errors.push((error as Error).message)
    }
  }
  app.get('/hijacked', (_request, reply) => {
    reply.hijack()
    attempt(() => { app.jwt.setAccessCookies(reply, app.jwt.createAccessToken('user123')) })
    reply.raw.end()
  })
  app.get('/streamed', (_request, reply) => {
    reply.raw.writeHead(200)
    attempt(() => { app.jwt.unsetJwtCookies(reply) })
    reply.hijack()
    reply.raw.end()
  })
  for (const url of ['/hijacked', '/streamed']) await app.inject(url)
  t.equal(errors.length, 2)
  for (const error of errors) t.match(error, /The reply was already sent.*before reply\.send\(\)/)
})
