import { generateKeyPairSync } from 'node:crypto'
import type { FastifyInstance, LightMyRequestResponse } from 'fastify'
import t from 'tap'
import type { Test } from 'tap'
import { MemoryStore, jwtRequired, refreshTokenRequired } from '../../../lib/index.ts'
import { clientKey, proof } from '../../helpers/proof.ts'
import { movableTime } from '../../helpers/clock.ts'
import { sessionApp } from '../../helpers/session-app.ts'
import type { JwtClaims, JwtExtendedOptions, SessionTokens } from '../../../lib/index.ts'
import type { ClientKey, ProofFor } from '../../helpers/proof.ts'

const key = clientKey()
const origin = 'http://localhost'

async function loginApp (t: Test, options: JwtExtendedOptions = {}): Promise<FastifyInstance> {
  const app = await sessionApp(t, { dpop: 'allowed', tokenLocation: ['headers', 'json', 'cookies'], ...options })
  app.post('/login', async request => app.jwt.createSession('ada', { request, claims: { role: 'admin' } }))
  app.post('/token', async request => ({ accessToken: app.jwt.createAccessToken('ada', { dpopKey: await app.jwt.verifyDpopProof(request) }) }))
  return app
}

async function post (app: FastifyInstance, url: string, own: ClientKey | null, { headers = {}, payload, ...given }: ProofFor & { headers?: Record<string, string>, payload?: object } = {}): Promise<LightMyRequestResponse> {
  const dpop = own === null ? {} : { dpop: proof(own, { method: 'POST', url: origin + url, ...given }) }
  return app.inject({ method: 'POST', url, headers: { ...dpop, ...headers }, ...(payload === undefined ? {} : { payload }) })
}

async function login (app: FastifyInstance, own: ClientKey | null = key): Promise<SessionTokens> {
  const response = await post(app, '/login', own)
  if (response.statusCode !== 200) throw new Error(response.body)
  return response.json<SessionTokens>()
}

async function me (app: FastifyInstance, token: string, own: ClientKey = key): Promise<LightMyRequestResponse> {
  return app.inject({ url: '/me', headers: { authorization: `DPoP ${token}`, dpop: proof(own, { token }) } })
}

/** `200`, or the code and reason. */
function verdictOf (response: LightMyRequestResponse): string {
  const { code, message } = response.json<{ code?: string, message?: string }>()
  return code === undefined ? String(response.statusCode) : `${code}: ${message}`
}

const asBearer = 'FST_JWT_DPOP_BINDING: Token is bound to a key: send it with the scheme DPoP and a proof'
const wrongKey = 'FST_JWT_DPOP_BINDING: Invalid DPoP key binding'
const badProof = (reason: string): string => `FST_JWT_DPOP_PROOF: Invalid DPoP proof: ${reason}`

for (const refreshTokenFormat of ['jwt', 'opaque'] as const) {
  t.test(`a login with a proof binds all tokens of its session, with ${refreshTokenFormat} refresh tokens`, async t => {
    const app = await loginApp(t, { refreshTokenFormat })
    const first = await login(app)
    t.equal(first.tokenType, 'DPoP')
    t.strictSame(app.jwt.decodeToken(first.accessToken).cnf, { jkt: key.thumbprint })
    const answer = await me(app, first.accessToken)
    t.equal(answer.json<{ claims: JwtClaims }>().claims.role, 'admin')
    t.equal(verdictOf(await app.inject({ url: '/me', headers: { authorization: `Bearer ${first.accessToken}` } })), asBearer)

    const thief = clientKey()
    const token = first.refreshToken
    const payload = { refresh_token: token }
    t.equal(verdictOf(await post(app, '/refresh', null, { payload })), badProof('missing'))
    t.equal(verdictOf(await post(app, '/refresh', thief, { payload })), wrongKey)
    t.equal(verdictOf(await post(app, '/refresh', null, { headers: { authorization: `Bearer ${token}` } })), asBearer)
    t.equal(verdictOf(await post(app, '/refresh', key, { headers: { authorization: `Bearer ${token}` } })), asBearer)
    t.equal(verdictOf(await post(app, '/refresh', thief, { headers: { authorization: `DPoP ${token}` } })), wrongKey)
    const next = await post(app, '/refresh', key, { payload })
    t.equal(verdictOf(next), '200')
    const second = next.json<SessionTokens>()
    t.equal(second.tokenType, 'DPoP')
    t.strictSame(app.jwt.decodeToken(second.accessToken).cnf, { jkt: key.thumbprint })
    t.equal(verdictOf(await me(app, second.accessToken)), '200')
    const third = await post(app, '/refresh', key, { headers: { authorization: `DPoP ${second.refreshToken}` } })
    t.equal(verdictOf(third), '200', 'a refresh token may come in the header, too')
    t.equal(verdictOf(await me(app, third.json<SessionTokens>().accessToken)), '200')
    const claims = await app.inject({ url: '/refresh-token', headers: { authorization: `DPoP ${third.json<SessionTokens>().refreshToken}`, dpop: proof(key, { url: `${origin}/refresh-token` }) } })
    t.strictSame(claims.json<{ claims: JwtClaims }>().claims.cnf, { jkt: key.thumbprint })
    await app.jwt.revokeSession(first.sessionId)
    t.equal(verdictOf(await me(app, second.accessToken)), 'FST_JWT_REVOKED: Token has been revoked')
  })

  t.test(`a session bound to a key goes on only by it, whatever has let the request in, with ${refreshTokenFormat} refresh tokens`, async t => {
    const store = new MemoryStore()
    t.teardown(() => store.close())
    const app = await loginApp(t, { refreshTokenFormat, store })
    const [unset, off] = [await sessionApp(t, { refreshTokenFormat, store }), await sessionApp(t, { refreshTokenFormat, store, dpop: false })]
    const { refreshToken } = await login(app)
    const headers = { authorization: `Bearer ${refreshToken}` }
    t.equal(verdictOf(await unset.inject({ method: 'POST', url: '/refresh', headers })), 'FST_JWT_DPOP_BINDING: Token is bound to a key, which is not supported here')
    // A hook of another registration has checked no proof.
    off.post('/elsewhere', { preHandler: refreshTokenRequired }, async request => app.jwt.rotateSession(request))
    t.equal(verdictOf(await off.inject({ method: 'POST', url: '/elsewhere', headers })), wrongKey)
    const ignored = await off.inject({ method: 'POST', url: '/refresh', headers })
    t.equal(verdictOf(ignored), '200', 'false ignores the binding')
    t.equal(ignored.json<SessionTokens>().tokenType, undefined)
    t.strictSame(app.jwt.decodeToken(ignored.json<SessionTokens>().accessToken).cnf, { jkt: key.thumbprint }, 'and keeps it')
  })
}

