import { createHmac } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createSigner } from 'fast-jwt'
import Fastify from 'fastify'
import t from 'tap'
import type { Test } from 'tap'
import jwt, { jwtRequired } from '../../../lib/index.ts'
import type { KeySet } from '../../../lib/types/keys.ts'
import { ecPair, rsaPair } from '../../helpers/keys/key-pairs.ts'
import {
  appWith, badSignature, ecKeys, invalid, otherSecretKey, passed, rsaKeys, secretKey, send, tokenOf, unavailable
} from '../../helpers/keys/found-keys-app.ts'
import { startIssuer } from '../../helpers/keys/issuer-server.ts'
import type { IssuerServer } from '../../helpers/keys/issuer-server.ts'
import { stoppedTime } from '../../helpers/clock.ts'

interface Issuer extends IssuerServer {
  /** A token it would issue. */
  token (claims?: Record<string, unknown>): string
  /** What its discovery document and its JWK Set say from now on. */
  publish (keys: KeySet): void
}

/** An issuer with discovery, whose name is its URL. */
async function startDiscoverable (t: Test, keys: KeySet): Promise<Issuer> {
  const server = await startIssuer(t, null)
  let current = keys
  server.answer((request: IncomingMessage, response: ServerResponse) => {
    response.end(JSON.stringify(request.url === '/keys' ? current.jwks : { issuer: server.url, jwks_uri: `${server.url}/keys` }))
  })
  return {
    ...server,
    token: (claims = {}) => tokenOf(current, { iss: server.url, ...claims }),
    publish (next) {
      current = next
    }
  }
}

const asText = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')

t.test('tokens of several issuers pass, each by the keys its issuer publishes', async t => {
  const first = await startDiscoverable(t, ecKeys('a'))
  const second = await startIssuer(t, rsaKeys('b').jwks)
  const app = await appWith(t, {
    issuers: [{ issuer: first.url }, { issuer: 'second', jwksUri: second.url, audience: ['api', 'app'] }]
  })
  t.strictSame(await send(app, first.token()), passed)
  t.strictSame(await send(app, tokenOf(rsaKeys('b'), { iss: 'second', aud: ['other', 'app'] })), passed)
  t.strictSame(first.requests, ['/.well-known/openid-configuration', '/keys'])
  t.strictSame(second.requests, ['/'])
})

t.test('a token seen before passes without its keys being fetched again', async t => {
  const issuer = await startDiscoverable(t, ecKeys('a'))
  const app = await appWith(t, { issuers: [{ issuer: issuer.url }] })
  const token = issuer.token()
  for (let i = 0; i < 5; i++) t.strictSame(await send(app, token), passed)
  t.equal(issuer.requests.length, 2)
})

t.test('requests that come at once wait for one fetch', async t => {
  const issuer = await startDiscoverable(t, ecKeys('a'))
  const app = await appWith(t, { issuers: [{ issuer: issuer.url }] })
  const token = issuer.token()
  const answers = await Promise.all(Array.from({ length: 50 }, () => send(app, token)))
  t.ok(answers.every(({ status }) => status === 200))
  t.equal(issuer.requests.length, 2)
})

t.test('the keys of one issuer do not make tokens of another', async t => {
  const first = await startDiscoverable(t, ecKeys('a'))
  const second = await startDiscoverable(t, ecKeys('b'))
  const app = await appWith(t, { issuers: [{ issuer: first.url }, { issuer: second.url }] })
  t.strictSame(await send(app, first.token({ iss: second.url })), invalid('kid'))
  t.strictSame(await send(app, second.token({ iss: first.url })), invalid('kid'))
  t.strictSame(await send(app, tokenOf(ecKeys('a', 'b'), { iss: first.url })), badSignature, 'not even with the name of its key')
  t.strictSame(await send(app, first.token({ iss: 'https://unknown.example' })), invalid('issuer'))
  for (const iss of [undefined, null, `${first.url}/`, first.url.toUpperCase(), [first.url], [first.url, second.url], { [first.url]: 1 }]) {
    t.strictSame(await send(app, first.token({ iss })), invalid('issuer'), JSON.stringify(iss))
  }
})

