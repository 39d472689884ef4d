import { createSigner } from 'fast-jwt'
import t from 'tap'
import { MemoryStore } from '../../../lib/index.ts'
import { refresh, secretKey, sessionApp, verdict } from '../../helpers/session-app.ts'
import type { StoredSession } from '../../../lib/index.ts'
import { movableTime } from '../../helpers/clock.ts'

/** A store whose clock is not this process's: so far ahead, in milliseconds. */
class Elsewhere extends MemoryStore {
  readonly #ahead: number

  constructor (ahead: number) {
    super()
    this.#ahead = ahead
  }

  override getSession (id: string): StoredSession | null {
    const stored = super.getSession(id)
    if (stored === null) return null
    const { session, now } = stored
    const rotatedAt = session.rotatedAt === null ? null : session.rotatedAt + this.#ahead
    return { session: { ...session, rotatedAt }, now: now + this.#ahead }
  }
}

for (const ahead of [-60_000, -4000, 0, 9000, 60_000]) {
  t.test(`a race is told from reuse by the clock of the store, here ${ahead} ms ahead of ours`, async t => {
    const time = movableTime(t)
    const store = new Elsewhere(ahead)
    t.teardown(() => store.close())
    const app = await sessionApp(t, { store, refreshReuseInterval: 10 })
    const first = await app.jwt.createSession('ada')
    const second = await refresh(app, first.refreshToken)
    t.equal(await verdict(app, 'GET', '/me', second.accessToken), 200)
    time.advance(9.5)
    t.equal((await refresh(app, first.refreshToken)).refreshToken, second.refreshToken, 'nobody is logged out by a clock')
    time.advance(0.6)
    t.equal(await verdict(app, 'POST', '/refresh', first.refreshToken), 'FST_JWT_REUSED')
    t.equal(await verdict(app, 'POST', '/refresh', second.refreshToken), 'FST_JWT_REVOKED')
  })
}

t.test('a token without jti is asked about by its session, and one with neither not at all', async t => {
  const asked: unknown[] = []
  const store = new class extends MemoryStore {
    override isDenied (jti: string | null, sid: string | null): boolean {
      asked.push([jti, sid])
      return super.isDenied(jti, sid)
    }
  }()
  t.teardown(() => store.close())
  const app = await sessionApp(t, { store })

  const sign = createSigner({ key: secretKey })
  const exp = Math.floor(Date.now() / 1000) + 60
  t.equal(await verdict(app, 'GET', '/me', sign({ sub: 'ada', exp })), 200)
  t.strictSame(asked, [])
  t.equal(await verdict(app, 'GET', '/me', sign({ sub: 'ada', exp, sid: 's' })), 200)
  t.strictSame(asked, [[null, 's']])
  t.equal(await app.jwt.revokeSession('s'), false, 'there is no record of it, and yet')
  t.equal(await verdict(app, 'GET', '/me', sign({ sub: 'ada', exp, sid: 's' })), 'FST_JWT_REVOKED')
  t.equal(await verdict(app, 'GET', '/refresh-token', sign({ sub: 'ada', exp, sid: 's', type: 'refresh' })), 'FST_JWT_REVOKED')
  const { sessionId, refreshToken } = await app.jwt.createSession('ada')
  t.equal(await verdict(app, 'GET', '/me', sign({ sub: 'ada', exp, sid: sessionId })), 200, 'of a session, and not made by it')
  t.equal(await verdict(app, 'GET', '/refresh-token', sign({ sub: 'ada', exp, sid: sessionId, type: 'refresh' })), 'FST_JWT_REUSED',
    'our signature on a refresh token that is not the current one')
  t.equal(await verdict(app, 'POST', '/refresh', refreshToken), 'FST_JWT_REVOKED')
})
