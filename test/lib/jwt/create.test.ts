import t from 'tap'
import { bearer, passes, protectedApp, refusals, refused, secretKey } from '../../helpers/protected-app.ts'
import { decoded, now, parts, sign } from '../../helpers/forge.ts'

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

const payloadOf = (token: string) => decoded(parts(token)[1])
const headerOf = (token: string) => decoded(parts(token)[0])

t.test('an access token has its own header parameters and claims, and no others', async t => {
  const { jwt } = await protectedApp(t)
  const before = now()
  const token = jwt.createAccessToken('user123')
  const after = now()
  const { iat, nbf, exp, jti, ...others } = payloadOf(token)
  t.strictSame(headerOf(token), { alg: 'HS256', typ: 'JWT' })
  t.strictSame(others, { sub: 'user123', type: 'access', fresh: false })
  t.ok(Number.isInteger(iat) && Number(iat) >= before && Number(iat) <= after, 'iat is now, in whole seconds')
  t.equal(nbf, iat)
  t.equal(exp, Number(iat) + 900)
  t.match(jti, uuid)
  const [header, payload, signature] = parts(token)
  t.equal(signature, sign(`${header}.${payload}`, secretKey))
  t.notMatch(token, /[^A-Za-z0-9._-]/, 'base64url without padding (RFC 7515 §2)')
})

t.test('a refresh token is not fresh and not not fresh', async t => {
  const { jwt } = await protectedApp(t)
  const token = jwt.createRefreshToken('user123')
  const { iat, nbf, exp, jti, ...others } = payloadOf(token)
  t.strictSame(headerOf(token), { alg: 'HS256', typ: 'JWT' })
  t.strictSame(others, { sub: 'user123', type: 'refresh' })
  t.equal(nbf, iat)
  t.equal(exp, Number(iat) + 2592000)
  t.match(jti, uuid)
})

t.test('every token has an id of its own', async t => {
  const { jwt } = await protectedApp(t)
  const ids = new Set(Array.from({ length: 200 }, (_, index) =>
    jwt.getJti(index % 2 === 0 ? jwt.createAccessToken('user123') : jwt.createRefreshToken('user123'))))
  t.equal(ids.size, 200)
})

t.test('expiresIn is seconds, a duration, or false', async t => {
  const { jwt } = await protectedApp(t)
  const table: Array<[expiresIn: number | string, seconds: number]> = [
    [1, 1], [3600, 3600], [-60, -60], ['15m', 900], ['2 hours', 7200], ['30 days', 2592000], ['45s', 45], ['1h', 3600], ['-1m', -60]
  ]
  for (const [expiresIn, seconds] of table) {
    for (const token of [jwt.createAccessToken('user123', { expiresIn }), jwt.createRefreshToken('user123', { expiresIn })]) {
      const { iat, exp } = payloadOf(token)
      t.equal(Number(exp) - Number(iat), seconds, JSON.stringify(expiresIn))
    }
  }
  for (const token of [jwt.createAccessToken('user123', { expiresIn: false }), jwt.createRefreshToken('user123', { expiresIn: false })]) {
    t.notOk('exp' in payloadOf(token), 'false: no exp')
  }
})

t.test('expiresIn of another kind is a TypeError', async t => {
  const { jwt } = await protectedApp(t)
  for (const expiresIn of ['soon', '', NaN, Infinity, true, {}, [], '10 parsecs']) {
    t.throws(() => jwt.createAccessToken('user123', { expiresIn: expiresIn as never }), TypeError, `access: ${String(expiresIn)}`)
    t.throws(() => jwt.createRefreshToken('user123', { expiresIn: expiresIn as never }), TypeError, `refresh: ${String(expiresIn)}`)
  }
})

t.test('an option that there is not is a TypeError that names those there are', async t => {
  const { jwt } = await protectedApp(t)
  t.throws(() => jwt.createAccessToken('user123', { expiresAt: 60 } as object), new TypeError("Unknown option 'expiresAt'; did you mean 'expiresIn'?"))
  t.throws(() => jwt.createRefreshToken('user123', { fresh: true } as object), new TypeError("Unknown option 'fresh'; the options are expiresIn, claims, headers"))
})

t.test('a negative expiresIn makes an expired token', async t => {
  const app = await protectedApp(t)
  await refused(t, app, { url: '/required', headers: bearer(app.jwt.createAccessToken('user123', { expiresIn: -1 })) },
    refusals.expired, 'access')
  await refused(t, app, { url: '/refresh', headers: bearer(app.jwt.createRefreshToken('user123', { expiresIn: -1 })) },
    refusals.expired, 'refresh')
})

