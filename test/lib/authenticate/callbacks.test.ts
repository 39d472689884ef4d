import { setTimeout as sleep } from 'node:timers/promises'
import Fastify from 'fastify'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import t from 'tap'
import type { Test } from 'tap'
import jwt, { jwtOptional, jwtRequired, refreshTokenRequired, verifyJwt } from '../../../lib/index.ts'
import type { JwtClaims, JwtError } from '../../../lib/index.ts'
import { bearer, secretKey } from '../../helpers/protected-app.ts'
import type { Options } from '../../helpers/protected-app.ts'
import { claims as soundClaims, decoded, forge, parts } from '../../helpers/forge.ts'

function seen (request: FastifyRequest) {
  return {
    identity: request.jwtIdentity,
    claims: request.jwtClaims,
    header: request.jwtHeader,
    location: request.jwtLocation,
    user: request.jwtUser
  }
}

const nobody = { identity: null, claims: null, header: null, location: null, user: null }

/** An app that tells, even when it refuses, what a hook left on the request. */
async function appWith (t: Test, options: Partial<Options>): Promise<FastifyInstance> {
  const app = Fastify() as unknown as FastifyInstance
  t.teardown(() => app.close())
  await app.register(jwt, { secretKey, ...options } as Options)
  app.setErrorHandler<Partial<JwtError>>((error, request, reply) => reply
    .code(error.statusCode ?? 500).headers(error.headers ?? {}).send({ code: error.code, message: error.message, attached: seen(request) }))
  app.get('/required', { preHandler: jwtRequired }, async request => seen(request))
  app.get('/optional', { preHandler: jwtOptional }, async request => seen(request))
  app.get('/strict', { preHandler: verifyJwt({ optional: 'strict' }) }, async request => seen(request))
  app.get('/refresh', { preHandler: refreshTokenRequired }, async request => seen(request))
  app.get('/skip', { preHandler: verifyJwt({ skipRevocationCheck: true }) }, async request => seen(request))
  app.get('/inside', async request => {
    await request.verifyJwt()
    return seen(request)
  })
  await app.ready()
  return app
}

/** A value at once, and the same value later. */
const inTwoWays: ReadonlyArray<[string, <T>(value: T) => T | Promise<T>]> = [
  ['synchronously', value => value],
  ['asynchronously', async value => value]
]