t.test('two issuers that share their keys are still told apart', async t => {
  const keys = await startIssuer(t, ecKeys('a').jwks)
  const app = await appWith(t, {
    issuers: [{ issuer: 'one', jwksUri: keys.url, audience: 'for one' }, { issuer: 'two', jwksUri: keys.url, audience: 'for two' }]
  })
  t.strictSame(await send(app, tokenOf(ecKeys('a'), { iss: 'one', aud: 'for one' })), passed)
  t.strictSame(await send(app, tokenOf(ecKeys('a'), { iss: 'two', aud: 'for one' })), invalid('audience'))
})

t.test('our own keys and those of issuers verify their own tokens only', async t => {
  const issuer = await startDiscoverable(t, ecKeys('a'))
  const app = await appWith(t, { secretKey, issuer: 'ours', issuers: [{ issuer: issuer.url }] })
  const own = app.jwt.createAccessToken('user123')
  for (let i = 0; i < 3; i++) t.strictSame(await send(app, own), passed)
  t.equal(issuer.requests.length, 0, 'no other issuer is asked about our own token')
  t.strictSame(await send(app, issuer.token()), passed)

  const { jwt: other } = await appWith(t, { secretKey })
  t.strictSame(await send(app, other.createAccessToken('user123', { claims: { iss: issuer.url } })), invalid('algorithm'),
    'our key, the name of the issuer')
  t.strictSame(await send(app, issuer.token({ iss: 'ours' })), invalid('algorithm'), "the issuer's key, our name")
  t.strictSame(await send(app, issuer.token({ iss: undefined })), invalid('algorithm'))
  t.strictSame(await send(app, other.createAccessToken('user123', { claims: { iss: 'a third' } })), invalid('issuer'))
  t.strictSame(await send(app, 'no.token.'), invalid('malformed'))
})

t.test('our own key of the same kind and name as the issuer\'s verifies none of its tokens', async t => {
  const issuer = await startDiscoverable(t, ecKeys('a'))
  const app = await appWith(t, {
    keys: [{ keyId: 'a', algorithm: 'ES256', privateKey: ecPair('P-256', 'own').privateKey }], issuers: [{ issuer: issuer.url }]
  })
  t.strictSame(await send(app, issuer.token()), passed)
  t.strictSame(await send(app, app.jwt.createAccessToken('user123')), passed)
  t.strictSame(await send(app, app.jwt.createAccessToken('user123', { claims: { iss: issuer.url } })), badSignature)
  t.strictSame(await send(app, issuer.token({ iss: undefined })), badSignature)
})

t.test('an audience is required per issuer, and else that of the instance', async t => {
  const issuer = await startIssuer(t, ecKeys('a').jwks)
  const own = { issuer: 'it', jwksUri: issuer.url }
  const cases = [
    [{ issuers: [own] }, undefined, passed],
    [{ issuers: [own] }, 'anything', invalid('audience')],
    [{ issuers: [own], decodeAudience: 'app' }, 'app', passed],
    [{ issuers: [own], decodeAudience: 'app' }, 'api', invalid('audience')],
    [{ issuers: [own], decodeAudience: 'app' }, undefined, invalid('audience')],
    [{ issuers: [{ ...own, audience: 'api' }], decodeAudience: 'app' }, 'api', passed],
    [{ issuers: [{ ...own, audience: 'api' }], decodeAudience: 'app' }, 'app', invalid('audience')]
  ] as const
  for (const [options, aud, answer] of cases) {
    const app = await appWith(t, options)
    t.strictSame(await send(app, tokenOf(ecKeys('a'), { iss: 'it', aud })), answer, JSON.stringify([options, aud]))
  }
})

