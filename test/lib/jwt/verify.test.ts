import { randomUUID } from 'node:crypto'
import { mock } from 'node:test'
import jsonwebtoken from 'jsonwebtoken'
import t from 'tap'
import { bearer, otherSecretKey, passes, protectedApp, refusals, refused, secretKey } from '../../helpers/protected-app.ts'
import type { Refusal } from '../../helpers/protected-app.ts'
import { base64url, claims, forge, now, parts } from '../../helpers/forge.ts'
import { appWith, ecKeys, send, tokenOf } from '../../helpers/keys/found-keys-app.ts'
import { startIssuer } from '../../helpers/keys/issuer-server.ts'
import { stoppedTime } from '../../helpers/clock.ts'

/** What is no token, as an app might pass it by mistake and an attacker on purpose. */
const odd: unknown[] = [
  undefined, null, true, false, 0, 1, NaN, Infinity, 42n, Symbol('token'), '', ' ', '.', '..', '...', '....', 'a', 'a.b', 'a.b.c',
  'a.b.c.d', '=.=.=', '\0.\0.\0', '\u{1f989}.\u{1f989}.\u{1f989}', '__proto__', 'constructor', 'null', '{}.{}.{}',
  `${base64url({})}.${base64url({})}.`, `${base64url(null)}.${base64url(null)}.x`, `${base64url([])}.${base64url([])}.x`,
  `${base64url('"alg"')}.${base64url('1')}.x`, `${base64url({ alg: { a: 1 } })}.${base64url({})}.x`,
  'a'.repeat(100_000), '.'.repeat(100_000), `${'['.repeat(4000)}.${base64url('['.repeat(4000))}.x`,
  {}, [], ['a.b.c'], Object.create(null), () => 'a.b.c', new Date(), /a.b.c/, Buffer.from('a.b.c'), new Map(), new Proxy({}, {}),
  { toString () { throw new Error('no') } }, { split () { throw new Error('no') } }, { length: 3 }
]

t.test('verifyToken never throws, whatever it gets', async t => {
  const { jwt } = await protectedApp(t)
  for (const value of odd) {
    t.equal(jwt.verifyToken(value as string), false, `${typeof value}`)
    t.equal(jwt.verifyToken(value as string, { type: 'access' }), false)
    t.equal(jwt.verifyToken(value as string, { allowExpired: true }), false)
  }
  const token = jwt.createAccessToken('user123')
  for (let round = 0; round < 2000; round++) {
    const bytes = Buffer.from(token, 'latin1')
    for (let change = 0; change <= round % 3; change++) bytes[Math.floor(Math.random() * bytes.length)] = Math.floor(Math.random() * 256)
    const mutated = bytes.toString('latin1')
    if (mutated !== token && jwt.verifyToken(mutated)) t.fail(`accepted ${mutated}`)
  }
})

t.test('decodeToken of an odd value is a refusal and not a fault', async t => {
  const { jwt } = await protectedApp(t)
  for (const value of odd) {
    t.throws(() => jwt.decodeToken(value as string), { code: 'FST_JWT_INVALID_TOKEN', statusCode: 401 }, typeof value)
  }
})

t.test('the readers of unverified tokens give null for an odd value', async t => {
  const { jwt } = await protectedApp(t)
  for (const value of odd) {
    t.equal(jwt.getIdentity(value as string), null, `getIdentity: ${typeof value}`)
    t.equal(jwt.getJti(value as string), null, `getJti: ${typeof value}`)
    t.equal(jwt.getCsrfToken(value as string), null, `getCsrfToken: ${typeof value}`)
  }
  for (const value of [undefined, null, 42, '', 'a', 'a.b.c', '..', {}, []]) {
    t.equal(jwt.getUnverifiedHeader(value as string), null, `getUnverifiedHeader: ${typeof value}`)
  }
})

