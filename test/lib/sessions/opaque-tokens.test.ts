import { createHash, createHmac } from 'node:crypto'
import t from 'tap'
import { MemoryStore } from '../../../lib/index.ts'
import { refresh, send, sessionApp, verdict } from '../../helpers/session-app.ts'
import { ecPair } from '../../helpers/keys/key-pairs.ts'
import type { FastifyInstance } from 'fastify'
import type { StoredSession } from '../../../lib/index.ts'

/** A store that tells what was put into it, and what it was asked. */
class OpenStore extends MemoryStore {
  readonly written: string[] = []
  asked = 0

  override createSession (...args: Parameters<MemoryStore['createSession']>): ReturnType<MemoryStore['createSession']> {
    this.written.push(JSON.stringify(args))
    return super.createSession(...args)
  }

  override replaceSession (...args: Parameters<MemoryStore['replaceSession']>): boolean {
    this.written.push(JSON.stringify(args))
    return super.replaceSession(...args)
  }

  override denyToken (...args: Parameters<MemoryStore['denyToken']>): void {
    this.written.push(JSON.stringify(args))
    super.denyToken(...args)
  }

  override getSession (id: string): ReturnType<MemoryStore['getSession']> {
    this.asked++
    return super.getSession(id)
  }
}

t.test('an opaque refresh token has nothing to read in it, and passes as a refresh token only', async t => {
  const app = await sessionApp(t, { refreshTokenFormat: 'opaque' })
  const { refreshToken, accessToken, sessionId } = await app.jwt.createSession('ada', { claims: { role: 'admin' } })
  t.match(refreshToken, /^[A-Za-z0-9_-]{107}$/)
  t.notMatch(Buffer.from(refreshToken, 'base64url').toString('latin1'), /ada|admin/)
  t.equal(app.jwt.getIdentity(refreshToken), null)
  t.equal(app.jwt.getJti(refreshToken), null)
  t.equal(app.jwt.getUnverifiedHeader(refreshToken), null)
  t.equal(app.jwt.verifyToken(refreshToken), false, 'which only the store can tell')
  t.equal(await verdict(app, 'GET', '/me', accessToken), 200)
  t.equal(await verdict(app, 'GET', '/me', refreshToken), 'FST_JWT_ACCESS_REQUIRED')
  const response = await send(app, 'GET', '/refresh-token', refreshToken)
  t.match(response.json(), { user: 'ada', claims: { identity: 'ada', sub: 'ada', type: 'refresh', sid: sessionId } })
  t.equal(await verdict(app, 'GET', '/unchecked', refreshToken), 200, "type: 'any'")
})

t.test('the store holds a hash of each token, and never the token or its secret', async t => {
  const store = new OpenStore()
  t.teardown(() => store.close())
  const app = await sessionApp(t, { store, refreshTokenFormat: 'opaque' })
  const first = await app.jwt.createSession('ada')
  const second = await refresh(app, first.refreshToken)
  await app.jwt.revokeToken(second.refreshToken)
  const written = store.written.join('\n') + JSON.stringify(store.getSession(first.sessionId))
  for (const token of [first.refreshToken, second.refreshToken]) {
    const bytes = Buffer.from(token, 'base64url')
    t.notOk(written.includes(token))
    for (const part of [bytes.subarray(20, 52), bytes.subarray(52)]) {
      t.notOk(written.includes(part.toString('base64url')) || written.includes(part.toString('hex')) || written.includes(part.toString('base64')))
    }
    t.ok(written.includes(createHash('sha256').update(token).digest('base64url')))
  }
})

t.test('what a store holds is not enough to make a token that passes', async t => {
  const store = new OpenStore()
  t.teardown(() => store.close())
  const app = await sessionApp(t, { store, refreshTokenFormat: 'opaque' })
  const { sessionId } = await app.jwt.createSession('ada')
  const { tokenId, document } = (store.getSession(sessionId) as StoredSession).session
  const head = Buffer.concat([Buffer.from(sessionId.replaceAll('-', ''), 'hex'), Buffer.alloc(4)])
  store.asked = 0
  for (const key of ['', document.token.salt, tokenId]) {
    const secret = createHmac('sha256', key).update('secret').update(head).update(document.token.salt).digest()
    const body = Buffer.concat([head, secret])
    const tag = createHmac('sha256', key).update('tag').update(body).digest().subarray(0, 28)
    t.equal(await verdict(app, 'POST', '/refresh', Buffer.concat([body, tag]).toString('base64url')), 'FST_JWT_INVALID_TOKEN')
  }
  t.equal(store.asked, 0, 'nor does it cost the store a question')
})

