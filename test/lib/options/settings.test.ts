import { generateKeyPairSync } from 'node:crypto'
import Fastify from 'fastify'
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import type { Test } from 'tap'
import jwt from '../../../lib/index.ts'
import { bearer, passes, protectedApp, secretKey } from '../../helpers/protected-app.ts'
import type { Options } from '../../helpers/protected-app.ts'

const bytes = (length: number) => 'k'.repeat(length)

async function register (options: unknown): Promise<FastifyInstance> {
  const app = Fastify() as unknown as FastifyInstance
  try {
    await app.register(jwt, options as Options)
    await app.ready()
    return app
  } finally {
    await app.close()
  }
}

/** Asserts that options stop start-up with an error that names the option at fault, and no secret. */
async function stopsStartUp (t: Test, options: Record<string, unknown>, named: string | RegExp, name: string): Promise<void> {
  try {
    await register(options)
    t.fail(`${name}: registered`)
  } catch (error) {
    const { code, message } = error as { code: string, message: string }
    t.equal(code, 'FST_JWT_BAD_OPTION', `${name}: code`)
    t.match(message, typeof named === 'string' ? new RegExp(`'${named}(\\[\\d+\\]|\\.\\w+)?'`) : named, `${name}: the message names the option`)
    const secret = options.secretKey
    for (const key of Array.isArray(secret) ? secret : [secret]) {
      if (typeof key === 'string' && key.length > 8) t.notOk(message.includes(key), `${name}: and not the secret`)
    }
  }
}

t.test('an unknown option stops start-up', async t => {
  for (const option of ['secret', 'secretkey', 'SECRET_KEY', 'accessExpire', 'cookieSameSite', 'cookieHttpOnly', 'sign', '__proto', 'toString']) {
    await stopsStartUp(t, { secretKey, [option]: 'x' }, option, option)
  }
})

t.test('a value of the wrong kind stops start-up', async t => {
  const notTime = ['soon', '', NaN, Infinity, true, null, {}, []]
  const notText = [42, true, null, {}, ['x']]
  const notBoolean = ['yes', 1, 0, null, {}]
  const notFunction = ['x', 42, true, false, null, {}]
  const table: Record<string, unknown[]> = {
    secretKey: [42, true, null, {}, [], [42], [secretKey, 42], [[secretKey]], new Date(), () => secretKey],
    algorithm: ['none', 'None', 'NONE', 'hs256', 'HS1', '', 42, null, ['HS256'], '__proto__', 'toString'],
    decodeAlgorithms: ['none', ['none'], ['HS256', 'none'], [], [42], {}, 42, ['hs256']],
    accessExpires: notTime,
    refreshExpires: notTime,
    leeway: ['soon', NaN, Infinity, -1, true, null, {}],
    encodeNbf: notBoolean,
    identityClaim: ['', ...notText],
    issuer: [42, true, null, {}],
    audience: [42, true, null, {}, [42]],
    decodeIssuer: [42, true, null, {}],
    decodeAudience: [42, true, null, {}, [42]],
    tokenLocation: ['header', 'cookie', 'Headers', '', [], ['headers', 'cookie'], [42], 42, true, null, {}, 'toString'],
    headerName: ['', 'two words', 'a:b', 'a\r\nb', 42, true, null, {}],
    headerType: ['two words', 'a\r\nb', 42, true, null, {}],
    accessCookieName: ['', 'two words', 'a;b', 'a=b', 'a,b', 'a\r\nb', 42, true, null, {}],
    refreshCookieName: ['', 'two words', 'a;b', 'a=b', 'a,b', 'a\r\nb', 42, true, null, {}],
    accessCookiePath: ['', 'api', 'a;b', '/a;b', '/a\r\nb', 42, true, null, {}],
    refreshCookiePath: ['', 'api', 'a;b', '/a;b', '/a\r\nb', 42, true, null, {}],
    cookieDomain: ['', 'a;b', 'a b', 'a\r\nb', 42, true, null, {}],
    cookieSecure: ['yes', 'true', '', 1, null, {}],
    cookieHttponly: notBoolean,
    cookieSamesite: ['', 'Sometimes', true, false, 42, null, {}],
    sessionCookie: notBoolean,
    csrfProtection: ['on', '', true, 42, null, {}, [], ['on'], ['fetch-metadata', 'on'], [false]],
    csrfMethods: [42, true, null, {}, [42], [''], ['TWO WORDS']],
    trustedOrigins: [42, true, null, {}, [42], ['trusted.example'], ['*'], ['https://*.trusted.example'], ['https://trusted.example/path'], ['null'], ['']],
    queryStringName: ['', ...notText],
    queryStringValuePrefix: notText,
    jsonKey: ['', ...notText],
    refreshJsonKey: ['', ...notText],
    extractToken: notFunction,
    additionalClaims: notFunction,
    additionalHeaders: notFunction,
    userIdentity: notFunction,
    userLookup: notFunction,
    verifyClaims: notFunction,
    isRevoked: notFunction,
    implicitRefresh: [0, -1, 0.5, ...notTime],
    messages: ['x', 42, true, null, [], { FST_JWT_NOPE: 'x' }, { FST_JWT_EXPIRED: 42 }, { EXPIRED: 'x' }, { toString: 'x' }],
    realm: [42, true, null, {}, 'a\r\nb', 'Zoë 🦉'],
    cacheSize: [-1, 1.5, NaN, Infinity, '10', true, null, {}],
    maxTokenLength: [0, -1, 1.5, NaN, '8k', true, null, {}]
  }
  for (const [option, values] of Object.entries(table)) {
    for (const value of values) {
      const shown = typeof value === 'object' ? JSON.stringify(value) : String(value)
      await stopsStartUp(t, { secretKey, [option]: value }, option, `${option}: ${shown}`)
    }
  }
})