t.test('a login without a proof makes bearer tokens, or none if they must be bound', async t => {
  const [allowed, required] = [await loginApp(t), await loginApp(t, { dpop: 'required' })]
  const tokens = await login(allowed, null)
  t.equal(tokens.tokenType, 'Bearer')
  t.equal(allowed.jwt.decodeToken(tokens.accessToken).cnf, undefined)
  t.equal(verdictOf(await allowed.inject({ url: '/me', headers: { authorization: `Bearer ${tokens.accessToken}` } })), '200')
  const refused = await post(required, '/login', null)
  t.equal(verdictOf(refused), badProof('missing'))
  t.match(refused.headers['www-authenticate'], /^DPoP error="invalid_dpop_proof"/)
  t.strictSame(await required.jwt.listSessions('ada'), [])
  t.equal((await login(required)).tokenType, 'DPoP')
  const cookies = await required.jwt.createSession('ada')
  t.equal(cookies.tokenType, 'Bearer', 'a session for cookies')
  t.equal(verdictOf(await required.inject({ url: '/me', cookies: { access_token_cookie: cookies.accessToken } })), '200')
  const refreshed = await required.inject({ method: 'POST', url: '/refresh', cookies: { refresh_token_cookie: cookies.refreshToken } })
  t.equal(refreshed.json<SessionTokens>().tokenType, 'Bearer')
})

t.test('a login with a proof that is invalid, or was used, makes no session', async t => {
  const app = await loginApp(t)
  t.equal(verdictOf(await post(app, '/login', key, { method: 'GET' })), badProof('htm'))
  t.equal(verdictOf(await post(app, '/login', key, { url: `${origin}/me` })), badProof('htu'))
  t.equal(verdictOf(await post(app, '/login', key, { header: { typ: 'JWT' } })), badProof('typ'))
  const dpop = proof(key, { method: 'POST', url: `${origin}/login` })
  const again = async (): Promise<string> => verdictOf(await app.inject({ method: 'POST', url: '/login', headers: { dpop } }))
  t.equal(await again(), '200')
  t.equal(await again(), badProof('replayed'))
  t.equal((await app.jwt.listSessions('ada')).length, 1)
})

t.test('tokens of no session are bound by the key that the app gives', async t => {
  const app = await loginApp(t)
  app.post('/refresh-alone', { preHandler: refreshTokenRequired }, async () => ({}))
  const response = await post(app, '/token', key)
  const { accessToken } = response.json<{ accessToken: string }>()
  t.equal(verdictOf(await me(app, accessToken)), '200')
  t.equal(verdictOf(await me(app, accessToken, clientKey())), wrongKey)
  const unbound = await post(app, '/token', null)
  t.equal(app.jwt.decodeToken(unbound.json<{ accessToken: string }>().accessToken).cnf, undefined)
  for (const dpopKey of [key.thumbprint, key.jwk, { ...key.jwk, kid: 'a name', alg: 'ES256', use: 'sig' }]) {
    t.equal(verdictOf(await me(app, app.jwt.createAccessToken('ada', { dpopKey }))), '200')
  }
  const refreshToken = app.jwt.createRefreshToken('ada', { dpopKey: key.jwk })
  t.equal(verdictOf(await post(app, '/refresh-alone', key, { payload: { refresh_token: refreshToken } })), '200')
  t.equal(verdictOf(await post(app, '/refresh-alone', clientKey(), { payload: { refresh_token: refreshToken } })), wrongKey)
  for (const dpopKey of ['', 'short', 5, {}, { kty: 'EC' }, key.privateKey.export({ format: 'jwk' }), { kty: 'oct', k: 'AA' }]) {
    t.throws(() => app.jwt.createAccessToken('ada', { dpopKey: dpopKey as string }), { name: 'TypeError', message: /^'dpopKey' takes/ }, JSON.stringify(dpopKey))
  }
})

