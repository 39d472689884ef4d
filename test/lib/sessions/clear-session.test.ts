import { generateKeyPairSync } from 'node:crypto'
import { createSigner } from 'fast-jwt'
import type { FastifyInstance, LightMyRequestResponse } from 'fastify'
import t from 'tap'
import type { Test } from 'tap'
import { sessionApp, verdict } from '../../helpers/session-app.ts'
import type { JwtExtendedOptions } from '../../../lib/index.ts'
import { movableTime } from '../../helpers/clock.ts'
import { startIssuer } from '../../helpers/keys/issuer-server.ts'

/** An app that logs out by `clearSession`, without a hook before it. */
async function logoutApp (t: Test, options: JwtExtendedOptions = {}): Promise<FastifyInstance> {
  const app = await sessionApp(t, { tokenLocation: ['headers', 'cookies'], ...options })
  app.route({ method: ['GET', 'POST'], url: '/logout', handler: async (request, reply) => ({ ended: await app.jwt.clearSession(request, reply) }) })
  return app
}

async function logout (app: FastifyInstance, headers: Record<string, string>, method: 'GET' | 'POST' = 'POST'): Promise<LightMyRequestResponse> {
  return app.inject({ method, url: '/logout', headers })
}

const cleared = (response: LightMyRequestResponse): string[] => response.cookies.filter(({ value }) => value === '').map(({ name }) => name).sort()

for (const refreshTokenFormat of ['jwt', 'opaque'] as const) {
  t.test(`a session ends by whatever the request holds, with ${refreshTokenFormat} refresh tokens`, async t => {
    const app = await logoutApp(t, { refreshTokenFormat })
    const time = movableTime(t)
    const requests: Record<string, (tokens: { accessToken: string, refreshToken: string }) => Record<string, string>> = {
      'an access cookie': ({ accessToken }) => ({ cookie: `access_token_cookie=${accessToken}` }),
      'a refresh cookie alone': ({ refreshToken }) => ({ cookie: `refresh_token_cookie=${refreshToken}` }),
      both: ({ accessToken, refreshToken }) => ({ cookie: `access_token_cookie=${accessToken}; refresh_token_cookie=${refreshToken}` }),
      'an Authorization header': ({ accessToken }) => ({ authorization: `Bearer ${accessToken}` }),
      'a second cookie of the name': ({ accessToken }) => ({ cookie: `access_token_cookie=forged; access_token_cookie=${accessToken}` })
    }
    for (const [what, headersOf] of Object.entries(requests)) {
      for (const later of [0, 3600]) {
        const tokens = await app.jwt.createSession('ada')
        const kept = await app.jwt.createSession('ada')
        time.advance(later)
        const response = await logout(app, headersOf(tokens))
        t.strictSame([response.statusCode, response.json()], [200, { ended: true }], `${what}, ${later} seconds later`)
        t.strictSame(cleared(response), ['access_token_cookie', 'refresh_token_cookie'])
        t.match(response.headers['cache-control'], 'no-store')
        t.equal(await verdict(app, 'POST', '/refresh', tokens.refreshToken), 'FST_JWT_REVOKED')
        t.equal(await verdict(app, 'POST', '/refresh', kept.refreshToken), 200)
        t.strictSame((await logout(app, headersOf(tokens))).json(), { ended: false }, 'to log out twice is no error')
        time.reset()
      }
    }
  })
}

t.test('a forged token, or none, ends nothing, and the cookies go', async t => {
  const app = await logoutApp(t)
  const { accessToken, refreshToken } = await app.jwt.createSession('ada')
  const forged = `${accessToken.slice(0, -4)}AAAA`
  for (const headers of [
    {}, { cookie: `access_token_cookie=${forged}` }, { authorization: `Bearer ${forged}` }, { authorization: 'Bearer a b' },
    { cookie: `refresh_token_cookie=${'A'.repeat(107)}` }
  ] as Array<Record<string, string>>) {
    const response = await logout(app, headers)
    t.strictSame([response.statusCode, response.json()], [200, { ended: false }])
    t.equal(cleared(response).length, 2)
  }
  t.equal(await verdict(app, 'POST', '/refresh', refreshToken), 200)
})