t.test('an access token is all that is taken from another issuer', async t => {
  const issuer = await startDiscoverable(t, ecKeys('a'))
  const app = await appWith(t, { secretKey, issuers: [{ issuer: issuer.url }] })
  const token = issuer.token({ type: 'refresh', jti: 'one', sid: 'two' })
  t.strictSame(await send(app, token, '/refresh'), invalid('type'))
  t.strictSame(await send(app, token), invalid('type'))
  t.strictSame(await send(app, app.jwt.createRefreshToken('user123'), '/refresh'), passed, 'our own still passes')
})

t.test('a cookie with another issuer\'s token is not renewed into one of our own', async t => {
  const issuer = await startDiscoverable(t, ecKeys('a'))
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(jwt, {
    secretKey, issuers: [{ issuer: issuer.url }], tokenLocation: 'cookies', implicitRefresh: 600
  })
  const clock = stoppedTime(t)
  app.get('/', { preHandler: jwtRequired }, async request => ({ identity: request.jwtIdentity }))
  const get = (token: string) => app.inject({ url: '/', headers: { cookie: `access_token_cookie=${token}` } })
  const tokens = { own: app.jwt.createAccessToken('user123'), foreign: issuer.token({ exp: Math.floor(Date.now() / 1000) + 900 }) }
  clock.advance(400)
  t.match((await get(tokens.own)).headers['set-cookie'], /^access_token_cookie=/)
  const foreign = await get(tokens.foreign)
  t.equal(foreign.statusCode, 200)
  t.equal(foreign.headers['set-cookie'], undefined)
})

t.test('there is no way round the algorithm of an issuer\'s key', async t => {
  const keys = rsaKeys('a')
  const issuer = await startDiscoverable(t, keys)
  const app = await appWith(t, { secretKey, issuers: [{ issuer: issuer.url }] })
  const claims = { sub: 'admin', iss: issuer.url, exp: 4_000_000_000 }
  const [jwk] = keys.jwks.keys
  const { publicKey } = rsaPair('a')
  const secrets = [
    publicKey.export({ format: 'pem', type: 'spki' }), publicKey.export({ format: 'der', type: 'spki' }), JSON.stringify(jwk), jwk?.n ?? '', '', secretKey
  ]
  for (const secret of secrets) {
    const input = `${asText({ alg: 'HS256', kid: 'a' })}.${asText(claims)}`
    t.strictSame(await send(app, `${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`), invalid('algorithm'))
  }
  for (const alg of ['none', 'None', 'NONE', '', 'ES256', 'rs256', undefined, null, 5, ['RS256'], { RS256: 1 }]) {
    const forged = `${asText({ alg, kid: 'a' })}.${asText(claims)}.`
    const { status, code } = await send(app, forged)
    t.strictSame([status, code], [401, 'FST_JWT_INVALID_TOKEN'], JSON.stringify(alg))
  }
  const [, payload, signature] = issuer.token().split('.')
  t.strictSame(await send(app, `${asText({ alg: 'RS512', kid: 'a' })}.${payload}.${signature}`), invalid('kid'), 'the JWK names RS256')

  // Keys that a token brings along, or says where to get, are nobody's.
  const attacker = rsaPair('attacker')
  for (const header of [{ jwk: attacker.publicKey.export({ format: 'jwk' }) }, { jku: `${issuer.url}/keys` }, { x5u: `${issuer.url}/keys` }, { x5c: ['MII'] }]) {
    const token = rsaKeys('a', 'attacker').signing?.sign(claims, header)
    t.strictSame(await send(app, token as string), badSignature, Object.keys(header)[0] as string)
  }
  const honest = { iss: issuer.url, sub: 'user123', exp: 4_000_000_000 }
  const critical = createSigner({ key: rsaPair('a').privateKey.export({ format: 'pem', type: 'pkcs8' }), algorithm: 'RS256', header: { alg: 'RS256', kid: 'a', crit: ['b64'], b64: false } })
  t.strictSame(await send(app, critical(honest)), invalid('crit'))
})

