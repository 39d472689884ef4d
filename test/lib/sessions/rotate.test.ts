import Fastify from 'fastify'
import t from 'tap'
import jwt, { jwtOptional, verifyJwt } from '../../../lib/index.ts'
import { refresh, secretKey, send, sessionApp, verdict } from '../../helpers/session-app.ts'
import type { Tokens } from '../../helpers/session-app.ts'
import { movableTime } from '../../helpers/clock.ts'

// Both formats of refresh token keep the same rules.
for (const refreshTokenFormat of ['jwt', 'opaque'] as const) {
  t.test(`refresh tokens of format ${refreshTokenFormat}`, async t => {
    t.test('rotateSession gives the next pair, not fresh, and the access token of before lives on', async t => {
      const app = await sessionApp(t, { refreshTokenFormat })
      const first = await app.jwt.createSession('ada', { claims: { role: 'reader' } })
      const second = await refresh(app, first.refreshToken)
      t.equal(second.sessionId, first.sessionId)
      t.not(second.refreshToken, first.refreshToken)
      t.match(app.jwt.decodeToken(second.accessToken), { sub: 'ada', sid: first.sessionId, fresh: false, role: 'reader' })
      t.equal(await verdict(app, 'GET', '/me', first.accessToken), 200)
      t.equal(await verdict(app, 'GET', '/me', second.accessToken), 200)
      t.equal(await verdict(app, 'GET', '/fresh', second.accessToken), 'FST_JWT_FRESH_REQUIRED')
      const third = await refresh(app, second.refreshToken)
      t.equal(await verdict(app, 'GET', '/refresh-token', third.refreshToken), 200)
    })

    t.test('a token replaced within the reuse interval gets the same successor, however many ask', async t => {
      const app = await sessionApp(t, { refreshTokenFormat })
      const { refreshToken } = await app.jwt.createSession('ada')
      const race = await Promise.all(Array.from({ length: 50 }, async () => refresh(app, refreshToken)))
      const successors = new Set(race.map(tokens => tokens.refreshToken))
      t.equal(successors.size, 1)
      t.equal((await refresh(app, refreshToken)).refreshToken, race[0]?.refreshToken, 'a response that was lost')
      const next = await refresh(app, race[0]?.refreshToken ?? '')
      t.not(next.refreshToken, race[0]?.refreshToken)
      t.equal(await verdict(app, 'GET', '/refresh-token', next.refreshToken), 200)
    })

    t.test('a token replaced longer ago is reuse: the session ends, and all its tokens with it', async t => {
      const time = movableTime(t)
      const app = await sessionApp(t, { refreshTokenFormat, refreshReuseInterval: 10 })
      const first = await app.jwt.createSession('ada')
      const other = await app.jwt.createSession('ada')
      const second = await refresh(app, first.refreshToken)
      t.equal(await verdict(app, 'GET', '/me', second.accessToken), 200, 'the successor is used')
      time.advance(9)
      t.equal((await refresh(app, first.refreshToken)).refreshToken, second.refreshToken)
      time.advance(1.1)
      t.equal(await verdict(app, 'POST', '/refresh', first.refreshToken), 'FST_JWT_REUSED')
      for (const token of [first.accessToken, second.accessToken]) t.equal(await verdict(app, 'GET', '/me', token), 'FST_JWT_REVOKED')
      for (const token of [first.refreshToken, second.refreshToken]) t.equal(await verdict(app, 'POST', '/refresh', token), 'FST_JWT_REVOKED')
      t.match(await app.jwt.listSessions('ada'), [{ id: other.sessionId }])
      t.equal(await verdict(app, 'POST', '/refresh', other.refreshToken), 200)
    })

    t.test('a token replaced twice is reuse, however quickly', async t => {
      const app = await sessionApp(t, { refreshTokenFormat })
      const first = await app.jwt.createSession('ada')
      const third = await refresh(app, (await refresh(app, first.refreshToken)).refreshToken)
      t.equal(await verdict(app, 'POST', '/refresh', first.refreshToken), 'FST_JWT_REUSED')
      t.equal(await verdict(app, 'POST', '/refresh', third.refreshToken), 'FST_JWT_REVOKED')
    })

    t.test('refreshTokenRequired itself ends the session of a reused token, on whatever route', async t => {
      const time = movableTime(t)
      const app = await sessionApp(t, { refreshTokenFormat, refreshReuseInterval: 10 })
      const first = await app.jwt.createSession('ada')
      const second = await refresh(app, first.refreshToken)
      t.equal(await verdict(app, 'GET', '/refresh-token', first.refreshToken), 200, 'still a race')
      t.equal(await verdict(app, 'GET', '/me', second.accessToken), 200, 'the successor is used')
      time.advance(10.1)
      const response = await send(app, 'GET', '/refresh-token', first.refreshToken)
      t.equal(response.json().message, 'Refresh token has been reused')
      t.match(response.headers['www-authenticate'], /error="invalid_token"/)
      t.equal(await verdict(app, 'GET', '/me', second.accessToken), 'FST_JWT_REVOKED')
    })

    t.test('a reuse interval of 0 is none', async t => {
      const app = await sessionApp(t, { refreshTokenFormat, refreshReuseInterval: 0 })
      const [one, two] = [await app.jwt.createSession('ada'), await app.jwt.createSession('ada')]
      await verdict(app, 'GET', '/me', (await refresh(app, one.refreshToken)).accessToken)
      t.equal(await verdict(app, 'POST', '/refresh', one.refreshToken), 'FST_JWT_REUSED')
      await verdict(app, 'GET', '/refresh-token', (await refresh(app, two.refreshToken)).refreshToken)
      t.equal(await verdict(app, 'GET', '/refresh-token', two.refreshToken), 'FST_JWT_REUSED')
    })

    t.test('sessionMaxAge ends a session that is refreshed for ever', async t => {
      const time = movableTime(t)
      const app = await sessionApp(t, { refreshTokenFormat, accessExpires: 900, refreshExpires: 3600, sessionMaxAge: 7200 })
      const login = Math.floor(Date.now() / 1000)
      let tokens: Tokens = await app.jwt.createSession('ada')
      for (const step of [3000, 3000, 1000]) {
        time.advance(step)
        tokens = await refresh(app, tokens.refreshToken)
        const [info] = await app.jwt.listSessions('ada')
        t.ok(Number(info?.expiresAt) / 1000 <= login + 7201)
      }
      t.ok(Number(app.jwt.decodeToken(tokens.accessToken).exp) <= login + 7201, 'nor does an access token outlive it')
      time.advance(195)
      t.equal(await verdict(app, 'GET', '/me', tokens.accessToken), 200)
      t.equal(await verdict(app, 'GET', '/refresh-token', tokens.refreshToken), 200)
      time.advance(6)
      t.equal(await verdict(app, 'GET', '/me', tokens.accessToken), 'FST_JWT_EXPIRED')
      t.match(await verdict(app, 'POST', '/refresh', tokens.refreshToken), /FST_JWT_(EXPIRED|REVOKED)/)
      t.strictSame(await app.jwt.listSessions('ada'), [])
    })

    t.test('a refresh after refreshExpires of idleness is refused', async t => {
      const time = movableTime(t)
      const app = await sessionApp(t, { refreshTokenFormat, refreshExpires: '1h' })
      let tokens: Tokens = await app.jwt.createSession('ada')
      for (let times = 0; times < 3; times++) {
        time.advance(3590)
        tokens = await refresh(app, tokens.refreshToken)
      }
      time.advance(3601)
      t.match(await verdict(app, 'POST', '/refresh', tokens.refreshToken), /FST_JWT_(EXPIRED|REVOKED)/)
    })

    t.test('leeway holds for refresh tokens, too', async t => {
      const time = movableTime(t)
      const app = await sessionApp(t, { refreshTokenFormat, refreshExpires: '1h', leeway: 30 })
      const { refreshToken } = await app.jwt.createSession('ada')
      time.advance(3600 + 25)
      t.equal(await verdict(app, 'POST', '/refresh', refreshToken), 200)
    })

    t.test('a session past sessionMaxAge within leeway is ended, not rotated', async t => {
      const time = movableTime(t)
      const app = await sessionApp(t, { refreshTokenFormat, sessionMaxAge: '1h', leeway: 30 })
      const { refreshToken, accessToken } = await app.jwt.createSession('ada')
      time.advance(3600 + 10)
      t.equal(await verdict(app, 'POST', '/refresh', refreshToken), 'FST_JWT_EXPIRED')
      t.equal(await verdict(app, 'POST', '/refresh', refreshToken), 'FST_JWT_REVOKED')
      t.match(await verdict(app, 'GET', '/me', accessToken), /FST_JWT_(EXPIRED|REVOKED)/)
    })

    t.test('refresh tokens that never expire rotate all the same', async t => {
      const app = await sessionApp(t, { refreshTokenFormat, refreshExpires: false })
      const { refreshToken } = await app.jwt.createSession('ada')
      const next = await refresh(app, refreshToken)
      t.equal((await send(app, 'GET', '/refresh-token', next.refreshToken)).json().claims.exp, undefined)
    })

    t.test('a revoked refresh token is not rotated, nor is the one it replaced a way round', async t => {
      const app = await sessionApp(t, { refreshTokenFormat })
      const first = await app.jwt.createSession('ada')
      const second = await refresh(app, first.refreshToken)
      await app.jwt.revokeToken(second.refreshToken)
      await app.jwt.revokeToken(second.refreshToken)
      t.equal(await verdict(app, 'POST', '/refresh', second.refreshToken), 'FST_JWT_REVOKED')
      const again = await refresh(app, first.refreshToken)
      t.equal(await verdict(app, 'POST', '/refresh', again.refreshToken), 'FST_JWT_REVOKED')
    })

    t.test('claims are kept from rotation to rotation until some are given, and then those', async t => {
      const app = await sessionApp(t, { refreshTokenFormat })
      let give: object | undefined
      app.post('/next', { preHandler: verifyJwt({ type: 'refresh' }) }, async request => app.jwt.rotateSession(request, give))
      const claimsOf = ({ accessToken }: Tokens): unknown => {
        const { role, tenant } = app.jwt.decodeToken(accessToken)
        return { role, tenant }
      }
      const next = async ({ refreshToken }: Tokens): Promise<Tokens> => (await send(app, 'POST', '/next', refreshToken)).json<Tokens>()
      let tokens: Tokens = await app.jwt.createSession('ada', { claims: { role: 'reader', tenant: 'a' } })
      tokens = await next(tokens)
      t.strictSame(claimsOf(tokens), { role: 'reader', tenant: 'a' })
      give = { claims: { role: 'editor' } }
      tokens = await next(tokens)
      t.strictSame(claimsOf(tokens), { role: 'editor', tenant: undefined })
      give = undefined
      tokens = await next(tokens)
      t.strictSame(claimsOf(tokens), { role: 'editor', tenant: undefined })
      for (const wrong of [{ claims: { sid: 'x' } }, { claims: { sub: 'eve' } }, { claims: 7 }, { claim: {} }]) {
        give = wrong
        t.equal((await send(app, 'POST', '/next', tokens.refreshToken)).statusCode, 500)
      }
      give = undefined
      t.equal(await verdict(app, 'POST', '/next', tokens.refreshToken), 200, 'and the token was not used up')
      t.equal(await verdict(app, 'POST', '/refresh', tokens.refreshToken), 200)
    })
  })
}

