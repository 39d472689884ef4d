import { createSigner } from 'fast-jwt'
import t from 'tap'
import { MemoryStore } from '../../../lib/index.ts'
import { movableTime, refresh, secretKey, sessionApp, verdict } from '../../helpers/session-app.ts'
import type { Store } from '../../../lib/index.ts'

/** A store whose clock is not this process's: so far ahead, in milliseconds. */
function elsewhere (memory: MemoryStore, ahead: number): Store {
  return {
    denyToken: (jti, sid, expiresAt) => memory.denyToken(jti, sid, expiresAt),
    isDenied: (jti, sid) => memory.isDenied(jti, sid),
    createSession: session => memory.createSession(session),
    getSession: id => memory.getSession(id),
    rotateSession: (id, rotation) => memory.rotateSession(id, { ...rotation, now: Date.now() + ahead }),
    endSession: (id, denyUntil) => memory.endSession(id, denyUntil),
    listSessions: identity => memory.listSessions(identity)
  }
}

for (const ahead of [-4000, 0, 4000]) {
  t.test(`a race is told from reuse by the clock of the store, here ${ahead} ms ahead of ours`, async t => {
    const time = movableTime(t)
    const memory = new MemoryStore()
    t.teardown(() => memory.close())
    const app = await sessionApp(t, { store: elsewhere(memory, ahead), refreshReuseInterval: 10 })
    const first = await app.jwt.createSession('ada')
    const second = await refresh(app, first.refreshToken)
    time.advance(9.5)
    t.equal((await refresh(app, first.refreshToken)).refreshToken, second.refreshToken, 'nobody is logged out by a clock')
    time.advance(0.6)
    t.equal(await verdict(app, 'POST', '/refresh', first.refreshToken), 'FST_JWT_REUSED')
    t.equal(await verdict(app, 'POST', '/refresh', second.refreshToken), 'FST_JWT_REVOKED')
  })
}

t.test('what is late by any clock is refused by the hook', async t => {
  const time = movableTime(t)
  const memory = new MemoryStore()
  t.teardown(() => memory.close())
  const app = await sessionApp(t, { store: elsewhere(memory, 0), refreshReuseInterval: 10 })
  const { refreshToken } = await app.jwt.createSession('ada')
  await refresh(app, refreshToken)
  time.advance(15.1)
  t.equal(await verdict(app, 'GET', '/refresh-token', refreshToken), 'FST_JWT_REUSED')
})

t.test('a token without jti is asked about by its session, and one with neither not at all', async t => {
  const memory = new MemoryStore()
  t.teardown(() => memory.close())
  const asked: unknown[] = []
  const store = { ...elsewhere(memory, 0), isDenied (jti: string | null, sid: string | null) { asked.push([jti, sid]); return memory.isDenied(jti, sid) } }
  const app = await sessionApp(t, { store })

  const sign = createSigner({ key: secretKey })
  const exp = Math.floor(Date.now() / 1000) + 60
  t.equal(await verdict(app, 'GET', '/me', sign({ sub: 'ada', exp })), 200)
  t.strictSame(asked, [])
  t.equal(await verdict(app, 'GET', '/me', sign({ sub: 'ada', exp, sid: 's' })), 200)
  t.strictSame(asked, [[null, 's']])
  memory.endSession('s', null)
  t.equal(await verdict(app, 'GET', '/me', sign({ sub: 'ada', exp, sid: 's' })), 'FST_JWT_REVOKED')
  t.equal(await verdict(app, 'GET', '/refresh-token', sign({ sub: 'ada', exp, sid: 's', type: 'refresh' })), 'FST_JWT_REVOKED')
  const { sessionId, refreshToken } = await app.jwt.createSession('ada')
  t.equal(await verdict(app, 'GET', '/refresh-token', sign({ sub: 'ada', exp, sid: sessionId, type: 'refresh' })), 'FST_JWT_REUSED',
    'our signature on a refresh token that is not the current one')
  t.equal(await verdict(app, 'POST', '/refresh', refreshToken), 'FST_JWT_REVOKED')
})