t.test('what an issuer signs that is no access token does not pass for one', async t => {
  const keys = ecKeys('a')
  const issuer = await startDiscoverable(t, keys)
  const app = await appWith(t, { issuers: [{ issuer: issuer.url, audience: 'app' }] })
  const claims = { sub: 'user123', iss: issuer.url, aud: 'app', exp: 4_000_000_000 }
  const typed = (typ: unknown) => keys.signing?.sign(claims, { typ }) as string
  for (const typ of ['at+jwt', 'application/at+jwt', 'JWT', 'jwt']) t.strictSame(await send(app, typed(typ)), passed, typ)
  for (const typ of ['logout+jwt', 'dpop+jwt', 'secevent+jwt', 5, null]) t.strictSame(await send(app, typed(typ)), invalid('typ'), String(typ))
})

t.test('a kid is a name and nothing else', async t => {
  const issuer = await startDiscoverable(t, ecKeys('a'))
  const app = await appWith(t, { issuers: [{ issuer: issuer.url }] })
  const kids = [
    '__proto__', 'constructor', 'prototype', 'toString', 'hasOwnProperty', '../../dev/null', '/etc/passwd', 'file:///etc/passwd',
    "' OR '1'='1", "a' UNION SELECT 'key", '$(id)', 'a\u0000', '', 'A', ' a', 'a ', null, 5, ['a'], { a: 1 }, true
  ]
  for (const kid of kids) {
    const [, payload, signature] = issuer.token().split('.')
    t.strictSame(await send(app, `${asText({ alg: 'ES256', kid })}.${payload}.${signature}`), invalid('kid'), JSON.stringify(kid))
  }
  t.strictSame(await send(app, issuer.token()), passed)
})

t.test('10,000 requests with made-up kids cause no more fetches than the limit, and harm nobody', async t => {
  const issuer = await startIssuer(t, ecKeys('a').jwks)
  const app = await appWith(t, { issuers: [{ issuer: 'it', jwksUri: issuer.url }] })
  stoppedTime(t)
  const good = tokenOf(ecKeys('a'), { iss: 'it' })
  t.strictSame(await send(app, good), passed)
  const [, payload, signature] = good.split('.')
  const verdicts = new Set<string>()
  for (let i = 0; i < 100; i++) {
    await Promise.all(Array.from({ length: 100 }, async () => {
      const header = asText({ alg: 'ES256', kid: Math.random().toString(36) })
      const { message = '' } = await send(app, `${header}.${payload}.${signature}`)
      verdicts.add(message)
    }))
  }
  t.strictSame([...verdicts], ['Invalid token: kid'])
  t.equal(issuer.requests.length, 1 + 5, 'the first, and five for kids that nobody knows')
  t.strictSame(await send(app, good), passed)
})

t.test('a new key of an issuer is fetched when a token names it, and a removed one no longer passes then', async t => {
  const issuer = await startDiscoverable(t, ecKeys('a'))
  const app = await appWith(t, { issuers: [{ issuer: issuer.url }] })
  const old = issuer.token()
  for (let i = 0; i < 3; i++) t.strictSame(await send(app, old), passed)
  issuer.publish(ecKeys('b'))
  t.strictSame(await send(app, issuer.token()), passed)
  t.strictSame(await send(app, old), invalid('kid'), 'though it had been seen before')
})

t.test('a token seen before passes on after its keys have been fetched anew', async t => {
  const clock = stoppedTime(t)
  const issuer = await startDiscoverable(t, ecKeys('a'))
  const app = await appWith(t, { issuers: [{ issuer: issuer.url }], accessExpires: '1 day' })
  const token = issuer.token({ exp: Math.floor(Date.now() / 1000) + 86_400 })
  for (let i = 0; i < 3; i++) t.strictSame(await send(app, token), passed)
  clock.advance(600)
  for (let i = 0; i < 3; i++) t.strictSame(await send(app, token), passed)
  t.equal(issuer.requests.length, 4)
  clock.advance(86_400)
  t.match(await send(app, token), { status: 401, code: 'FST_JWT_EXPIRED' }, 'and its time is still looked at')
})

