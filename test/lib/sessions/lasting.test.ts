import type { LightMyRequestResponse } from 'fastify'
import t from 'tap'
import { sessionApp, verdict } from '../../helpers/session-app.ts'
import { movableTime } from '../../helpers/clock.ts'

for (const refreshTokenFormat of ['jwt', 'opaque'] as const) {
  t.test(`"remember me" is kept through every rotation, with ${refreshTokenFormat} refresh tokens`, async t => {
    const app = await sessionApp(t, { tokenLocation: 'cookies', refreshTokenFormat, refreshExpires: '30 days' })
    app.post<{ Body: { persistent?: boolean, expiresIn?: string | false } }>('/login', async ({ body }, reply) => {
      app.jwt.setSessionCookies(reply, await app.jwt.createSession('ada', body))
      return {}
    })
    const { refreshTokenRequired } = app
    app.post('/renew', { preHandler: refreshTokenRequired }, async (request, reply) => {
      const { accessToken, refreshToken } = await app.jwt.rotateSession(request)
      app.jwt.setAccessCookies(reply, accessToken)
      app.jwt.setRefreshCookies(reply, refreshToken)
      return {}
    })
    const agesOf = (response: LightMyRequestResponse): Array<string | undefined> => response.headers['set-cookie'] === undefined
      ? []
      : [response.headers['set-cookie']].flat().map(line => /Max-Age=(\d+)/.exec(String(line))?.[1])
    const day = 86_400
    const own = refreshTokenFormat === 'jwt'
    const cases: Array<[body: object, access: string | undefined, refresh: string | undefined]> = [
      [{}, '900', String(30 * day)],
      [{ persistent: true }, '900', String(30 * day)],
      [{ persistent: false }, undefined, undefined],
      [{ persistent: false, expiresIn: '1 hour' }, undefined, undefined],
      // How long its session lasts, an opaque token does not say: the cookie stays as long as browsers let it.
      [{ expiresIn: '90 days' }, '900', String((own ? 90 : 400) * day)],
      [{ expiresIn: '5 minutes' }, '300', String(own ? 300 : 400 * day)]
    ]
    for (const [body, access, refresh] of cases) {
      let response = await app.inject({ method: 'POST', url: '/login', payload: body })
      for (const round of ['login', 'first refresh', 'second refresh']) {
        t.equal(response.statusCode, 200, response.body)
        t.strictSame(agesOf(response), [access, refresh], `${JSON.stringify(body)} ${round}`)
        const cookies = Object.fromEntries(response.cookies.map(({ name, value }) => [name, value]))
        response = await app.inject({ method: 'POST', url: '/renew', cookies })
      }
    }
  })
}

t.test('a session with a life of its own ends then, unless it is refreshed, and sessionMaxAge holds beside it', async t => {
  const app = await sessionApp(t, { sessionMaxAge: '2 hours' })
  const time = movableTime(t)
  const short = await app.jwt.createSession('ada', { expiresIn: 3600 })
  const long = await app.jwt.createSession('ada', { expiresIn: '3 days' })
  const endless = await app.jwt.createSession('ada', { expiresIn: false })
  time.advance(3500)
  const next = await app.inject({ method: 'POST', url: '/refresh', headers: { authorization: `Bearer ${short.refreshToken}` } })
  time.advance(200)
  t.equal(await verdict(app, 'GET', '/refresh-token', next.json<{ refreshToken: string }>().refreshToken), 200)
  t.equal(await verdict(app, 'GET', '/refresh-token', short.refreshToken), 'FST_JWT_EXPIRED')
  for (const { refreshToken } of [long, endless]) t.equal(await verdict(app, 'GET', '/refresh-token', refreshToken), 200)
  time.advance(3600)
  for (const { refreshToken } of [long, endless]) t.equal(await verdict(app, 'GET', '/refresh-token', refreshToken), 'FST_JWT_EXPIRED')
  for (const options of [{ expiresIn: 0 }, { expiresIn: -1 }, { expiresIn: 'soon' }, { expiresIn: null }, { persistent: 1 }, { persist: true }]) {
    await t.rejects(app.jwt.createSession('ada', options as object), TypeError, JSON.stringify(options))
  }
})

