import { createHmac, createSecretKey } from 'node:crypto'
import Fastify from 'fastify'
import t from 'tap'
import type { Test } from 'tap'
import type { FastifyRequest } from 'fastify'
import jwt, { refreshTokenRequired } from '../../../lib/index.ts'
import type { Algorithm, DecodedKey, JwtExtendedOptions } from '../../../lib/index.ts'
import { loadKeys } from '../../../lib/keys/local.ts'
import { ecPair, ed25519Pair, pemOf, rsaPair } from '../../helpers/keys/key-pairs.ts'
import { selfSignedCertificate } from '../../helpers/keys/self-signed-certificate.ts'
import { appWith, badSignature, ecKeys, invalid, now, otherSecretKey, passed, rsaKeys, secretKey, send, tokenOf } from '../../helpers/keys/found-keys-app.ts'

const first = loadKeys({ secretKey })
const second = loadKeys({ secretKey: otherSecretKey })
const secrets: Record<string, string> = { first: secretKey, second: otherSecretKey }

const ofTenant = (tenant: string) => ({ 'x-tenant': tenant })
const tenantOf = (request: FastifyRequest) => String(request.headers['x-tenant'])

/** An app whose every token must be of the key that `returned` gives. */
function appFor (t: Test, returned: unknown, options: JwtExtendedOptions = {}, causes: unknown[] = []) {
  return appWith(t, { ...options, decodeKey: () => returned as DecodedKey }, causes)
}

const lookUps = {
  'at once': (request: FastifyRequest) => secrets[tenantOf(request)],
  'as a promise': async (request: FastifyRequest) => secrets[tenantOf(request)]
}

for (const [how, lookUp] of Object.entries(lookUps)) {
  t.test(`a key per tenant, given ${how}, is never mixed up`, async t => {
    const app = await appWith(t, { decodeKey: (_header, _claims, request) => lookUp(request) })
    const token = tokenOf(first)
    const tokenOfSecond = tokenOf(second)
    for (let i = 0; i < 4; i++) {
      t.strictSame(await send(app, token, '/', ofTenant('first')), passed)
      t.strictSame(await send(app, token, '/', ofTenant('second')), badSignature)
      t.strictSame(await send(app, tokenOfSecond, '/', ofTenant('second')), passed)
      t.strictSame(await send(app, tokenOfSecond, '/', ofTenant('first')), badSignature)
      t.strictSame(await send(app, token, '/', ofTenant('none')), invalid('key'))
    }
    const answers = await Promise.all(Array.from({ length: 100 }, async (_, i) => {
      const mine = i % 2 === 0 ? 'first' : 'second'
      const { status } = await send(app, token, '/', ofTenant(mine))
      return status === (mine === 'first' ? 200 : 401)
    }))
    t.ok(answers.every(Boolean), 'nor by requests that come at once')
  })
}

t.test('a key that was replaced or withdrawn no longer lets tokens in that were seen before', async t => {
  let key: string | null = secretKey
  const app = await appWith(t, { decodeKey: () => key })
  for (let i = 0; i < 3; i++) t.strictSame(await send(app, tokenOf(first)), passed)
  const token = tokenOf(first)
  for (let i = 0; i < 3; i++) t.strictSame(await send(app, token), passed)
  key = otherSecretKey
  t.strictSame(await send(app, token), badSignature)
  key = null
  t.strictSame(await send(app, token), invalid('key'))
  key = secretKey
  t.strictSame(await send(app, token), passed)
})

t.test('the callback gets the header, the claims as they came, and the request, each time', async t => {
  const seen: unknown[] = []
  const app = await appWith(t, {
    decodeKey (header, claims, request) {
      seen.push([header, claims, request.url])
      t.throws(() => { Object.assign(claims, { sub: 'admin' }) }, TypeError, 'they are frozen')
      return secretKey
    }
  })
  const claims = { sub: 'user123', iat: now(), exp: now() + 900, tenant: { id: 1 } }
  const token = first.signing?.sign(claims, { tenant: 'first' }) as string
  for (let i = 0; i < 4; i++) t.strictSame(await send(app, token), passed)
  t.strictSame(seen, Array.from({ length: 4 }, () => [{ alg: 'HS256', typ: 'JWT', tenant: 'first' }, claims, '/']))
  t.strictSame(await send(app, 'a.b.c'), invalid('malformed'))
  t.equal(seen.length, 4, 'what cannot be read does not get that far')
})