t.test('an issuer without kids may replace its only key', async t => {
  const issuer = await startDiscoverable(t, { ...ecKeys(undefined, 'a'), jwks: withoutKid(ecKeys(undefined, 'a')) })
  const app = await appWith(t, { issuers: [{ issuer: issuer.url }] })
  const old = issuer.token()
  t.strictSame(await send(app, old), passed)
  issuer.publish({ ...ecKeys(undefined, 'b'), jwks: withoutKid(ecKeys(undefined, 'b')) })
  const renewed = issuer.token()
  for (let i = 0; i < 3; i++) t.strictSame(await send(app, renewed), passed)
  t.strictSame(await send(app, old), badSignature)
})

t.test('forged tokens without kid cause no more fetches than the limit', async t => {
  stoppedTime(t)
  const issuer = await startIssuer(t, withoutKid(ecKeys(undefined, 'a')))
  const app = await appWith(t, { issuers: [{ issuer: 'it', jwksUri: issuer.url }] })
  const forged = tokenOf(ecKeys(undefined, 'b'), { iss: 'it' })
  for (let i = 0; i < 20; i++) t.strictSame(await send(app, forged), badSignature)
  t.equal(issuer.requests.length, 1 + 5)
  // Down, it cannot be asked, and the verdict stays what it was.
  issuer.answer((_request: IncomingMessage, response: ServerResponse) => response.writeHead(500).end())
  t.strictSame(await send(app, forged), badSignature)
  t.strictSame(await send(app, tokenOf(ecKeys(undefined, 'a'), { iss: 'it' })), passed)
})

function withoutKid ({ jwks }: KeySet): KeySet['jwks'] {
  return { keys: jwks.keys.map(({ kid: _kid, ...jwk }) => jwk as KeySet['jwks']['keys'][number]) }
}

const faults: Record<string, unknown> = {
  down: (request: IncomingMessage) => request.socket.destroy(),
  overloaded: (_request: IncomingMessage, response: ServerResponse) => response.writeHead(503).end('{}'),
  'talking nonsense': (_request: IncomingMessage, response: ServerResponse) => response.end('<html>'),
  'without keys': { keys: 'none' }
}

for (const [state, answer] of Object.entries(faults)) {
  t.test(`an issuer that is ${state} makes a 503, and the first request after its recovery passes`, async t => {
    const clock = stoppedTime(t)
    const issuer = await startIssuer(t, answer)
    const app = await appWith(t, { secretKey, issuers: [{ issuer: 'it', jwksUri: issuer.url }] })
    const token = tokenOf(ecKeys('a'), { iss: 'it' })
    const response = await app.inject({ url: '/', headers: { authorization: `Bearer ${token}` } })
    t.strictSame(response.json(), { statusCode: 503, code: 'FST_JWT_KEYS_UNAVAILABLE', error: 'Service Unavailable', message: 'Token keys unavailable' })
    t.equal(response.headers['www-authenticate'], undefined)
    t.strictSame(await send(app, token), unavailable)
    t.strictSame(await send(app, token, '/optional'), unavailable, 'that it is nobody is not known')
    t.equal(issuer.requests.length, 1, 'it is left alone for a while')
    t.strictSame(await send(app, app.jwt.createAccessToken('user123')), passed, 'our own tokens are not touched')
    issuer.answer(ecKeys('a').jwks)
    clock.advance(1)
    t.strictSame(await send(app, token), passed)
  })
}

t.test('an issuer that is slow makes a 503 when its time is up', async t => {
  // The real limit is 5 seconds; the same mechanism with less.
  const { timeout } = AbortSignal
  t.intercept(AbortSignal, 'timeout', { value: (milliseconds: number) => timeout.call(AbortSignal, milliseconds / 25) })
  const issuer = await startIssuer(t, () => {})
  const app = await appWith(t, { issuers: [{ issuer: 'it', jwksUri: issuer.url }] })
  t.strictSame(await send(app, tokenOf(ecKeys('a'), { iss: 'it' })), unavailable)
})

