/*
 * The same requests to apps with a cache of verified tokens, of 50 and of the default size, and to one without: no answer may
 * differ. 4,000 requests, or as many as FASTIFY_JWT_DIFFERENTIAL says, as in
 *
 *   FASTIFY_JWT_DIFFERENTIAL=100000 npx tap --disable-coverage --timeout=1800 test/e2e/differential.test.ts
 *
 * FASTIFY_JWT_DIFFERENTIAL_SEED repeats a run.
 */
import Fastify from 'fastify'
import type { FastifyInstance, FastifyRequest, InjectOptions } from 'fastify'
import t from 'tap'
import type { Test } from 'tap'
import jwt, { freshJwtRequired, jwtOptional, jwtRequired, refreshTokenRequired } from '../../lib/index.ts'
import type { KeysOption } from '../../lib/index.ts'
import { base64url, parts } from '../helpers/forge.ts'
import { otherSecretKey, secretKey } from '../helpers/protected-app.ts'
import { createRandom, mutate } from '../helpers/security/mutations.ts'
import { stoppedTime } from '../helpers/clock.ts'

const total = Number(process.env['FASTIFY_JWT_DIFFERENTIAL'] ?? 4_000)
const seed = Number(process.env['FASTIFY_JWT_DIFFERENTIAL_SEED'] ?? Date.now() % 1_000_000)

/** Tokens that are in use at one time: more than the small cache has room for. */
const inUse = 120
/** Cookie headers that are sent again and again, as a browser does. */
const browsers = 30

const keys = Array.from({ length: 4 }, (_, i) => ({ keyId: `key${i}`, secretKey: `${i % 2 === 0 ? secretKey : otherSecretKey} ${i}` }))

const seen = async (request: FastifyRequest): Promise<unknown> =>
  ({ identity: request.jwtIdentity, claims: request.jwtClaims, header: request.jwtHeader, location: request.jwtLocation })

async function appWith (t: Test, cacheSize: number | undefined): Promise<FastifyInstance> {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(jwt, {
    keys: keys.slice(0, 2),
    tokenLocation: ['headers', 'cookies', 'queryString'],
    accessCookieName: 'session',
    leeway: 2,
    ...(cacheSize === undefined ? {} : { cacheSize })
  })
  // What an app may do to its cookies before the hook sees them.
  app.addHook('onRequest', async ({ headers, cookies }) => {
    const { rewrite } = headers
    if (rewrite === 'tenant') cookies['session'] = cookies['session_tenant']
    if (rewrite === 'tail') cookies['session'] = cookies['session']?.slice(1)
    if (rewrite === 'upper') cookies['session'] = cookies['session']?.toUpperCase()
    if (rewrite === 'drop') delete cookies['session']
    if (rewrite === 'object') Object.assign(cookies, { session: { toString: () => cookies['session_tenant'] } })
  })
  app.get('/required', { preHandler: jwtRequired }, seen)
  app.get('/optional', { preHandler: jwtOptional }, seen)
  app.get('/fresh', { preHandler: freshJwtRequired }, seen)
  app.get('/refresh', { preHandler: refreshTokenRequired }, seen)
  await app.ready()
  return app
}

interface Answer {
  readonly status: number
  readonly challenge: unknown
  readonly body: string
}

async function answerOf (app: FastifyInstance, request: InjectOptions): Promise<Answer> {
  const { statusCode, headers, body } = await app.inject(request)
  return { status: statusCode, challenge: headers['www-authenticate'], body }
}

