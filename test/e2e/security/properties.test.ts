import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { configurations, hmac, signed } from '../../helpers/security/configurations.ts'
import { everyLocation, recordingApp } from '../../helpers/security/recording-app.ts'
import type { FastifyInstance, InjectOptions } from 'fastify'
import type { JwtError } from '../../../lib/index.ts'

const owned = new Set(['sub', 'identity', 'iat', 'exp', 'nbf', 'jti', 'type', 'fresh', 'csrf', 'sid', 'auth_time', 'iss', 'aud'])
const text = fc.string({ unit: 'binary', maxLength: 20 })
const name = fc.oneof(text, fc.constantFrom('__proto__', 'constructor', 'toString', 'role', 'a b', '')).filter(name => !owned.has(name) && name !== 'toJSON')
const claims = fc.array(fc.tuple(name, fc.jsonValue({ maxDepth: 3, stringUnit: 'binary' })), { maxLength: 6 }).map(entries => Object.fromEntries(entries) as Record<string, unknown>)
const headers = fc.array(fc.tuple(fc.constantFrom('x', 'cty', 'jku', '__proto__', 'note'), fc.jsonValue({ maxDepth: 2 })), { maxLength: 3 }).map(entries => Object.fromEntries(entries) as Record<string, unknown>)
/** A number past 2^53 may be rounded, and half a surrogate pair is no character: neither names anybody. */
const identity = fc.oneof(
  fc.string({ unit: 'binary', minLength: 1, maxLength: 40 }),
  fc.double({ noNaN: true, noDefaultInfinity: true }).filter(number => Math.abs(number) <= Number.MAX_SAFE_INTEGER),
  fc.integer()
)
const now = (): number => Math.floor(Date.now() / 1000)

/** What JSON makes of a value: -0 is 0 there. */
function asJson (value: unknown): unknown {
  return JSON.parse(JSON.stringify(value))
}

function statusOf (attempt: () => unknown): number {
  try {
    attempt()
    return 200
  } catch (error) {
    return (error as JwtError).statusCode ?? 500
  }
}

for (const configuration of configurations) {
  t.test(`${configuration.name}: what is created decodes to the same`, async t => {
    const { app: { jwt } } = await recordingApp(t, { ...configuration.options, issuer: 'https://issuer.example', audience: ['one', 'two'] })
    fc.assert(fc.property(identity, claims, headers, fc.boolean(), fc.boolean(), fc.integer({ min: 60, max: 1e9 }), (identity, claims, headers, refresh, fresh, expiresIn) => {
      const before = now()
      const token = refresh
        ? jwt.createRefreshToken(identity, { claims, headers, expiresIn })
        : jwt.createAccessToken(identity, { claims, headers, expiresIn, fresh })
      if (token.length > 8192) return
      const { sub, identity: name, iat, nbf, exp, jti, type, fresh: isFresh, iss, aud, ...rest } = jwt.decodeToken(token)
      assert.equal(name, String(identity))
      assert.equal(sub, String(identity))
      assert.equal(type, refresh ? 'refresh' : 'access')
      assert.equal(isFresh, refresh ? undefined : fresh)
      assert.deepEqual([iss, aud], ['https://issuer.example', ['one', 'two']])
      assert.deepEqual(rest, asJson(claims))
      assert.ok(iat !== undefined && iat >= before && iat <= now())
      assert.equal(nbf, iat)
      assert.equal(exp, iat + expiresIn)
      assert.match(jti ?? '', /^[0-9a-f-]{36}$/)
      assert.equal(jwt.getIdentity(token), name)
      const { alg, typ, kid, ...others } = jwt.getUnverifiedHeader(token) ?? {}
      assert.deepEqual([alg, typ, kid], [configuration.algorithm, 'JWT', configuration.kid])
      assert.deepEqual(others, asJson(headers))
    }), { numRuns: configuration.algorithm.startsWith('ES') || configuration.publicKey !== null ? 100 : 500 })
  })

  t.test(`${configuration.name}: a change to any character of a sound token is refused, and the refusal is a 401`, async t => {
    const { app: { jwt } } = await recordingApp(t, configuration.options)
    const tokens = [signed(configuration), jwt.createAccessToken('user123'), jwt.createRefreshToken('user123')]
    const edit = fc.tuple(fc.nat(), fc.nat({ max: 3 }), fc.string({ unit: 'binary', maxLength: 3 }))
    fc.assert(fc.property(fc.constantFrom(...tokens), fc.array(edit, { minLength: 1, maxLength: 4 }), (token, edits) => {
      let changed = token
      for (const [at, removed, added] of edits) {
        const index = at % (changed.length + 1)
        changed = changed.slice(0, index) + added + changed.slice(index + removed)
      }
      if (tokens.includes(changed)) return
      assert.equal(statusOf(() => jwt.decodeToken(changed)), 401)
      assert.equal(jwt.verifyToken(changed), false)
    }), { numRuns: configuration.publicKey === null ? 2000 : 300 })
  })
}

