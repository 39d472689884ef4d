import Fastify from 'fastify'
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import type { Test } from 'tap'
import jwt, { freshJwtRequired, jwtOptional, jwtRequired, refreshTokenRequired } from '../../../lib/index.ts'
import type { JwtExtendedOptions } from '../../../lib/index.ts'
import { MemoryStore } from '../../../lib/stores/memory.ts'
import { secretKey } from '../../helpers/protected-app.ts'
import { ecKeys, tokenOf } from '../../helpers/keys/found-keys-app.ts'
import { startIssuer } from '../../helpers/keys/issuer-server.ts'
import { stoppedTime } from '../../helpers/clock.ts'
import type { TestClock } from '../../helpers/clock.ts'

async function appWith (t: Test, options: Partial<JwtExtendedOptions>): Promise<FastifyInstance> {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(jwt, { secretKey, ...options })
  app.get('/', { preHandler: jwtRequired }, async request => ({ user: request.jwtIdentity }))
  app.get('/optional', { preHandler: jwtOptional }, async request => ({ user: request.jwtIdentity }))
  app.get('/fresh', { preHandler: freshJwtRequired }, async request => ({ user: request.jwtIdentity }))
  app.get('/refresh', { preHandler: refreshTokenRequired }, async request => ({ user: request.jwtIdentity }))
  app.get('/verify', async request => {
    await request.verifyJwt()
    return { user: request.jwtIdentity }
  })
  await app.ready()
  return app
}

/** What a wait of two and a half seconds does to the result of a callback. */
const slow = <T>(clock: TestClock, result: T) => async (): Promise<T> => {
  clock.advance(2.5)
  return result
}

/** A store that answers after two and a half seconds. */
function slowStore (clock: TestClock): MemoryStore {
  return new Proxy(new MemoryStore(), {
    get (store, name) {
      const value: unknown = Reflect.get(store, name)
      if (typeof value !== 'function') return value
      return name === 'isDenied' || name === 'getSession'
        ? async (...given: unknown[]): Promise<unknown> => { clock.advance(2.5); return value.apply(store, given) as unknown }
        : value.bind(store) as unknown
    }
  })
}

/** Every option that a request may have to wait for. */
const waits: Record<string, (clock: TestClock) => Partial<JwtExtendedOptions>> = {
  decodeKey: clock => ({ decodeKey: slow(clock, secretKey) }),
  isRevoked: clock => ({ isRevoked: slow(clock, false) }),
  verifyClaims: clock => ({ verifyClaims: slow(clock, true) }),
  userLookup: clock => ({ userLookup: slow(clock, {}) }),
  'the store': clock => ({ store: slowStore(clock) })
}

for (const [name, options] of Object.entries(waits)) {
  t.test(`a token that expires while ${name} is waited for is refused`, async t => {
    const clock = stoppedTime(t)
    const app = await appWith(t, options(clock))
    for (const kind of ['new', 'known']) {
      const token = app.jwt.createAccessToken('ada', { expiresIn: 9, fresh: true })
      const headers = { authorization: `Bearer ${token}` }
      if (kind === 'known') for (let i = 0; i < 2; i++) t.equal((await app.inject({ url: '/', headers })).statusCode, 200)
      else clock.advance(7)
      clock.advance(1.5)
      for (const url of ['/', '/fresh', '/verify']) {
        const short = url === '/' ? token : app.jwt.createAccessToken('ada', { expiresIn: 1, fresh: true })
        const answer = await app.inject({ url, headers: { authorization: `Bearer ${short}` } })
        t.equal(answer.json<{ code: string }>().code, 'FST_JWT_EXPIRED', `${kind}, ${url}`)
      }
      const optional = await app.inject({ url: '/optional', headers: { authorization: `Bearer ${app.jwt.createAccessToken('ada', { expiresIn: 1 })}` } })
      t.strictSame(optional.json(), { user: null })
    }
    const refresh = app.jwt.createRefreshToken('ada', { expiresIn: 1 })
    t.equal((await app.inject({ url: '/refresh', headers: { authorization: `Bearer ${refresh}` } })).json<{ code: string }>().code, 'FST_JWT_EXPIRED')
  })

  t.test(`a token that stops being fresh while ${name} is waited for is refused`, async t => {
    const clock = stoppedTime(t)
    const app = await appWith(t, options(clock))
    const headers = () => ({ authorization: `Bearer ${app.jwt.createAccessToken('ada', { fresh: 2 })}` })
    t.equal((await app.inject({ url: '/fresh', headers: headers() })).json<{ code: string }>().code, 'FST_JWT_FRESH_REQUIRED')
    t.equal((await app.inject({ url: '/', headers: headers() })).statusCode, 200)
  })
}

t.test('a token that expires while its key is fetched is refused, as one that is known is', async t => {
  const clock = stoppedTime(t)
  const keys = ecKeys('a')
  const server = await startIssuer(t, null)
  server.answer((_request: unknown, response: { end (text: string): void }) => {
    clock.advance(2.5)
    response.end(JSON.stringify(keys.jwks))
  })
  for (const options of [{ jwksUri: server.url }, { issuers: [{ issuer: 'it', jwksUri: server.url }] }]) {
    const app = Fastify()
    t.teardown(() => app.close())
    await app.register(jwt, options)
    app.get('/', { preHandler: jwtRequired }, async () => 'in')
    const ask = async (seconds: number): Promise<string | undefined> => {
      const token = tokenOf(keys, { iss: 'it', exp: Math.floor(Date.now() / 1000) + seconds })
      const answer = await app.inject({ url: '/', headers: { authorization: `Bearer ${token}` } })
      return answer.statusCode === 200 ? 'in' : answer.json<{ code: string }>().code
    }
    t.equal(await ask(2), 'FST_JWT_EXPIRED', 'the keys are fetched for it')
    t.equal(await ask(2), 'in', 'the keys are there')
  }
})

t.test('a token that becomes valid while something is waited for is refused as it was when it came', async t => {
  const clock = stoppedTime(t)
  const app = await appWith(t, { ...waits['isRevoked']?.(clock), leeway: 0 })
  const token = app.jwt.createAccessToken('ada')
  clock.advance(-1.5)
  t.equal((await app.inject({ url: '/', headers: { authorization: `Bearer ${token}` } })).json<{ code: string }>().code, 'FST_JWT_NOT_YET_VALID')
})

t.test('a refresh token that has expired since the hook let it in is not replaced', async t => {
  const clock = stoppedTime(t)
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(jwt, { secretKey, refreshExpires: 60 })
  app.post('/refresh', { preHandler: refreshTokenRequired }, async request => {
    clock.advance(2.5)
    return app.jwt.rotateSession(request)
  })
  const { refreshToken } = await app.jwt.createSession('ada')
  const ask = (token: string) => app.inject({ method: 'POST', url: '/refresh', headers: { authorization: `Bearer ${token}` } })
  clock.advance(55)
  const answer = await ask(refreshToken)
  t.equal(answer.statusCode, 200)
  clock.advance(58.5)
  t.equal((await ask(answer.json<{ refreshToken: string }>().refreshToken)).json<{ code: string }>().code, 'FST_JWT_EXPIRED')
})