t.test('accessExpires and refreshExpires are seconds, a duration, or false, and expiresIn goes before them', async t => {
  for (const [option, seconds] of [[60, 60], ['15m', 900], ['1 day', 86400]] as const) {
    const { jwt } = await protectedApp(t, { accessExpires: option, refreshExpires: option })
    for (const create of ['createAccessToken', 'createRefreshToken'] as const) {
      const life = (token: string) => Number(payloadOf(token).exp) - Number(payloadOf(token).iat)
      t.equal(life(jwt[create]('user123')), seconds)
      t.equal(life(jwt[create]('user123', { expiresIn: 5 })), 5)
    }
  }
  const app = await protectedApp(t, { accessExpires: false, refreshExpires: false })
  const access = app.jwt.createAccessToken('user123')
  const refresh = app.jwt.createRefreshToken('user123')
  t.notOk('exp' in payloadOf(access))
  t.notOk('exp' in payloadOf(refresh))
  await passes(t, app, { url: '/required', headers: bearer(access) }, 'user123', 'access without end')
  await passes(t, app, { url: '/refresh', headers: bearer(refresh) }, 'user123', 'refresh without end')
  t.ok('exp' in payloadOf(app.jwt.createAccessToken('user123', { expiresIn: 5 })))
})

t.test('fresh is true, false, or a duration stored as the second at which it ends', async t => {
  const app = await protectedApp(t)
  const { jwt } = app
  t.equal(payloadOf(jwt.createAccessToken('user123')).fresh, false)
  t.equal(payloadOf(jwt.createAccessToken('user123', { fresh: false })).fresh, false)
  t.equal(payloadOf(jwt.createAccessToken('user123', { fresh: true })).fresh, true)
  for (const [fresh, seconds] of [[300, 300], ['5m', 300], ['1 hour', 3600], [-60, -60]] as const) {
    const token = jwt.createAccessToken('user123', { fresh })
    const payload = payloadOf(token)
    t.equal(Number(payload.fresh) - Number(payload.iat), seconds, String(fresh))
    const request = { url: '/fresh', headers: bearer(token) }
    if (seconds > 0) await passes(t, app, request, 'user123', `fresh for ${fresh}`)
    else await refused(t, app, request, refusals.freshRequired, 'no longer fresh')
    await passes(t, app, { ...request, url: '/required' }, 'user123', 'valid either way')
  }
  for (const fresh of ['soon', NaN, Infinity, {}]) {
    t.throws(() => jwt.createAccessToken('user123', { fresh: fresh as never }), TypeError, `fresh: ${String(fresh)}`)
  }
})

t.test('an identity is a non-empty string or a finite number', async t => {
  const { jwt } = await protectedApp(t)
  for (const [identity, sub] of [['user123', 'user123'], [42, '42'], [0, '0'], [-1.5, '-1.5'], [' ', ' '], ['Zoë 🦉', 'Zoë 🦉'], ['null', 'null']] as const) {
    for (const token of [jwt.createAccessToken(identity), jwt.createRefreshToken(identity)]) {
      t.equal(payloadOf(token).sub, sub)
      t.equal(jwt.decodeToken(token).identity, sub)
      t.equal(jwt.getIdentity(token), sub)
    }
  }
  const refusedIdentities = ['', NaN, Infinity, -Infinity, null, undefined, true, false, {}, { id: 1 }, [], ['user123'], () => 'user123', Symbol('user')]
  for (const identity of refusedIdentities) {
    t.throws(() => jwt.createAccessToken(identity as never), TypeError, `access: ${typeof identity} ${String(identity)}`)
    t.throws(() => jwt.createRefreshToken(identity as never), TypeError, `refresh: ${typeof identity} ${String(identity)}`)
  }
})

t.test("the app's own claims are written as they are", async t => {
  const { jwt } = await protectedApp(t)
  const claims = { role: 'admin', scope: 'read write', nested: { list: [1, 'two', null, { three: true }] }, name: 'Zoë 🦉', zero: 0, no: false }
  for (const token of [jwt.createAccessToken('user123', { claims }), jwt.createRefreshToken('user123', { claims })]) {
    t.match(payloadOf(token), claims)
    t.match(jwt.decodeToken(token), claims)
  }
})

t.test('a claim that this package owns is a TypeError that names it', async t => {
  const { jwt } = await protectedApp(t)
  const owned = ['sub', 'identity', 'iat', 'exp', 'nbf', 'jti', 'type', 'fresh', 'csrf', 'sid', 'auth_time']
  for (const claim of owned) {
    for (const value of ['admin', 1, null, undefined]) {
      const claims = { role: 'admin', [claim]: value }
      const error = { name: 'TypeError', message: new RegExp(`\\b${claim}\\b`) }
      t.throws(() => jwt.createAccessToken('user123', { claims }), error, `access: ${claim}: ${value}`)
      t.throws(() => jwt.createRefreshToken('user123', { claims }), error, `refresh: ${claim}: ${value}`)
    }
  }
})