for (const [how, give] of inTwoWays) {
  t.test(`userLookup sets the user, ${how}`, async t => {
    const calls: unknown[] = []
    const app = await appWith(t, {
      userLookup: (claims, request, header) => {
        calls.push([claims.identity, claims.type, request.url, request.jwtIdentity, header?.alg])
        return give({ name: `the user ${claims.identity}` })
      }
    })
    for (const [url, token, type] of [
      ['/required', app.jwt.createAccessToken('user123'), 'access'],
      ['/optional', app.jwt.createAccessToken('user123'), 'access'],
      ['/inside', app.jwt.createAccessToken('user123'), 'access'],
      ['/refresh', app.jwt.createRefreshToken('user123'), 'refresh']
    ] as const) {
      const response = await app.inject({ url, headers: bearer(token) })
      t.equal(response.statusCode, 200, url)
      t.strictSame(response.json().user, { name: 'the user user123' }, url)
      t.strictSame(calls.pop(), ['user123', type, url, null, 'HS256'], `${url}: asked once, before anything is attached`)
      t.equal(calls.length, 0)
    }
    t.equal((await app.inject('/required')).statusCode, 401)
    t.equal((await app.inject('/optional')).statusCode, 200)
    t.equal(calls.length, 0, 'and not without a token')
  })

  for (const found of [null, undefined]) {
    t.test(`userLookup that gives ${String(found)}, ${how}, is a 401 that attaches nothing`, async t => {
      const app = await appWith(t, { userLookup: () => give(found) })
      const headers = bearer(app.jwt.createAccessToken('user123'))
      for (const url of ['/required', '/strict', '/inside']) {
        const response = await app.inject({ url, headers })
        t.equal(response.statusCode, 401, url)
        t.strictSame(response.json(), { code: 'FST_JWT_USER_NOT_FOUND', message: 'User not found', attached: nobody }, url)
        t.equal(response.headers['www-authenticate'], 'Bearer error="invalid_token", error_description="User not found"')
      }
      const optional = await app.inject({ url: '/optional', headers })
      t.equal(optional.statusCode, 200)
      t.strictSame(optional.json(), nobody, 'an optional hook makes it anonymous')
    })
  }

  t.test(`verifyClaims that gives true, ${how}, lets pass; anything else is a 403 that attaches nothing`, async t => {
    const asked: JwtClaims[] = []
    const app = await appWith(t, {
      verifyClaims: (claims, request, header) => {
        asked.push(claims)
        t.equal(header?.typ, 'JWT')
        t.equal(request.jwtClaims, null)
        return give(claims['answer']) as boolean
      }
    })
    const send = (url: string, answer: unknown) =>
      app.inject({ url, headers: bearer(app.jwt.createAccessToken('user123', { claims: { answer } })) })
    for (const url of ['/required', '/optional', '/strict', '/inside']) {
      const response = await send(url, true)
      t.equal(response.json().identity, 'user123', `${url}: true`)
    }
    for (const answer of [false, null, 0, '', 1, 'yes', {}]) {
      for (const url of ['/required', '/strict', '/inside']) {
        const response = await send(url, answer)
        t.equal(response.statusCode, 403, `${url}: ${JSON.stringify(answer)}`)
        t.strictSame(response.json(), { code: 'FST_JWT_CLAIMS_REJECTED', message: 'Token claims rejected', attached: nobody })
        t.equal(response.headers['www-authenticate'], undefined)
      }
      t.strictSame((await send('/optional', answer)).json(), nobody)
    }
    t.ok(asked.every(claims => Object.isFrozen(claims)))
  })

  t.test(`isRevoked that gives true, ${how}, is a 401 that attaches nothing`, async t => {
    const denied = new Set<unknown>()
    const app = await appWith(t, { isRevoked: claims => give(denied.has(claims.jti)) })
    const token = app.jwt.createAccessToken('user123')
    const headers = bearer(token)
    for (const url of ['/required', '/optional', '/strict', '/inside', '/skip']) {
      t.equal((await app.inject({ url, headers })).json().identity, 'user123', `${url} before`)
    }
    denied.add(app.jwt.getJti(token))
    for (const url of ['/required', '/strict', '/inside']) {
      const response = await app.inject({ url, headers })
      t.equal(response.statusCode, 401, `${url} after`)
      t.strictSame(response.json(), { code: 'FST_JWT_REVOKED', message: 'Token has been revoked', attached: nobody }, url)
    }
    t.strictSame((await app.inject({ url: '/optional', headers })).json(), nobody)
    t.equal((await app.inject({ url: '/skip', headers })).json().identity, 'user123', 'skipRevocationCheck does not ask')
  })

  for (const callback of ['userLookup', 'verifyClaims', 'isRevoked'] as const) {
    for (const reason of [new Error('the database is away'), undefined, null, 0, '', false, 'a text']) {
      const shown = reason instanceof Error ? 'an error' : JSON.stringify(reason) ?? 'undefined'
      t.test(`${callback} that throws ${shown}, ${how}, is a 500 that attaches nothing`, async t => {
        const fail = (): never => { throw reason }
        const app = await appWith(t, { [callback]: how === 'synchronously' ? fail : async () => fail() })
        const headers = bearer(app.jwt.createAccessToken('user123'))
        for (const url of ['/required', '/optional', '/strict']) {
          const response = await app.inject({ url, headers })
          t.equal(response.statusCode, 500, url)
          const message = reason instanceof Error ? 'the database is away' : 'A callback of fastify-jwt-extended threw a value that is not an error'
          t.strictSame(response.json(), { message, attached: nobody }, url)
          t.notMatch(response.body, 'user123', url)
        }
        t.equal((await app.inject('/optional')).statusCode, 200, 'without a token nothing is asked')
      })
    }
  }
}

