import { STATUS_CODES } from 'node:http'
import Fastify from 'fastify'
import type { FastifyError, FastifyInstance, InjectOptions } from 'fastify'
import t from 'tap'
import jwt, { freshJwtRequired, jwtRequired, refreshTokenRequired } from '../../lib/index.ts'
import { createErrors, errorCodes } from '../../lib/errors.ts'
import type { JwtError, JwtErrorCode } from '../../lib/types/errors.ts'
import { assertRefused, bearer, otherSecretKey, protectedApp, refusals, secretKey } from '../helpers/protected-app.ts'
import type { Options, Refusal } from '../helpers/protected-app.ts'
import { claims, forge, now, parts } from '../helpers/forge.ts'

/** The table of section 3: status, message (`null` where it is the reason alone), challenge (`null` for none). */
const table: Array<[code: JwtErrorCode, status: number, message: string | null, challenge: string | null]> = [
  ['FST_JWT_MISSING_TOKEN', 401, 'Missing JWT token', 'Bearer'],
  ['FST_JWT_BAD_REQUEST', 400, null, 'Bearer error="invalid_request", error_description="the reason"'],
  ['FST_JWT_EXPIRED', 401, 'Token has expired', 'invalid_token'],
  ['FST_JWT_NOT_YET_VALID', 401, 'Token not yet valid', 'invalid_token'],
  ['FST_JWT_INVALID_SIGNATURE', 401, 'Invalid token signature', 'invalid_token'],
  ['FST_JWT_INVALID_TOKEN', 401, 'Invalid token: the reason', 'invalid_token'],
  ['FST_JWT_ACCESS_REQUIRED', 401, 'Access token required', 'invalid_token'],
  ['FST_JWT_REFRESH_REQUIRED', 401, 'Refresh token required', 'invalid_token'],
  ['FST_JWT_FRESH_REQUIRED', 401, 'Fresh token required', 'invalid_token'],
  ['FST_JWT_REVOKED', 401, 'Token has been revoked', 'invalid_token'],
  ['FST_JWT_REUSED', 401, 'Refresh token has been reused', 'invalid_token'],
  ['FST_JWT_STALE', 401, 'Token is stale', 'invalid_token'],
  ['FST_JWT_DPOP_PROOF', 401, 'Invalid DPoP proof: the reason', 'DPoP error="invalid_dpop_proof", error_description="Invalid DPoP proof: the reason"'],
  ['FST_JWT_DPOP_NONCE', 401, 'DPoP nonce required', 'DPoP error="use_dpop_nonce", error_description="DPoP nonce required"'],
  ['FST_JWT_DPOP_BINDING', 401, null, 'Bearer error="invalid_token", error_description="the reason"'],
  ['FST_JWT_USER_NOT_FOUND', 401, 'User not found', 'invalid_token'],
  ['FST_JWT_CLAIMS_REJECTED', 403, 'Token claims rejected', null],
  ['FST_JWT_CSRF', 403, null, null],
  ['FST_JWT_FORBIDDEN', 403, null, 'Bearer error="insufficient_scope", error_description="the reason"'],
  ['FST_JWT_TOO_MANY_SESSIONS', 403, 'Too many sessions', null],
  ['FST_JWT_DEVICE_BOUND', 403, 'The session is bound to a device: its refresh token alone cannot refresh it', null],
  ['FST_JWT_DEVICE_PROOF_REQUIRED', 403, 'A proof of the device is required', null],
  ['FST_JWT_DEVICE_PROOF_INVALID', 400, 'Invalid device proof: the reason', null],
  ['FST_JWT_DEVICE_REFRESH_SKIPPED', 503, 'The browser could not refresh its session', null],
  ['FST_JWT_STORE_UNAVAILABLE', 503, 'Token store unavailable', null],
  ['FST_JWT_KEYS_UNAVAILABLE', 503, 'Token keys unavailable', null],
  ['FST_JWT_INTROSPECTION_UNAVAILABLE', 503, 'Token introspection unavailable', null],
  ['FST_JWT_COOKIE_TOO_LARGE', 500, null, null],
  ['FST_JWT_NOT_REGISTERED', 500, null, null],
  ['FST_JWT_BAD_OPTION', 500, null, null]
]