t.test('a session that lasts for ever does so, whatever the format of its refresh tokens', async t => {
  for (const refreshTokenFormat of ['jwt', 'opaque'] as const) {
    const app = await sessionApp(t, { refreshTokenFormat })
    const time = movableTime(t)
    let { refreshToken } = await app.jwt.createSession('ada', { expiresIn: false })
    for (let round = 0; round < 2; round++) {
      time.advance(400 * 24 * 3600)
      t.equal(await verdict(app, 'GET', '/refresh-token', refreshToken), 200)
      const response = await app.inject({ method: 'POST', url: '/refresh', headers: { authorization: `Bearer ${refreshToken}` } })
      refreshToken = response.json<{ refreshToken: string }>().refreshToken
    }
    t.equal(await verdict(app, 'GET', '/refresh-token', app.jwt.createRefreshToken('ada', { expiresIn: false })), 'FST_JWT_INVALID_TOKEN', 'a token of no session needs the option')
    time.reset()
  }
})

t.test('implicit refresh keeps "remember me", and renews nothing beyond a life of its own', async t => {
  const app = await sessionApp(t, { tokenLocation: 'cookies', accessExpires: 900, implicitRefresh: 600 })
  const time = movableTime(t)
  const visit = async (accessToken: string): Promise<LightMyRequestResponse> => app.inject({ url: '/me', cookies: { access_token_cookie: accessToken } })
  const closing = await app.jwt.createSession('ada', { persistent: false })
  const short = await app.jwt.createSession('ada', { expiresIn: 1000 })
  time.advance(400)
  const renewed = await visit(closing.accessToken)
  t.match(renewed.headers['set-cookie'], /^access_token_cookie=/)
  t.notMatch(renewed.headers['set-cookie'], /Max-Age/)
  const kept = await visit(short.accessToken)
  t.equal(kept.statusCode, 200)
  t.equal(kept.headers['set-cookie'], undefined)
})

t.test('a session whose cookies no browser would keep is not begun, or ends', async t => {
  const claims = { long: 'x'.repeat(4000) }
  const app = await sessionApp(t, { tokenLocation: 'cookies' })
  await t.rejects(app.jwt.createSession('ada', { claims }), { code: 'FST_JWT_COOKIE_TOO_LARGE' })
  t.strictSame(await app.jwt.listSessions('ada'), [])
  const { sessionId } = await app.jwt.createSession('ada')
  await t.rejects(app.jwt.updateSession(sessionId, { claims }), { code: 'FST_JWT_COOKIE_TOO_LARGE' })

  // Where a header may carry the token, it is known when the cookies are set.
  const mixed = await sessionApp(t, { tokenLocation: ['headers', 'cookies'] })
  mixed.post('/login', async (_request, reply) => {
    mixed.jwt.setSessionCookies(reply, await mixed.jwt.createSession('ada', { claims }))
    return {}
  })
  const response = await mixed.inject({ method: 'POST', url: '/login' })
  t.match([response.statusCode, response.json()], [500, { code: 'FST_JWT_COOKIE_TOO_LARGE' }])
  t.strictSame(response.cookies, [])
  t.strictSame(await mixed.jwt.listSessions('ada'), [])
  await t.rejects(mixed.jwt.createSession('ada', { claims: { long: 'x'.repeat(9000) } }), { name: 'TypeError', message: /maxTokenLength/ })
  t.throws(() => mixed.jwt.createAccessToken('x'.repeat(9000)), { name: 'TypeError', message: /maxTokenLength/ })
  await t.rejects(mixed.jwt.createSession('x'.repeat(9000)), TypeError)
})