t.test('the callbacks are asked in order, and none after one that refused', async t => {
  const asked: string[] = []
  const answers = { isRevoked: false, verifyClaims: true, userLookup: { id: 1 } as object | null }
  const app = await appWith(t, {
    userLookup: async () => { asked.push('userLookup'); return answers.userLookup },
    verifyClaims: () => { asked.push('verifyClaims'); return answers.verifyClaims },
    isRevoked: async () => { asked.push('isRevoked'); return answers.isRevoked }
  })
  const headers = bearer(app.jwt.createAccessToken('user123'))
  const ask = async (url = '/required', token = headers) => {
    asked.length = 0
    const { statusCode } = await app.inject({ url, headers: token })
    return [statusCode, ...asked]
  }
  t.strictSame(await ask(), [200, 'isRevoked', 'verifyClaims', 'userLookup'])
  answers.verifyClaims = false
  t.strictSame(await ask(), [403, 'isRevoked', 'verifyClaims'])
  answers.isRevoked = true
  t.strictSame(await ask(), [401, 'isRevoked'])
  t.strictSame(await ask('/refresh'), [401], 'a token of the wrong type is not asked about')
  t.strictSame(await ask('/required', bearer(forge(soundClaims({ exp: 1 })))), [401], 'nor one that has expired')
  t.strictSame(await ask('/required', bearer(forge(soundClaims(), {}, 'k'.repeat(64)))), [401], 'nor one of another key')
})

t.test('requests at the same time never see the user of another', async t => {
  const app = await appWith(t, {
    userLookup: async ({ identity }) => {
      // The one that came first is answered last.
      await sleep(60 - Number(identity))
      return { id: identity }
    }
  })
  const identities = Array.from({ length: 60 }, (_, index) => String(index))
  const answers = await Promise.all(identities.map(identity =>
    app.inject({ url: '/required', headers: bearer(app.jwt.createAccessToken(identity)) })))
  t.strictSame(answers.map(answer => [answer.json().identity, answer.json().user]), identities.map(id => [id, { id }]))
})

t.test('two hooks of one request: the user of the last one', async t => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(jwt, {
    secretKey, tokenLocation: ['headers', 'cookies'], userLookup: async ({ identity }) => ({ id: identity })
  })
  app.get('/', { preHandler: [verifyJwt({ locations: 'headers' }), verifyJwt({ locations: 'cookies' })] }, async request => seen(request))
  const response = await app.inject({
    url: '/',
    headers: bearer(app.jwt.createAccessToken('of the header')),
    cookies: { access_token_cookie: app.jwt.createAccessToken('of the cookie') }
  })
  const { identity, user, location } = response.json()
  t.strictSame({ identity, user, location }, { identity: 'of the cookie', user: { id: 'of the cookie' }, location: 'cookies' })
})

t.test('userIdentity makes an identity of any value', async t => {
  const app = await appWith(t, { userIdentity: user => typeof user === 'object' && user !== null && 'id' in user ? user.id as string : user as string })
  for (const [given, identity] of [[{ id: 'user123' }, 'user123'], [{ id: 7 }, '7'], ['plain', 'plain'], [0, '0']] as const) {
    for (const token of [app.jwt.createAccessToken(given), app.jwt.createRefreshToken(given)]) {
      t.equal(app.jwt.decodeToken(token).identity, identity, JSON.stringify(given))
    }
  }
  for (const bad of [{ id: '' }, { id: NaN }, { id: null }, { id: {} }, {}]) {
    t.throws(() => app.jwt.createAccessToken(bad), { name: 'TypeError', message: /userIdentity/ }, JSON.stringify(bad))
  }
})

