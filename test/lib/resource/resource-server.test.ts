import { generateKeyPairSync, randomUUID } from 'node:crypto'
import { createServer } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import Fastify from 'fastify'
import type { FastifyInstance, LightMyRequestResponse } from 'fastify'
import t from 'tap'
import type { Test } from 'tap'
import jwt, { jwtRequired, scope } from '../../../lib/index.ts'
import { movableTime } from '../../helpers/clock.ts'
import { clientKey, proof } from '../../helpers/proof.ts'
import { secretKey, send, sessionApp, verdict } from '../../helpers/session-app.ts'
import type { IntrospectionOptions, JwtExtendedOptions } from '../../../lib/index.ts'

const resource = 'https://api.example'
const seconds = (): number => Math.floor(Date.now() / 1000)

t.test('the metadata of a resource server is served to everyone, and named in every challenge (RFC 9728)', async t => {
  const app = await sessionApp(t, {
    resourceMetadata: { resource, authorization_servers: ['https://login.example'], scopes_supported: ['read'], resource_name: 'An API', 'resource_name#de': 'Eine API' }, protect: true
  })
  app.get('/read', { preHandler: scope('read') }, async () => ({}))
  const response = await app.inject('/.well-known/oauth-protected-resource')
  t.equal(response.headers['content-type'], 'application/json; charset=utf-8')
  t.equal(response.headers['cache-control'], 'public, max-age=3600')
  t.strictSame(response.json(), {
    resource, authorization_servers: ['https://login.example'], scopes_supported: ['read'], resource_name: 'An API', 'resource_name#de': 'Eine API', bearer_methods_supported: ['header']
  })
  const named = 'resource_metadata="https://api.example/.well-known/oauth-protected-resource"'
  t.equal((await app.inject('/me')).headers['www-authenticate'], `Bearer ${named}`)
  t.equal((await send(app, 'GET', '/me', 'x')).headers['www-authenticate'], `Bearer ${named}, error="invalid_token", error_description="Invalid token: malformed"`)
  t.equal((await send(app, 'GET', '/read', app.jwt.createAccessToken('ada'))).headers['www-authenticate'], `Bearer ${named}, error="insufficient_scope", error_description="Missing scope: read", scope="read"`)
})

t.test('the path of the resource stands behind the well-known one, whatever the prefix of the context', async t => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(async api => {
    await api.register(async v1 => {
      await v1.register(jwt, {
        resourceMetadata: { resource: `${resource}/api/v1?tenant=1` },
        issuers: [{ issuer: 'https://login.example' }, { issuer: 'https://{tenant}.example/', tenants: ['a'], jwksUri: 'https://keys.example/' }],
        dpop: 'allowed'
      })
      v1.get('/me', { onRequest: jwtRequired }, async () => ({}))
    }, { prefix: '/v1' })
  }, { prefix: '/api' })
  t.match((await app.inject('/.well-known/oauth-protected-resource/api/v1')).json(), {
    resource: `${resource}/api/v1?tenant=1`,
    authorization_servers: ['https://login.example'],
    bearer_methods_supported: ['header'],
    dpop_bound_access_tokens_required: false,
    dpop_signing_alg_values_supported: ['ES256']
  })
  t.match((await app.inject('/api/v1/me')).headers['www-authenticate'],
    /^Bearer resource_metadata="https:\/\/api\.example\/\.well-known\/oauth-protected-resource\/api\/v1\?tenant=1", DPoP resource_metadata="https:[^"]+", algs="ES256 /)
})

t.test('the document lies at the path of the resource and at no other', async t => {
  for (const path of ['/v1', '/v1/', '/@me/notes', '/(x)', '/a+b,c=d']) {
    const app = await sessionApp(t, { resourceMetadata: { resource: `${resource}${path}` } })
    const url = /resource_metadata="([^"]+)"/.exec(String((await app.inject('/me')).headers['www-authenticate']))?.[1]
    t.equal(url, `${resource}/.well-known/oauth-protected-resource${path}`)
    t.strictSame((await app.inject(String(url).slice(resource.length))).json<{ resource: string }>().resource, `${resource}${path}`, path)
    t.equal((await app.inject('/.well-known/oauth-protected-resource/axb')).statusCode, 404, `${path} is no pattern`)
  }
})

