import t from 'tap'
import { bearer, protectedApp } from '../../helpers/protected-app.ts'
import { MemoryStore } from '../../../lib/index.ts'
import { send, sessionApp, verdict } from '../../helpers/session-app.ts'
import type { JwtExtendedOptions } from '../../../lib/index.ts'

for (const store of [undefined, false] as const) {
  t.test(store === false ? 'isRevoked alone' : 'isRevoked beside the store', async t => {
    const options: JwtExtendedOptions = store === undefined ? {} : { store }
    for (const answer of [true, Promise.resolve(true)]) {
      const app = await sessionApp(t, { ...options, isRevoked: claims => claims.identity === 'eve' && answer })
      const [good, bad] = [app.jwt.createAccessToken('ada'), app.jwt.createAccessToken('eve')]
      t.equal(await verdict(app, 'GET', '/me', good), 200)
      t.equal(await verdict(app, 'GET', '/me', bad), 'FST_JWT_REVOKED')
      t.equal((await send(app, 'GET', '/maybe', bad)).json().user, null)
      t.equal(await verdict(app, 'GET', '/unchecked', bad), 200)
      t.equal(await verdict(app, 'GET', '/refresh-token', app.jwt.createRefreshToken('eve')), 'FST_JWT_REVOKED')
    }
  })
}

t.test('isRevoked is not asked about a token the store refuses, and sees claims, request and header', async t => {
  const asked: unknown[] = []
  const app = await sessionApp(t, {
    isRevoked (claims, request, header) {
      asked.push([claims.identity, request.url, header?.alg])
      return false
    }
  })
  const token = app.jwt.createAccessToken('ada')
  t.equal(await verdict(app, 'GET', '/me', token), 200)
  t.strictSame(asked, [['ada', '/me', 'HS256']])
  await app.jwt.revokeToken(token)
  t.equal(await verdict(app, 'GET', '/me', token), 'FST_JWT_REVOKED')
  t.equal(asked.length, 1)
})

t.test('an isRevoked that fails is a fault, never a pass', async t => {
  for (const fail of [() => { throw new Error('down') }, async () => Promise.reject(new Error('down'))]) {
    const app = await sessionApp(t, { isRevoked: fail })
    for (const url of ['/me', '/maybe']) t.equal((await send(app, 'GET', url, app.jwt.createAccessToken('ada'))).statusCode, 500)
  }
})

t.test('an optional hook takes a revoked token for nobody', async t => {
  const app = await sessionApp(t)
  const { accessToken, sessionId } = await app.jwt.createSession('ada')
  t.equal((await send(app, 'GET', '/maybe', accessToken)).json().user, 'ada')
  await app.jwt.revokeSession(sessionId)
  const response = await send(app, 'GET', '/maybe', accessToken)
  t.match([response.statusCode, response.json()], [200, { user: null }])
})

t.test('a token that was seen before is refused the moment it is revoked', async t => {
  const app = await sessionApp(t)
  const token = app.jwt.createAccessToken('ada')
  for (let times = 0; times < 3; times++) t.equal(await verdict(app, 'GET', '/me', token), 200)
  await app.jwt.revokeToken(token)
  const response = await send(app, 'GET', '/me', token)
  t.equal(response.statusCode, 401)
  t.equal(response.json().message, 'Token has been revoked')
  t.equal(response.headers['www-authenticate'], 'Bearer error="invalid_token", error_description="Token has been revoked"')
})

t.test('only false is an answer by which a token passes: a forgotten return is an error', async t => {
  for (const answer of [undefined, null, 0, '', 1, 'no']) {
    for (const isRevoked of [() => answer, async () => answer]) {
      const app = await protectedApp(t, { isRevoked: isRevoked as never })
      const response = await app.inject({ url: '/required', headers: bearer(app.jwt.createAccessToken('user123')) })
      t.equal(response.statusCode, 500, String(answer))
      t.equal(response.json().identity, undefined)
    }
  }
})

t.test('a store of the app that gives no answer, or none that can be understood, is a 503', async t => {
  for (const answer of [undefined, null, 0, 'yes', 1]) {
    for (const wrap of [(value: unknown) => value, async (value: unknown) => value]) {
      const store = Object.assign(new MemoryStore(), { isDenied: () => wrap(answer), checkToken: () => wrap(answer) }) as never
      const app = await protectedApp(t, { store })
      const response = await app.inject({ url: '/required', headers: bearer(app.jwt.createAccessToken('user123')) })
      t.equal(response.statusCode, 503, String(answer))
    }
  }
})