t.test('the configured identity claim is owned, and written instead of sub', async t => {
  const app = await protectedApp(t, { identityClaim: 'uid' })
  const token = app.jwt.createAccessToken('user123')
  t.equal(payloadOf(token).uid, 'user123')
  t.notOk('sub' in payloadOf(token))
  await passes(t, app, { url: '/required', headers: bearer(token) }, 'user123', 'read back')
  t.equal(app.jwt.getIdentity(token), 'user123')
  t.throws(() => app.jwt.createAccessToken('user123', { claims: { uid: 'admin' } }), { name: 'TypeError', message: /\buid\b/ })
  t.throws(() => app.jwt.createAccessToken('user123', { claims: { identity: 'admin' } }), { name: 'TypeError', message: /\bidentity\b/ })
})

t.test('claims that are no object, and claims JSON cannot hold, are a TypeError', async t => {
  const { jwt } = await protectedApp(t)
  for (const claims of ['role', 42, true, null, ['role']]) {
    t.throws(() => jwt.createAccessToken('user123', { claims: claims as never }), TypeError, JSON.stringify(claims))
  }
  const circular: Record<string, unknown> = {}
  circular.self = circular
  t.throws(() => jwt.createAccessToken('user123', { claims: circular }), TypeError, 'a circle')
  t.throws(() => jwt.createAccessToken('user123', { claims: { big: 1n } }), TypeError, 'a bigint')
})

t.test('a claim named __proto__ is a claim like any other, and changes no prototype', async t => {
  const { jwt } = await protectedApp(t)
  const claims = JSON.parse('{"__proto__":{"role":"admin"},"constructor":"x"}') as Record<string, unknown>
  let token: string
  try {
    token = jwt.createAccessToken('user123', { claims })
  } catch (error) {
    t.ok(error instanceof TypeError, 'refusing to write it is as good')
    return
  }
  const found = jwt.decodeToken(token)
  t.equal(found.role, undefined)
  t.equal(({} as Record<string, unknown>).role, undefined)
})

t.test('headers are added, and alg is not for the taking', async t => {
  const app = await protectedApp(t)
  for (const create of ['createAccessToken', 'createRefreshToken'] as const) {
    const token = app.jwt[create]('user123', { headers: { 'x-tenant': 'north', cty: 'example' } })
    t.strictSame(headerOf(token), { alg: 'HS256', typ: 'JWT', 'x-tenant': 'north', cty: 'example' })
    t.strictSame(app.jwt.getUnverifiedHeader(token), { alg: 'HS256', typ: 'JWT', 'x-tenant': 'north', cty: 'example' })
    t.throws(() => app.jwt[create]('user123', { headers: { alg: 'none' } }), TypeError, 'alg none')
    t.throws(() => app.jwt[create]('user123', { headers: { alg: 'HS512' } }), TypeError, 'another alg')
  }
  const response = await app.inject({
    url: '/required', headers: bearer(app.jwt.createAccessToken('user123', { headers: { 'x-tenant': 'north' } }))
  })
  t.equal(response.statusCode, 200)
})

t.test('encodeNbf: false leaves nbf out', async t => {
  const app = await protectedApp(t, { encodeNbf: false })
  const token = app.jwt.createAccessToken('user123')
  t.notOk('nbf' in payloadOf(token))
  await passes(t, app, { url: '/required', headers: bearer(token) }, 'user123', 'and is not asked for')
})

t.test('issuer and audience are written when set', async t => {
  const { jwt } = await protectedApp(t, { issuer: 'https://auth.example', audience: ['api', 'web'] })
  for (const token of [jwt.createAccessToken('user123'), jwt.createRefreshToken('user123')]) {
    t.match(payloadOf(token), { iss: 'https://auth.example', aud: ['api', 'web'] })
    t.equal(jwt.verifyToken(token), true)
  }
})

t.test('the secret may be a Buffer', async t => {
  const app = await protectedApp(t, { secretKey: Buffer.from(secretKey) })
  const token = app.jwt.createAccessToken('user123')
  const [header, payload, signature] = parts(token)
  t.equal(signature, sign(`${header}.${payload}`, secretKey))
  await passes(t, app, { url: '/required', headers: bearer(token) }, 'user123', 'a Buffer')
})
