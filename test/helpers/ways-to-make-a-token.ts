import Fastify from 'fastify'
import type { FastifyInstance } from 'fastify'
import type { Test } from 'tap'
import jwt, { jwtRequired } from '../../lib/index.ts'
import type { JwtExtendedOptions, Store } from '../../lib/index.ts'
import { ecKeys, secretKey, tokenOf } from './keys/found-keys-app.ts'
import { claims, forge } from './forge.ts'
import { startIssuer } from './keys/issuer-server.ts'
import { verdict } from './session-app.ts'
import { movableTime } from './clock.ts'

async function appOn (t: Test, store: Store, options: JwtExtendedOptions = {}): Promise<FastifyInstance> {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(jwt, { secretKey, store, tokenLocation: ['headers', 'cookies'], ...options })
  app.get('/me', { preHandler: jwtRequired }, async request => ({ user: request.jwtIdentity }))
  return app
}

/**
 * For every way to make a token: revoked once, and asked every minute until long after its `exp`, whatever the configuration is or was.
 *
 * @param store Gives a store. What it holds is random.
 */
export async function revokedStaysRevoked (t: Test, store: Store): Promise<void> {
  const time = movableTime(t)
  const issuer = await startIssuer(t, ecKeys('a').jwks)
  const options = { accessExpires: '10m', implicitRefresh: '9m', issuers: [{ issuer: 'it', jwksUri: issuer.url }], jwksMaxAge: '2h' } as const
  const app = await appOn(t, store, options)
  const older = await appOn(t, store, { ...options, accessExpires: '1h' })
  const session = async (of: FastifyInstance): Promise<string> => (await of.jwt.createSession('ada')).accessToken
  const now = (): number => Math.floor(Date.now() / 1000)

  /** What `implicitRefresh` has made of a token. */
  async function renewed (of: FastifyInstance, token: string): Promise<string> {
    time.advance(120)
    const response = await of.inject({ url: '/me', cookies: { access_token_cookie: token } })
    const made = response.cookies.find(({ name }) => name === 'access_token_cookie')?.value
    if (made === undefined) throw new Error('not renewed')
    return made
  }
  const sidOf = (token: string): string => String(app.jwt.decodeToken(token).sid)
  const foreign = (): string => tokenOf(ecKeys('a'), { iss: 'it', sid: `theirs-${Math.random()}`, jti: `${Math.random()}`, exp: now() + 3600 })
  /** A token of another library: ours does not make such times. */
  const expiring = (exp: number): string => forge(claims({ exp }), {}, secretKey)

  const ways: Record<string, { make: () => Promise<string>, revoke: (token: string) => Promise<unknown> }> = {
    'a session, by its id': { make: async () => session(app), revoke: async token => app.jwt.revokeSession(sidOf(token)) },
    'a session, by the token': { make: async () => session(app), revoke: async token => app.jwt.revokeToken(token) },
    'a session, by its claims': { make: async () => session(app), revoke: async token => app.jwt.revokeSession(app.jwt.decodeToken(token)) },
    'all sessions': { make: async () => session(app), revoke: async () => app.jwt.revokeAllSessions('ada') },
    'a session of an older configuration': { make: async () => session(older), revoke: async token => app.jwt.revokeSession(sidOf(token)) },
    'all sessions of an older configuration': { make: async () => session(older), revoke: async () => app.jwt.revokeAllSessions('ada') },
    'a renewed token of a session': { make: async () => renewed(app, await session(app)), revoke: async token => app.jwt.revokeSession(sidOf(token)) },
    'a renewed token, by itself': { make: async () => renewed(app, await session(app)), revoke: async token => app.jwt.revokeToken(token) },
    'a plain token': { make: async () => app.jwt.createAccessToken('ada'), revoke: async token => app.jwt.revokeToken(token) },
    'a renewed plain token': { make: async () => renewed(app, app.jwt.createAccessToken('ada')), revoke: async token => app.jwt.revokeToken(token) },
    'a plain token with a life of its own': { make: async () => app.jwt.createAccessToken('ada', { expiresIn: '1h' }), revoke: async token => app.jwt.revokeToken(token) },
    'a plain token of an older configuration': { make: async () => older.jwt.createAccessToken('ada'), revoke: async token => app.jwt.revokeToken(token) },
    'another issuer\'s token, by its session': {
      make: async () => foreign(),
      revoke: async token => app.jwt.revokeSession(String((JSON.parse(Buffer.from(String(token.split('.')[1]), 'base64url').toString()) as { sid: string }).sid))
    },
    'another issuer\'s token, by itself': { make: async () => foreign(), revoke: async token => app.jwt.revokeToken(token) },
    // RFC 7519 §2: a NumericDate may have a fraction, and there is no largest one.
    'a token that expires at a fraction of a second': { make: async () => expiring(now() + 3600.123456), revoke: async token => app.jwt.revokeToken(token) },
    'a token that expires in milliseconds taken for seconds': { make: async () => expiring(now() * 1000), revoke: async token => app.jwt.revokeToken(token) },
    'a token that expires later than a date can say': { make: async () => expiring(9e15), revoke: async token => app.jwt.revokeToken(token) },
    'a token that expires at the largest number': { make: async () => expiring(Number.MAX_VALUE), revoke: async token => app.jwt.revokeToken(token) }
  }

  // The keys of the issuer are there from now on.
  await verdict(app, 'GET', '/me', foreign())
  const made: Array<[way: string, token: string]> = []
  for (const [way, { make, revoke }] of Object.entries(ways)) {
    const token = await make()
    t.equal(await verdict(app, 'GET', '/me', token), 200, `${way}: good before`)
    await revoke(token)
    made.push([way, token])
  }
  const passed = new Set<string>()
  for (let minute = 0; minute < 75; minute++) {
    for (const [way, token] of made) for (const one of [app, older]) if (await verdict(one, 'GET', '/me', token) === 200) passed.add(`${way}, after ${minute} minutes`)
    time.advance(60)
  }
  t.strictSame([...passed], [])
}