t.test('the readers of unverified tokens read without a signature', async t => {
  const { jwt } = await protectedApp(t)
  const jti = randomUUID()
  const tokens = {
    sound: forge(claims({ jti, csrf: 'c-token' })),
    'another key': forge(claims({ jti, csrf: 'c-token' }), {}, otherSecretKey),
    expired: forge(claims({ jti, csrf: 'c-token', exp: 1 }))
  }
  for (const [name, token] of Object.entries(tokens)) {
    t.equal(jwt.getIdentity(token), 'user123', name)
    t.equal(jwt.getCsrfToken(token), 'c-token', name)
    t.strictSame(jwt.getUnverifiedHeader(token), { alg: 'HS256', typ: 'JWT' }, name)
  }
  t.strictSame(jwt.getUnverifiedHeader(forge(claims(), { kid: 'k1', alg: 'none' })), { alg: 'none', typ: 'JWT', kid: 'k1' })
  const bare = forge({ sub: 'user123' })
  t.equal(jwt.getJti(bare), null)
  t.equal(jwt.getCsrfToken(bare), null)
  t.equal(jwt.getIdentity(forge({})), null)
  t.equal(jwt.getIdentity(forge({ sub: 42 })), '42', 'a number is read back as a string')
  t.equal(jwt.getIdentity(forge({ sub: '' })), null, 'an empty string is no identity')
  for (const value of [null, true, {}, ['user123']]) {
    t.equal(jwt.getIdentity(forge({ sub: value })), null, `sub: ${JSON.stringify(value)}`)
  }
})

t.test('getJti gives the id of a token that was verified, expired or not', async t => {
  const { jwt } = await protectedApp(t)
  const jti = randomUUID()
  for (const changes of [{}, { exp: 1 }, { exp: 1, nbf: 1 }, { type: 'refresh' }, { type: 'refresh', exp: 1 }]) {
    const token = forge(claims({ jti, ...changes }))
    for (const time of ['new', 'known']) t.equal(jwt.getJti(token), jti, `${JSON.stringify(changes)}, ${time}`)
  }
  const refused: Record<string, string> = {
    'another key': forge(claims({ jti }), {}, otherSecretKey),
    'another key, expired': forge(claims({ jti, exp: 1 }), {}, otherSecretKey),
    'another id under the signature': `${parts(forge(claims()))[0]}.${base64url(claims({ jti }))}.${parts(forge(claims()))[2]}`,
    'no signature': forge(claims({ jti })).replace(/[^.]+$/, ''),
    none: `${base64url({ alg: 'none' })}.${base64url(claims({ jti }))}.`,
    'another algorithm': forge(claims({ jti }), {}, undefined, 'HS512'),
    'an audience': forge(claims({ jti, aud: 'others' })),
    'not yet valid': forge(claims({ jti, nbf: now() + 600 })),
    'an id that is no text': forge(claims({ jti: 5 })),
    'no id': forge(claims({ jti: undefined }))
  }
  for (const [name, token] of Object.entries(refused)) t.equal(jwt.getJti(token), null, name)
})

t.test('getJti of another issuer\'s token verifies it under keys that are known, and says so if they are not', async t => {
  const keys = ecKeys('a')
  const issuer = await startIssuer(t, keys.jwks)
  const token = tokenOf(keys, { jti: 'one', exp: 4_000_000_000 })
  for (const options of [{ jwksUri: issuer.url }, { issuers: [{ issuer: 'it', jwksUri: issuer.url }] }]) {
    const app = await appWith(t, options)
    const token = tokenOf(keys, { iss: 'it', jti: 'one' })
    t.throws(() => app.jwt.getJti(token), TypeError, 'its keys have to be fetched')
    t.equal((await send(app, token)).status, 200)
    t.equal(app.jwt.getJti(token), 'one')
    t.equal(app.jwt.getJti(tokenOf(keys, { iss: 'it', jti: 'old', exp: 1 })), 'old')
    t.equal(app.jwt.getJti(tokenOf(ecKeys('a', 'another'), { iss: 'it', jti: 'one' })), null)
  }
  const app = await appWith(t, { decodeKey: () => keys.jwks.keys[0] as never })
  t.throws(() => app.jwt.getJti(token), TypeError, 'there is no request')
})