t.test('a page of another site logs nobody out, by either kind of protection', async t => {
  const site = { 'sec-fetch-site': 'cross-site' }
  const app = await logoutApp(t)
  const { accessToken, refreshToken } = await app.jwt.createSession('ada')
  for (const cookie of [`access_token_cookie=${accessToken}`, `refresh_token_cookie=${refreshToken}`]) {
    const response = await logout(app, { cookie, ...site })
    t.match([response.statusCode, response.json()], [403, { code: 'FST_JWT_CSRF' }])
    t.strictSame(response.cookies, [])
  }
  t.strictSame((await logout(app, { authorization: `Bearer ${accessToken}`, ...site })).json(), { ended: true }, 'a header is sent by no page of another site')

  for (const refreshTokenFormat of ['jwt', 'opaque'] as const) {
    const double = await logoutApp(t, { csrfProtection: 'double-submit', refreshTokenFormat })
    const tokens = await double.jwt.createSession('ada')
    const cookie = `refresh_token_cookie=${tokens.refreshToken}`
    t.equal((await logout(double, { cookie })).statusCode, 403)
    t.equal((await logout(double, { cookie, 'x-csrf-token': 'wrong' })).statusCode, 403)
    t.strictSame((await logout(double, { cookie, 'x-csrf-token': double.jwt.getCsrfToken(tokens.refreshToken) ?? '' })).json(), { ended: true })
  }
})

t.test('with double submit, the CSRF token of one cookie of a session is good for both', async t => {
  for (const refreshTokenFormat of ['jwt', 'opaque'] as const) {
    const app = await logoutApp(t, { csrfProtection: 'double-submit', refreshTokenFormat })
    const time = movableTime(t)
    const other = await app.jwt.createSession('eve')
    for (const later of [0, 3600]) {
      for (const which of ['accessToken', 'refreshToken'] as const) {
        const tokens = await app.jwt.createSession('ada')
        const cookie = `access_token_cookie=${tokens.accessToken}; refresh_token_cookie=${tokens.refreshToken}`
        time.advance(later)
        for (const csrf of ['', 'wrong', app.jwt.getCsrfToken(other[which]) ?? '']) {
          t.match((await logout(app, { cookie, 'x-csrf-token': csrf })).json(), { code: 'FST_JWT_CSRF' })
        }
        t.strictSame((await logout(app, { cookie, 'x-csrf-token': app.jwt.getCsrfToken(tokens[which]) ?? '' })).json(), { ended: true }, `${which}, ${later} seconds later`)
        time.reset()
      }
    }
    const { accessToken, refreshToken } = await app.jwt.createSession('ada')
    // Somebody has planted their own cookie beside it.
    const planted = { cookie: `access_token_cookie=${other.accessToken}; refresh_token_cookie=${refreshToken}`, 'x-csrf-token': app.jwt.getCsrfToken(other.accessToken) ?? '' }
    t.match((await logout(app, planted)).json(), { code: 'FST_JWT_CSRF' }, 'a token of another session proves nothing')
    t.match((await logout(app, { cookie: `refresh_token_cookie=${refreshToken}`, authorization: `Bearer ${accessToken}` })).json(), { code: 'FST_JWT_CSRF' }, 'nor does one in a header')
    const [access, refresh] = [app.jwt.createAccessToken('ada'), app.jwt.createRefreshToken('ada')]
    t.strictSame((await logout(app, { cookie: `access_token_cookie=${access}; refresh_token_cookie=${refresh}`, 'x-csrf-token': app.jwt.getCsrfToken(refresh) ?? '' })).json(), { ended: false })
    t.equal(await verdict(app, 'GET', '/me', access), 'FST_JWT_REVOKED', 'tokens of no session')
  }
})

