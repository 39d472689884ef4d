import { createHash, createHmac, randomBytes, randomUUID, sign } from 'node:crypto'
import { request as httpRequest } from 'node:http'
import { setImmediate } from 'node:timers/promises'
import type { AddressInfo } from 'node:net'
import type { FastifyInstance, LightMyRequestResponse } from 'fastify'
import t from 'tap'
import { MemoryStore, allOf, jwtRequired, role, scope, verifyJwt } from '../../../lib/index.ts'
import { proofAlgorithms } from '../../../lib/dpop/algorithms.ts'
import { clientKey, part, proof, signed } from '../../helpers/proof.ts'
import { secretKey, sessionApp } from '../../helpers/session-app.ts'
import { forge } from '../../helpers/forge.ts'
import type { JwtExtendedOptions, Store } from '../../../lib/index.ts'
import type { ProofFor } from '../../helpers/proof.ts'

const key = clientKey()
const seconds = (): number => Math.floor(Date.now() / 1000)

/** A token bound to a key, as another program with the same secret makes it. */
function boundToken (claims: Record<string, unknown> = {}, thumbprint: unknown = key.thumbprint): string {
  return forge({ sub: 'ada', type: 'access', jti: randomUUID(), iat: seconds(), exp: seconds() + 600, cnf: { jkt: thumbprint }, ...claims }, {}, secretKey)
}

async function get (app: FastifyInstance, token: string, dpop?: string | string[], scheme = 'DPoP', url = '/me'): Promise<LightMyRequestResponse> {
  return app.inject({ url, headers: { authorization: `${scheme} ${token}`, ...(dpop === undefined ? {} : { dpop }) } })
}

/** The code and reason of an answer, or its status. */
function verdictOf (response: LightMyRequestResponse): string {
  const { code, message } = response.json<{ code?: string, message?: string }>()
  return code === undefined ? String(response.statusCode) : `${response.statusCode} ${code}: ${message}`
}

const badProof = (reason: string): string => `401 FST_JWT_DPOP_PROOF: Invalid DPoP proof: ${reason}`
const notBound = '401 FST_JWT_DPOP_BINDING: Token is not bound to a key'
const asBearer = '401 FST_JWT_DPOP_BINDING: Token is bound to a key: send it with the scheme DPoP and a proof'

t.test('a token bound to a key passes with a proof by that key, and as nothing else', async t => {
  const app = await sessionApp(t, { dpop: 'allowed' })
  const token = boundToken()
  const good = await get(app, token, proof(key, { token }))
  t.equal(good.json<{ user: string }>().user, 'ada')
  t.equal(verdictOf(await get(app, token, proof(key, { token }), 'dpop')), '200', 'the scheme has no case')
  t.equal(verdictOf(await get(app, token, proof(key, { token }), 'Bearer')), asBearer)
  t.equal(verdictOf(await get(app, token, undefined, 'Bearer')), asBearer)
  t.equal(verdictOf(await get(app, token)), badProof('missing'))
  t.equal(verdictOf(await get(app, app.jwt.createAccessToken('ada'), undefined, 'Bearer')), '200', 'others pass as before')
  const unbound = app.jwt.createAccessToken('ada')
  t.equal(verdictOf(await get(app, unbound, proof(key, { token: unbound }))), notBound)
})

t.test('every algorithm of a proof, with a key that fits it', async t => {
  const app = await sessionApp(t, { dpop: 'allowed' })
  for (const algorithm of proofAlgorithms) {
    const own = clientKey(algorithm)
    const token = boundToken({}, own.thumbprint)
    t.equal(verdictOf(await get(app, token, proof(own, { token }))), '200', algorithm)
    const text = proof(own, { token })
    const last = text.slice(0, -4) + (text.endsWith('AAAA') ? 'BBBB' : 'AAAA')
    t.equal(verdictOf(await get(app, token, last)), badProof('signature'), algorithm)
  }
})