t.test('decodeToken gives the claims with identity beside sub', async t => {
  const { jwt } = await protectedApp(t)
  const payload = claims({ role: 'admin' })
  t.strictSame({ ...jwt.decodeToken(forge(payload)) }, { ...payload, identity: 'user123' })
})

t.test('decodeToken accepts the type it is asked for, and any when it is not asked', async t => {
  const { jwt } = await protectedApp(t)
  const access = jwt.createAccessToken('user123')
  const refresh = jwt.createRefreshToken('user123')
  for (const options of [undefined, {}, { type: 'any' as const }]) {
    t.equal(jwt.decodeToken(access, options).type, 'access')
    t.equal(jwt.decodeToken(refresh, options).type, 'refresh')
    t.equal(jwt.verifyToken(access, options), true)
    t.equal(jwt.verifyToken(refresh, options), true)
  }
  t.equal(jwt.decodeToken(access, { type: 'access' }).identity, 'user123')
  t.equal(jwt.decodeToken(refresh, { type: 'refresh' }).identity, 'user123')
  t.throws(() => jwt.decodeToken(refresh, { type: 'access' }),
    { code: 'FST_JWT_ACCESS_REQUIRED', message: 'Access token required', statusCode: 401 })
  t.throws(() => jwt.decodeToken(access, { type: 'refresh' }),
    { code: 'FST_JWT_REFRESH_REQUIRED', message: 'Refresh token required', statusCode: 401 })
  t.equal(jwt.verifyToken(refresh, { type: 'access' }), false)
  t.equal(jwt.verifyToken(access, { type: 'refresh' }), false)
  t.equal(jwt.verifyToken(access, { type: 'access' }), true)
  t.equal(jwt.verifyToken(refresh, { type: 'refresh' }), true)
})

t.test('allowExpired forgives expiry and nothing else', async t => {
  const { jwt } = await protectedApp(t)
  const expired = jwt.createAccessToken('user123', { expiresIn: -60 })
  t.throws(() => jwt.decodeToken(expired), { code: 'FST_JWT_EXPIRED' })
  t.throws(() => jwt.decodeToken(expired, { allowExpired: false }), { code: 'FST_JWT_EXPIRED' })
  t.equal(jwt.decodeToken(expired, { allowExpired: true }).identity, 'user123')
  t.equal(jwt.verifyToken(expired, { allowExpired: true }), true)
  t.throws(() => jwt.decodeToken(expired), { code: 'FST_JWT_EXPIRED' }, 'and it is remembered for nobody else')
  t.equal(jwt.verifyToken(expired), false)

  const exp = now() - 60
  const table: Array<[token: string, code: string]> = [
    [forge(claims({ exp }), {}, otherSecretKey), 'FST_JWT_INVALID_SIGNATURE'],
    [forge(claims({ exp, nbf: now() + 600 })), 'FST_JWT_NOT_YET_VALID'],
    [forge(claims({ exp, sub: undefined })), 'FST_JWT_INVALID_TOKEN'],
    [forge(claims({ exp: 'then' })), 'FST_JWT_INVALID_TOKEN'],
    ['nonsense', 'FST_JWT_INVALID_TOKEN']
  ]
  for (const [token, code] of table) t.throws(() => jwt.decodeToken(token, { allowExpired: true }), { code }, code)
  t.throws(() => jwt.decodeToken(jwt.createRefreshToken('user123', { expiresIn: -60 }), { allowExpired: true, type: 'access' }),
    { code: 'FST_JWT_ACCESS_REQUIRED' })
})

