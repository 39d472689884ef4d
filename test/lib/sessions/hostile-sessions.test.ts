import { createHmac, randomBytes } from 'node:crypto'
import t from 'tap'
import { hmac, signed } from '../../helpers/security/configurations.ts'
import { everyLocation, faultOf, invalid, missing, recordingApp, reused, revoked, wrongSignature } from '../../helpers/security/recording-app.ts'
import { MemoryStore } from '../../../lib/index.ts'
import type { SessionTokens } from '../../../lib/index.ts'
import type { Verdict } from '../../helpers/security/recording-app.ts'

const opaque = { ...hmac.options, ...everyLocation, refreshTokenFormat: 'opaque', refreshReuseInterval: 0, refreshUntilUsed: false } as const
const bearer = (token: string) => ({ authorization: `Bearer ${token}` })
const passesAsUser: Verdict = { passes: 'user123' }

/** The first parts of an opaque token, as its file describes it: session id, generation, secret. */
function bodyOf (sessionId: string, secret: Buffer): Buffer {
  return Buffer.concat([Buffer.from(sessionId.replaceAll('-', ''), 'hex'), Buffer.alloc(4), secret])
}

/** The tag that anyone can make, who knows what a tag is made of and has no key. */
function keylessTag (sessionId: string, secret: Buffer): Buffer {
  return createHmac('sha256', '').update('tag').update(bodyOf(sessionId, secret)).digest().subarray(0, 28)
}

/** An opaque token of chosen parts. */
function assemble (sessionId: string, secret: Buffer, tag: Buffer): string {
  return Buffer.concat([bodyOf(sessionId, secret), tag]).toString('base64url')
}

t.test('opaque refresh tokens that nobody issued end no session and let nobody in', async t => {
  const { app, send, leaked } = await recordingApp(t, opaque)
  const { sessionId, refreshToken } = await app.jwt.createSession('user123')
  const bytes = Buffer.from(refreshToken, 'base64url')
  const secret = bytes.subarray(20, 52)
  const tag = bytes.subarray(52)
  const flipped = (index: number): string => { const copy = Buffer.from(bytes); copy[index] = (copy[index] as number) ^ 1; return copy.toString('base64url') }
  const last = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
  const table: Array<[name: string, token: string, verdict: Verdict]> = [
    ['another session', flipped(0), invalid('malformed')],
    ['another generation', flipped(19), invalid('malformed')],
    ['another secret', flipped(25), invalid('malformed')],
    ['another tag', flipped(60), invalid('malformed')],
    ['the last bit', flipped(79), invalid('malformed')],
    ['a made-up secret and tag', assemble(sessionId, randomBytes(32), randomBytes(28)), invalid('malformed')],
    ['a tag under the empty key', assemble(sessionId, secret, keylessTag(sessionId, secret)), invalid('malformed')],
    ['a tag of zeros', assemble(sessionId, secret, Buffer.alloc(28)), invalid('malformed')],
    ['secret and tag exchanged', Buffer.concat([bytes.subarray(0, 20), tag, secret]).toString('base64url'), invalid('malformed')],
    ['a session that never was', assemble('00000000-0000-4000-8000-000000000000', secret, tag), invalid('malformed')],
    ['a byte less', bytes.subarray(0, 79).toString('base64url'), invalid('malformed')],
    ['a byte more', Buffer.concat([bytes, Buffer.alloc(1)]).toString('base64url'), invalid('malformed')],
    ['another spelling of the last character', refreshToken.slice(0, -1) + last[last.indexOf(refreshToken.at(-1) as string) + 1], invalid('malformed')],
    ['padded', `${refreshToken}=`, invalid('malformed')],
    ['in standard base64', `${bytes.toString('base64').replaceAll('=', '')}`.replace(/^./, '+'), invalid('malformed')],
    ['a JWT that names the session, of another key', signed({ ...hmac, sign: () => randomBytes(32) }, { type: 'refresh', sid: sessionId }), wrongSignature]
  ]
  for (const [name, token, verdict] of table) {
    for (const url of ['/refresh', '/any', '/rotate']) {
      const answer = await send({ url, method: 'POST', headers: bearer(token) })
      t.equal(faultOf(answer, verdict), undefined, `${name}: ${url}`)
      t.equal(leaked(answer, [token, refreshToken]), undefined, `${name}: ${url}, nothing leaks`)
    }
  }
  t.equal(faultOf(await send({ url: '/required', headers: bearer(refreshToken) }), { code: 'FST_JWT_ACCESS_REQUIRED' }), undefined, 'no access token')
  t.equal(faultOf(await send({ url: '/refresh', headers: bearer(refreshToken) }), passesAsUser), undefined, 'the real one passes still')
  t.equal((await app.jwt.listSessions('user123')).length, 1, 'and its session lives')
})