t.test('a token is checked in every way that others are', async t => {
  const app = await appFor(t, secretKey, { decodeIssuer: 'us', decodeAudience: 'app' })
  const claims = { iss: 'us', aud: 'app' }
  t.strictSame(await send(app, tokenOf(first, claims)), passed)
  t.strictSame(await send(app, tokenOf(first, { ...claims, type: 'refresh' }), '/refresh'), passed)
  t.strictSame(await send(app, tokenOf(first, { ...claims, iss: 'them' })), invalid('issuer'))
  t.strictSame(await send(app, tokenOf(first, { ...claims, aud: 'them' })), invalid('audience'))
  t.match(await send(app, tokenOf(first, { ...claims, exp: now() - 1 })), { code: 'FST_JWT_EXPIRED' })
  t.match(await send(app, tokenOf(first, { ...claims, nbf: now() + 60 })), { code: 'FST_JWT_NOT_YET_VALID' })
  t.strictSame(await send(app, `${tokenOf(first, claims)}${'x'.repeat(8192)}`), invalid('length'))
})

const ec = ecPair('P-256', 'a')
const rsa = rsaPair('a')
const bytes = Buffer.from(secretKey)
const forms: Record<string, [form: DecodedKey, token: string]> = {
  'a secret as bytes': [new Uint8Array(bytes), tokenOf(first)],
  'a secret as KeyObject': [createSecretKey(bytes), tokenOf(first)],
  'a secret as JWK': [{ kty: 'oct', k: bytes.toString('base64url') }, tokenOf(first)],
  'a secret with its algorithm': [{ algorithm: 'HS512', secretKey }, tokenOf(loadKeys({ secretKey, algorithm: 'HS512' }))],
  'a secret that is said to be one': [{ secretKey }, tokenOf(first)],
  'a public key as PEM': [pemOf(ec).publicKey, tokenOf(ecKeys('a'))],
  'a public key as PEM in bytes': [Buffer.from(pemOf(ec).publicKey), tokenOf(ecKeys('a'))],
  'a public key as KeyObject': [ec.publicKey, tokenOf(ecKeys('a'))],
  'a public key as JWK': [ec.publicKey.export({ format: 'jwk' }), tokenOf(ecKeys('a'))],
  'a public key as JWK with its algorithm': [{ ...ed25519Pair().publicKey.export({ format: 'jwk' }), alg: 'Ed25519' }, tokenOf(loadKeys({ algorithm: 'EdDSA', privateKey: ed25519Pair().privateKey }))],
  'a certificate': [selfSignedCertificate(ec.privateKey, ec.publicKey), tokenOf(ecKeys('a'))],
  'a public key with its algorithm': [{ algorithm: 'PS256', publicKey: rsa.publicKey }, tokenOf(rsaKeys('a', 'a', 'PS256'))],
  'an RSA key for any of its algorithms': [rsa.publicKey, tokenOf(rsaKeys('a', 'a', 'PS384'))]
}

for (const [name, [form, token]] of Object.entries(forms)) {
  t.test(`it may return ${name}`, async t => {
    const app = await appFor(t, form)
    for (let i = 0; i < 4; i++) t.strictSame(await send(app, token), passed)
  })
}