t.test('expiry is exact, a token may be a few seconds early, and leeway moves both', async t => {
  const app = await protectedApp(t)
  const exact = await protectedApp(t, { leeway: 0 })
  const lenient = await protectedApp(t, { leeway: 60 })
  const early = 'FST_JWT_NOT_YET_VALID'
  const late = 'FST_JWT_EXPIRED'
  const table: Array<[name: string, changes: Record<string, unknown>, byDefault: string | null, exactly: string | null, withLeeway: string | null]> = [
    ['expires in a minute', { exp: now() + 60 }, null, null, null],
    ['expires now', { exp: now() }, late, late, null],
    ['expired two seconds ago', { exp: now() - 2 }, late, late, null],
    ['expired half a minute ago', { exp: now() - 30 }, late, late, null],
    ['expired two minutes ago', { exp: now() - 120 }, late, late, late],
    ['valid from now', { nbf: now() }, null, null, null],
    ['valid in four seconds', { nbf: now() + 4 }, null, early, null],
    ['valid in half a minute', { nbf: now() + 30 }, early, early, null],
    ['valid in two minutes', { nbf: now() + 120 }, early, early, early],
    ['issued in four seconds', { iat: now() + 4 }, null, null, null],
    ['issued in an hour', { iat: now() + 3600 }, null, null, null],
    ['issued and valid in half a minute', { iat: now() + 30, nbf: now() + 30 }, early, early, null]
  ]
  for (const [name, changes, ...codes] of table) {
    const token = forge(claims(changes))
    for (const [index, { jwt }] of [app, exact, lenient].entries()) {
      const code = codes[index]
      for (const time of ['new', 'known']) {
        if (code === null) t.equal(jwt.decodeToken(token).identity, 'user123', `${name}, ${time}`)
        else t.throws(() => jwt.decodeToken(token), { code }, `${name}, ${time}`)
      }
    }
  }
})

t.test('a new token passes on a server whose clock is a few seconds behind', async t => {
  const clock = stoppedTime(t)
  const app = await protectedApp(t)
  const [access, refresh] = [app.jwt.createAccessToken('user123'), app.jwt.createRefreshToken('user123')]
  const session = await app.jwt.createSession('user123')
  clock.advance(-4.5)
  for (const token of [access, session.accessToken]) await passes(t, app, { url: '/required', headers: bearer(token) }, 'user123', 'access')
  for (const token of [refresh, session.refreshToken]) {
    t.notMatch((await app.inject({ url: '/refresh', headers: bearer(token) })).body, 'FST_JWT_NOT_YET_VALID', 'refresh')
  }
  clock.advance(-2)
  await refused(t, app, { url: '/required', headers: bearer(access) }, refusals.notYetValid, 'behind by more')
})

t.test('a token that was valid expires though it was seen before', async t => {
  const app = await protectedApp(t)
  const token = forge(claims({ exp: now() + 2 }))
  for (const time of ['first', 'second', 'third']) {
    await passes(t, app, { url: '/required', headers: bearer(token) }, 'user123', time)
    t.equal(app.jwt.decodeToken(token).identity, 'user123', `decoded for the ${time} time`)
  }
  await new Promise(resolve => setTimeout(resolve, 2100))
  await refused(t, app, { url: '/required', headers: bearer(token) }, refusals.expired, 'later')
  t.throws(() => app.jwt.decodeToken(token), { code: 'FST_JWT_EXPIRED' }, 'decoded later')
})

t.test('a token expires at once when a test sets the time by a fake Date', async t => {
  t.teardown(() => { mock.timers.reset() })
  const app = await protectedApp(t)
  const request = { url: '/required', headers: bearer(app.jwt.createAccessToken('user123')) }
  mock.timers.enable({ apis: ['Date'], now: Date.now() })
  for (const minutes of [0, 7, 14]) {
    await passes(t, app, request, 'user123', `before the end of its 15 minutes: ${minutes}`)
    mock.timers.tick(7 * 60 * 1000)
  }
  await refused(t, app, request, refusals.expired, 'after it')
})