t.test('every error answers as the table says', async t => {
  t.strictSame([...errorCodes].sort(), table.map(([code]) => code).sort(), 'the table is whole')
  const errors = createErrors()
  for (const [code, status, text, challenge] of table) {
    const app = Fastify()
    t.teardown(() => app.close())
    app.get('/', async () => { throw errors[code]('the reason') })
    const response = await app.inject('/')
    const message = text ?? 'the reason'
    t.equal(response.statusCode, status, code)
    t.strictSame(response.json(), { statusCode: status, code, error: STATUS_CODES[status], message }, code)
    t.equal(response.headers['www-authenticate'], challenge === 'invalid_token'
      ? `Bearer error="invalid_token", error_description="${message}"`
      : challenge ?? undefined, code)
  }
})

t.test('a scope is named in the challenge (RFC 6750 §3)', async t => {
  const error = createErrors().FST_JWT_FORBIDDEN('Missing scope read', 'read')
  t.strictSame(error.headers, {
    'WWW-Authenticate': 'Bearer error="insufficient_scope", error_description="Missing scope read", scope="read"'
  })
})

t.test('a reason cannot break out of the header it is put in', async t => {
  const errors = createErrors()
  for (const reason of ['a "quoted" word', 'a\\b', 'line\r\nSet-Cookie: x=y', 'Zoë 🦉', '%s', '$&']) {
    const challenge = errors.FST_JWT_BAD_REQUEST(reason).headers?.['WWW-Authenticate'] ?? ''
    t.match(challenge, /^Bearer error="invalid_request", error_description="[\x20\x21\x23-\x5b\x5d-\x7e]*"$/, JSON.stringify(reason))
    t.equal(errors.FST_JWT_BAD_REQUEST(reason).message, reason, 'the message holds it as it is')
  }
})

t.test('realm is in every challenge', async t => {
  const app = await protectedApp(t, { realm: 'the "inner" \\ api' })
  const realm = 'realm="the \\"inner\\" \\\\ api"'
  const challenge = async (headers: Record<string, string>) => (await app.inject({ url: '/required', headers })).headers['www-authenticate']
  t.equal(await challenge({}), `Bearer ${realm}`)
  t.equal(await challenge(bearer(app.jwt.createAccessToken('user123', { expiresIn: -1 }))),
    `Bearer ${realm}, error="invalid_token", error_description="Token has expired"`)
  const bad = await challenge({ authorization: 'Bearer' })
  t.ok(typeof bad === 'string' && bad.startsWith(`Bearer ${realm}, error="invalid_request", error_description="`))
})

const expectations = (app: FastifyInstance): Array<[name: string, request: InjectOptions, refusal: Refusal]> => {
  const access = app.jwt.createAccessToken('user123')
  const cookies = { access_token_cookie: access }
  return [
    ['missing', { url: '/required' }, refusals.missing],
    ['malformed header', { url: '/required', headers: { authorization: `Bearer ${access} ${access}` } }, refusals.badRequest],
    ['expired', { url: '/required', headers: bearer(app.jwt.createAccessToken('user123', { expiresIn: -1 })) }, refusals.expired],
    ['not yet valid', { url: '/required', headers: bearer(forge(claims({ nbf: now() + 600 }))) }, refusals.notYetValid],
    ['another key', { url: '/required', headers: bearer(forge(claims(), {}, otherSecretKey)) }, refusals.signature],
    ['nonsense', { url: '/required', headers: bearer('nonsense-that-is-no-token') }, refusals.invalid],
    ['no sub', { url: '/required', headers: bearer(forge(claims({ sub: undefined }))) }, refusals.invalid],
    ['refresh for access', { url: '/required', headers: bearer(app.jwt.createRefreshToken('user123')) }, refusals.accessRequired],
    ['access for refresh', { url: '/refresh', headers: bearer(access) }, refusals.refreshRequired],
    ['not fresh', { url: '/fresh', headers: bearer(access) }, refusals.freshRequired],
    ['cross-site', { method: 'POST', url: '/required', headers: { 'sec-fetch-site': 'cross-site' }, cookies }, refusals.csrf]
  ]
}

