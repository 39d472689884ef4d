import Fastify from 'fastify'
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import type { Test } from 'tap'
import jwt, { jwtRequired } from '../../../lib/index.ts'
import type { JwtExtendedOptions } from '../../../lib/index.ts'
import { base64url, sign } from '../../helpers/forge.ts'
import { secretKey } from '../../helpers/protected-app.ts'

async function appWith (t: Test, options: Partial<JwtExtendedOptions> = {}): Promise<FastifyInstance> {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(jwt, { secretKey, ...options })
  app.get('/', { preHandler: jwtRequired }, async request => ({ user: request.jwtIdentity }))
  await app.ready()
  return app
}

/** Every call that takes an identity, and gives it back. */
function calls ({ jwt }: FastifyInstance): Record<string, (identity: never) => Promise<string | null>> {
  return {
    createAccessToken: async identity => jwt.decodeToken(jwt.createAccessToken(identity)).identity,
    createRefreshToken: async identity => jwt.decodeToken(jwt.createRefreshToken(identity)).identity,
    createSession: async identity => jwt.getIdentity((await jwt.createSession(identity)).accessToken),
    listSessions: async identity => {
      const { accessToken, sessionId } = await jwt.createSession(identity)
      return (await jwt.listSessions(identity)).some(({ id }) => id === sessionId) ? jwt.getIdentity(accessToken) : null
    },
    revokeAllSessions: async identity => {
      const { accessToken } = await jwt.createSession(identity)
      return await jwt.revokeAllSessions(identity) > 0 ? jwt.getIdentity(accessToken) : null
    }
  }
}

const big = 9007199254740993n

const accepted: [given: unknown, identity: string][] = [
  ['9007199254740993', '9007199254740993'], [Number.MAX_SAFE_INTEGER, '9007199254740991'], [Number.MIN_SAFE_INTEGER, '-9007199254740991'],
  [big, '9007199254740993'], [-big, '-9007199254740993'], [42n, '42'], [0n, '0'], [10n ** 40n, `1${'0'.repeat(40)}`],
  [0, '0'], [-0, '0'], [1.5, '1.5'], [-1.5, '-1.5'], [5e-324, '5e-324'], ['Zoë 🦉', 'Zoë 🦉'], ['1e21', '1e21'], ['NaN', 'NaN']
]

const tooLarge = [2 ** 53, -(2 ** 53), Number(big), 1e21, -1e21, Number.MAX_VALUE]
const loneSurrogates = ['ad\ud800min', '\udc00', '\ud83e', 'x\udd89\ud83e']
const refused: unknown[] = [...tooLarge, ...loneSurrogates, NaN, Infinity, -Infinity, '', null, undefined, true, Symbol('x'), {}, [1], Object(1n), Object('ada'), new Date(0)]

t.test('an identity is what it was given as, wherever it comes in', async t => {
  const app = await appWith(t)
  const mapped = await appWith(t, { userIdentity: user => (user as { id: never }).id })
  for (const [given, identity] of accepted) {
    for (const [name, call] of Object.entries(calls(app))) t.equal(await call(given as never), identity, `${name}, ${typeof given} ${identity}`)
    for (const [name, call] of Object.entries(calls(mapped))) t.equal(await call({ id: given } as never), identity, `userIdentity, ${name}, ${typeof given} ${identity}`)
  }
})

t.test('a number that may have been rounded, and half a character, name nobody, wherever they come in', async t => {
  const app = await appWith(t)
  const mapped = await appWith(t, { userIdentity: user => (user as { id: never }).id })
  for (const given of refused) {
    const shown = `${typeof given} ${typeof given === 'string' ? JSON.stringify(given) : String(given)}`
    for (const name of ['createAccessToken', 'createRefreshToken', 'createSession', 'listSessions', 'revokeAllSessions'] as const) {
      await t.rejects(async () => app.jwt[name](given as never), TypeError, `${name}, ${shown}`)
      await t.rejects(async () => mapped.jwt[name]({ id: given } as never), TypeError, `userIdentity, ${name}, ${shown}`)
    }
  }
})

t.test('the error of a number past 2^53 asks for a string', async t => {
  const app = await appWith(t)
  for (const given of tooLarge) {
    await t.rejects(app.jwt.createSession(given), { message: /a number too large to be exact; give it as a string/ })
    await t.rejects(app.jwt.listSessions(given), { message: /give it as a string/ })
    t.throws(() => app.jwt.createAccessToken(given), { message: /give it as a string/ })
  }
})

t.test('two numbers that would become one person are told apart as BigInt and as text', async t => {
  const app = await appWith(t)
  const [first, second] = [await app.jwt.createSession(big), await app.jwt.createSession(big - 1n)]
  t.strictSame((await app.jwt.listSessions(String(big))).map(({ id }) => id), [first.sessionId])
  t.equal(await app.jwt.revokeAllSessions(big - 1n), 1)
  t.strictSame((await app.jwt.listSessions(big)).map(({ id }) => id), [first.sessionId])
  t.strictSame(await app.jwt.listSessions(String(big - 1n)), [])
  t.not(first.sessionId, second.sessionId)
})

t.test('a token of another library with such an identity is refused', async t => {
  for (const [claim, options] of [['sub', {}], ['uid', { identityClaim: 'uid' }]] as const) {
    const app = await appWith(t, options)
    const token = (json: string): string => {
      const input = `${base64url({ alg: 'HS256', typ: 'JWT' })}.${base64url(`{"${claim}":${json},"exp":4000000000}`)}`
      return `${input}.${sign(input)}`
    }
    const ask = async (json: string): Promise<unknown> => (await app.inject({ url: '/', headers: { authorization: `Bearer ${token(json)}` } })).json()
    for (const json of ['9007199254740992', '9007199254740993', '-9007199254740993', '1e21', '1e400', '9007199254740993.0', '""', 'null', 'true', '[1]', '{}']) {
      t.match(await ask(json), { code: 'FST_JWT_INVALID_TOKEN', message: `Invalid token: ${claim}` }, json)
      t.equal(app.jwt.getIdentity(token(json)), null, `getIdentity, ${json}`)
    }
    for (const [json, user] of [['9007199254740991', '9007199254740991'], ['-0', '0'], ['1.5', '1.5'], ['"9007199254740993"', '9007199254740993'], ['1e3', '1000']] as const) {
      t.match(await ask(json), { user }, json)
      t.equal(app.jwt.getIdentity(token(json)), user)
    }
  }
})
