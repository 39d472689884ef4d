import Fastify from 'fastify'
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import type { Test } from 'tap'
import jwt, { freshJwtRequired, jwtRequired, refreshTokenRequired } from '../../../lib/index.ts'
import { fixtures } from '../../helpers/fixtures/flask-jwt-extended.ts'
import { bearer, seen } from '../../helpers/protected-app.ts'
import type { Options } from '../../helpers/protected-app.ts'

const { secret: secretKey, publicKeys, flask, pyjwt } = fixtures

async function appWith (t: Test, options: Partial<Options>): Promise<FastifyInstance> {
  const app = Fastify() as unknown as FastifyInstance
  t.teardown(() => app.close())
  await app.register(jwt, (options.publicKey === undefined ? { secretKey, ...options } : options) as Options)
  app.get('/access', { preHandler: jwtRequired }, async request => ({ ...seen(request), header: request.jwtHeader }))
  app.get('/fresh', { preHandler: freshJwtRequired }, async () => ({}))
  app.get('/refresh', { preHandler: refreshTokenRequired }, async request => seen(request))
  await app.ready()
  return app
}

interface Accepted {
  options?: Partial<Options>
  identity?: string
  type?: 'access' | 'refresh'
  fresh?: boolean
  claims?: Record<string, unknown>
  header?: Record<string, unknown>
}

const never = { accessExpires: false } as const

const accepted: ReadonlyArray<[name: string, token: string | undefined, Accepted]> = [
  ['access', flask['access'], { claims: { sub: 'user123', type: 'access', fresh: false } }],
  ['refresh', flask['refresh'], { type: 'refresh' }],
  ['access, fresh', flask['access, fresh'], { fresh: true }],
  ['access, fresh for a hundred years', flask['access, fresh for a hundred years'], { fresh: true }],
  ['access, fresh until a day ago', flask['access, fresh until a day ago'], { fresh: false }],
  ['access with a csrf claim', flask['access with a csrf claim'], { claims: { csrf: /^[0-9a-f-]{36}$/ } }],
  ['refresh with a csrf claim', flask['refresh with a csrf claim'], { type: 'refresh' }],
  ['access without a csrf claim', flask['access without a csrf claim'], {}],
  ['access with claims', flask['access with claims'], { claims: { role: 'admin', nested: { list: [1, 'två', null] } } }],
  ['access with a header', flask['access with a header'], { header: { tenant: 'north' } }],
  ['access without nbf', flask['access without nbf'], {}],
  ['access without expiry', flask['access without expiry'], { options: never }],
  ['access with issuer', flask['access with issuer'], { options: { decodeIssuer: 'https://old.example' } }],
  ['access with issuer, any', flask['access with issuer'], { claims: { iss: 'https://old.example' } }],
  ['access with audience', flask['access with audience'], { options: { decodeAudience: 'api' } }],
  ['access with audiences', flask['access with audiences'], { options: { decodeAudience: ['other', 'admin'] } }],
  ['access, identity claim of version 3', flask['access, identity claim of version 3'], { options: { identityClaim: 'identity' } }],
  ['access of a user not in ASCII', flask['access of a user not in ASCII'], { identity: 'användare 😀' }],
  ['access, HS384', flask['access, HS384'], { options: { algorithm: 'HS384' } }],
  ['access, HS512', flask['access, HS512'], { options: { algorithm: 'HS512' } }],
  ['access, HS512 beside HS256', flask['access, HS512'], { options: { decodeAlgorithms: ['HS256', 'HS512'] } }],
  ...Object.entries(publicKeys).map(([algorithm, publicKey]): [string, string | undefined, Accepted] =>
    [`access, ${algorithm}`, flask[`access, ${algorithm}`], { options: { algorithm, publicKey } as Partial<Options> }]),
  ['PyJWT: subject and expiry alone', pyjwt['subject and expiry alone'], { claims: { type: 'access', fresh: false, jti: undefined } }],
  ['PyJWT: a number as subject', pyjwt['a number as subject'], { identity: '42', claims: { sub: 42 } }],
  ['PyJWT: a key id', pyjwt['a key id'], { header: { kid: 'old' } }],
  ['PyJWT: no typ', pyjwt['no typ'], {}],
  ['PyJWT: no expiry', pyjwt['no expiry'], { options: never }]
]