t.test('a made-up or altered token of a known session is refused without a question to the store, and the session goes on', async t => {
  const store = new OpenStore()
  t.teardown(() => store.close())
  const app = await sessionApp(t, { store, refreshTokenFormat: 'opaque' })
  const { sessionId, refreshToken } = await app.jwt.createSession('ada')
  const bytes = Buffer.from(refreshToken, 'base64url')
  const id = bytes.subarray(0, 16)
  t.equal(id.toString('hex'), sessionId.replaceAll('-', ''))
  const altered = Array.from({ length: 80 }, (_, index) => {
    const copy = Buffer.from(bytes)
    copy[index] = (copy[index] as number) ^ 1
    return copy
  })
  const made = [Buffer.concat([id, Buffer.alloc(64)]), Buffer.concat([id, Buffer.alloc(64, 255)])]
  for (const token of [...altered, ...made]) {
    t.equal(await verdict(app, 'POST', '/refresh', token.toString('base64url')), 'FST_JWT_INVALID_TOKEN')
  }
  t.equal(store.asked, 0)
  t.equal(await verdict(app, 'POST', '/refresh', refreshToken), 200)
})

t.test('a token has one spelling', async t => {
  const app = await sessionApp(t, { refreshTokenFormat: 'opaque' })
  const { refreshToken } = await app.jwt.createSession('ada')
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
  const last = alphabet.indexOf(refreshToken.slice(-1))
  const spellings = [1, 2, 3].map(bits => refreshToken.slice(0, -1) + alphabet.charAt(last ^ bits))
  for (const token of [...spellings, `${refreshToken}=`, refreshToken.slice(0, -1), `${refreshToken}A`]) {
    t.equal(await verdict(app, 'GET', '/refresh-token', token), 'FST_JWT_INVALID_TOKEN')
  }
  t.equal(await verdict(app, 'GET', '/refresh-token', refreshToken), 200)
})

t.test('a token of a session that is not there is refused as revoked', async t => {
  const app = await sessionApp(t, { refreshTokenFormat: 'opaque' })
  const { sessionId, refreshToken } = await app.jwt.createSession('ada')
  await app.jwt.revokeSession(sessionId)
  t.equal(await verdict(app, 'GET', '/refresh-token', refreshToken), 'FST_JWT_REVOKED')
  t.equal(await verdict(app, 'GET', '/unchecked', refreshToken), 'FST_JWT_REVOKED', 'unchecked as it may be, there is nothing to verify it by')
  t.equal(await verdict(app, 'GET', '/refresh-token', 'A'.repeat(107)), 'FST_JWT_INVALID_TOKEN', 'made up')
  await app.jwt.revokeToken(refreshToken)
  await app.jwt.revokeToken(refreshToken)
})

t.test('revokeToken refuses a made-up opaque token, and takes one that was replaced', async t => {
  const app = await sessionApp(t, { refreshTokenFormat: 'opaque' })
  const { refreshToken } = await app.jwt.createSession('ada')
  const made = Buffer.concat([Buffer.from(refreshToken, 'base64url').subarray(0, 16), Buffer.alloc(64)]).toString('base64url')
  await t.rejects(app.jwt.revokeToken(made), { code: 'FST_JWT_INVALID_TOKEN' })
  await refresh(app, refreshToken)
  await app.jwt.revokeToken(refreshToken)
  t.equal(await verdict(app, 'POST', '/refresh', refreshToken), 'FST_JWT_REVOKED')
})

t.test('the format can be changed in both directions while both kinds are in use', async t => {
  const store = new MemoryStore()
  t.teardown(() => store.close())
  const jwts = await sessionApp(t, { store })
  const opaque = await sessionApp(t, { store, refreshTokenFormat: 'opaque' })
  for (const [before, after, length] of [[jwts, opaque, true], [opaque, jwts, false]] as const) {
    const first = await before.jwt.createSession('ada')
    const second = await refresh(after, first.refreshToken)
    t.equal(second.refreshToken.length === 107, length)
    for (const app of [before, after]) {
      t.equal((await refresh(app, first.refreshToken)).refreshToken, second.refreshToken, 'the same successor, whoever is asked')
      t.equal(await verdict(app, 'GET', '/refresh-token', second.refreshToken), 200)
    }
    const third = await refresh(before, second.refreshToken)
    t.equal(await verdict(after, 'POST', '/refresh', third.refreshToken), 200)
    t.equal(await verdict(after, 'POST', '/refresh', first.refreshToken), 'FST_JWT_REUSED')
  }
})

t.test('an opaque token is for its issuer and audience, and these are judged as those of a JWT are', async t => {
  const store = new MemoryStore()
  t.teardown(() => store.close())
  const app = async (options: object): Promise<FastifyInstance> => sessionApp(t, { store, refreshTokenFormat: 'opaque', ...options })
  const users = await app({ issuer: 'https://old.example', audience: ['users', 'all'] })
  const { refreshToken } = await users.jwt.createSession('ada')
  const verdicts: [options: object, verdict: number | string][] = [
    [{ issuer: 'https://old.example', audience: 'admins' }, 'FST_JWT_INVALID_TOKEN'],
    [{ issuer: 'https://new.example', audience: 'users' }, 'FST_JWT_INVALID_TOKEN'],
    [{ issuer: 'https://old.example' }, 'FST_JWT_INVALID_TOKEN'],
    [{ issuer: 'https://new.example', decodeIssuer: ['https://new.example', 'https://old.example'], audience: ['all', 'users'] }, 200],
    [{ issuer: 'https://old.example', audience: 'admins', decodeAudience: ['admins', 'users'] }, 200]
  ]
  for (const [options, expected] of verdicts) t.equal(await verdict(await app(options), 'GET', '/refresh-token', refreshToken), expected, JSON.stringify(options))
  t.equal(await verdict(users, 'POST', '/refresh', refreshToken), 200)
})