t.test('what is logged of keys that cannot be had says why, and to whom it answers nothing', async t => {
  const issuer = await startIssuer(t, { keys: 'none' })
  const lines: string[] = []
  const app = Fastify({ logger: { stream: { write: (line: string) => { lines.push(line) } } } })
  t.teardown(() => app.close())
  await app.register(jwt, { jwksUri: issuer.url })
  app.get('/', { preHandler: jwtRequired }, async () => ({}))
  const token = tokenOf(ecKeys('a'))
  const response = await app.inject({ url: '/', headers: { authorization: `Bearer ${token}` } })
  t.notMatch(response.body, /JWK Set/)
  t.match(lines.join(''), /the response is not a JWK Set/)
  t.notMatch(lines.join(''), token)
})

t.test('decodeToken takes a token whose key is there, and says what to do when it is not', async t => {
  const issuer = await startDiscoverable(t, ecKeys('a'))
  const app = await appWith(t, { secretKey, issuers: [{ issuer: issuer.url }] })
  const token = issuer.token()
  t.throws(() => app.jwt.decodeToken(token), { name: 'TypeError', message: /request\.verifyJwt\(\)/ })
  t.equal(app.jwt.verifyToken(token), false)
  t.strictSame(await send(app, token), passed)
  t.match(app.jwt.decodeToken(token), { identity: 'user123', iss: issuer.url })
  t.equal(app.jwt.verifyToken(token), true)
  const expired = issuer.token({ exp: 1 })
  t.throws(() => app.jwt.decodeToken(expired), { code: 'FST_JWT_EXPIRED' })
  t.match(app.jwt.decodeToken(expired, { allowExpired: true }), { identity: 'user123', exp: 1 })
  const own = app.jwt.createAccessToken('user123', { expiresIn: -5 })
  t.match(app.jwt.decodeToken(own, { allowExpired: true }), { identity: 'user123' })
  t.throws(() => app.jwt.decodeToken('x'.repeat(9000)), { message: 'Invalid token: length' })
})

t.test('that keys cannot be had is nobody\'s unhandled rejection', async t => {
  const issuer = await startIssuer(t, { keys: 'none' })
  const app = await appWith(t, { jwksUri: issuer.url })
  t.throws(() => app.jwt.decodeToken(tokenOf(ecKeys('a'))), TypeError)
  t.strictSame(await send(app, tokenOf(ecKeys('a'))), unavailable)
  t.throws(() => app.jwt.decodeToken(tokenOf(ecKeys('a'))), TypeError)
})

t.test('a token of another issuer can be revoked by its text', async t => {
  const issuer = await startDiscoverable(t, ecKeys('a'))
  const app = await appWith(t, { issuers: [{ issuer: issuer.url }] })
  const token = issuer.token({ jti: 'a token' })
  await app.jwt.revokeToken(token)
  t.match(await send(app, token), { status: 401, code: 'FST_JWT_REVOKED' })
  t.strictSame(await send(app, issuer.token({ jti: 'another' })), passed)
})