t.test('so it does where it had been seen by the real time, in the same turn of the event loop', async t => {
  t.teardown(() => { mock.timers.reset() })
  const app = await protectedApp(t)
  const request = { url: '/required', headers: bearer(app.jwt.createAccessToken('user123')) }
  for (const time of ['first', 'second', 'third']) await passes(t, app, request, 'user123', time)
  mock.timers.enable({ apis: ['Date'], now: Date.now() + 16 * 60 * 1000 })
  await refused(t, app, request, refusals.expired, 'later')
})

t.test('a token seen before is not yet valid again where the clock is set back', async t => {
  t.teardown(() => { mock.timers.reset() })
  const app = await protectedApp(t)
  const request = { url: '/required', headers: bearer(app.jwt.createAccessToken('user123')) }
  for (const time of ['first', 'second', 'third']) await passes(t, app, request, 'user123', time)
  mock.timers.enable({ apis: ['Date'], now: Date.now() - 60 * 1000 })
  await refused(t, app, request, refusals.notYetValid, 'a minute earlier')
  mock.timers.tick(61 * 1000)
  await passes(t, app, request, 'user123', 'later')
})

t.test('a token expires to the second even in a turn of the event loop that takes long', async t => {
  const app = await protectedApp(t)
  const clock = stoppedTime(t)
  const request = { url: '/required', headers: bearer(forge(claims({ exp: now() + 2 }))) }
  for (const time of ['first', 'second', 'third']) await passes(t, app, request, 'user123', time)
  clock.advance(2)
  await refused(t, app, request, refusals.expired, 'later')
})

t.test('a token made later in the same turn of the event loop is valid at once', async t => {
  const app = await protectedApp(t)
  const clock = stoppedTime(t)
  await passes(t, app, { url: '/required', headers: bearer(app.jwt.createAccessToken('user123')) }, 'user123', 'one before')
  clock.advance(1)
  const request = { url: '/required', headers: bearer(app.jwt.createAccessToken('user123')) }
  for (const time of ['first', 'second', 'third', 'fourth']) await passes(t, app, request, 'user123', time)
})

t.test('secrets rotate by array: the first signs, all verify', async t => {
  const third = 'a third secret of the tests, longer than 32 bytes as it must be'
  const before = await protectedApp(t, { secretKey: otherSecretKey })
  const between = await protectedApp(t, { secretKey: [secretKey, otherSecretKey, third] })
  const after = await protectedApp(t, { secretKey: [secretKey] })
  const oldToken = before.jwt.createAccessToken('old')
  const newToken = between.jwt.createAccessToken('new')

  await passes(t, between, { url: '/required', headers: bearer(oldToken) }, 'old', 'the old secret still verifies')
  await passes(t, between, { url: '/required', headers: bearer(newToken) }, 'new', 'the first verifies')
  await passes(t, between, { url: '/required', headers: bearer(forge(claims(), {}, third)) }, 'user123', 'so does the third')
  await refused(t, between, { url: '/required', headers: bearer(forge(claims(), {}, 'a secret that is not among the three, but long')) },
    refusals.signature, 'no other')
  await passes(t, after, { url: '/required', headers: bearer(newToken) }, 'new', 'the first had signed')
  await refused(t, before, { url: '/required', headers: bearer(newToken) }, refusals.signature, 'and not the second')
  await refused(t, after, { url: '/required', headers: bearer(oldToken) }, refusals.signature, 'a secret that is gone')
  await refused(t, between, { url: '/required', headers: bearer(forge(claims({ exp: now() - 9 }), {}, otherSecretKey)) },
    refusals.expired, 'an expired token of the second is expired, not wrongly signed')
})

