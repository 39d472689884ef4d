import Fastify from 'fastify'
import t from 'tap'
import jwt, { guard, role } from '../../../lib/index.ts'
import { RedisStore } from '../../../lib/stores/redis/store.ts'
import { ownKey } from '../../helpers/own-key.ts'

const secretKey = 'k'.repeat(32)

/** What start-up says of the options, or nothing. */
async function startUpError (options: object): Promise<string | null> {
  const app = Fastify()
  try {
    await app.register(jwt, ownKey({ secretKey, ...options }))
    return null
  } catch (error) {
    return (error as Error).message
  } finally {
    await app.close()
  }
}

const prefix = 'fastify-jwt-extended: option'

for (const [given, meant] of [
  ['acessExpires', 'accessExpires'],
  ['cookieHttpOnly', 'cookieHttponly'],
  ['cookieSameSite', 'cookieSamesite'],
  ['SECRET_KEY', 'secretKey'],
  ['token_location', 'tokenLocation'],
  ['accessCsrfCokieName', 'accessCsrfCookieName'],
  ['store_', 'store']
] as const) {
  t.test(`the unknown option ${given} suggests ${meant}`, async t => {
    t.equal(await startUpError({ [given]: 'x' }), `${prefix} '${given}' is unknown; did you mean '${meant}'?`)
  })
}

for (const [given, ours] of [
  ['secret', "use 'secretKey'"],
  ['sign', "use 'algorithm', 'accessExpires', 'issuer' and 'audience'"],
  ['verify', "use 'decodeAlgorithms', 'decodeIssuer', 'decodeAudience' and 'leeway'"],
  ['decode', "use 'decodeAlgorithms', 'decodeIssuer', 'decodeAudience' and 'leeway'"],
  ['cookie', "use 'tokenLocation' and 'accessCookieName'"],
  ['algorithms', "use 'algorithm' and 'decodeAlgorithms'"],
  ['cookies', "use 'tokenLocation'"],
  ['aud', "use 'audience'"],
  ['csrf', "use 'csrfProtection'"],
  ['trusted', "use 'isRevoked'"],
  ['formatUser', "use 'userLookup'"]
] as const) {
  t.test(`the option ${given} of another package is translated`, async t => {
    t.equal(await startUpError({ [given]: 'x' }), `${prefix} '${given}' is unknown; ${ours}`)
  })
}

for (const [given, meant] of [
  ['cookieName', "'accessCookieName', 'refreshCookieName' or 'accessCsrfCookieName'"],
  ['accessTokenExpires', "'accessExpires'"],
  ['JWT_REFRESH_TOKEN_EXPIRES', "'refreshExpires'"],
  ['sameSite', "'cookieSamesite'"],
  ['jwtSecretKey', "'secretKey'"]
] as const) {
  t.test(`the option ${given} suggests what its words are part of`, async t => {
    t.equal(await startUpError({ [given]: 'x' }), `${prefix} '${given}' is unknown; did you mean ${meant}?`)
  })
}

t.test('an option that resembles none says where the options are listed', async t => {
  for (const name of ['namespace', 'toString', '__proto', '', 'x'.repeat(1_000_000)]) {
    const message = await startUpError({ [name]: 'x' })
    t.equal(message?.slice(-70), `${prefix} '${name}' is unknown; docs/options.md in the package lists the options`.slice(-70))
  }
})

t.test('a member of an option is checked alike', async t => {
  t.equal(await startUpError({ secretKey: undefined, keys: [{ kid: 'a', secretKey }] }), `${prefix} 'keys[0].kid' is unknown; use 'keyId'`)
  t.equal(await startUpError({ secretKey: undefined, keys: [{ keyId: 'a', secret: secretKey }] }), `${prefix} 'keys[0].secret' is unknown; use 'secretKey'`)
  t.equal(await startUpError({ issuers: [{ issuer: 'a', jwks: 'b' }] }), `${prefix} 'issuers[0].jwks' is unknown; the options are issuer, jwksUri, audience, tenants`)
  t.equal(await startUpError({ issuers: [{ issuer: 'a', jwksURI: 'b' }] }), `${prefix} 'issuers[0].jwksURI' is unknown; did you mean 'jwksUri'?`)
  const client = { status: 'ready', isCluster: false, call: async () => null }
  t.throws(() => new RedisStore(client, { Prefix: 'x' } as object), { message: `${prefix} 'store.Prefix' is unknown; did you mean 'prefix'?` })
  t.throws(() => new RedisStore(client, { sign: 'x' } as object), { message: `${prefix} 'store.sign' is unknown; the options are prefix, commandTimeout, clockSkew, allowEviction` })
  t.throws(() => role('a', { claims: 'x' } as never), { message: `${prefix} 'role.claims' is unknown; did you mean 'claim'?` })
  t.throws(() => guard(() => true, { reason: 'x' } as never), { message: `${prefix} 'guard.reason' is unknown; the options are message` })
})

t.test('an option of a call that is unknown is a TypeError, inherited or not', async t => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(jwt, { secretKey })
  t.throws(() => app.jwt.createAccessToken('ada', { expiresAt: 60 } as object), new TypeError("Unknown option 'expiresAt'; did you mean 'expiresIn'?"))
  t.throws(() => app.jwt.createAccessToken('ada', Object.create({ expire: 60 }) as object), new TypeError("Unknown option 'expire'; the options are expiresIn, fresh, claims, headers"))
  t.throws(() => app.jwt.createRefreshToken('ada', { fresh: true } as object), new TypeError("Unknown option 'fresh'; the options are expiresIn, claims, headers"))
  t.throws(() => app.jwt.decodeToken('', { allowexpired: true } as object), new TypeError("Unknown option 'allowexpired'; did you mean 'allowExpired'?"))
  await t.rejects(app.jwt.createSession('ada', { claim: {} } as object), new TypeError("Unknown option 'claim'; did you mean 'claims'?"))
  await t.rejects(app.jwt.revokeAllSessions('ada', { secret: 'x' } as object), new TypeError("Unknown option 'secret'; the options are except"))
})