t.test('a rotation that comes in the wrong way is refused', async t => {
  const app = await sessionApp(t)
  app.post('/without-hook', async request => app.jwt.rotateSession(request))
  app.post('/optional', { preHandler: jwtOptional }, async request => app.jwt.rotateSession(request))
  app.post('/any', { preHandler: verifyJwt({ type: 'any' }) }, async request => app.jwt.rotateSession(request))
  const { accessToken, refreshToken } = await app.jwt.createSession('ada')
  for (const [url, token] of [['/without-hook', refreshToken], ['/optional', refreshToken]] as const) {
    const response = await send(app, 'POST', url, token)
    t.equal(response.statusCode, 500)
    t.match(response.json().message, /refreshTokenRequired/, 'a fault of the route, said plainly')
  }
  t.equal(await verdict(app, 'POST', '/any', accessToken), 'FST_JWT_REFRESH_REQUIRED', 'a fault of the client')
  const ofNoSession = app.jwt.createRefreshToken('ada')
  t.equal(await verdict(app, 'GET', '/refresh-token', ofNoSession), 200)
  const response = await send(app, 'POST', '/refresh', ofNoSession)
  t.match([response.statusCode, response.json()], [401, { code: 'FST_JWT_INVALID_TOKEN', message: 'Invalid token: sid' }])
  t.equal(await verdict(app, 'POST', '/any', refreshToken), 200)
})