t.test('each family of keys takes its own algorithms only', async t => {
  const pem = pemOf(rsa).publicKey
  const input = [{ alg: 'HS256' }, { sub: 'admin', exp: now() + 900 }].map(part => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.')
  const confused = `${input}.${createHmac('sha256', pem).update(input).digest('base64url')}`
  for (const form of [pem, Buffer.from(pem), rsa.publicKey, { publicKey: pem }]) {
    t.strictSame(await send(await appFor(t, form), confused), invalid('algorithm'))
  }
  t.strictSame(await send(await appFor(t, secretKey), tokenOf(rsaKeys('a'))), invalid('algorithm'))
  t.strictSame(await send(await appFor(t, secretKey), tokenOf(loadKeys({ secretKey, algorithm: 'HS512' }))), invalid('algorithm'))
})

t.test('the algorithms are those of the options, where the key goes with them', async t => {
  const token = (algorithm: Algorithm) => algorithm.startsWith('HS')
    ? tokenOf(loadKeys({ secretKey, algorithm }))
    : tokenOf(rsaKeys('a', 'a', algorithm))
  const cases: Array<[options: JwtExtendedOptions, key: DecodedKey, accepted: Algorithm[], refused: Algorithm[]]> = [
    [{ algorithm: 'PS256' }, rsa.publicKey, ['PS256'], ['RS256', 'PS384']],
    [{ algorithm: 'HS512' }, secretKey, ['HS512'], ['HS256']],
    [{ algorithm: 'HS512' }, rsa.publicKey, ['RS256', 'PS512'], ['HS512']],
    [{ algorithm: 'ES256' }, secretKey, ['HS256'], ['HS512']],
    [{ decodeAlgorithms: ['HS256', 'HS384', 'RS256'] }, secretKey, ['HS256', 'HS384'], ['HS512', 'RS256']],
    [{ decodeAlgorithms: ['HS256', 'RS256'] }, rsa.publicKey, ['RS256'], ['HS256', 'PS256']],
    [{ decodeAlgorithms: ['HS256', 'HS384'] }, { algorithm: 'HS384', secretKey }, ['HS384'], ['HS256']]
  ]
  for (const [options, key, accepted, refused] of cases) {
    const app = await appFor(t, key, options)
    for (const algorithm of accepted) t.strictSame(await send(app, token(algorithm)), passed, `${JSON.stringify(options)} ${algorithm}`)
    for (const algorithm of refused) t.strictSame(await send(app, token(algorithm)), invalid('algorithm'), `${JSON.stringify(options)} ${algorithm}`)
  }
})

const weak = rsaPair('weak', 1024)
const faults: Record<string, [returned: unknown, says: RegExp, options?: JwtExtendedOptions]> = {
  'a number': [5, /something that is not a key/],
  'an object': [{}, /something that is not a key/],
  'a secret that is too short': ['short', /has 5 bytes/],
  'an empty text': ['', /has 0 bytes/],
  'a private key': [pemOf(ec).privateKey, /holds a private key/],
  'a private KeyObject': [ec.privateKey, /is a private key/],
  'a weak key': [weak.publicKey, /too weak/],
  'a damaged key': ['-----BEGIN PUBLIC KEY-----\nMII=\n-----END PUBLIC KEY-----', /cannot be read/],
  'a key of an unknown kind': [ecPair('secp256k1').publicKey, /fits no supported algorithm/],
  'a base64 public key as a secret': [Buffer.from(pemOf(rsa).publicKey).toString('base64'), /not a secret/],
  'a PEM public key as a secret': [{ secretKey: pemOf(rsa).publicKey }, /not a secret/],
  'a secret as public key': [{ publicKey: secretKey }, /is not PEM/],
  both: [{ secretKey, publicKey: pemOf(rsa).publicKey }, /either/],
  neither: [{ secretKey: undefined }, /either/],
  'an unknown member': [{ secretKey, keyId: 'a' }, /'keyId'/],
  'an unknown algorithm': [{ secretKey, algorithm: 'none' }, /algorithm is not supported/],
  'an algorithm of another family': [{ secretKey, algorithm: 'RS256' }, /secret key for RS256, which does not fit/],
  'an algorithm that does not fit': [{ publicKey: rsa.publicKey, algorithm: 'ES256' }, /public key for ES256, which does not fit/],
  'an algorithm that is not accepted': [{ secretKey, algorithm: 'HS256' }, /decodeAlgorithms/, { decodeAlgorithms: ['RS256'] }],
  'a key that no algorithm accepted goes with': [secretKey, /fits none of the accepted algorithms/, { decodeAlgorithms: ['RS256'] }]
}

for (const [name, [returned, says, options]] of Object.entries(faults)) {
  t.test(`${name} is a fault of the app, not of the token`, async t => {
    const causes: Error[] = []
    const app = await appFor(t, returned, options, causes)
    for (const url of ['/', '/optional']) {
      t.strictSame(await send(app, tokenOf(first), url), { status: 500, code: 'FST_JWT_BAD_OPTION', message: 'Authentication is not set up correctly' })
    }
    t.equal(causes.length, 2)
    for (const { message } of causes) {
      t.match(message, "option 'decodeKey'")
      t.match(message, says)
      t.notMatch(message, secretKey)
    }
  })
}

t.test('a callback that throws or rejects is a 500, unless it says what is wrong with the token', async t => {
  const boom = new Error('the database is down')
  for (const decodeKey of [() => { throw boom }, () => Promise.reject(boom)]) {
    const app = await appWith(t, { decodeKey })
    t.match(await send(app, tokenOf(first)), { status: 500, message: boom.message })
    t.match(await send(app, tokenOf(first), '/optional'), { status: 500 })
  }
  const app = await appWith(t, {
    decodeKey: (_header, _claims, request) => { throw Object.assign(new Error('no such tenant'), { statusCode: 404, url: request.url }) }
  })
  t.match(await send(app, tokenOf(first)), { status: 404, message: 'no such tenant' })
})

t.test('a key of our own beside it signs, and verifies nothing', async t => {
  let key: DecodedKey = ec.publicKey
  const app = await appWith(t, { decodeKey: () => key, privateKey: ec.privateKey, algorithm: 'ES256' })
  const token = app.jwt.createAccessToken('user123')
  t.strictSame(await send(app, token), passed)
  key = ecPair('P-256', 'b').publicKey
  t.strictSame(await send(app, token), badSignature)
  app.jwt.rotateKeys([{ keyId: 'b', algorithm: 'ES256', privateKey: ecPair('P-256', 'b').privateKey }])
  t.strictSame(await send(app, app.jwt.createAccessToken('user123')), passed)
  t.throws(() => app.jwt.rotateKeys([{ keyId: 'b', algorithm: 'ES256', publicKey: ec.publicKey }]), { code: 'FST_JWT_BAD_OPTION' })
})

t.test('without a request there is no key: app.jwt says so', async t => {
  const app = await appFor(t, secretKey)
  const token = tokenOf(first, { jti: 'one' })
  const message = /request\.verifyJwt\(\)/
  t.throws(() => app.jwt.decodeToken(token), { name: 'TypeError', message })
  t.equal(app.jwt.verifyToken(token), false)
  await t.rejects(app.jwt.revokeToken(token), { name: 'TypeError', message })
  t.strictSame(await send(app, token), passed)
  await app.jwt.revokeToken({ identity: 'user123', type: 'access', jti: 'one', exp: now() + 900 })
  t.match(await send(app, token), { status: 401, code: 'FST_JWT_REVOKED' })
})

t.test('more keys than are kept ready are all told apart', async t => {
  const app = await appWith(t, { decodeKey: (_header, claims) => `${String(claims['tenant'])}${secretKey}` })
  const token = (tenant: number) => tokenOf(loadKeys({ secretKey: `${tenant}${secretKey}` }), { tenant })
  const tokens = Array.from({ length: 1100 }, (_, tenant) => token(tenant))
  let passes = 0
  for (const round of [1, 2, 3]) {
    for (const one of tokens) passes += (await send(app, one)).status === 200 ? 1 : 0
    t.equal(passes, round * tokens.length)
  }
  t.strictSame(await send(app, tokenOf(loadKeys({ secretKey: `1${secretKey}` }), { tenant: 2 })), badSignature)
})

t.test('who holds the key of a tenant cannot turn a session of their own into somebody else\'s', async t => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(jwt, { secretKey, decodeKey: (_header, _claims, request) => secrets[tenantOf(request)] })
  app.post('/refresh', { preHandler: refreshTokenRequired }, async request => app.jwt.rotateSession(request))
  const { refreshToken } = await app.jwt.createSession('user123')
  const { sid, jti, auth_time: login } = JSON.parse(Buffer.from(refreshToken.split('.')[1] as string, 'base64url').toString())
  const forged = tokenOf(second, { sub: 'admin', type: 'refresh', sid, jti, auth_time: login })
  const response = await app.inject({ method: 'POST', url: '/refresh', headers: { authorization: `Bearer ${forged}`, ...ofTenant('second') } })
  t.equal(response.statusCode, 200)
  const { accessToken, refreshToken: next } = response.json<Record<string, string>>()
  t.strictSame([accessToken, next].map(token => app.jwt.getIdentity(token as string)), ['user123', 'user123'])
})