t.test('the metadata say how tokens come', async t => {
  const membersOf = async (options: JwtExtendedOptions): Promise<Record<string, unknown>> =>
    (await (await sessionApp(t, { resourceMetadata: { resource }, ...options })).inject('/.well-known/oauth-protected-resource')).json()
  t.match(await membersOf({ dpop: 'required' }), { dpop_bound_access_tokens_required: true, bearer_methods_supported: undefined, authorization_servers: undefined })
  t.strictSame(await membersOf({ tokenLocation: 'cookies' }), { resource })
  t.strictSame(await membersOf({ headerType: 'JWT' }), { resource })
  t.strictSame(await membersOf({ headerName: 'x-token' }), { resource })
  const issuers = { secretKey: undefined, issuers: [{ issuer: 'https://login.example' }] }
  t.strictSame(await membersOf({ ...issuers, resourceMetadata: { resource, authorization_servers: undefined as never } }), { resource, authorization_servers: ['https://login.example'], bearer_methods_supported: ['header'] }, 'undefined is left out')
  t.strictSame(await membersOf({ ...issuers, resourceMetadata: { resource, authorization_servers: [], scopes_supported: [] } }), { resource, bearer_methods_supported: ['header'] }, 'an empty list is omitted (RFC 9728 §3.2)')
  t.match(await membersOf({ resourceMetadata: { resource: 'http://127.0.0.1:3000/', bearer_methods_supported: [] } }), { resource: 'http://127.0.0.1:3000/', bearer_methods_supported: [] })
})

t.test('only tokens of other issuers that say they are access tokens pass with requireAccessTokenType (RFC 9068)', async t => {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519')
  const issuer = await sessionApp(t, { secretKey: undefined, algorithm: 'EdDSA', privateKey, keyId: 'one', issuer: 'https://issuer.example' })
  const tokenOf = (typ: string, claims: Record<string, unknown> = { client_id: 'app' }): string => issuer.jwt.createAccessToken('ada', { headers: { typ }, claims })
  const jwks = JSON.stringify({ keys: [{ ...publicKey.export({ format: 'jwk' }), kid: 'one' }] })
  const remote: JwtExtendedOptions = { issuers: [{ issuer: 'https://issuer.example', jwksUri: 'https://issuer.example/jwks' }], jwksFetch: async () => new Response(jwks) }
  const apps = {
    issuers: await sessionApp(t, { ...remote, secretKey: undefined, requireAccessTokenType: true }),
    both: await sessionApp(t, { ...remote, requireAccessTokenType: true }),
    publicKey: await sessionApp(t, { secretKey: undefined, algorithm: 'EdDSA', publicKey, keyId: 'one', decodeIssuer: 'https://issuer.example', requireAccessTokenType: true }),
    decodeKey: await sessionApp(t, { secretKey: undefined, decodeKey: () => publicKey, decodeIssuer: 'https://issuer.example', requireAccessTokenType: true })
  }
  const reason = async (app: FastifyInstance, token: string): Promise<unknown> => (await send(app, 'GET', '/me', token)).json<{ message?: string }>().message
  for (const [name, app] of Object.entries(apps)) {
    for (const typ of ['at+jwt', 'AT+JWT', 'application/at+jwt']) t.equal(await verdict(app, 'GET', '/me', tokenOf(typ)), 200, `${name} ${typ}`)
    t.equal(await reason(app, tokenOf('JWT')), 'Invalid token: typ', name)
    t.equal(await reason(app, tokenOf('at+jwt', {})), 'Invalid token: client_id', name)
    t.equal(await reason(app, tokenOf('at+jwt', { client_id: 5 })), 'Invalid token: client_id', name)
  }
  t.equal(await verdict(apps.both, 'GET', '/me', apps.both.jwt.createAccessToken('ada')), 200, 'our own keys sign no ID tokens')
  t.equal(await verdict(await sessionApp(t, { ...remote, secretKey: undefined }), 'GET', '/me', tokenOf('JWT')), 200, 'without the option')
})