t.test("with double submit, another issuer's token proves nothing about ours, whatever identity or session it names", async t => {
  const issuer = 'https://issuer.test'
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const { url } = await startIssuer(t, { keys: [{ ...publicKey.export({ format: 'jwk' }), alg: 'ES256', kid: 'theirs' }] })
  const signer = createSigner({ key: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string, algorithm: 'ES256', kid: 'theirs' })
  const app = await logoutApp(t, { csrfProtection: 'double-submit', issuers: [{ issuer, jwksUri: url }] })
  const { refreshToken, sessionId } = await app.jwt.createSession('42')
  const own = app.jwt.createRefreshToken('42')
  for (const [cookie, sid] of [[refreshToken, sessionId], [own, undefined]] as const) {
    const planted = signer({ iss: issuer, sub: '42', type: 'access', csrf: 'known', exp: 4_000_000_000, ...(sid === undefined ? {} : { sid }) })
    t.equal(await verdict(app, 'GET', '/me', planted), 200)
    for (const authorization of [{}, { authorization: `Bearer ${planted}` }] as Array<Record<string, string>>) {
      const response = await logout(app, { ...authorization, cookie: `access_token_cookie=${planted}; refresh_token_cookie=${cookie}`, 'x-csrf-token': 'known' })
      t.match(response.json(), { code: 'FST_JWT_CSRF' })
    }
    t.equal(await verdict(app, 'GET', '/refresh-token', cookie), 200)
  }
})

t.test('a token of no session is revoked', async t => {
  const app = await logoutApp(t)
  const token = app.jwt.createAccessToken('ada')
  t.strictSame((await logout(app, { authorization: `Bearer ${token}` })).json(), { ended: false })
  t.equal(await verdict(app, 'GET', '/me', token), 'FST_JWT_REVOKED')
  const endless = await logoutApp(t, { accessExpires: false })
  const forEver = endless.jwt.createAccessToken('ada')
  await logout(endless, { authorization: `Bearer ${forEver}` })
  t.equal(await verdict(endless, 'GET', '/me', forEver), 'FST_JWT_REVOKED')
})

t.test('it needs a store, and without cookies it clears none', async t => {
  const app = await logoutApp(t, { tokenLocation: 'headers' })
  const { accessToken } = await app.jwt.createSession('ada')
  const response = await logout(app, { authorization: `Bearer ${accessToken}` })
  t.strictSame([response.json(), response.cookies], [{ ended: true }, []])
  const without = await logoutApp(t, { store: false })
  t.equal((await logout(without, {})).statusCode, 500)
})

t.test('a mistake of the app, and keys that cannot be fetched, end nothing and are no logout', async t => {
  const wrong = await logoutApp(t, { extractToken: (async () => 'a') as never })
  t.equal((await logout(wrong, {})).statusCode, 500)
  const app = await logoutApp(t, { issuers: [{ issuer: 'https://issuer.test', jwksUri: 'http://127.0.0.1:1/' }] })
  const foreign = `${Buffer.from('{"alg":"RS256","kid":"a"}').toString('base64url')}.${Buffer.from('{"iss":"https://issuer.test"}').toString('base64url')}.AAAA`
  const response = await logout(app, { cookie: `access_token_cookie=${foreign}` })
  t.match([response.statusCode, response.json()], [503, { code: 'FST_JWT_KEYS_UNAVAILABLE' }])
  t.strictSame(response.cookies, [])
})

t.test('a store that does not answer is a 503, and the cookies stay', async t => {
  const { MemoryStore } = await import('../../../lib/index.ts')
  const store = new class extends MemoryStore {
    override endSession (): string | null { throw new Error('away') }
  }()
  t.teardown(() => store.close())
  const app = await logoutApp(t, { store })
  const { accessToken } = await app.jwt.createSession('ada')
  const response = await logout(app, { cookie: `access_token_cookie=${accessToken}` })
  t.match([response.statusCode, response.json()], [503, { code: 'FST_JWT_STORE_UNAVAILABLE' }])
  t.strictSame(response.cookies, [])
})
