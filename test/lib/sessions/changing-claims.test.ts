import type { InjectOptions } from 'fastify'
import t from 'tap'
import { sessionApp, verdict } from '../../helpers/session-app.ts'
import type { JwtExtendedOptions } from '../../../lib/index.ts'

/** A users table, asked as a database is: later. */
function users (): { readonly roles: Record<string, string[]>, readonly rolesOf: (identity: string) => Promise<string[]>, readonly asked: string[] } {
  const roles: Record<string, string[]> = { ada: ['admin'], ben: ['reader'] }
  const asked: string[] = []
  return {
    roles,
    asked,
    async rolesOf (identity) {
      asked.push(identity)
      await new Promise(resolve => { setImmediate(resolve) })
      return roles[identity] ?? []
    }
  }
}

const refresh = (token: string): InjectOptions => ({ method: 'POST', url: '/refresh', headers: { authorization: `Bearer ${token}` } })

for (const refreshTokenFormat of ['jwt', 'opaque'] as const) {
  t.test(`asynchronous additionalClaims are asked at login and at each rotation, with ${refreshTokenFormat} refresh tokens`, async t => {
    const { roles, rolesOf } = users()
    const app = await sessionApp(t, {
      refreshTokenFormat,
      additionalClaims: async (identity, type) => type === 'access' ? { roles: await rolesOf(identity), tenant: 'default' } : {}
    })
    const first = await app.jwt.createSession('ada', { claims: { tenant: 'acme' } })
    t.match(app.jwt.decodeToken(first.accessToken), { roles: ['admin'], tenant: 'acme' }, 'those of the session win')
    roles['ada'] = ['reader']
    const second = (await app.inject(refresh(first.refreshToken))).json<typeof first>()
    t.match(app.jwt.decodeToken(second.accessToken), { roles: ['reader'], tenant: 'acme' })
    roles['ada'] = []
    const again = (await app.inject(refresh(first.refreshToken))).json<typeof first>()
    t.match(app.jwt.decodeToken(again.accessToken), { roles: [], tenant: 'acme' }, 'a lost answer that is asked for again, too')
    t.equal(again.refreshToken, second.refreshToken)
  })
}

t.test('additionalClaims get the user object at login, and the identity at a rotation', async t => {
  const subjects: unknown[] = []
  const app = await sessionApp(t, {
    userIdentity: (user: unknown) => (user as { id: string }).id,
    additionalClaims: async (_identity, type, subject) => { if (type === 'access') subjects.push(subject); return {} }
  })
  const user = { id: 'ada' }
  const { refreshToken } = await app.jwt.createSession(user)
  t.equal((await app.inject(refresh(refreshToken))).statusCode, 200)
  t.strictSame(subjects, [user, 'ada'])
})

t.test('a callback that fails leaves no session behind, and uses up no refresh token', async t => {
  let down = false
  const app = await sessionApp(t, { additionalClaims: async () => { if (down) throw new Error('the database is down'); return {} } })
  const { refreshToken } = await app.jwt.createSession('ada')
  down = true
  await t.rejects(app.jwt.createSession('ada'), { message: 'the database is down' })
  t.equal((await app.inject(refresh(refreshToken))).statusCode, 500)
  down = false
  t.equal((await app.jwt.listSessions('ada')).length, 1)
  const after = await app.inject(refresh(refreshToken))
  t.equal(after.statusCode, 200)
  t.equal(app.jwt.decodeToken(after.json<{ accessToken: string }>().accessToken).gen, 1, 'the first rotation')
})

