// The behaviour of the BustAPI document's JWT page, statement by statement.
import Fastify from 'fastify'
import t from 'tap'
import jwt, { freshJwtRequired, jwtOptional, jwtRequired, refreshTokenRequired } from '../../lib/index.ts'
import { bearer, otherSecretKey, passes, protectedApp, refusals, refused, secretKey } from '../helpers/protected-app.ts'
import { claims, forge, now, parts, sign } from '../helpers/forge.ts'

t.test('quick start: a token from login opens a protected route', async t => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(jwt, { secretKey })
  app.post('/login', async () => ({ access_token: app.jwt.createAccessToken('user123') }))
  app.get('/protected', { preHandler: jwtRequired }, async request => ({ user: request.jwtIdentity }))

  const login = await app.inject({ method: 'POST', url: '/login' })
  t.equal(login.statusCode, 200)
  const { access_token: token } = login.json<{ access_token: string }>()
  const response = await app.inject({ url: '/protected', headers: bearer(token) })
  t.equal(response.statusCode, 200)
  t.strictSame(response.json(), { user: 'user123' })
})

t.test('creating tokens: own expiry, freshness and claims', async t => {
  const app = await protectedApp(t)
  const token = app.jwt.createAccessToken('user123', { expiresIn: 3600, fresh: true, claims: { role: 'admin' } })
  const decoded = app.jwt.decodeToken(token)
  t.equal(decoded.identity, 'user123')
  t.equal(decoded.type, 'access')
  t.equal(decoded.fresh, true)
  t.equal(decoded.role, 'admin')
  t.equal((decoded.exp ?? 0) - (decoded.iat ?? 0), 3600)

  const refresh = app.jwt.decodeToken(app.jwt.createRefreshToken('user123'))
  t.equal(refresh.identity, 'user123')
  t.equal(refresh.type, 'refresh')
})

t.test('access tokens last 15 minutes and refresh tokens 30 days unless told', async t => {
  const app = await protectedApp(t)
  const access = app.jwt.decodeToken(app.jwt.createAccessToken('user123'))
  const refresh = app.jwt.decodeToken(app.jwt.createRefreshToken('user123'))
  t.equal((access.exp ?? 0) - (access.iat ?? 0), 900)
  t.equal((refresh.exp ?? 0) - (refresh.iat ?? 0), 2592000)

  const other = await protectedApp(t, { accessExpires: 60, refreshExpires: 120 })
  const shortAccess = other.jwt.decodeToken(other.jwt.createAccessToken('user123'))
  const shortRefresh = other.jwt.decodeToken(other.jwt.createRefreshToken('user123'))
  t.equal((shortAccess.exp ?? 0) - (shortAccess.iat ?? 0), 60)
  t.equal((shortRefresh.exp ?? 0) - (shortRefresh.iat ?? 0), 120)
})

t.test('decode returns identity, exp, iat and type', async t => {
  const app = await protectedApp(t)
  const before = now()
  const decoded = app.jwt.decodeToken(app.jwt.createAccessToken('user123'))
  const after = now()
  t.equal(decoded.identity, 'user123')
  t.equal(decoded.type, 'access')
  const iat = decoded.iat ?? 0
  t.ok(Number.isInteger(iat) && iat >= before && iat <= after, 'iat is now, in whole seconds')
  t.equal(decoded.exp, iat + 900)
})

t.test('decode raises for an expired token and for another key', async t => {
  const app = await protectedApp(t)
  t.throws(() => app.jwt.decodeToken(app.jwt.createAccessToken('user123', { expiresIn: -60 })),
    { code: 'FST_JWT_EXPIRED', message: 'Token has expired', statusCode: 401 })
  t.throws(() => app.jwt.decodeToken(forge(claims(), {}, otherSecretKey)),
    { code: 'FST_JWT_INVALID_SIGNATURE', message: 'Invalid token signature', statusCode: 401 })
})

t.test('verify returns a boolean', async t => {
  const app = await protectedApp(t)
  t.equal(app.jwt.verifyToken(app.jwt.createAccessToken('user123')), true)
  t.equal(app.jwt.verifyToken(app.jwt.createRefreshToken('user123')), true)
  t.equal(app.jwt.verifyToken(app.jwt.createAccessToken('user123', { expiresIn: -60 })), false)
  t.equal(app.jwt.verifyToken(forge(claims(), {}, otherSecretKey)), false)
  t.equal(app.jwt.verifyToken('not a token'), false)
})