interface Endpoint {
  readonly url: string
  /** What was asked. */
  readonly asked: Array<{ form: URLSearchParams, authorization: string | undefined }>
  /** What is answered about a token. */
  answer: (token: string, response: ServerResponse, request: IncomingMessage) => unknown
}

/** The introspection endpoint of an issuer. */
async function startEndpoint (t: Test): Promise<Endpoint> {
  const endpoint: { -readonly [Name in keyof Endpoint]: Endpoint[Name] } = {
    url: '', asked: [], answer: token => token.startsWith('good') ? { active: true, sub: 'ada', client_id: 'app', scope: 'read', exp: seconds() + 60 } : { active: false }
  }
  const server = createServer((request, response) => {
    text(request).then(body => {
      const form = new URLSearchParams(body)
      endpoint.asked.push({ form, authorization: request.headers.authorization })
      response.setHeader('content-type', 'application/json')
      const answer = endpoint.answer(String(form.get('token')), response, request)
      response.end(typeof answer === 'string' ? answer : JSON.stringify(answer))
    }, () => { response.destroy() })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => { server.close() })
  endpoint.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/introspect`
  return endpoint
}

const credentials = { clientId: 'an api', clientSecret: 'a:secret%' }

async function introspectingApp (t: Test, endpoint: Endpoint, changes: Partial<IntrospectionOptions> = {}, options: JwtExtendedOptions = {}): Promise<FastifyInstance> {
  return sessionApp(t, { secretKey: undefined, introspection: { url: endpoint.url, ...credentials, ...changes }, ...options })
}

async function message (app: FastifyInstance, token: string): Promise<string> {
  const response = await send(app, 'GET', '/me', token)
  return response.statusCode === 200 ? '200' : `${response.statusCode} ${response.json<{ message: string }>().message}`
}

t.test('an opaque token of another issuer is asked about, and its claims are those of the answer (RFC 7662)', async t => {
  const endpoint = await startEndpoint(t)
  const app = await introspectingApp(t, endpoint)
  app.get('/read', { preHandler: [jwtRequired, scope('read')] }, async request => ({ header: request.jwtHeader }))
  const response = await send(app, 'GET', '/me', 'good')
  t.match(response.json(), { user: 'ada', claims: { sub: 'ada', client_id: 'app', scope: 'read', type: 'access', fresh: false } })
  t.equal(response.json<{ claims: object }>().claims.hasOwnProperty('active'), false) // eslint-disable-line no-prototype-builtins
  t.strictSame([...endpoint.asked[0]?.form ?? []], [['token', 'good'], ['token_type_hint', 'access_token']])
  t.equal(endpoint.asked[0]?.authorization, `Basic ${Buffer.from('an+api:a%3Asecret%25').toString('base64')}`)
  t.strictSame((await send(app, 'GET', '/read', 'good')).json(), { header: null })
  t.equal(endpoint.asked.length, 2, 'without maxAge each request asks')
  t.equal(await message(app, 'bad'), '401 Invalid token: inactive')
  t.equal(await message(app, 'a.b.c'), '401 Invalid token: inactive', 'a JWT is asked about, too, if there is no key')
  t.equal(await verdict(app, 'GET', '/refresh-token', 'good'), 'FST_JWT_REFRESH_REQUIRED')
  t.equal(await message(app, 'good'.repeat(2049)), '401 Invalid token: length')
  const before = endpoint.asked.length
  for (const odd of ['good\u00e9', 'good\x7f']) t.equal(await message(app, odd), '401 Invalid token: malformed', 'no token is written so (RFC 6749 appendix A.12)')
  t.equal(endpoint.asked.length, before, 'and nobody is asked')
  t.equal((await app.jwt.authenticate('good')).claims.identity, 'ada')
  t.throws(() => app.jwt.decodeToken('good'), TypeError)
  endpoint.answer = () => ({ active: true, sub: 'ada', jti: 'one', exp: seconds() + 60 })
  await app.jwt.revokeToken('good')
  t.equal(await message(app, 'good'), '401 Token has been revoked')
})

t.test('what the answer says is checked as claims are', async t => {
  const endpoint = await startEndpoint(t)
  const app = await introspectingApp(t, endpoint, { issuer: 'https://issuer.example', audience: ['https://api.example'] })
  const sound = { active: true, sub: 'ada', iss: 'https://issuer.example', aud: 'https://api.example' }
  const cases: Array<[Record<string, unknown>, string]> = [
    [{}, '200'],
    [{ aud: ['https://other.example', 'https://api.example'] }, '200'],
    [{ username: 'Ada' }, '200'],
    [{ exp: seconds() - 1 }, '401 Token has expired'],
    [{ nbf: seconds() + 60 }, '401 Token not yet valid'],
    [{ exp: 'soon' }, '401 Invalid token: exp'],
    [{ sub: undefined }, '401 Invalid token: sub'],
    [{ iss: 'https://other.example' }, '401 Invalid token: issuer'],
    [{ iss: undefined }, '401 Invalid token: issuer'],
    [{ aud: 'https://other.example' }, '401 Invalid token: audience'],
    [{ aud: undefined }, '401 Invalid token: audience'],
    [{ type: 'refresh', exp: seconds() + 60 }, '401 Invalid token: type'],
    [{ type: 'id' }, '401 Invalid token: type'],
    [{ token_type: 'Bearer' }, '200'],
    [{ token_use: 'access_token' }, '200'],
    // Endpoints search refresh tokens, too, whatever the hint says (RFC 7662 §2.1), and have several ways to say that it is one.
    [{ token_type: 'refresh_token' }, '401 Invalid token: type'],
    [{ token_type: 'Refresh' }, '401 Invalid token: type'],
    [{ token_use: 'refresh_token' }, '401 Invalid token: type'],
    [{ token_use: { toString: 1, valueOf: 1 } }, '200'],
    [{ typ: 'Refresh' }, '401 Invalid token: type']
  ]
  for (const [changes, expected] of cases) {
    endpoint.answer = () => ({ ...sound, ...changes })
    t.equal(await message(app, randomUUID()), expected, JSON.stringify(changes))
  }
})

t.test('an endpoint that gives no answer is a 503, and the client learns nothing of why', async t => {
  const endpoint = await startEndpoint(t)
  const app = await introspectingApp(t, endpoint)
  const answers: Array<Endpoint['answer']> = [
    (_token, response) => { response.statusCode = 401; return { error: 'invalid_client' } },
    (_token, response) => { response.statusCode = 500; return '' },
    (_token, response) => { response.statusCode = 302; response.setHeader('location', '/'); return '' },
    () => 'no JSON', () => '[]', () => 'null', () => ({}), () => ({ active: 'true' }), () => ({ active: 1 }),
    () => ' '.repeat(300_000),
    (_token, response) => { response.destroy(); return '' }
  ]
  for (const answer of answers) {
    endpoint.answer = answer
    const response = await send(app, 'GET', '/me', 'good')
    t.equal(response.statusCode, 503)
    t.strictSame(response.json(), { statusCode: 503, code: 'FST_JWT_INTROSPECTION_UNAVAILABLE', error: 'Service Unavailable', message: 'Token introspection unavailable' })
    t.equal((await send(app, 'GET', '/maybe', 'good')).statusCode, 503, 'nobody is let in as anonymous')
  }
  const own = await introspectingApp(t, endpoint, { fetch: async () => { throw new Error('no network') } })
  t.equal(await message(own, 'good'), '503 Token introspection unavailable')
})

t.test('an answer is used again no longer than maxAge, exp and Cache-Control say, and two requests ask once', async t => {
  const time = movableTime(t)
  const endpoint = await startEndpoint(t)
  const app = await introspectingApp(t, endpoint, { maxAge: '30s' })
  const asks = async (token = 'good'): Promise<number> => {
    const before = endpoint.asked.length
    await message(app, token)
    return endpoint.asked.length - before
  }
  t.equal(await asks(), 1)
  t.equal(await asks(), 0)
  time.advance(29)
  t.equal(await asks(), 0)
  time.advance(2)
  t.equal(await asks(), 1)
  endpoint.answer = () => ({ active: true, sub: 'ada', exp: seconds() + 10 })
  t.equal(await asks('short'), 1)
  time.advance(11)
  t.equal(await message(app, 'short'), '401 Token has expired')
  for (const [header, again] of [['no-store', 1], ['max-age=5, no-cache', 1], ['max-age=0', 1], ['max-age=-1', 1], ['max-age=soon', 1], ['max-age', 1], ['private, max-age="20"', 0], ['public', 0]] as const) {
    endpoint.answer = (_token, response) => { response.setHeader('cache-control', header); return { active: true, sub: 'ada' } }
    t.equal(await asks(`good ${header}`.replaceAll(/[ ,"=]+/g, '-')), 1, header)
    t.equal(await asks(`good ${header}`.replaceAll(/[ ,"=]+/g, '-')), again, header)
  }
  endpoint.answer = () => ({ active: true, sub: 'ada' })
  t.equal(await asks('back'), 1)
  time.advance(-3600)
  t.equal(await asks('back'), 1, 'a clock that is set back makes no answer last longer')
  endpoint.answer = () => ({ active: false })
  t.equal(await asks('bad'), 1)
  t.equal(await asks('bad'), 1, 'a refusal is not kept')
  endpoint.answer = () => ({ active: true, sub: 'ada' })
  const before = endpoint.asked.length
  t.strictSame(await Promise.all([message(app, 'together'), message(app, 'together'), message(app, 'together')]), ['200', '200', '200'])
  t.equal(endpoint.asked.length - before, 1)
})

t.test('beside keys only what is no JWT is asked about, and an opaque refresh token of our own is not', async t => {
  const endpoint = await startEndpoint(t)
  const app = await introspectingApp(t, endpoint, {}, { secretKey, refreshTokenFormat: 'opaque' })
  t.equal(await message(app, app.jwt.createAccessToken('ada')), '200')
  const { refreshToken } = await app.jwt.createSession('ada')
  t.equal(await verdict(app, 'POST', '/refresh', refreshToken), 200)
  t.equal(await verdict(app, 'GET', '/me', refreshToken), 'FST_JWT_ACCESS_REQUIRED')
  t.equal(endpoint.asked.length, 0)
  t.equal(await message(app, 'good'.padEnd(107, 'A')), '200', 'as long as an opaque refresh token')
  t.equal(await message(app, 'good.with.dots'), '200')
  t.equal(endpoint.asked.length, 2)
  t.equal(await message(app, app.jwt.createAccessToken('ada').slice(0, -4)), '401 Invalid token signature')
  app.jwt.rotateKeys([{ keyId: 'next', secretKey: 'the next secret of the tests, of more than 32 bytes' }])
  t.equal(await message(app, app.jwt.createAccessToken('ada')), '200')
  const token = app.jwt.createAccessToken('ada')
  await app.jwt.revokeToken(token)
  t.equal(await message(app, token), '401 Token has been revoked')
})

t.test('an introspected token may be bound to a key (RFC 9449 §6.2)', async t => {
  const key = clientKey()
  const endpoint = await startEndpoint(t)
  endpoint.answer = () => ({ active: true, sub: 'ada', token_type: 'DPoP', cnf: { jkt: key.thumbprint } })
  const app = await introspectingApp(t, endpoint, {}, { dpop: 'allowed' })
  const ask = async (own = key): Promise<LightMyRequestResponse> => app.inject({ url: '/me', headers: { authorization: 'DPoP good', dpop: proof(own, { token: 'good' }) } })
  t.equal((await ask()).statusCode, 200)
  t.equal((await ask(clientKey())).json<{ code: string }>().code, 'FST_JWT_DPOP_BINDING')
  t.equal(await verdict(app, 'GET', '/me', 'good'), 'FST_JWT_DPOP_BINDING')
  t.equal(await verdict(await introspectingApp(t, endpoint), 'GET', '/me', 'good'), 'FST_JWT_DPOP_BINDING')
})

t.test('options that are wrong, or can do nothing, stop start-up', async t => {
  const url = 'https://issuer.example/introspect'
  const wrong: Array<[JwtExtendedOptions, RegExp]> = [
    [{ resourceMetadata: resource as never }, /'resourceMetadata' takes an object/],
    [{ resourceMetadata: [] as never }, /'resourceMetadata' takes an object/],
    [{ resourceMetadata: {} as never }, /'resourceMetadata\.resource' takes an absolute URL/],
    [{ resourceMetadata: { resource: 'http://api.example' } }, /'resourceMetadata\.resource' is not an https: URL/],
    [{ resourceMetadata: { resource: `${resource}#x` } }, /'resourceMetadata\.resource' has a fragment/],
    [{ resourceMetadata: { resource: `${resource}#` } }, /'resourceMetadata\.resource' has a fragment/],
    ...['/a:b', '/a*', '/caf\u00e9'].map((path): [JwtExtendedOptions, RegExp] => [{ resourceMetadata: { resource: resource + path } }, /'resourceMetadata\.resource' has a path with :, \* or %/]),
    [{ resourceMetadata: { resource, scopes_supported: 'read' as never } }, /'resourceMetadata\.scopes_supported' takes an array/],
    [{ resourceMetadata: { resource, resource_name: 5 as never } }, /'resourceMetadata\.resource_name' takes/],
    [{ requireAccessTokenType: true }, /'requireAccessTokenType' has no effect, since only tokens of your own keys/],
    [{ introspection: url as never }, /'introspection' takes an object/],
    [{ introspection: null as never }, /'introspection' takes an object/],
    [{ introspection: { url } as never }, /'introspection\.clientId' takes/],
    [{ introspection: { ...credentials, url: 'http://issuer.example' } }, /'introspection\.url' is not an https: URL/],
    [{ introspection: { ...credentials, url, secret: 'x' } as never }, /'introspection\.secret' is unknown/],
    [{ introspection: { ...credentials, url, maxAge: -1 } }, /'introspection\.maxAge' takes/],
    [{ introspection: { ...credentials, url, fetch: 5 as never } }, /'introspection\.fetch' takes a function/],
    [{ secretKey: undefined, introspection: { ...credentials, url }, algorithm: 'ES256' }, /'algorithm' has no effect, since no token is verified with a key/],
    [{ secretKey: undefined, introspection: { ...credentials, url }, decodeIssuer: 'https://issuer.example' }, /'decodeIssuer' has no effect.*'introspection\.issuer'/],
    [{ secretKey: undefined, introspection: { ...credentials, url }, issuer: 'https://issuer.example' }, /'issuer' has no effect/],
    [{ introspection: { ...credentials, url: 'https://me:pass@issuer.example' } }, /'introspection\.url' holds a user name or password; leave it out$/],
    [{ secretKey: undefined, introspection: { ...credentials, url }, jwksPath: '/jwks' }, /'jwksPath' has no keys/],
    [{ secretKey: undefined, introspection: { ...credentials, url }, requireAccessTokenType: true }, /'requireAccessTokenType' has no effect, since the issuer is asked/],
    [{ secretKey: undefined, introspection: { ...credentials, url }, dpop: { nonce: true } }, /'dpop\.nonceSecret' is missing/]
  ]
  for (const [options, message] of wrong) await t.rejects(sessionApp(t, options), { code: 'FST_JWT_BAD_OPTION', message }, JSON.stringify(options))
})