t.test('a session begun with JWTs takes no opaque token, though its id is known', async t => {
  // As in an app that has changed refreshTokenFormat.
  const store = new MemoryStore()
  t.teardown(() => { store.close() })
  const before = await recordingApp(t, { ...opaque, refreshTokenFormat: 'jwt', store })
  const { sessionId, refreshToken } = await before.app.jwt.createSession('user123')
  const { app, send } = await recordingApp(t, { ...opaque, store })
  const secret = randomBytes(32)
  const forged = assemble(sessionId, secret, keylessTag(sessionId, secret))
  for (const url of ['/refresh', '/any', '/rotate']) {
    t.equal(faultOf(await send({ url, method: 'POST', headers: bearer(forged) }), invalid('malformed')), undefined, url)
  }
  t.equal((await app.jwt.listSessions('user123')).length, 1, 'the session lives')
  t.equal(faultOf(await send({ url: '/rotate', method: 'POST', headers: bearer(refreshToken) }), passesAsUser), undefined, 'its own token rotates')
})

for (const refreshTokenFormat of ['jwt', 'opaque'] as const) {
  t.test(`${refreshTokenFormat}: rotation, reuse and revocation leave no token in log or answer but the new ones`, async t => {
    const { app, send, takeLog } = await recordingApp(t, { ...opaque, refreshTokenFormat, implicitRefresh: 60 })
    const first = await app.jwt.createSession('user123')
    const rotate = async (token: string) => send({ url: '/rotate', method: 'POST', headers: bearer(token) })
    const second = JSON.parse((await rotate(first.refreshToken)).body) as SessionTokens
    t.equal(faultOf(await rotate(first.refreshToken), reused), undefined, 'used twice')
    for (const token of [second.refreshToken, first.refreshToken]) {
      t.equal(faultOf(await rotate(token), revoked), undefined, 'the session is over for everybody')
    }
    t.equal(faultOf(await send({ url: '/required', headers: bearer(second.accessToken) }), revoked), undefined, 'its access tokens, too')
    const third = await app.jwt.createSession('user123')
    await app.jwt.revokeToken(third.accessToken)
    t.equal(faultOf(await send({ url: '/required', headers: bearer(third.accessToken) }), revoked), undefined, 'one that was revoked')
    await app.jwt.revokeSession(third.sessionId)
    t.equal(faultOf(await rotate(third.refreshToken), revoked), undefined, 'one whose session was revoked')
    t.equal(faultOf(await send({ url: '/refresh' }), missing), undefined, 'none')
    const log = takeLog()
    for (const token of [first, second, third].flatMap(tokens => [tokens.accessToken, tokens.refreshToken])) t.notOk(log.includes(token))
    t.match(log, 'Refresh token reused', 'and the log does tell what happened')
  })
}

t.test('at one moment a refresh token is rotated once, however often it is sent', async t => {
  const { app, send } = await recordingApp(t, opaque)
  const { refreshToken } = await app.jwt.createSession('user123')
  const answers = await Promise.all(Array.from({ length: 20 }, async () => send({ url: '/rotate', method: 'POST', headers: bearer(refreshToken) })))
  t.equal(answers.filter(({ statusCode }) => statusCode === 200).length, 1)
  t.ok(answers.every(({ statusCode }) => statusCode === 200 || statusCode === 401))
})