t.test('without a key there is no start, and an unset environment variable is no key', async t => {
  await stopsStartUp(t, {}, 'secretKey', 'no options')
  await stopsStartUp(t, { secretKey: undefined }, 'secretKey', 'undefined')
  await stopsStartUp(t, { secretKey: '' }, 'secretKey', 'an empty string')
  await t.rejects(register(undefined), { code: 'FST_JWT_BAD_OPTION', message: /'secretKey'/ }, 'no options object')
})

t.test('a key, or what is required of a token, stops start-up if its environment variable is not set', async t => {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519')
  const pair = { algorithm: 'EdDSA', privateKey, publicKey }
  const introspection = { url: 'https://issuer.example/introspect', clientId: 'id', clientSecret: 'secret' }
  const table: ReadonlyArray<readonly [string, object]> = [
    ['secretKey', { secretKey: undefined }],
    ['secretKey', { ...pair, secretKey: undefined }],
    ['secretKey', { secretKey: undefined, decodeKey: () => null }],
    ['privateKey', { ...pair, privateKey: undefined }],
    ['privateKey', { secretKey, privateKey: undefined }],
    ['publicKey', { ...pair, publicKey: undefined }],
    ['jwksUri', { jwksUri: undefined }],
    ...['jwksUri', 'issuer', 'audience', 'decodeIssuer', 'decodeAudience'].map(name => [name, { secretKey, [name]: undefined }] as const),
    ['keys[0].secretKey', { keys: [{ keyId: 'a', secretKey: undefined }] }],
    ['keys[1].privateKey', { keys: [{ keyId: 'a', secretKey }, { keyId: 'b', ...pair, privateKey: undefined }] }],
    ['keys[0].publicKey', { keys: [{ keyId: 'b', ...pair, publicKey: undefined }] }],
    ['issuers[0].audience', { issuers: [{ issuer: 'https://issuer.example', audience: undefined }] }],
    ['issuers[0].jwksUri', { issuers: [{ issuer: 'https://issuer.example', jwksUri: undefined }] }],
    ['introspection.audience', { introspection: { ...introspection, audience: undefined } }],
    ['introspection.issuer', { introspection: { ...introspection, issuer: undefined } }],
    ['dpop.nonceSecret', { secretKey, dpop: { nonce: true, nonceSecret: undefined } }]
  ]
  for (const [name, options] of table) {
    const secret = name === 'secretKey' ? '; `node -p "crypto.randomBytes(48).toString(\'base64\')"` makes a secret' : ''
    await t.rejects(register(options), {
      code: 'FST_JWT_BAD_OPTION',
      message: `fastify-jwt-extended: option '${name}' is undefined: its environment variable is probably not set; set it, or leave the option out${secret}`
    }, JSON.stringify(options))
  }
  await t.rejects(register({ introspection: { ...introspection, clientSecret: undefined } }), { message: /'introspection\.clientSecret' takes a non-empty string, got undefined$/ })
})

t.test('an option that is undefined is an option not given', async t => {
  const app = Fastify() as unknown as FastifyInstance
  t.teardown(() => app.close())
  await app.register(jwt, {
    secretKey, algorithm: undefined, accessExpires: undefined, tokenLocation: undefined, cookieDomain: undefined, realm: undefined
  } as unknown as Options)
  t.equal(app.jwt.getUnverifiedHeader(app.jwt.createAccessToken('user123'))?.alg, 'HS256')
})

t.test('a secret has at least as many bytes as its hash (RFC 7518 §3.2)', async t => {
  for (const [algorithm, length] of [['HS256', 32], ['HS384', 48], ['HS512', 64]] as const) {
    await register({ algorithm, secretKey: bytes(length) })
    await register({ algorithm, secretKey: Buffer.alloc(length, 1) })
    await register({ algorithm, secretKey: 'é'.repeat(length / 2) })
    await register({ algorithm, secretKey: [bytes(length), bytes(length + 1)] })
    for (const short of [
      bytes(length - 1), Buffer.alloc(length - 1, 1), 'é'.repeat(length / 2 - 1), [bytes(length), bytes(length - 1)],
      [bytes(length - 1), bytes(length)], Buffer.alloc(0)
    ]) {
      const name = `${algorithm} with ${Array.isArray(short) ? 'an array' : `${short.length} ${typeof short}`}`
      await stopsStartUp(t, { algorithm, secretKey: short }, 'secretKey', name)
    }
    await t.rejects(register({ algorithm, secretKey: bytes(length - 1) }), { message: new RegExp(`\\b${length}\\b`) },
      'the message says how long it must be')
  }
})