t.test('a token of a key that was rotated is good as long as the key is there, also as a public key alone', async t => {
  const [first, second, third] = [ecPair('P-256', 'first'), ecPair('P-256', 'second'), ecPair('P-256', 'third')]
  const app = await sessionApp(t, { refreshTokenFormat: 'opaque', secretKey: undefined, keys: [{ keyId: 'first', algorithm: 'ES256', privateKey: first.privateKey }] })
  const tokens = await app.jwt.createSession('ada')
  const made = Buffer.concat([Buffer.from(tokens.refreshToken, 'base64url').subarray(0, 20), Buffer.alloc(60)]).toString('base64url')
  app.jwt.rotateKeys([{ keyId: 'second', algorithm: 'ES256', privateKey: second.privateKey }, { keyId: 'first', algorithm: 'ES256', privateKey: first.privateKey }])
  t.equal(await verdict(app, 'GET', '/refresh-token', tokens.refreshToken), 200)
  app.jwt.rotateKeys([{ keyId: 'second', algorithm: 'ES256', privateKey: second.privateKey }, { keyId: 'first', algorithm: 'ES256', publicKey: first.publicKey }])
  t.equal(await verdict(app, 'GET', '/refresh-token', tokens.refreshToken), 200, 'by what the store knows of it')
  t.equal(await verdict(app, 'GET', '/refresh-token', made), 'FST_JWT_INVALID_TOKEN', 'and a made-up one ends no session')
  const next = await refresh(app, tokens.refreshToken)
  t.equal(await verdict(app, 'GET', '/refresh-token', next.refreshToken), 200)
  app.jwt.rotateKeys([{ keyId: 'third', algorithm: 'ES256', privateKey: third.privateKey }])
  t.equal(await verdict(app, 'GET', '/refresh-token', next.refreshToken), 'FST_JWT_INVALID_TOKEN', 'the key is gone')
})

t.test('identityClaim names the claim of an opaque token, too', async t => {
  const app = await sessionApp(t, { refreshTokenFormat: 'opaque', identityClaim: 'uid' })
  const { refreshToken } = await app.jwt.createSession('ada')
  t.match((await send(app, 'GET', '/refresh-token', refreshToken)).json(), { user: 'ada', claims: { uid: 'ada' } })
})

t.test('in cookies, an opaque token is protected by double submit, with a CSRF token of its own', async t => {
  const app = await sessionApp(t, { refreshTokenFormat: 'opaque', tokenLocation: 'cookies', csrfProtection: 'double-submit', sessionMaxAge: '1h' })
  app.post('/login', async (_request, reply) => {
    const { accessToken, refreshToken } = await app.jwt.createSession('ada')
    app.jwt.setAccessCookies(reply, accessToken)
    app.jwt.setRefreshCookies(reply, refreshToken)
  })
  const login = await app.inject({ method: 'POST', url: '/login' })
  const cookie = (name: string): { value: string, maxAge?: number } => {
    const found = login.cookies.find(cookie => cookie.name === name)
    if (found === undefined) throw new Error(`No cookie ${name}`)
    return found
  }
  const token = cookie('refresh_token_cookie')
  const csrf = cookie('csrf_refresh_token')
  t.equal(token.maxAge, 3600, 'no cookie outlives the session')
  t.equal(csrf.maxAge, 3600)
  t.equal(app.jwt.getCsrfToken(token.value), csrf.value)
  t.notOk(token.value.includes(csrf.value))
  const post = async (headers: Record<string, string>): Promise<number | string> => {
    const response = await app.inject({ method: 'POST', url: '/refresh', headers, cookies: { refresh_token_cookie: token.value } })
    return response.statusCode === 200 ? 200 : response.json().code
  }
  t.equal(await post({}), 'FST_JWT_CSRF')
  t.equal(await post({ 'x-csrf-token': cookie('csrf_access_token').value }), 'FST_JWT_CSRF')
  t.equal(await post({ 'x-csrf-token': csrf.value }), 200)
})

t.test('without end, the cookie of an opaque token lives as long as browsers let it', async t => {
  const app = await sessionApp(t, { refreshTokenFormat: 'opaque', tokenLocation: 'cookies', refreshExpires: false })
  app.post('/login', async (_request, reply) => {
    app.jwt.setRefreshCookies(reply, (await app.jwt.createSession('ada')).refreshToken)
  })
  const { cookies } = await app.inject({ method: 'POST', url: '/login' })
  t.match(cookies, [{ name: 'refresh_token_cookie', maxAge: 400 * 24 * 3600 }])
})