for (const [name, token, { options = {}, identity = 'user123', type = 'access', fresh = false, claims = {}, header = {} }] of accepted) {
  t.test(`accepted: ${name}`, async t => {
    const app = await appWith(t, options)
    const headers = bearer(token ?? '')
    const response = await app.inject({ url: `/${type}`, headers })
    t.equal(response.statusCode, 200, response.body)
    t.match(response.json(), { identity, claims: { identity, type, ...claims } })
    if (type === 'access') t.match(response.json().header, header)
    t.equal((await app.inject({ url: '/fresh', headers })).statusCode, fresh ? 200 : 401, 'freshness')
    const other = await app.inject({ url: type === 'access' ? '/refresh' : '/access', headers })
    t.equal(other.json().code, type === 'access' ? 'FST_JWT_REFRESH_REQUIRED' : 'FST_JWT_ACCESS_REQUIRED')
    t.equal(app.jwt.getIdentity(token ?? ''), identity, 'unverified')
  })
}

const refused: ReadonlyArray<[name: string, token: string | undefined, options: Partial<Options>, code: string, message: string]> = [
  ['expired', flask['access, expired'], {}, 'EXPIRED', 'Token has expired'],
  ['another secret', flask['access of another secret'], {}, 'INVALID_SIGNATURE', 'Invalid token signature'],
  ['another algorithm of the family', flask['access, HS384'], {}, 'INVALID_TOKEN', 'Invalid token: algorithm'],
  ['an asymmetric algorithm', flask['access, RS256'], {}, 'INVALID_TOKEN', 'Invalid token: algorithm'],
  ['another issuer', flask['access with issuer'], { issuer: 'https://new.example' }, 'INVALID_TOKEN', 'Invalid token: issuer'],
  ['no issuer', flask['access'], { issuer: 'https://new.example' }, 'INVALID_TOKEN', 'Invalid token: issuer'],
  ['another audience', flask['access with audience'], { audience: 'site' }, 'INVALID_TOKEN', 'Invalid token: audience'],
  ['no audience', flask['access'], { audience: 'site' }, 'INVALID_TOKEN', 'Invalid token: audience'],
  ['an audience, and none is configured (RFC 7519 §4.1.3)', flask['access with audience'], {}, 'INVALID_TOKEN', 'Invalid token: audience'],
  ['audiences, and none is configured', flask['access with audiences'], {}, 'INVALID_TOKEN', 'Invalid token: audience'],
  ['no expiry, though tokens expire', flask['access without expiry'], {}, 'INVALID_TOKEN', 'Invalid token: exp'],
  ['the identity in another claim', flask['access, identity claim of version 3'], {}, 'INVALID_TOKEN', 'Invalid token: sub'],
  ['PyJWT: not yet valid', pyjwt['not yet valid'], {}, 'NOT_YET_VALID', 'Token not yet valid'],
  ['PyJWT: no subject', pyjwt['no subject'], {}, 'INVALID_TOKEN', 'Invalid token: sub'],
  ['PyJWT: no expiry', pyjwt['no expiry'], {}, 'INVALID_TOKEN', 'Invalid token: exp'],
  ['PyJWT: another type', pyjwt['another type'], {}, 'INVALID_TOKEN', 'Invalid token: type'],
  ['PyJWT: not signed', pyjwt['not signed'], {}, 'INVALID_TOKEN', 'Invalid token: algorithm']
]

for (const [name, token, options, code, message] of refused) {
  t.test(`refused: ${name}`, async t => {
    const app = await appWith(t, options)
    const response = await app.inject({ url: '/access', headers: bearer(token ?? '') })
    t.equal(response.statusCode, 401)
    t.match(response.json(), { code: `FST_JWT_${code}`, message })
  })
}

t.test('every token of the fixtures is in one of the tables', async t => {
  const listed = new Set([...accepted, ...refused].map(([, token]) => token))
  for (const [name, token] of [...Object.entries(flask), ...Object.entries(pyjwt)]) t.ok(listed.has(token), name)
})

t.test('an expired token of theirs is readable where expiry is forgiven', async t => {
  const app = await appWith(t, {})
  t.match(app.jwt.decodeToken(flask['access, expired'] ?? '', { allowExpired: true }), { identity: 'user123', type: 'access' })
})