t.test('a session that ends between the hook and the rotation is not rotated', async t => {
  const app = await sessionApp(t)
  app.post('/slow', { preHandler: verifyJwt({ type: 'refresh' }) }, async request => {
    await app.jwt.revokeSession(String(request.jwtClaims?.sid))
    return app.jwt.rotateSession(request)
  })
  app.post('/late', { preHandler: verifyJwt({ type: 'refresh', skipRevocationCheck: true }) }, async request => app.jwt.rotateSession(request))
  const { refreshToken } = await app.jwt.createSession('ada')
  t.equal(await verdict(app, 'POST', '/slow', refreshToken), 'FST_JWT_REVOKED')
  t.equal(await verdict(app, 'POST', '/late', refreshToken), 'FST_JWT_REVOKED')
})

t.test('reuse is found by the rotation when a hook has let it in', async t => {
  const app = await sessionApp(t)
  app.post('/late', { preHandler: verifyJwt({ type: 'refresh', skipRevocationCheck: true }) }, async request => app.jwt.rotateSession(request))
  const first = await app.jwt.createSession('ada')
  const third = await refresh(app, (await refresh(app, first.refreshToken)).refreshToken)
  t.equal(await verdict(app, 'POST', '/late', first.refreshToken), 'FST_JWT_REUSED')
  t.equal(await verdict(app, 'GET', '/me', third.accessToken), 'FST_JWT_REVOKED')
})