t.test('with the option, only this package writes cnf; without it, nothing can be bound', async t => {
  const [on, unset, off] = [await loginApp(t), await sessionApp(t), await sessionApp(t, { dpop: false })]
  t.throws(() => on.jwt.createAccessToken('ada', { claims: { cnf: { jkt: key.thumbprint } } }), /can't hold the claim 'cnf'/)
  t.strictSame(unset.jwt.decodeToken(unset.jwt.createAccessToken('ada', { claims: { cnf: { 'x5t#S256': 'x' } } })).cnf, { 'x5t#S256': 'x' })
  for (const app of [unset, off]) {
    app.post('/login', async request => app.jwt.createSession('ada', { request }))
    app.post('/proof', async request => ({ key: await app.jwt.verifyDpopProof(request) }))
    t.throws(() => app.jwt.createAccessToken('ada', { dpopKey: key.thumbprint }), { name: 'TypeError', cause: { code: 'FST_JWT_BAD_OPTION' } })
    for (const url of ['/login', '/proof']) {
      const response = await post(app, url, key)
      t.equal(response.statusCode, 500)
      t.equal(response.json<{ message: string }>().message, 'Authentication is not set up correctly')
    }
    t.equal((await app.jwt.createSession('ada')).tokenType, undefined)
  }
  t.equal(on.jwt.createAccessToken('ada', { dpopKey: null }).split('.').length, 3)
})

t.test('a bound session is renewed, listed, updated and ended as any other', async t => {
  const time = movableTime(t)
  const app = await loginApp(t, { refreshReuseInterval: 10 })
  const first = await login(app)
  t.equal((await app.jwt.listSessions('ada')).length, 1)
  t.equal(await app.jwt.updateSession(first.sessionId, { claims: { role: 'reader' }, now: true }), true)
  t.equal(verdictOf(await me(app, first.accessToken)), 'FST_JWT_STALE: Token is stale')
  const payload = { refresh_token: first.refreshToken }
  const [one, other] = await Promise.all([post(app, '/refresh', key, { payload }), post(app, '/refresh', key, { payload })])
  t.equal(one?.json<SessionTokens>().refreshToken, other?.json<SessionTokens>().refreshToken, 'two at once get the same successor')
  const second = one?.json<SessionTokens>() as SessionTokens
  t.equal((await me(app, second.accessToken)).json<{ claims: JwtClaims }>().claims.role, 'reader')
  time.advance(20)
  t.equal(verdictOf(await post(app, '/refresh', clientKey(), { payload })), 'FST_JWT_REUSED: Refresh token has been reused')
  t.equal(verdictOf(await me(app, second.accessToken)), 'FST_JWT_REVOKED: Token has been revoked')
})

t.test('tokens of another issuer that are bound to a key need its proof, too', async t => {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519')
  const issuer = await sessionApp(t, { secretKey: undefined, dpop: 'allowed', algorithm: 'EdDSA', privateKey, keyId: 'one', issuer: 'https://issuer.example' })
  const jwks = Buffer.from(JSON.stringify({ keys: [{ ...publicKey.export({ format: 'jwk' }), kid: 'one' }] }))
  const jwksFetch = async (): Promise<Response> => new Response(jwks)
  const options: JwtExtendedOptions = { secretKey: undefined, issuers: [{ issuer: 'https://issuer.example', jwksUri: 'https://issuer.example/jwks' }], jwksFetch }
  const app = await sessionApp(t, { ...options, dpop: 'allowed' })
  app.get('/other', { onRequest: jwtRequired }, async () => ({}))
  const token = issuer.jwt.createAccessToken('ada', { dpopKey: key.jwk })
  t.equal(verdictOf(await me(app, token)), '200')
  t.equal(verdictOf(await me(app, token, clientKey())), wrongKey)
  t.equal(verdictOf(await app.inject({ url: '/me', headers: { authorization: `Bearer ${token}` } })), asBearer)
  t.equal(verdictOf(await app.inject({ url: '/me', headers: { authorization: `Bearer ${issuer.jwt.createAccessToken('ada')}` } })), '200')
  const unaware = await sessionApp(t, options)
  t.equal(verdictOf(await unaware.inject({ url: '/me', headers: { authorization: `Bearer ${token}` } })), 'FST_JWT_DPOP_BINDING: Token is bound to a key, which is not supported here')
})