t.test('without userIdentity an object is no identity, and the message names the option', async t => {
  const app = await appWith(t, {})
  t.throws(() => app.jwt.createAccessToken({ id: 'user123' }), { name: 'TypeError', message: /userIdentity/ })
})

t.test('additionalClaims and additionalHeaders are added to every token, and what the call gives wins', async t => {
  const asked: unknown[] = []
  const app = await appWith(t, {
    userIdentity: user => (user as { id: string }).id,
    additionalClaims: (identity, type, subject) => {
      asked.push(['claims', identity, type, subject])
      return { role: (subject as { role: string }).role, from: 'callback' }
    },
    additionalHeaders: (identity, type, subject) => {
      asked.push(['headers', identity, type, subject])
      return { cty: 'from the callback', tenant: identity }
    }
  })
  const user = { id: 'user123', role: 'editor' }
  for (const [type, create] of [['access', app.jwt.createAccessToken], ['refresh', app.jwt.createRefreshToken]] as const) {
    asked.length = 0
    const token = create(user, { claims: { from: 'call' }, headers: { cty: 'from the call' } })
    t.match(app.jwt.decodeToken(token), { identity: 'user123', type, role: 'editor', from: 'call' })
    t.match(decoded(parts(token)[0]), { alg: 'HS256', typ: 'JWT', cty: 'from the call', tenant: 'user123' })
    t.strictSame(asked, [['claims', 'user123', type, user], ['headers', 'user123', type, user]])
    t.match(app.jwt.decodeToken(create(user)), { role: 'editor', from: 'callback' })
    t.match(app.jwt.getUnverifiedHeader(create(user)), { cty: 'from the callback', tenant: 'user123' })
  }
})

t.test('additionalClaims and additionalHeaders can set nothing that this package sets', async t => {
  for (const name of ['sub', 'identity', 'iat', 'exp', 'nbf', 'jti', 'type', 'fresh', 'csrf', 'sid', 'auth_time']) {
    const app = await appWith(t, { additionalClaims: () => ({ [name]: 1 }) })
    t.throws(() => app.jwt.createAccessToken('user123'), { name: 'TypeError', message: new RegExp(`additionalClaims.*'${name}'`) }, name)
  }
  for (const name of ['alg', 'kid', 'crit', 'b64']) {
    const app = await appWith(t, { additionalHeaders: () => ({ [name]: 'x' }) })
    t.throws(() => app.jwt.createAccessToken('user123'), { name: 'TypeError', message: new RegExp(`additionalHeaders.*'${name}'`) }, name)
  }
})

t.test('additionalClaims and additionalHeaders give an object, at once', async t => {
  for (const option of ['additionalClaims', 'additionalHeaders']) {
    for (const given of [undefined, null, 'text', [], Promise.resolve({})]) {
      const app = await appWith(t, { [option]: () => given })
      t.throws(() => app.jwt.createAccessToken('user123'), { name: 'TypeError', message: new RegExp(option) }, `${option}: ${String(given)}`)
    }
  }
})

t.test('a callback that refuses with an error of its own has that error answered', async t => {
  const teapot = Object.assign(new Error('short and stout'), { statusCode: 418, code: 'TEAPOT' })
  const app = await appWith(t, { userLookup: async () => { throw teapot } })
  const response = await app.inject({ url: '/required', headers: bearer(app.jwt.createAccessToken('user123')) })
  t.equal(response.statusCode, 418)
  t.strictSame(response.json(), { code: 'TEAPOT', message: 'short and stout', attached: nobody })
})

t.test('a callback sees the request', async t => {
  const app = await appWith(t, { verifyClaims: (claims, request) => claims['tenant'] === request.headers['x-tenant'] })
  const token = app.jwt.createAccessToken('user123', { claims: { tenant: 'one' } })
  const ask = async (tenant: string) => (await app.inject({ url: '/required', headers: { ...bearer(token), 'x-tenant': tenant } })).statusCode
  t.equal(await ask('one'), 200)
  t.equal(await ask('two'), 403)
})