t.test('a token of another library is read with what it lacks', async t => {
  const app = await protectedApp(t)
  const token = jsonwebtoken.sign({ role: 'admin' }, secretKey, { subject: 'user123', expiresIn: 60 })
  const decoded = app.jwt.decodeToken(token)
  t.equal(decoded.identity, 'user123')
  t.equal(decoded.type, 'access', 'a missing type reads as access')
  t.equal(decoded.role, 'admin')
  t.ok(decoded.fresh === false || decoded.fresh === undefined, 'a missing fresh is not fresh')
  t.equal(decoded.jti, undefined, 'a missing jti is none')
  t.equal(app.jwt.getJti(token), null)
  const headers = bearer(token)
  await passes(t, app, { url: '/required', headers }, 'user123', 'an access token')
  await refused(t, app, { url: '/fresh', headers }, refusals.freshRequired, 'not fresh')
  await refused(t, app, { url: '/refresh', headers }, refusals.refreshRequired, 'not a refresh token')
  t.equal(app.jwt.verifyToken(token, { type: 'access' }), true)
  t.equal(app.jwt.verifyToken(token, { type: 'refresh' }), false)
})

t.test('a token of ours is accepted by another library', async t => {
  for (const algorithm of ['HS256', 'HS384', 'HS512'] as const) {
    const { jwt } = await protectedApp(t, { algorithm })
    const token = jwt.createAccessToken('user123', { fresh: true, claims: { role: 'admin' } })
    t.match(jsonwebtoken.verify(token, secretKey, { algorithms: [algorithm] }),
      { sub: 'user123', type: 'access', fresh: true, role: 'admin' })
  }
})

t.test('an identity that is a number in a foreign token is a string here', async t => {
  const app = await protectedApp(t)
  await passes(t, app, { url: '/required', headers: bearer(forge(claims({ sub: 42 }))) }, '42', 'a number')
})

t.test('claims that make a signed token unacceptable', async t => {
  const app = await protectedApp(t)
  const table: Array<[name: string, changes: Record<string, unknown>, refusal: Refusal]> = [
    ['no sub', { sub: undefined }, refusals.invalid],
    ['an empty sub', { sub: '' }, refusals.invalid],
    ['sub null', { sub: null }, refusals.invalid],
    ['sub an object', { sub: { id: 1 } }, refusals.invalid],
    ['sub a list', { sub: ['user123'] }, refusals.invalid],
    ['sub a boolean', { sub: true }, refusals.invalid],
    ['identity instead of sub', { sub: undefined, identity: 'user123' }, refusals.invalid],
    ['no exp', { exp: undefined }, refusals.invalid],
    ['exp a word', { exp: 'tomorrow' }, refusals.invalid],
    ['exp a number in a string', { exp: String(now() + 900) }, refusals.invalid],
    ['exp null', { exp: null }, refusals.invalid],
    ['nbf a word', { nbf: 'yesterday' }, refusals.invalid],
    ['a type nobody knows', { type: 'banana' }, refusals.invalid],
    ['a type that is no string', { type: 1 }, refusals.invalid],
    ['type __proto__', { type: '__proto__' }, refusals.invalid]
  ]
  for (const [name, changes, refusal] of table) {
    await refused(t, app, { url: '/required', headers: bearer(forge(claims(changes))) }, refusal, name)
    await passes(t, app, { url: '/optional', headers: bearer(forge(claims(changes))) }, null, `optional: ${name}`)
    t.equal(app.jwt.verifyToken(forge(claims(changes))), false, name)
  }
})

t.test('a type that is there and null is not a type that is missing', async t => {
  const app = await protectedApp(t)
  await refused(t, app, { url: '/required', headers: bearer(forge(claims({ type: null }))) }, refusals.invalid, 'type null')
})

t.test('a fresh claim of another kind is not fresh', async t => {
  const app = await protectedApp(t)
  for (const fresh of [undefined, null, 'yes', 'true', '', {}, [], 0, 1, now() - 1, -1]) {
    const response = await app.inject({ url: '/fresh', headers: bearer(forge(claims({ fresh }))) })
    t.equal(response.statusCode, 401, `fresh: ${JSON.stringify(fresh)}`)
  }
  await passes(t, app, { url: '/fresh', headers: bearer(forge(claims({ fresh: now() + 60 }))) }, 'user123', 'until a time to come')
  await passes(t, app, { url: '/fresh', headers: bearer(forge(claims({ fresh: true }))) }, 'user123', 'true')
})