t.test('an app with a cache gives the same answers as one without', async t => {
  t.comment(`FASTIFY_JWT_DIFFERENTIAL_SEED=${seed}`)
  const random = createRandom(seed)
  const pick = <T>(list: readonly T[]): T => list[random(list.length)] as T
  const clock = stoppedTime(t)
  const apps = await Promise.all([0, 50, undefined].map(size => appWith(t, size)))
  const [plain] = apps as [FastifyInstance]
  let signing = keys.slice(0, 2)
  const tokens: string[] = []
  const cookieHeaders: string[] = []

  function createToken (): string {
    const identity = `user${random(30)}`
    const expiresIn = pick([1, 3, 20, 60, 900, -1, -60])
    if (random(4) === 0) return plain.jwt.createRefreshToken(identity, { expiresIn })
    return plain.jwt.createAccessToken(identity, { expiresIn, fresh: pick([true, false, 5]), claims: { roles: `user${random(3)}` } })
  }

  /** Other claims with the signature of a token that is good, so that length and end are the same. */
  function forge (token: string): string {
    const [header, payload, signature] = parts(token)
    const claims = Buffer.from(payload, 'base64url').toString().replace(/user\d/, 'admin')
    return random(4) > 0 ? `${header}.${base64url(claims)}.${signature}` : `${header}.${payload.slice(0, -1)}A.${signature}`
  }

  /** A token from one that is in use, or what somebody makes of it. */
  function presented (): string {
    const token = pick(tokens)
    switch (random(8)) {
      case 0: return forge(token)
      case 1: return mutate(random, tokens)
      case 2: return `${token.slice(0, token.lastIndexOf('.'))}.${parts(pick(tokens))[2]}`
      default: return token
    }
  }

  function cookiesOf (first: string): string {
    switch (random(6)) {
      case 0: return `session=${first}; session=${presented()}`
      case 1: return `session=${presented()}; session_tenant=${first}`
      case 2: return `session_tenant=${presented()}; refresh_token_cookie=${presented()}; session=${first}`
      case 3: return `session=; session=${first}`
      case 4: return `session=${first}; session_tenant=${forge(first)}`
      default: return `session=${first}; session_tenant=${first}; refresh_token_cookie=${first}`
    }
  }

  function request (): InjectOptions {
    const url = pick(['/required', '/required', '/optional', '/fresh', '/refresh'])
    const token = presented()
    switch (random(4)) {
      case 0: return { url, headers: { authorization: `${pick(['Bearer', 'Bearer', 'bearer', 'Bearer '])} ${token}` } }
      case 1: return { url, headers: { cookie: cookiesOf(token), authorization: `Bearer ${presented()}` } }
      case 2: return { url: `${url}?jwt=${encodeURIComponent(Buffer.from(token).toString())}` }
      default: return { url, headers: { cookie: pick(cookieHeaders), rewrite: pick(['', '', 'tenant', 'tail', 'upper', 'drop', 'object']) } }
    }
  }

  async function change (): Promise<void> {
    tokens[random(tokens.length)] = createToken()
    cookieHeaders[random(browsers)] = cookiesOf(presented())
    if (random(5) === 0) clock.advance(random(4000) / 1000)
    if (random(40) === 0) clock.advance(-random(3000) / 1000)
    if (random(50) === 0) {
      const { claims } = (await plain.inject({ url: '/optional', headers: { authorization: `Bearer ${pick(tokens)}` } })).json()
      if (claims !== null) for (const app of apps) await app.jwt.revokeToken(claims)
    }
    if (random(200) === 0) {
      signing = pick<KeysOption>([keys.slice(0, 2), keys.slice(1, 3), keys.slice(2), [...signing].reverse()]) as typeof signing
      for (const app of apps) app.jwt.rotateKeys(signing)
    }
  }

  while (tokens.length < inUse) tokens.push(createToken())
  while (cookieHeaders.length < browsers) cookieHeaders.push(cookiesOf(presented()))
  const statuses = new Map<number, number>()
  let differences = 0
  for (let i = 0; i < total; i++) {
    if (random(3) === 0) await change()
    const sent = request()
    const [expected, ...answers] = await Promise.all(apps.map(app => answerOf(app, sent))) as [Answer, Answer, Answer]
    statuses.set(expected.status, (statuses.get(expected.status) ?? 0) + 1)
    if (answers.every(({ status, challenge, body }) => status === expected.status && challenge === expected.challenge && body === expected.body)) continue
    differences++
    if (differences <= 5) t.strictSame(answers, [expected, expected], JSON.stringify(sent))
  }
  t.comment(`answers by status: ${JSON.stringify(Object.fromEntries(statuses))}`)
  t.equal(differences, 0)
  for (const status of [200, 400, 401]) t.ok((statuses.get(status) ?? 0) > total / 200, `${status} is among the answers`)
  t.notOk(statuses.has(500))
})