t.test('jwksUri alone verifies every token by that JWK Set', async t => {
  const issuer = await startIssuer(t, { keys: [...rsaKeys('a').jwks.keys, ...ecKeys('b').jwks.keys] })
  const app = await appWith(t, { jwksUri: issuer.url, decodeIssuer: 'it', decodeAudience: 'app' })
  const claims = { iss: 'it', aud: 'app' }
  t.strictSame(await send(app, tokenOf(rsaKeys('a'), claims)), passed)
  t.strictSame(await send(app, tokenOf(ecKeys('b'), claims)), passed)
  t.strictSame(await send(app, tokenOf(ecKeys('c'), claims)), invalid('kid'))
  t.strictSame(await send(app, tokenOf(ecKeys('b', 'c'), claims)), badSignature)
  t.strictSame(await send(app, tokenOf(ecKeys('b'), { ...claims, iss: 'other' })), invalid('issuer'))
  t.strictSame(await send(app, tokenOf(ecKeys('b'), { ...claims, aud: 'other' })), invalid('audience'))
  t.strictSame(await send(app, tokenOf(ecKeys('b'), { ...claims, exp: 1 })), { status: 401, code: 'FST_JWT_EXPIRED', message: 'Token has expired' })
  t.throws(() => app.jwt.createAccessToken('user123'), TypeError)
  t.throws(() => app.jwt.rotateKeys([{ keyId: 'a', secretKey }]), { name: 'TypeError', message: /no keys of its own/ })
  t.strictSame(app.jwt.jwks(), { keys: [] })
})

t.test('the algorithms accepted of an issuer are those that are named', async t => {
  // RSA keys that may be used with any RSA algorithm, since their JWKs name none.
  const anyUse = { keys: rsaKeys('a').jwks.keys.map(({ alg: _alg, ...jwk }) => jwk) }
  const issuer = await startIssuer(t, anyUse)
  const token = (algorithm: 'RS256' | 'PS256') => tokenOf(rsaKeys('a', 'a', algorithm), { iss: 'it' })
  const from = { issuers: [{ issuer: 'it', jwksUri: issuer.url }] }
  for (const options of [from, { jwksUri: issuer.url }, { ...from, secretKey }, { ...from, secretKey, algorithm: 'HS256' as const }]) {
    const app = await appWith(t, options)
    t.strictSame(await send(app, token('RS256')), passed)
    t.strictSame(await send(app, token('PS256')), passed)
  }
  const narrowed = [
    { ...from, algorithm: 'PS256' as const },
    { jwksUri: issuer.url, algorithm: 'PS256' as const },
    { ...from, decodeAlgorithms: ['PS256' as const] },
    { ...from, secretKey, decodeAlgorithms: ['HS256' as const, 'PS256' as const] }
  ]
  for (const options of narrowed) {
    const app = await appWith(t, options)
    t.strictSame(await send(app, token('RS256')), invalid('algorithm'))
    t.strictSame(await send(app, token('PS256')), passed)
    if ('secretKey' in options) t.strictSame(await send(app, app.jwt.createAccessToken('user123')), passed)
  }
})

t.test('a token without end, of an issuer that makes such, is remembered where ours have none either', async t => {
  const issuer = await startDiscoverable(t, ecKeys('a'))
  const app = await appWith(t, { issuers: [{ issuer: issuer.url }], accessExpires: false })
  const token = issuer.token({ exp: undefined })
  for (let i = 0; i < 3; i++) t.strictSame(await send(app, token), passed)
  t.equal(issuer.requests.length, 2)
})

t.test('nothing is remembered with cacheSize 0', async t => {
  const issuer = await startDiscoverable(t, ecKeys('a'))
  const app = await appWith(t, { issuers: [{ issuer: issuer.url }], cacheSize: 0 })
  const token = issuer.token()
  for (let i = 0; i < 3; i++) t.strictSame(await send(app, token), passed)
})

t.test('keys of our own that are rotated do not touch those of issuers', async t => {
  const issuer = await startDiscoverable(t, ecKeys('a'))
  const app = await appWith(t, { secretKey, issuers: [{ issuer: issuer.url }] })
  const own = app.jwt.createAccessToken('user123')
  const foreign = issuer.token()
  for (let i = 0; i < 3; i++) {
    t.strictSame(await send(app, own), passed)
    t.strictSame(await send(app, foreign), passed)
  }
  app.jwt.rotateKeys([{ keyId: 'new', secretKey: otherSecretKey }])
  t.strictSame(await send(app, own), badSignature)
  t.strictSame(await send(app, foreign), passed)
  t.strictSame(await send(app, app.jwt.createAccessToken('user123')), passed)
})