t.test('an instance that only verifies, or a callback that fails, uses up no refresh token', async t => {
  let fail = false
  const app = await sessionApp(t, {
    refreshReuseInterval: 0,
    additionalClaims () {
      if (fail) throw new Error('no claims today')
      return {}
    }
  })
  const { refreshToken } = await app.jwt.createSession('ada')
  fail = true
  t.equal((await send(app, 'POST', '/refresh', refreshToken)).statusCode, 500)
  fail = false
  t.equal(await verdict(app, 'POST', '/refresh', refreshToken), 200)
})

t.test('implicit refresh renews the access token of a session until sessionMaxAge, and not once it is revoked', async t => {
  const time = movableTime(t)
  const app = await sessionApp(t, { tokenLocation: 'cookies', accessExpires: 600, implicitRefresh: 300, sessionMaxAge: 1000 })
  const { accessToken, sessionId } = await app.jwt.createSession('ada')
  const get = async (token: string): Promise<{ status: number, renewed: string | undefined }> => {
    const response = await app.inject({ url: '/me', cookies: { access_token_cookie: token } })
    return { status: response.statusCode, renewed: response.cookies.find(({ name }) => name === 'access_token_cookie')?.value }
  }
  const login = app.jwt.decodeToken(accessToken).auth_time ?? 0
  time.advance(400)
  const { renewed = '' } = await get(accessToken)
  t.match(app.jwt.decodeToken(renewed), { sid: sessionId, exp: login + 1000 })
  time.advance(590)
  t.equal((await get(renewed)).renewed, undefined, 'there is nothing more to give')
  await app.jwt.revokeSession(sessionId)
  t.equal((await get(renewed)).status, 401)
})

t.test('two contexts with one store and different keys rotate only their own', async t => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(jwt, { secretKey })
  app.register(async admin => {
    await admin.register(jwt, { secretKey: 'the secret of the admins, a longer one', issuer: 'admin' })
    admin.post('/admin/refresh', { preHandler: admin.refreshTokenRequired }, async request => admin.jwt.rotateSession(request))
  })
  await app.ready()
  const { refreshToken } = await app.jwt.createSession('ada')
  t.equal(await verdict(app, 'POST', '/admin/refresh', refreshToken), 'FST_JWT_INVALID_SIGNATURE')
})