t.test('getIdentity reads without verification, expired tokens included', async t => {
  const app = await protectedApp(t)
  t.equal(app.jwt.getIdentity(app.jwt.createAccessToken('user123', { expiresIn: -60 })), 'user123')
  t.equal(app.jwt.getIdentity(app.jwt.createAccessToken('user123')), 'user123')
  t.equal(app.jwt.getIdentity(forge(claims(), {}, otherSecretKey)), 'user123')
  t.equal(app.jwt.getIdentity('not a token'), null)
})

t.test('jwtRequired gives the handler identity and claims', async t => {
  const app = await protectedApp(t)
  const token = app.jwt.createAccessToken('user123', { claims: { role: 'admin' } })
  const response = await app.inject({ url: '/required', headers: bearer(token) })
  t.equal(response.statusCode, 200)
  const { identity, claims: all, location } = response.json<{ identity: string, claims: object, location: string }>()
  t.equal(identity, 'user123')
  t.equal(location, 'headers')
  t.strictSame(all, app.jwt.decodeToken(token), 'the claims a handler sees are those decodeToken gives')
})

t.test('jwtOptional is anonymous with no token, and with any that would be refused', async t => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(jwt, { secretKey })
  app.get('/feed', { preHandler: jwtOptional }, async request => ({
    feed: request.jwtIdentity === null ? 'public' : `personalized for ${request.jwtIdentity}`,
    claims: request.jwtClaims,
    header: request.jwtHeader,
    location: request.jwtLocation,
    user: request.jwtUser
  }))
  await app.ready()

  const anonymous = { feed: 'public', claims: null, header: null, location: null, user: null }
  const bad: Record<string, Record<string, string>> = {
    'no token': {},
    'not a token': bearer('not-a-token'),
    'malformed header': { authorization: 'Bearer' },
    'two parts': { authorization: 'Bearer a b' },
    'another scheme': { authorization: 'Basic dXNlcjpwYXNz' },
    'an expired token': bearer(app.jwt.createAccessToken('user123', { expiresIn: -60 })),
    'a token of another key': bearer(forge(claims(), {}, otherSecretKey)),
    'a refresh token': bearer(app.jwt.createRefreshToken('user123')),
    'a token not valid yet': bearer(forge(claims({ nbf: now() + 600 })))
  }
  for (const [name, headers] of Object.entries(bad)) {
    const response = await app.inject({ url: '/feed', headers })
    t.equal(response.statusCode, 200, name)
    t.strictSame(response.json(), anonymous, name)
    t.equal(response.headers['www-authenticate'], undefined, `${name}: no challenge`)
  }
  const response = await app.inject({ url: '/feed', headers: bearer(app.jwt.createAccessToken('user123')) })
  t.equal(response.json<{ feed: string }>().feed, 'personalized for user123')
})

t.test('freshJwtRequired lets only a token of a login through', async t => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(jwt, { secretKey })
  app.post('/change-password', { preHandler: freshJwtRequired }, async () => ({ status: 'password changed' }))
  await app.ready()

  const post = (token: string) => ({ method: 'POST', url: '/change-password', headers: bearer(token) }) as const
  const response = await app.inject(post(app.jwt.createAccessToken('user123', { fresh: true })))
  t.equal(response.statusCode, 200)
  t.strictSame(response.json(), { status: 'password changed' })
  await refused(t, app, post(app.jwt.createAccessToken('user123', { fresh: false })), refusals.freshRequired, 'not fresh')
  await refused(t, app, post(app.jwt.createAccessToken('user123')), refusals.freshRequired, 'fresh defaults to false')
  await refused(t, app, post(app.jwt.createRefreshToken('user123')), refusals.accessRequired, 'a refresh token')
})