/** One fault each. All else is as it has to be, and the signature fits. */
const faults: Array<[name: string, reason: string, faulty: (token: string) => string | string[], url?: string]> = [
  ['two proofs', 'several', token => [proof(key, { token }), proof(key, { token })]],
  ['two proofs in one header', 'several', token => `${proof(key, { token })},${proof(key, { token })}`],
  ['an empty proof', 'malformed', () => ''],
  ['a text that is no JWT', 'malformed', () => 'abc'],
  ['four parts', 'malformed', token => `${proof(key, { token })}.a`],
  ['a header that is no JSON', 'malformed', () => signed(key, 'no JSON', {})],
  ['a header that is no object', 'malformed', () => signed(key, '[]', {})],
  ['a header that is null', 'malformed', () => signed(key, 'null', {})],
  ['a header in padded base64', 'malformed', token => proof(key, { token }).replace('.', '=.')],
  ['claims that are no JSON', 'malformed', () => signed(key, { typ: 'dpop+jwt', alg: 'ES256', jwk: key.jwk }, 'no JSON')],
  ['claims that are no UTF-8', 'malformed', () => brokenClaims()],
  ['a proof of 8,193 characters', 'length', token => proof(key, { token, claims: { padding: 'x'.repeat(8192) } })],
  ...['JWT', 'at+jwt', 'dpop', null, 0, undefined].map((typ): [string, string, (token: string) => string] =>
    [`typ ${String(typ)}`, 'typ', token => proof(key, { token, header: { typ } })]),
  ...['none', 'None', 'HS256', 'ES256K', 'es256', '', null, undefined].map((alg): [string, string, (token: string) => string] =>
    [`alg ${String(alg)}`, 'alg', token => proof(key, { token, header: { alg } })]),
  ['an HMAC by the public key', 'alg', token => hmacProof(token)],
  ['no signature', 'signature', token => proof(key, { token }).replace(/[^.]+$/, '')],
  ['a signature by another key', 'signature', token => proof({ ...clientKey(), jwk: key.jwk }, { token })],
  ['a signature in DER', 'signature', token => derProof(token)],
  ['a signature spelt in another way', 'signature', token => respelt(proof(key, { token }))],
  ['claims that were not signed', 'signature', token => graft(proof(key, { token }), proof(key, { token }))],
  ['crit', 'crit', token => proof(key, { token, header: { crit: ['b64'], b64: false } })],
  ['crit that is null', 'crit', token => proof(key, { token, header: { crit: null } })],
  ['no jwk', 'jwk', token => proof(key, { token, header: { jwk: undefined } })],
  ['a jwk that is text', 'jwk', token => proof(key, { token, header: { jwk: 'key' } })],
  ['a jwk that is null', 'jwk', token => proof(key, { token, header: { jwk: null } })],
  ['a jwk that is none', 'jwk', token => proof(key, { token, header: { jwk: { kty: 'EC', crv: 'P-256', x: 'AA', y: 'AA' } } })],
  ['the private key', 'jwk', token => proof(key, { token, header: { jwk: key.privateKey.export({ format: 'jwk' }) } })],
  ['one private member', 'jwk', token => proof(key, { token, header: { jwk: { ...key.jwk, d: '' } } })],
  ['a secret', 'jwk', token => proof(key, { token, header: { jwk: { kty: 'oct', k: 'c2VjcmV0' } } })],
  ['a key of another curve', 'jwk', token => proof(clientKey('ES384'), { token, header: { alg: 'ES256' } })],
  ['a key of another type', 'jwk', token => proof(clientKey('EdDSA'), { token, header: { alg: 'ES256' } })],
  ['a key that is spelt in another way', 'jwk', token => proof(key, { token, header: { jwk: { ...key.jwk, x: `${key.jwk.x}=` } } })],
  ['an RSA key of 1,024 bits', 'jwk', token => proof(clientKey('RS256', 1024), { token })],
  ['an RSA key of 5,120 bits', 'jwk', token => proof({ ...key, jwk: { kty: 'RSA', n: Buffer.concat([Buffer.of(1), randomBytes(639)]).toString('base64url'), e: 'AQAB' } }, { token, header: { alg: 'RS256' } })],
  ['an RSA key with an exponent of 41 bits', 'jwk', token => proof({ ...key, jwk: { ...rsaJwk, e: 'AQAAAAAB' } }, { token, header: { alg: 'PS256' } })],
  ...[undefined, '', 5, null].map((jti): [string, string, (token: string) => string] => [`jti ${String(jti)}`, 'jti', token => proof(key, { token, claims: { jti } })]),
  ...[undefined, 'POST', 'get', ' GET', null, ['GET']].map((htm): [string, string, (token: string) => string] => [`htm ${String(htm)}`, 'htm', token => proof(key, { token, claims: { htm } })]),
  ...[
    undefined, null, '', '/me', 'localhost/me', 'https://localhost/me', 'http://localhost:81/me', 'http://localhost/', 'http://localhost/you', 'http://localhost/ME',
    'http://localhost/me/', 'http://localhost/me/x', 'http://localhost.example/me', 'http://user@localhost/me', 'http://:pass@localhost/me', 'http:\\\\localhost\\me', 'http:/localhost/me', 'http:///localhost/me',
    'http://localhost/ me', 'http://localhost/m\te', 'http://localhost/%6d%2fe', 'ftp://localhost/me', 'http://[::1', 'http://localhost\\/me'
  ].map((htu): [string, string, (token: string) => string] => [`htu ${JSON.stringify(htu)}`, 'htu', token => proof(key, { token, claims: { htu } })]),
  ...['soon', null, undefined, '1700000000'].map((iat): [string, string, (token: string) => string] => [`iat ${String(iat)}`, 'iat', token => proof(key, { token, claims: { iat } })]),
  ['an iat of 71 seconds ago', 'iat', token => proof(key, { token, claims: { iat: Date.now() / 1000 - 71 } })],
  ['an iat in 12 seconds', 'iat', token => proof(key, { token, claims: { iat: Date.now() / 1000 + 12 } })],
  ['an iat past all numbers', 'iat', token => signed(key, { typ: 'dpop+jwt', alg: 'ES256', jwk: key.jwk }, `{"jti":"x","htm":"GET","htu":"http://localhost/me","iat":1e999,"ath":"${sha256(token)}"}`)],
  ['no ath', 'ath', () => proof(key)],
  ['the ath of another token', 'ath', () => proof(key, { token: boundToken({ jti: 'another' }) })],
  ['an ath in hexadecimal', 'ath', token => proof(key, { token, claims: { ath: createHash('sha256').update(token).digest('hex') } })],
  ['an ath that is no text', 'ath', token => proof(key, { token, claims: { ath: null } })]
]