t.test('each refusal of a hook, whole', async t => {
  const app = await protectedApp(t, { tokenLocation: ['headers', 'cookies'] })
  for (const [name, request, refusal] of expectations(app)) assertRefused(t, await app.inject(request), refusal, name)
})

t.test('messages replace the words of an answer and leave status, code and challenge', async t => {
  const messages = {
    FST_JWT_MISSING_TOKEN: 'Bitte anmelden 🦉',
    FST_JWT_EXPIRED: 'Sitzung abgelaufen',
    FST_JWT_INVALID_TOKEN: 'Ungültig (%s)',
    FST_JWT_FRESH_REQUIRED: 'Bitte neu anmelden',
    FST_JWT_CSRF: 'Nein',
    FST_JWT_BAD_REQUEST: 'Wie bitte?'
  }
  const app = await protectedApp(t, { tokenLocation: ['headers', 'cookies'], messages })
  for (const [name, request, refusal] of expectations(app)) {
    const own = (messages as Record<string, string>)[refusal.code]
    const message = own === undefined ? refusal.message : own.includes('%s') ? /^Ungültig \(.+\)$/ : own
    assertRefused(t, await app.inject(request), { ...refusal, message }, name)
  }
  t.throws(() => app.jwt.decodeToken(app.jwt.createAccessToken('user123', { expiresIn: -1 })), { message: 'Sitzung abgelaufen' })
})

t.test('contexts have their own messages and realm', async t => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(jwt, { secretKey, realm: 'outer' })
  app.get('/outer', { preHandler: jwtRequired }, async () => ({}))
  await app.register(async context => {
    await context.register(jwt, { secretKey, realm: 'inner', messages: { FST_JWT_MISSING_TOKEN: 'Who are you?' } })
    context.get('/inner', { preHandler: jwtRequired }, async () => ({}))
  })
  assertRefused(t, await app.inject('/outer'), { ...refusals.missing, challenge: 'Bearer realm="outer"' }, 'outer')
  assertRefused(t, await app.inject('/inner'),
    { ...refusals.missing, message: 'Who are you?', challenge: 'Bearer realm="inner"' }, 'inner')
})

t.test('a refusal captures no stack trace', async t => {
  const app = Fastify() as unknown as FastifyInstance
  t.teardown(() => app.close())
  const errors: FastifyError[] = []
  await app.register(jwt, { secretKey, tokenLocation: ['headers', 'cookies'] })
  app.addHook('onError', async (_request, _reply, error) => { errors.push(error) })
  app.route({ method: ['GET', 'POST'], url: '/required', preHandler: jwtRequired, handler: async () => ({}) })
  app.get('/fresh', { preHandler: freshJwtRequired }, async () => ({}))
  app.get('/refresh', { preHandler: refreshTokenRequired }, async () => ({}))
  await app.ready()
  const cases = expectations(app)
  for (const [, request] of cases) await app.inject(request)
  t.equal(errors.length, cases.length)
  for (const error of errors) t.notMatch(String(error.stack), /\n\s+at /, error.code)
  try {
    app.jwt.decodeToken('nonsense')
    t.fail('accepted')
  } catch (error) {
    t.ok(error instanceof Error)
    t.notMatch(String((error as Error).stack), /\n\s+at /, 'decodeToken')
  }
})