t.test('a public key is no secret', async t => {
  const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const pem = publicKey.export({ type: 'spki', format: 'pem' })
  for (const key of [pem, Buffer.from(pem), [secretKey, pem], ` \n${pem}`]) {
    await stopsStartUp(t, { secretKey: key }, 'secretKey', 'a PEM public key')
  }
})

t.test('a pair that cannot work together stops start-up', async t => {
  const cookies = { secretKey, tokenLocation: 'cookies', cookieSecure: true }
  const table: Array<[name: string, options: Record<string, unknown>, named: RegExp]> = [
    ['SameSite None without Secure', { ...cookies, cookieSamesite: 'None', cookieSecure: false }, /'cookie(Samesite|Secure)'/],
    ['__Host- with a path', { ...cookies, accessCookieName: '__Host-a', accessCookiePath: '/api' }, /'accessCookie(Name|Path)'/],
    ['__Host- with a path, refresh', { ...cookies, refreshCookieName: '__Host-r', refreshCookiePath: '/api' }, /'refreshCookie(Name|Path)'/],
    ['__Host- with a domain', { ...cookies, accessCookieName: '__Host-a', cookieDomain: 'app.example' }, /'(accessCookieName|cookieDomain)'/],
    ['__Host- without Secure', { ...cookies, accessCookieName: '__Host-a', cookieSecure: false }, /'(accessCookieName|cookieSecure)'/],
    ['__Secure- without Secure', { ...cookies, refreshCookieName: '__Secure-r', cookieSecure: false }, /'(refreshCookieName|cookieSecure)'/],
    ['__host- in lower case without Secure', { ...cookies, accessCookieName: '__host-a', cookieSecure: false }, /'(accessCookieName|cookieSecure)'/],
    ['one cookie for both tokens', { ...cookies, accessCookieName: 'jwt', refreshCookieName: 'jwt' }, /'(access|refresh)CookieName'/],
    ['an algorithm of another family', { secretKey, algorithm: 'RS256' }, /'(algorithm|secretKey|privateKey)'/],
    ['a secret too short for an algorithm it also verifies',
      { secretKey: bytes(32), decodeAlgorithms: ['HS256', 'HS512'] }, /'(secretKey|decodeAlgorithms)'/]
  ]
  for (const [name, options, named] of table) await stopsStartUp(t, options, named, name)
})

t.test('pairs that can', async t => {
  const cookies = { secretKey, tokenLocation: 'cookies', cookieSecure: true }
  for (const options of [
    { ...cookies, cookieSamesite: 'None' },
    { ...cookies, accessCookieName: '__Host-a', refreshCookieName: '__Host-r' },
    { ...cookies, accessCookieName: '__Secure-a', accessCookiePath: '/api', cookieDomain: 'app.example' },
    { secretKey, trustedOrigins: ['https://trusted.example', 'http://localhost:5173'] },
    { secretKey, headerType: '' },
    { secretKey, cacheSize: 0 },
    { secretKey, leeway: 10, encodeNbf: false, maxTokenLength: 4096 },
    { secretKey, tokenLocation: ['cookies', 'headers'] },
    { secretKey, messages: {}, realm: 'api' }
  ]) {
    await t.resolves(register(options), JSON.stringify(Object.keys(options)))
  }
})

t.test('options are read at registration: a change afterwards changes nothing', async t => {
  const options = { secretKey: [secretKey], tokenLocation: ['headers' as const], trustedOrigins: [] as string[], messages: {} as Record<string, string> }
  const app = await protectedApp(t, options)
  const token = app.jwt.createAccessToken('user123')
  options.secretKey[0] = bytes(64)
  options.tokenLocation.pop()
  options.messages.FST_JWT_MISSING_TOKEN = 'changed'
  await passes(t, app, { url: '/required', headers: bearer(token) }, 'user123', 'as registered')
  t.equal((await app.inject('/required')).json<{ message: string }>().message, 'Missing JWT token')
})

t.test('a frozen options object will do', async t => {
  await t.resolves(register(Object.freeze({ secretKey, tokenLocation: Object.freeze(['headers', 'cookies']) })))
})

t.test('the message says what the option got and what it takes', async t => {
  await t.rejects(register({ secretKey, tokenLocation: 'cookie' }), { message: /'cookie'|"cookie"|cookie\b.*cookies/ })
  await t.rejects(register({ secretKey, tokenLocation: 'cookie' }), { message: /headers.*cookies/ })
  await t.rejects(register({ secretKey, algorithm: 'HS1' }), { message: /HS1.*HS256|HS256.*HS1/s })
})