const rsaJwk = clientKey('RS256').jwk

function sha256 (text: string): string {
  return createHash('sha256').update(text).digest('base64url')
}

function brokenClaims (): string {
  const input = `${part({ typ: 'dpop+jwt', alg: 'ES256', jwk: key.jwk })}.${Buffer.concat([Buffer.from('{"jti":"'), Buffer.of(0xff), Buffer.from('"}')]).toString('base64url')}`
  return `${input}.${sign('sha256', Buffer.from(input), { key: key.privateKey, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`
}

function hmacProof (token: string): string {
  const [, claims] = proof(key, { token }).split('.')
  const input = `${part({ typ: 'dpop+jwt', alg: 'HS256', jwk: key.jwk })}.${claims}`
  return `${input}.${createHmac('sha256', JSON.stringify(key.jwk)).update(input).digest('base64url')}`
}

function derProof (token: string): string {
  const input = proof(key, { token }).split('.').slice(0, 2).join('.')
  return `${input}.${sign('sha256', Buffer.from(input), key.privateKey).toString('base64url')}`
}

/** The last character has four bits that no byte needs. */
function respelt (text: string): string {
  const characters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
  return text.slice(0, -1) + characters[characters.indexOf(text.slice(-1)) + 1]
}

function graft (one: string, other: string): string {
  const [header, , signature] = one.split('.')
  return `${header}.${other.split('.')[1]}.${signature}`
}

t.test('each check of RFC 9449 §4.3 refuses the proof that fails it alone', async t => {
  const app = await sessionApp(t, { dpop: 'allowed' })
  for (const [name, reason, faulty] of faults) {
    const token = boundToken()
    const response = await get(app, token, faulty(token))
    t.equal(verdictOf(response), badProof(reason), name)
    t.match(response.headers['www-authenticate'], `DPoP error="invalid_dpop_proof", error_description="Invalid DPoP proof: ${reason}", algs="ES256 ES384 ES512 PS256 PS384 PS512 RS256 RS384 RS512 EdDSA Ed25519"`)
    t.equal(verdictOf(await get(app, token, proof(key, { token }))), '200', `and without ${name} it passes`)
  }
})