t.test('setErrorHandler gets the error, with the challenge to pass on', async t => {
  const app = Fastify() as unknown as FastifyInstance
  t.teardown(() => app.close())
  const seen: FastifyError[] = []
  await app.register(jwt, { secretKey, realm: 'api' })
  app.get('/required', {
    preHandler: jwtRequired,
    errorHandler: (error, _request, reply) => {
      seen.push(error)
      return reply.code(error.statusCode ?? 500).headers((error as JwtError).headers ?? {}).send({ problem: error.code })
    }
  }, async () => ({}))
  await app.register(async context => {
    context.setErrorHandler((error, _request, reply) => reply.send(error))
    context.get('/inner', { preHandler: jwtRequired }, async () => ({}))
  })
  await app.ready()
  const expired = bearer(app.jwt.createAccessToken('user123', { expiresIn: -1 }))

  const challenge = 'Bearer realm="api", error="invalid_token", error_description="Token has expired"'
  const response = await app.inject({ url: '/required', headers: expired })
  t.equal(response.statusCode, 401)
  t.strictSame(response.json(), { problem: 'FST_JWT_EXPIRED' })
  t.equal(response.headers['www-authenticate'], challenge)
  t.match(seen[0], { statusCode: 401, code: 'FST_JWT_EXPIRED', message: 'Token has expired' })
  t.ok(seen[0] instanceof Error)

  // Sending the error itself hands it to Fastify's own handler, which sets its headers.
  const resent = await app.inject({ url: '/inner', headers: expired })
  t.equal(resent.statusCode, 401)
  t.strictSame(resent.json(), { statusCode: 401, code: 'FST_JWT_EXPIRED', error: 'Unauthorized', message: 'Token has expired' })
  t.equal(resent.headers['www-authenticate'], challenge)
})

t.test('no log line at any level, no answer and no error holds a token or a key', async t => {
  let log = ''
  const app = Fastify({
    logger: { level: 'trace', stream: { write: (line: string) => { log += line } } }
  }) as unknown as FastifyInstance
  t.teardown(() => app.close())
  const options: Partial<Options> = { tokenLocation: ['headers', 'cookies'] }
  await app.register(jwt, { secretKey, ...options } as Options)
  app.route({ method: ['GET', 'POST'], url: '/required', preHandler: jwtRequired, handler: async () => ({}) })
  app.get('/fresh', { preHandler: freshJwtRequired }, async () => ({}))
  app.get('/refresh', { preHandler: refreshTokenRequired }, async () => ({}))
  let tooLarge = ''
  app.get('/set', async (_request, reply) => {
    app.jwt.setAccessCookies(reply, tooLarge)
    return {}
  })
  await app.ready()
  tooLarge = app.jwt.createAccessToken('user123', { claims: { filler: 'f'.repeat(5000) } })

  const requests = expectations(app).map(([, request]) => request)
  requests.push(
    { url: '/required', headers: bearer(app.jwt.createAccessToken('user123')) },
    { url: '/required', headers: bearer(forge(claims(), { alg: 'none' })) },
    { url: '/set' }
  )
  const tokens = new Set([tooLarge])
  let answers = ''
  for (const request of requests) {
    const cookies = request.cookies as Record<string, string> | undefined
    for (const value of [request.headers?.authorization, cookies?.access_token_cookie]) {
      for (const word of String(value ?? '').split(' ')) if (word.includes('.')) tokens.add(word)
    }
    const response = await app.inject(request)
    answers += JSON.stringify(response.headers) + response.payload
  }
  t.ok(tokens.size > 8, 'there were tokens to leak')
  t.match(log, /"level":/, 'something was logged')
  for (const token of tokens) {
    const [header, payload, signature] = parts(token)
    for (const part of [payload, signature]) {
      t.notOk(log.includes(part), 'not in the log')
      t.notOk(answers.includes(part), 'not in an answer')
    }
    t.notOk(log.includes(`${header}.`), 'no beginning of it either')
  }
  for (const key of [secretKey, Buffer.from(secretKey).toString('base64'), 'nonsense-that-is-no-token']) {
    t.notOk(log.includes(key))
    t.notOk(answers.includes(key))
  }
})