t.test('a foreign token without exp is accepted where tokens of its type do not expire', async t => {
  const app = await protectedApp(t, { accessExpires: false })
  const access = forge(claims({ exp: undefined }))
  const refresh = forge(claims({ exp: undefined, type: 'refresh', fresh: undefined }))
  await passes(t, app, { url: '/required', headers: bearer(access) }, 'user123', 'access')
  await refused(t, app, { url: '/refresh', headers: bearer(refresh) }, refusals.invalid, 'refresh tokens expire still')
  await refused(t, app, { url: '/required', headers: bearer(forge(claims({ exp: now() - 1 }))) }, refusals.expired, 'an exp still counts')
})

t.test('a token made with expiresIn: false is accepted by the app that made it', async t => {
  // The app asked for it in so many words; refusing its own token would make the option useless.
  const app = await protectedApp(t, { accessExpires: false, refreshExpires: false })
  await passes(t, app, { url: '/required', headers: bearer(app.jwt.createAccessToken('user123', { expiresIn: false })) }, 'user123', 'access')
  await passes(t, app, { url: '/refresh', headers: bearer(app.jwt.createRefreshToken('user123', { expiresIn: false })) }, 'user123', 'refresh')
})

t.test('issuer and audience are asked for when set', async t => {
  const app = await protectedApp(t, { issuer: 'auth.example', audience: 'api' })
  const table: Array<[changes: Record<string, unknown>, accepted: boolean]> = [
    [{ iss: 'auth.example', aud: 'api' }, true],
    [{ iss: 'auth.example', aud: ['web', 'api'] }, true],
    [{ iss: 'auth.example' }, false],
    [{ aud: 'api' }, false],
    [{ iss: 'other.example', aud: 'api' }, false],
    [{ iss: 'auth.example', aud: 'web' }, false],
    [{ iss: 'auth.example', aud: [] }, false],
    [{ iss: 'auth.example', aud: ['apis', 'ap'] }, false],
    [{ iss: ['auth.example'], aud: 'api' }, false],
    [{ iss: 'auth.exampleX', aud: 'api' }, false]
  ]
  for (const [changes, accepted] of table) {
    const request = { url: '/required', headers: bearer(forge(claims(changes))) }
    if (accepted) await passes(t, app, request, 'user123', JSON.stringify(changes))
    else await refused(t, app, request, refusals.invalid, JSON.stringify(changes))
  }
})

t.test('nothing in the answer to a bad token helps to make a better one', async t => {
  const app = await protectedApp(t, { issuer: 'auth.example', audience: 'api' })
  for (const changes of [{ iss: 'other.example', aud: 'api' }, { iss: 'auth.example', aud: 'web' }, { sub: undefined }]) {
    const response = await app.inject({ url: '/required', headers: bearer(forge(claims(changes))) })
    const answer = response.payload + JSON.stringify(response.headers)
    for (const secret of ['auth.example', '"api"', secretKey]) t.notOk(answer.includes(secret), secret)
  }
  const [header, payload] = parts(forge(claims()))
  const response = await app.inject({ url: '/required', headers: bearer(`${header}.${payload}.AAAA`) })
  t.notMatch(response.payload, /expected/i)
})

t.test('beside another identity claim, sub is a string or a number, or is refused', async t => {
  const { jwt } = await protectedApp(t, { identityClaim: 'uid' })
  for (const sub of ['user', 42]) t.equal(jwt.decodeToken(forge(claims({ uid: 'user', sub }))).identity, 'user')
  for (const sub of [true, null, {}, ['user']]) t.throws(() => jwt.decodeToken(forge(claims({ uid: 'user', sub }))), { code: 'FST_JWT_INVALID_TOKEN' }, JSON.stringify(sub))
})