t.test('what is the same in another spelling passes', async t => {
  const app = await sessionApp(t, { dpop: 'allowed' })
  app.get('/files/:name', { preHandler: jwtRequired }, async () => ({}))
  const same: Array<[url: string, given: ProofFor]> = [
    ['/me', { header: { typ: 'application/DPoP+JWT' } }],
    ['/me?a=1', {}],
    ['/me', { url: 'http://localhost/me?b=2#c' }],
    ['/me', { url: 'HTTP://LOCALHOST:80/me' }],
    ['/me', { url: 'http://localhost/a/../me' }],
    ['/me', { url: 'http://localhost/%6De' }],
    ['/%6de', {}],
    ['/files/a%2fb', { url: 'http://localhost/files/a%2Fb' }],
    ['/files/~%7e', { url: 'http://localhost/files/%7E~' }],
    ['/me', { claims: { iat: Date.now() / 1000 - 60 } }],
    ['/me', { claims: { iat: Date.now() / 1000 + 8 } }]
  ]
  for (const [url, given] of same) {
    const token = boundToken()
    t.equal(verdictOf(await get(app, token, proof(key, { token, ...given }), 'DPoP', url)), '200', JSON.stringify([url, given]))
  }
})

t.test('a stolen token with a proof of another key is refused, and so is one bound to what is no key', async t => {
  const app = await sessionApp(t, { dpop: 'allowed' })
  const token = boundToken()
  const thief = clientKey()
  const response = await get(app, token, proof(thief, { token }))
  t.equal(verdictOf(response), '401 FST_JWT_DPOP_BINDING: Invalid DPoP key binding')
  t.match(response.headers['www-authenticate'], /^DPoP error="invalid_token", error_description="Invalid DPoP key binding", algs="ES256 /)
  for (const thumbprint of [null, 5, '', {}, 'undefined', { toString: 1, valueOf: 1 }, [key.thumbprint]]) {
    const odd = boundToken({}, thumbprint)
    t.equal(verdictOf(await get(app, odd, proof(key, { token: odd }))), '401 FST_JWT_DPOP_BINDING: Invalid DPoP key binding', JSON.stringify(thumbprint))
    t.equal(verdictOf(await get(app, odd, undefined, 'Bearer')), asBearer)
  }
  for (const cnf of ['text', null, [], { 'x5t#S256': 'x' }]) {
    t.equal(verdictOf(await get(app, boundToken({ cnf }), undefined, 'Bearer')), '200', `${JSON.stringify(cnf)} binds to no key of a proof`)
  }
})

t.test('a proof passes once, here and on every server that shares the store', async t => {
  const store = new MemoryStore()
  t.teardown(() => store.close())
  const [first, second] = [await sessionApp(t, { dpop: 'allowed', store }), await sessionApp(t, { dpop: 'allowed', store })]
  const token = boundToken()
  const recorded = proof(key, { token })
  t.equal(verdictOf(await get(first, token, recorded)), '200')
  t.equal(verdictOf(await get(first, token, recorded)), badProof('replayed'))
  t.equal(verdictOf(await get(second, token, recorded)), badProof('replayed'))
  const same = { jti: 'chosen by two clients' }
  const other = clientKey()
  const otherToken = boundToken({}, other.thumbprint)
  t.equal(verdictOf(await get(first, token, proof(key, { token, claims: same }))), '200')
  t.equal(verdictOf(await get(first, otherToken, proof(other, { token: otherToken, claims: same }))), '200', 'a jti is of its key')
  t.equal(verdictOf(await get(second, token, proof(key, { token, claims: same }))), badProof('replayed'))
  const race = proof(key, { token })
  const verdicts = await Promise.all(Array.from({ length: 10 }, async (_, index) => verdictOf(await get(index % 2 === 0 ? first : second, token, race))))
  t.equal(verdicts.filter(verdict => verdict === '200').length, 1)
})

t.test('several hooks of one request take the same proof', async t => {
  const app = await sessionApp(t, { dpop: 'allowed' })
  app.get('/twice', { onRequest: jwtRequired, preHandler: [jwtRequired, allOf(verifyJwt(), scope('read'))] }, async request => {
    await Promise.all([request.verifyJwt(), request.verifyJwt()])
    return { user: request.jwtIdentity }
  })
  const token = boundToken({ scope: 'read' })
  const recorded = proof(key, { token, url: 'http://localhost/twice' })
  t.equal(verdictOf(await get(app, token, recorded, 'DPoP', '/twice')), '200')
  t.equal(verdictOf(await get(app, token, recorded, 'DPoP', '/twice')), badProof('replayed'))
})

t.test('a store that cannot say whether a proof was used is a 503', async t => {
  for (const answer of [() => { throw new Error('away') }, async () => { throw new Error('away') }, () => undefined, async () => 1]) {
    const memory = new MemoryStore()
    t.teardown(() => memory.close())
    const store: Store = Object.assign(memory, { useOnce: answer as unknown as Store['useOnce'] })
    const app = await sessionApp(t, { dpop: 'allowed', store })
    const token = boundToken()
    t.equal(verdictOf(await get(app, token, proof(key, { token }))), '503 FST_JWT_STORE_UNAVAILABLE: Token store unavailable')
  }
})

t.test('the rest of the token is checked before its proof is used up, and the challenge is that of the scheme', async t => {
  const app = await sessionApp(t, { dpop: 'allowed', realm: 'api' })
  app.get('/admin', { preHandler: [jwtRequired, role('admin')] }, async () => ({}))
  app.get('/write', { preHandler: [jwtRequired, scope('write')] }, async () => ({}))
  const algs = `algs="${proofAlgorithms.join(' ')}"`
  const expired = boundToken({ exp: seconds() - 1 })
  const refused = await get(app, expired, proof(key, { token: expired }))
  t.equal(verdictOf(refused), '401 FST_JWT_EXPIRED: Token has expired')
  t.equal(refused.headers['www-authenticate'], `DPoP realm="api", error="invalid_token", error_description="Token has expired", ${algs}`)
  const asBearerToken = await get(app, expired, undefined, 'Bearer')
  t.equal(asBearerToken.headers['www-authenticate'], `Bearer realm="api", error="invalid_token", error_description="Token has expired", DPoP realm="api", ${algs}`)
  t.equal((await app.inject('/me')).headers['www-authenticate'], `Bearer realm="api", DPoP realm="api", ${algs}`)
  const token = boundToken()
  const unscoped = await get(app, token, proof(key, { token, url: 'http://localhost/write' }), 'DPoP', '/write')
  t.equal(unscoped.headers['www-authenticate'], `DPoP realm="api", error="insufficient_scope", error_description="Missing scope: write", scope="write", ${algs}`)
  t.equal((await get(app, token, undefined, 'DPoP ', '/me')).statusCode, 401)
  t.equal(verdictOf(await app.inject({ url: '/me', headers: { authorization: 'DPoP' } })), '400 FST_JWT_BAD_REQUEST: No token after DPoP')
  t.equal(verdictOf(await app.inject({ url: '/me', headers: { authorization: 'DPoP a b' } })), '400 FST_JWT_BAD_REQUEST: More than one part where one token belongs')
})

t.test('with dpop required every token is bound that does not come in a cookie', async t => {
  const app = await sessionApp(t, { dpop: 'required', tokenLocation: ['headers', 'cookies', 'json', 'queryString'] })
  app.post('/body', { preHandler: jwtRequired }, async () => ({}))
  const algs = `algs="${proofAlgorithms.join(' ')}"`
  const unbound = app.jwt.createAccessToken('ada')
  const refused = await get(app, unbound, undefined, 'Bearer')
  t.equal(verdictOf(refused), notBound)
  t.equal(refused.headers['www-authenticate'], `DPoP error="invalid_token", error_description="Token is not bound to a key", ${algs}`)
  t.equal((await app.inject('/me')).headers['www-authenticate'], `DPoP ${algs}`)
  t.equal(verdictOf(await app.inject({ url: '/me', cookies: { access_token_cookie: unbound } })), '200')
  t.equal(verdictOf(await app.inject(`/me?jwt=${unbound}`)), notBound)
  t.equal(verdictOf(await app.inject({ method: 'POST', url: '/body', payload: { access_token: unbound } })), notBound)

  const token = boundToken()
  t.equal(verdictOf(await get(app, token, proof(key, { token }))), '200')
  t.equal(verdictOf(await app.inject({ url: '/me', cookies: { access_token_cookie: token } })), asBearer, 'a thief may send a cookie')
  t.equal(verdictOf(await app.inject({ url: `/me?jwt=${token}`, headers: { dpop: proof(key, { token }) } })), asBearer)
  t.equal(verdictOf(await app.inject({ method: 'POST', url: '/body', payload: { access_token: token }, headers: { dpop: proof(key, { token, method: 'POST', url: 'http://localhost/body' }) } })), asBearer)
})

t.test('a token from extractToken passes with its proof', async t => {
  const app = await sessionApp(t, { dpop: 'allowed', extractToken: request => request.headers['x-token'] as string | undefined })
  const token = boundToken()
  t.equal(verdictOf(await app.inject({ url: '/me', headers: { 'x-token': token, dpop: proof(key, { token }) } })), '200')
  t.equal(verdictOf(await app.inject({ url: '/me', headers: { 'x-token': token } })), badProof('missing'))
})

t.test('a token that came in no request has no proof', async t => {
  const allowed = await sessionApp(t, { dpop: 'allowed' })
  const required = await sessionApp(t, { dpop: 'required' })
  const code = async (app: FastifyInstance, token: string): Promise<string> => app.jwt.authenticate(token).then(() => 'passes', (error: { message: string }) => error.message)
  t.equal(await code(allowed, boundToken()), 'Token is bound to a key: send it in a request, with a proof')
  t.equal(await code(allowed, allowed.jwt.createAccessToken('ada')), 'passes')
  t.equal(await code(required, required.jwt.createAccessToken('ada')), 'Token is not bound to a key')
})

t.test('without the option a bound token is refused, and with false its binding is ignored', async t => {
  const [unset, off] = [await sessionApp(t), await sessionApp(t, { dpop: false })]
  const token = boundToken()
  t.equal(verdictOf(await get(unset, token, undefined, 'Bearer')), '401 FST_JWT_DPOP_BINDING: Token is bound to a key, which is not supported here')
  t.equal(verdictOf(await get(unset, token, proof(key, { token }))), '401 FST_JWT_MISSING_TOKEN: Missing JWT token')
  t.equal(verdictOf(await get(off, token, undefined, 'Bearer')), '200')
})

t.test('the URI of a request is that which its client sees', async t => {
  const token = boundToken()
  const proxied = await sessionApp(t, { dpop: 'allowed' }, { trustProxy: true })
  const headers = (url: string): Record<string, string> => ({ authorization: `DPoP ${token}`, dpop: proof(key, { token, url }), 'x-forwarded-proto': 'https', 'x-forwarded-host': 'api.example' })
  t.equal(verdictOf(await proxied.inject({ url: '/me', headers: headers('https://api.example/me') })), '200')
  t.equal(verdictOf(await proxied.inject({ url: '/me', headers: headers('http://localhost/me') })), badProof('htu'))
  const untrusting = await sessionApp(t, { dpop: 'allowed' })
  t.equal(verdictOf(await untrusting.inject({ url: '/me', headers: headers('https://api.example/me') })), badProof('htu'), 'only a trusted proxy says so')

  const rewritten = await sessionApp(t, { dpop: 'allowed' }, { rewriteUrl: ({ url }) => String(url).replace('/api', '') })
  t.equal(verdictOf(await get(rewritten, token, proof(key, { token, url: 'http://localhost/api/me' }), 'DPoP', '/api/me')), '200')
  const stripped = await sessionApp(t, { dpop: { url: request => `https://api.example/v1${request.url}` } })
  t.equal(verdictOf(await get(stripped, token, proof(key, { token, url: 'https://api.example/v1/me' }), 'DPoP', '/me?q=1')), '200')
  t.equal(verdictOf(await get(stripped, token, proof(key, { token }))), badProof('htu'))
  for (const host of ['localhost/x', 'user@localhost', 'a b', '?']) {
    t.equal(verdictOf(await untrusting.inject({ url: '/me', headers: { authorization: `DPoP ${token}`, dpop: proof(key, { token }), host } })), badProof('htu'), host)
  }
})

t.test('a url option that gives no text is a mistake of the app, and a client learns nothing of it', async t => {
  const unhandled: unknown[] = []
  const listen = (error: unknown): void => { unhandled.push(error) }
  process.on('unhandledRejection', listen)
  t.teardown(() => process.off('unhandledRejection', listen))
  for (const url of [() => undefined, async () => { throw new Error('late') }, () => new URL('http://localhost/me')]) {
    const app = await sessionApp(t, { dpop: { url: url as never } })
    const token = boundToken()
    const response = await get(app, token, proof(key, { token }))
    t.equal(verdictOf(response), '500 FST_JWT_BAD_OPTION: Authentication is not set up correctly')
  }
  await setImmediate()
  t.strictSame(unhandled, [], 'a promise that nobody waits for does not end the process')
})

t.test('a proof is remembered for longer than any server accepts it, since the clocks of servers and store differ', async t => {
  for (const [dpop, until] of [[{}, (iat: number) => iat + 70], [{ nonce: true }, (iat: number) => iat + 300]] as const) {
    const store = new MemoryStore()
    t.teardown(() => store.close())
    const kept: number[] = []
    const useOnce = store.useOnce.bind(store)
    const app = await sessionApp(t, { dpop, store: Object.assign(store, { useOnce: (id: string, expiresAt: number) => { kept.push(expiresAt / 1000); return useOnce(id, expiresAt) } }) })
    const token = boundToken()
    const iat = seconds()
    const asked = await get(app, token, proof(key, { token, claims: { iat } }))
    const nonce = asked.headers['dpop-nonce']
    if (nonce !== undefined) t.equal(verdictOf(await get(app, token, proof(key, { token, claims: { iat, nonce } }))), '200')
    t.equal(kept.length, 1)
    t.ok(Number(kept[0]) >= until(iat) + 10, JSON.stringify(dpop))
  }
})

/** Sends a request by hand, with what `inject` would not send. */
async function raw (app: FastifyInstance, path: string, headers: string[]): Promise<number | undefined> {
  const { port } = app.server.address() as AddressInfo
  return new Promise((resolve, reject) => {
    const request = httpRequest({ host: '127.0.0.1', port, path, headers: [...headers, 'host', `127.0.0.1:${port}`, 'connection', 'close'] as never }, response => {
      response.resume()
      resolve(response.statusCode)
    })
    request.on('error', reject)
    request.end()
  })
}

t.test('on a socket: two headers are refused, and a target that is no path', async t => {
  const app = await sessionApp(t, { dpop: 'allowed' })
  app.get('/files/:name', { preHandler: jwtRequired }, async () => ({}))
  await app.listen({ port: 0, host: '127.0.0.1' })
  const { port } = app.server.address() as AddressInfo
  const token = boundToken()
  const one = (): string => proof(key, { token, url: `http://127.0.0.1:${port}/me` })
  t.equal(await raw(app, '/me', ['authorization', `DPoP ${token}`, 'dpop', one()]), 200)
  t.equal(await raw(app, '/me', ['authorization', `DPoP ${token}`, 'dpop', one(), 'DPoP', one()]), 401)
  t.equal(await raw(app, `http://127.0.0.1:${port}/me`, ['authorization', `DPoP ${token}`, 'dpop', one()]), 401)
  const file = (path: string): string[] => ['authorization', `DPoP ${token}`, 'dpop', proof(key, { token, url: `http://127.0.0.1:${port}${path}` })]
  t.equal(await raw(app, '/files/a%2Fb', file('/files/a%2fb')), 200)
  t.equal(await raw(app, '/files/a\\b', file('/files/a/b')), 401, 'a URL parser reads a backslash as a slash, and a router does not')
})

t.test('time is what the options say', async t => {
  const app = await sessionApp(t, { dpop: { mode: 'allowed', replayWindow: '5m', clockTolerance: 0, algorithms: ['ES256', 'EdDSA'] } })
  const token = boundToken()
  t.equal(verdictOf(await get(app, token, proof(key, { token, claims: { iat: seconds() - 290 } }))), '200')
  t.equal(verdictOf(await get(app, token, proof(key, { token, claims: { iat: seconds() - 301 } }))), badProof('iat'))
  t.equal(verdictOf(await get(app, token, proof(key, { token, claims: { iat: seconds() + 3 } }))), badProof('iat'))
  const other = clientKey('ES384')
  const otherToken = boundToken({}, other.thumbprint)
  const refused = await get(app, otherToken, proof(other, { token: otherToken }))
  t.equal(verdictOf(refused), badProof('alg'))
  t.match(refused.headers['www-authenticate'], /algs="ES256 EdDSA"$/)
})

t.test('options that can do nothing, or not what they say, stop start-up', async t => {
  const wrong: Array<[JwtExtendedOptions, RegExp]> = [
    [{ dpop: true as never }, /'dpop' takes false, "allowed", "required", got true/],
    [{ dpop: 'optional' as never }, /'dpop' takes/],
    [{ dpop: [] as never }, /'dpop' takes/],
    [{ dpop: null as never }, /'dpop' takes/],
    [{ dpop: { window: 5 } as never }, /'dpop\.window' is unknown/],
    [{ dpop: { mode: 'both' as never } }, /'dpop\.mode' takes/],
    [{ dpop: { replayWindow: 0 } }, /'dpop\.replayWindow' takes/],
    [{ dpop: { clockTolerance: -1 } }, /'dpop\.clockTolerance' takes/],
    [{ dpop: { algorithms: ['HS256' as never] } }, /'dpop\.algorithms\[?0?\]?' takes/],
    [{ dpop: { algorithms: [] } }, /'dpop\.algorithms' takes/],
    [{ dpop: { url: '/' as never } }, /'dpop\.url' takes a function/],
    [{ dpop: { nonceSecret: 'a secret for nonces, of more than 32 bytes' } }, /'dpop\.nonceSecret'/],
    [{ dpop: 'allowed', store: false }, /'dpop' records used proofs in the store/],
    [{ dpop: 'allowed', tokenLocation: 'cookies' }, /'dpop' takes tokens in the Authorization header; add/],
    [{ dpop: 'allowed', headerName: 'x-token' }, /'dpop' takes tokens in the Authorization header \(RFC 9449/],
    [{ dpop: 'allowed', headerType: 'dpop' }, /'headerType' must be another scheme/],
    [{ dpop: 'allowed', headerType: '' }, /'headerType' must be another scheme/],
    [{ dpop: 'allowed', store: Object.assign(new MemoryStore(), { useOnce: undefined }) as never }, /'dpop' needs a store with the method useOnce/],
    [{ dpop: 'allowed', store: { denylist: Object.assign(new MemoryStore(), { useOnce: undefined }) as never, sessions: new MemoryStore() } }, /'dpop' needs a store with the method useOnce/]
  ]
  for (const [options, message] of wrong) await t.rejects(sessionApp(t, options), { code: 'FST_JWT_BAD_OPTION', message }, JSON.stringify(options))
})

/** Changes a proof in a random place: a character, a member, a part. */
function mutate (text: string, random: () => number): string {
  const pick = <T>(values: readonly T[]): T => values[Math.floor(random() * values.length)] as T
  const characters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=,{}"\\ \0ÿ'
  const at = Math.floor(random() * text.length)
  const parts = text.split('.')
  return pick([
    () => text.slice(0, at) + pick([...characters]) + text.slice(at + 1),
    () => text.slice(0, at) + pick([...characters]) + text.slice(at),
    () => text.slice(0, at) + text.slice(at + 1),
    () => text.slice(0, at),
    () => text.slice(at),
    () => { const index = Math.floor(random() * 3); return parts.map((one, i) => i === index ? pick(['', one + one, part({}), part('null'), part('[]'), one.slice(1)]) : one).join('.') },
    () => {
      const member = pick(['typ', 'alg', 'jwk', 'crit', 'b64', 'kid', 'x5c'])
      const header = JSON.parse(Buffer.from(parts[0] as string, 'base64url').toString()) as Record<string, unknown>
      return [part({ ...header, [member]: pick<unknown>([null, 0, '', [], {}, 'none', 'HS256', { ...key.jwk, kty: 'RSA' }, { ...key.jwk, x: key.jwk.y }, undefined]) }), parts[1], parts[2]].join('.')
    },
    () => {
      const member = pick(['jti', 'htm', 'htu', 'iat', 'ath'])
      const claims = JSON.parse(Buffer.from(parts[1] as string, 'base64url').toString()) as Record<string, unknown>
      return [parts[0], part({ ...claims, [member]: pick<unknown>([null, 0, '', [], {}, 'GET', 1e300, 'http://localhost/', undefined]) }), parts[2]].join('.')
    }
  ])()
}

/** Numbers from 0 to 1, the same for the same seed (mulberry32). */
function randomOf (seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

const mutations = Number(process.env['DPOP_MUTATIONS'] ?? 400)

t.test(`of ${mutations} mutated proofs none passes, and each is a 401`, async t => {
  const app = await sessionApp(t, { dpop: 'allowed' })
  const token = boundToken()
  const seed = Number(process.env['DPOP_SEED'] ?? 22)
  const random = randomOf(seed)
  const statuses = new Map<string, number>()
  let text = proof(key, { token })
  for (let i = 0; i < mutations; i++) {
    if (i % 500 === 0) text = proof(key, { token })
    const mutant = mutate(text, random)
    if (mutant === text) continue
    const response = await get(app, token, mutant)
    const outcome = response.statusCode === 401 ? '401' : `${response.statusCode}: ${mutant}`
    statuses.set(outcome, (statuses.get(outcome) ?? 0) + 1)
  }
  t.strictSame([...statuses.keys()], ['401'], `seed ${seed}`)
})