t.test('a refresh token gets a new access token that is not fresh', async t => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(jwt, { secretKey, tokenLocation: ['headers', 'cookies'] })
  app.post('/refresh', { preHandler: refreshTokenRequired }, async (request, reply) => {
    const token = app.jwt.createAccessToken(request.jwtIdentity as string, { fresh: false })
    app.jwt.setAccessCookies(reply, token)
    return { access_token: token }
  })
  app.get('/protected', { preHandler: jwtRequired }, async request => ({ user: request.jwtIdentity }))
  app.get('/fresh', { preHandler: freshJwtRequired }, async () => ({}))
  await app.ready()

  const refresh = await app.inject({ method: 'POST', url: '/refresh', headers: bearer(app.jwt.createRefreshToken('user123')) })
  t.equal(refresh.statusCode, 200)
  const { access_token: token } = refresh.json<{ access_token: string }>()
  t.match(refresh.cookies, [{ name: 'access_token_cookie', value: token }])

  const response = await app.inject({ url: '/protected', headers: bearer(token) })
  t.strictSame(response.json(), { user: 'user123' })
  await refused(t, app, { url: '/fresh', headers: bearer(token) }, refusals.freshRequired, 'refreshed is not fresh')
})

t.test('cookies: login sets both, a request with them is let in, logout clears both', async t => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(jwt, { secretKey, tokenLocation: 'cookies' })
  app.post('/login', async (_request, reply) => {
    app.jwt.setAccessCookies(reply, app.jwt.createAccessToken('user123'))
    app.jwt.setRefreshCookies(reply, app.jwt.createRefreshToken('user123'))
    return { login: true }
  })
  app.post('/logout', async (_request, reply) => {
    app.jwt.unsetJwtCookies(reply)
    return { logout: true }
  })
  app.get('/protected', { preHandler: jwtRequired }, async request => ({ user: request.jwtIdentity }))

  const login = await app.inject({ method: 'POST', url: '/login' })
  t.strictSame(login.json(), { login: true })
  const cookies = Object.fromEntries(login.cookies.map(({ name, value }) => [name, value]))
  t.strictSame(Object.keys(cookies).sort(), ['access_token_cookie', 'refresh_token_cookie'])

  const inside = await app.inject({ url: '/protected', cookies })
  t.strictSame(inside.json(), { user: 'user123' })
  await refused(t, app, { url: '/protected' }, refusals.missing, 'no cookie')
  await refused(t, app, { url: '/protected', headers: bearer(cookies.access_token_cookie ?? '') },
    refusals.missing, 'a header, where cookies are the only location')

  const logout = await app.inject({ method: 'POST', url: '/logout', cookies })
  t.strictSame(logout.json(), { logout: true })
  t.strictSame(logout.cookies.map(({ name, value, maxAge }) => ({ name, value, maxAge })).sort((a, b) => a.name < b.name ? -1 : 1), [
    { name: 'access_token_cookie', value: '', maxAge: 0 },
    { name: 'refresh_token_cookie', value: '', maxAge: 0 }
  ])
})

t.test('the error list, each at 401 with its message', async t => {
  const app = await protectedApp(t)
  const expired = app.jwt.createAccessToken('user123', { expiresIn: -60 })
  const access = app.jwt.createAccessToken('user123')
  await refused(t, app, { url: '/required' }, refusals.missing, 'Missing JWT token')
  await refused(t, app, { url: '/required', headers: bearer(expired) }, refusals.expired, 'Token has expired')
  await refused(t, app, { url: '/required', headers: bearer(forge(claims(), {}, otherSecretKey)) },
    refusals.signature, 'Invalid token signature')
  await refused(t, app, { url: '/fresh', headers: bearer(access) }, refusals.freshRequired, 'Fresh token required')
  await refused(t, app, { url: '/refresh', headers: bearer(access) }, refusals.refreshRequired, 'Refresh token required')
})

t.test('HS256, HS384 and HS512, HS256 unless told', async t => {
  const app = await protectedApp(t)
  t.equal(app.jwt.getUnverifiedHeader(app.jwt.createAccessToken('user123'))?.alg, 'HS256')
  for (const algorithm of ['HS256', 'HS384', 'HS512'] as const) {
    const app = await protectedApp(t, { algorithm })
    const token = app.jwt.createAccessToken('user123')
    t.equal(app.jwt.getUnverifiedHeader(token)?.alg, algorithm)
    await passes(t, app, { url: '/required', headers: bearer(token) }, 'user123', algorithm)
    const [header, payload, signature] = parts(token)
    t.equal(signature, sign(`${header}.${payload}`, secretKey, algorithm), `${algorithm}: the signature of RFC 7518 §3.2`)
    await passes(t, app, { url: '/required', headers: bearer(forge(claims(), {}, secretKey, algorithm)) },
      'user123', `${algorithm}: made elsewhere`)
  }
})
