import { createHmac, generateKeyPairSync } from 'node:crypto'
import type { FastifyInstance, LightMyRequestResponse } from 'fastify'
import t from 'tap'
import { MemoryStore, jwtRequired } from '../../../lib/index.ts'
import { clientKey, proof } from '../../helpers/proof.ts'
import { movableTime } from '../../helpers/clock.ts'
import { secretKey, sessionApp } from '../../helpers/session-app.ts'
import type { JwtExtendedOptions } from '../../../lib/index.ts'

const key = clientKey()

async function me (app: FastifyInstance, token: string, nonce?: unknown, claims: Record<string, unknown> = {}): Promise<LightMyRequestResponse> {
  return app.inject({ url: '/me', headers: { authorization: `DPoP ${token}`, dpop: proof(key, { token, claims: { ...(nonce === undefined ? {} : { nonce }), ...claims } }) } })
}

function codeOf (response: LightMyRequestResponse): string {
  return response.json<{ code?: string }>().code ?? String(response.statusCode)
}

const nonceOf = (response: LightMyRequestResponse): string => String(response.headers['dpop-nonce'])

t.test('a proof without the nonce is asked for one, and passes with it', async t => {
  const app = await sessionApp(t, { dpop: { nonce: true } })
  const token = app.jwt.createAccessToken('ada', { dpopKey: key.jwk })
  const asked = await me(app, token)
  t.equal(codeOf(asked), 'FST_JWT_DPOP_NONCE')
  t.equal(asked.statusCode, 401)
  t.match(asked.headers['www-authenticate'], /^DPoP error="use_dpop_nonce", error_description="DPoP nonce required", algs="/)
  const nonce = nonceOf(asked)
  t.match(nonce, /^[\w-]{32}$/)
  const good = await me(app, token, nonce)
  t.equal(codeOf(good), '200')
  t.equal(good.headers['dpop-nonce'], undefined, 'a fresh one is kept')
  t.equal(codeOf(await me(app, token, nonce)), '200', 'a nonce is good for many proofs')
  t.equal(codeOf(await me(app, token, nonce, { iat: 5 })), '200', 'the time is that of the nonce, whatever clock the client has')
  const recorded = { authorization: `DPoP ${token}`, dpop: proof(key, { token, claims: { nonce } }) }
  t.equal(codeOf(await app.inject({ url: '/me', headers: recorded })), '200')
  t.match((await app.inject({ url: '/me', headers: recorded })).json(), { message: 'Invalid DPoP proof: replayed' })
  t.equal(codeOf(await app.inject({ url: '/me', headers: { authorization: `Bearer ${app.jwt.createAccessToken('ada')}` } })), '200', 'a bearer token needs none')
})

t.test('an answer with a nonce is not kept by caches (RFC 9449 §8.2)', async t => {
  const app = await sessionApp(t, { dpop: { nonce: true } })
  app.get('/cached', { preHandler: jwtRequired }, async (_request, reply) => {
    reply.header('cache-control', 'public, max-age=60')
    return {}
  })
  const token = app.jwt.createAccessToken('ada', { dpopKey: key.jwk })
  const asked = await me(app, token)
  t.equal(asked.headers['cache-control'], 'no-store')
  const ask = async (nonce?: string): Promise<LightMyRequestResponse> => app.inject({
    url: '/cached', headers: { authorization: `DPoP ${token}`, dpop: proof(key, { token, url: 'http://localhost/cached', claims: nonce === undefined ? {} : { nonce } }) }
  })
  t.equal((await ask()).headers['cache-control'], 'no-store')
  t.equal((await ask(nonceOf(asked))).headers['cache-control'], 'public, max-age=60', 'without a nonce it is as the app says')
})

t.test('what is no nonce of these servers is none', async t => {
  const app = await sessionApp(t, { dpop: { nonce: true } })
  const token = app.jwt.createAccessToken('ada', { dpopKey: key.jwk })
  const nonce = nonceOf(await me(app, token))
  const bytes = Buffer.from(nonce, 'base64url')
  const later = Buffer.from(bytes)
  later.writeUInt8(later.readUInt8(7) ^ 1, 7)
  const forged = Buffer.concat([bytes.subarray(0, 8), createHmac('sha256', secretKey).update(bytes.subarray(0, 8)).digest().subarray(0, 16)])
  for (const bad of ['', 5, null, {}, nonce.slice(1), `${nonce}A`, `${nonce.slice(0, -1)}=`, `${nonce.slice(0, -2)}==`, ' '.repeat(32), later.toString('base64url'), forged.toString('base64url'), 'A'.repeat(32)]) {
    const response = await me(app, token, bad)
    t.equal(codeOf(response), 'FST_JWT_DPOP_NONCE', JSON.stringify(bad))
    t.match(nonceOf(response), /^[\w-]{32}$/)
  }
})

t.test('a nonce ends after its life, and the next one comes in time', async t => {
  const time = movableTime(t)
  const app = await sessionApp(t, { dpop: { nonce: '100s', clockTolerance: 5 } })
  const token = app.jwt.createAccessToken('ada', { dpopKey: key.jwk, expiresIn: '1h' })
  const first = nonceOf(await me(app, token))
  time.advance(60)
  const renewed = await me(app, token, first)
  t.equal(codeOf(renewed), '200')
  const second = nonceOf(renewed)
  t.not(second, first)
  time.advance(50)
  t.equal(codeOf(await me(app, token, first)), 'FST_JWT_DPOP_NONCE')
  t.equal(codeOf(await me(app, token, second)), '200')
  time.advance(-60)
  t.equal(codeOf(await me(app, token, second)), 'FST_JWT_DPOP_NONCE', 'made by a clock that is ahead')
  time.advance(6)
  t.equal(codeOf(await me(app, token, second)), '200', 'by no more than the tolerance')
})

t.test('the nonce is on the answer of an error handler of the app, too, and of a login', async t => {
  const app = await sessionApp(t, { dpop: { nonce: true } })
  app.register(async oauth => {
    oauth.setErrorHandler((error: { code: string }, _request, reply) => reply.code(400).send({ error: error.code === 'FST_JWT_DPOP_NONCE' ? 'use_dpop_nonce' : 'invalid_request' }))
    oauth.post('/token', async request => app.jwt.createSession('ada', { request }))
  })
  const login = async (nonce?: string): Promise<LightMyRequestResponse> => app.inject({
    method: 'POST', url: '/token', headers: { dpop: proof(key, { method: 'POST', url: 'http://localhost/token', claims: nonce === undefined ? {} : { nonce } }) }
  })
  const asked = await login()
  t.equal(asked.statusCode, 400)
  t.strictSame(asked.json(), { error: 'use_dpop_nonce' })
  t.match((await login(nonceOf(asked))).json(), { tokenType: 'DPoP' })
})

t.test('every server with the same keys accepts the nonces of the others, also after a rotation', async t => {
  const store = new MemoryStore()
  t.teardown(() => store.close())
  const options: JwtExtendedOptions = { dpop: { nonce: true }, store }
  const [one, other, stranger] = [await sessionApp(t, options), await sessionApp(t, options), await sessionApp(t, { ...options, secretKey: 'another secret of the tests, of more than 32 bytes' })]
  const token = one.jwt.createAccessToken('ada', { dpopKey: key.jwk })
  const nonce = nonceOf(await me(one, token))
  t.equal(codeOf(await me(other, token, nonce)), '200')
  t.equal(codeOf(await me(stranger, stranger.jwt.createAccessToken('ada', { dpopKey: key.jwk }), nonce)), 'FST_JWT_DPOP_NONCE')

  const keys = [{ keyId: 'new', secretKey: 'the next secret of the tests, of more than 32 bytes' }, { keyId: 'old', secretKey }]
  one.jwt.rotateKeys(keys)
  const next = one.jwt.createAccessToken('ada', { dpopKey: key.jwk })
  t.equal(codeOf(await me(one, next, nonce)), '200', 'of the key before')
  const newNonce = nonceOf(await me(one, next))
  t.equal(codeOf(await me(one, next, newNonce)), '200')
  t.equal(codeOf(await me(other, token, newNonce)), 'FST_JWT_DPOP_NONCE')
  other.jwt.rotateKeys(keys)
  t.equal(codeOf(await me(other, next, newNonce)), '200')
})

t.test('a server that signs nothing takes a secret for its nonces', async t => {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519')
  const missing = { code: 'FST_JWT_BAD_OPTION', message: /'dpop\.nonceSecret' is missing/ }
  const resource: JwtExtendedOptions = { secretKey: undefined, algorithm: 'EdDSA', publicKey, dpop: { nonce: true } }
  await t.rejects(sessionApp(t, resource), missing)
  await t.rejects(sessionApp(t, { secretKey: undefined, issuers: [{ issuer: 'https://issuer.example' }], dpop: { nonce: true } }), missing)
  await t.rejects(sessionApp(t, { dpop: { nonce: true, nonceSecret: 'short' } }), { message: /'dpop\.nonceSecret' has 5 bytes/ })
  await t.rejects(sessionApp(t, { dpop: { nonce: 0 } }), { message: /'dpop\.nonce' takes/ })
  const nonceSecret = 'a secret for nonces, of more than 32 bytes'
  const store = new MemoryStore()
  t.teardown(() => store.close())
  const [one, other] = [await sessionApp(t, { ...resource, store, dpop: { nonce: true, nonceSecret } }), await sessionApp(t, { ...resource, store, dpop: { nonce: true, nonceSecret } })]
  const issuer = await sessionApp(t, { secretKey: undefined, algorithm: 'EdDSA', privateKey, dpop: { nonce: true, nonceSecret } })
  const token = issuer.jwt.createAccessToken('ada', { dpopKey: key.jwk })
  const nonce = nonceOf(await me(one, token))
  t.equal(codeOf(await me(other, token, nonce)), '200')
  t.equal(codeOf(await me(issuer, token, nonce)), '200', 'who signs and who verifies share them by the secret')

  const signing = await sessionApp(t, { dpop: { nonce: true } })
  t.throws(() => { signing.jwt.rotateKeys([{ keyId: 'public', algorithm: 'EdDSA', publicKey }]) }, missing)
})