t.test('whatever stands in for a token is refused, and the refusal is a 401', async t => {
  const { app: { jwt } } = await recordingApp(t, hmac.options)
  fc.assert(fc.property(fc.anything({ withBigInt: true, withDate: true, withMap: true, withNullPrototype: true, withTypedArray: true }), value => {
    assert.equal(statusOf(() => jwt.decodeToken(value as string)), 401)
    assert.equal(jwt.verifyToken(value as string), false)
    for (const read of [jwt.getIdentity, jwt.getJti, jwt.getCsrfToken, jwt.getUnverifiedHeader]) assert.equal(read(value as string), null)
  }), { numRuns: 2000 })
})

async function refused (app: FastifyInstance, request: InjectOptions): Promise<void> {
  const { statusCode, body } = await app.inject(request)
  assert.ok(statusCode >= 400 && statusCode < 500, `${statusCode} ${body}`)
}

t.test('no text in header, cookie, query or body passes, or gets more than a 4xx', async t => {
  const { app } = await recordingApp(t, { ...hmac.options, ...everyLocation, csrfProtection: ['fetch-metadata', 'double-submit'], csrfCheckForm: true })
  const any = fc.string({ unit: 'binary', maxLength: 200 })
  await fc.assert(fc.asyncProperty(any, any, any, fc.jsonValue(), fc.constantFrom('/required', '/fresh', '/refresh', '/any', '/rotate'), async (header, cookie, query, body, url) => {
    await refused(app, { url, headers: { authorization: header } })
    await refused(app, { url, headers: { authorization: `Bearer ${header}`, cookie } })
    await refused(app, { url, headers: { cookie: `access_token_cookie=${cookie}; refresh_token_cookie=${cookie}` } })
    await refused(app, { url: `${url}?jwt=${encodeURIComponent(Buffer.from(query).toString())}` })
    await refused(app, { url, method: 'POST', payload: JSON.stringify(body), headers: { 'content-type': 'application/json' } })
    await refused(app, { url, method: 'POST', payload: { access_token: body, refresh_token: body } })
    await refused(app, { url, method: 'POST', payload: query, headers: { 'content-type': 'application/x-www-form-urlencoded' } })
  }), { numRuns: 150 })
})

t.test('fetch metadata: the verdict is that of the algorithm, for any headers', async t => {
  const { app } = await recordingApp(t, { ...hmac.options, tokenLocation: 'cookies', trustedOrigins: ['https://trusted.example'] })
  const cookie = `access_token_cookie=${signed(hmac)}`
  const host = 'app.example'
  const origin = fc.option(fc.oneof(fc.constantFrom('http://app.example', 'https://app.example', 'https://trusted.example', 'null', '', 'http://evil.example'), fc.webUrl(), fc.string()), { nil: undefined })
  const site = fc.option(fc.oneof(fc.constantFrom('same-origin', 'none', 'same-site', 'cross-site', ''), fc.string()), { nil: undefined })
  await fc.assert(fc.asyncProperty(origin, site, fc.constantFrom('GET', 'POST', 'PUT', 'PATCH', 'DELETE'), async (origin, site, method) => {
    const allowed = method === 'GET' || origin === 'https://trusted.example' ||
      (site === undefined ? origin === undefined || ['http://app.example', 'https://app.example'].includes(origin) : ['same-origin', 'none'].includes(site))
    const headers = { host, cookie, ...(origin === undefined ? {} : { origin }), ...(site === undefined ? {} : { 'sec-fetch-site': site }) }
    const { statusCode } = await app.inject({ url: '/required', method: method as 'GET', headers })
    assert.equal(statusCode, allowed ? 200 : 403)
  }), { numRuns: 1000 })
})

t.test('double submit: only the CSRF token itself passes', async t => {
  const { app } = await recordingApp(t, { ...hmac.options, tokenLocation: 'cookies', csrfProtection: 'double-submit' })
  const token = app.jwt.createAccessToken('user123')
  const csrf = app.jwt.getCsrfToken(token) as string
  const near = fc.tuple(fc.nat({ max: 40 }), fc.string({ maxLength: 2 })).map(([at, added]) => csrf.slice(0, at) + added + csrf.slice(at + 1))
  await fc.assert(fc.asyncProperty(fc.oneof(fc.constant(csrf), near, fc.string({ unit: 'binary' })), async sent => {
    const { statusCode } = await app.inject({ url: '/required', method: 'POST', headers: { cookie: `access_token_cookie=${token}`, 'x-csrf-token': sent } })
    assert.equal(statusCode, sent === csrf ? 200 : 403)
  }), { numRuns: 1000 })
})