t.test('createAccessToken refuses asynchronous additionalClaims, and what they resolve to is checked', async t => {
  const options = (additionalClaims: () => Promise<unknown>): JwtExtendedOptions => ({ additionalClaims } as unknown as JwtExtendedOptions)
  const app = await sessionApp(t, options(async () => { throw new Error('nobody waits for this') }))
  for (const create of [app.jwt.createAccessToken, app.jwt.createRefreshToken]) {
    t.throws(() => create('ada'), { name: 'TypeError', message: /additionalClaims option is a promise, and only createSession and rotateSession wait for it/ })
  }
  for (const [claims, message] of [[{ sub: 'eve' }, /can't hold the claim 'sub'/], [['admin'], /must be a plain object/], [null, /must be a plain object/]] as const) {
    const app = await sessionApp(t, options(async () => claims))
    await t.rejects(app.jwt.createSession('ada'), { name: 'TypeError', message })
  }
})

t.test('a role that is taken away while a refresh waits for its claims is gone', async t => {
  const { roles } = users()
  let arrived = (): void => {}
  let go: Promise<void> = Promise.resolve()
  const app = await sessionApp(t, {
    additionalClaims: async (identity, type) => {
      if (type !== 'access') return {}
      const claims = { roles: roles[identity] }
      arrived()
      await go
      return claims
    }
  })
  for (const round of ['a refresh', 'the same refresh again']) {
    roles['ada'] = ['admin']
    const session = await app.jwt.createSession('ada')
    if (round !== 'a refresh') await app.inject(refresh(session.refreshToken))
    let release = (): void => {}
    go = new Promise(resolve => { release = resolve })
    const waiting = new Promise<void>(resolve => { arrived = resolve })
    const pending = app.inject(refresh(session.refreshToken)).then(answer => answer)
    await waiting
    roles['ada'] = []
    go = Promise.resolve()
    t.equal(await app.jwt.updateSession(session.sessionId, { now: true }), true)
    release()
    const answer = await pending
    t.equal(answer.statusCode, 200, answer.body)
    const { accessToken } = answer.json<typeof session>()
    const { roles: written } = app.jwt.decodeToken(accessToken)
    // Either the token has the new role, or it is refused as stale.
    t.equal((written as string[]).length === 0 || await verdict(app, 'GET', '/me', accessToken) === 'FST_JWT_STALE', true, round)
  }
})

t.test('updateAllSessions changes every session of an identity at once, and signs nobody out', async t => {
  const { roles, rolesOf } = users()
  const app = await sessionApp(t, { additionalClaims: async (identity, type) => type === 'access' ? { roles: await rolesOf(identity) } : {} })
  const sessions = await Promise.all(Array.from({ length: 3 }, async () => app.jwt.createSession('ada')))
  const other = await app.jwt.createSession('ben')
  const [kept, ...changed] = sessions as [typeof other, ...Array<typeof other>]

  t.equal(await app.jwt.updateAllSessions('ada', { metadata: { note: 'seen' } }), 3)
  t.strictSame((await app.jwt.listSessions('ada')).map(({ metadata }) => metadata), [{ note: 'seen' }, { note: 'seen' }, { note: 'seen' }])
  for (const { accessToken } of sessions) t.equal(await verdict(app, 'GET', '/me', accessToken), 200, 'without `now` tokens pass on')

  roles['ada'] = []
  t.equal(await app.jwt.updateAllSessions('ada', { now: true, except: kept.sessionId }), 2)
  t.equal(await verdict(app, 'GET', '/me', kept.accessToken), 200)
  t.equal(await verdict(app, 'GET', '/me', other.accessToken), 200)
  for (const { accessToken, refreshToken } of changed) {
    t.equal(await verdict(app, 'GET', '/me', accessToken), 'FST_JWT_STALE')
    const next = (await app.inject(refresh(refreshToken))).json<typeof other>()
    t.strictSame(app.jwt.decodeToken(next.accessToken)['roles'], [])
    t.equal(await verdict(app, 'GET', '/me', next.accessToken), 200)
  }

  t.equal(await app.jwt.updateAllSessions('nobody', { now: true }), 0)
  await t.rejects(app.jwt.updateAllSessions('ada', { claims: { sub: 'eve' } }), { name: 'TypeError' })
  await t.rejects(app.jwt.updateAllSessions('ada', { excpet: 'x' } as object), { name: 'TypeError', message: /excpet/ })
  await t.rejects(app.jwt.updateAllSessions('nobody', { metadata: [] } as object), { name: 'TypeError', message: /metadata/ })
})

t.test('updateAllSessions goes past one page of sessions', async t => {
  const app = await sessionApp(t)
  for (let i = 0; i < 450; i++) await app.jwt.createSession('ada')
  t.equal(await app.jwt.updateAllSessions('ada', { claims: { role: 'reader' } }), 450)
})
