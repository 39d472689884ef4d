import { PGlite } from '@electric-sql/pglite'
import Fastify from 'fastify'
import t from 'tap'
import { PostgresStore } from '../../../examples/postgres-store.ts'
import jwt, { jwtRequired } from '../../../lib/index.ts'
import { testStore } from '../../../lib/stores/contract.ts'
import { rotationOf, session } from '../../../lib/stores/contract-tests/contract-test.ts'

// PostgreSQL itself, compiled to WebAssembly; it takes some seconds to start.
const database = new PGlite()
t.teardown(() => database.close())
const store = new PostgresStore(database)
await store.open()
t.teardown(() => store.close())

t.test('the store contract', t => {
  t.jobs = 50
  testStore((name, run) => t.test(name, { buffered: true }, run), () => store)
  t.end()
})

t.test('opening it again leaves what is there', async t => {
  const record = session()
  await store.createSession(record)
  const again = new PostgresStore(database)
  await again.open()
  t.equal((await again.rotateSession(record.id, rotationOf(record))).outcome, 'rotated')
  await again.close()
})

t.test('what has expired is purged, and nothing else', async t => {
  const [live, expired] = [session(), session({ expiresAt: Date.now() - 1000 })]
  await store.createSession(live)
  await store.createSession(expired)
  await store.denyToken('live', null, Date.now() + 60_000)
  await store.denyToken('for ever', null, null)
  const count = async (table: string): Promise<number> =>
    Number((await database.query<{ count: number }>(`SELECT count(*)::int AS count FROM ${table}`)).rows[0]?.count)
  const before = await count('jwt_denied')
  await store.denyToken('expired', null, Date.now() - 1000)
  await store.purge()
  t.ok(await count('jwt_denied') <= before)
  t.equal((await store.getSession(live.id))?.id, live.id)
  t.equal(await store.isDenied('live', null), true)
  t.equal(await store.isDenied('for ever', null), true)
  t.equal((await database.query('SELECT 1 FROM jwt_sessions WHERE id = $1', [expired.id])).rows.length, 0)
})

t.test('an app logs in and out on it', async t => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(jwt, { secretKey: 'a secret of more than thirty-two bytes', store })
  app.get('/protected', { preHandler: jwtRequired }, async request => ({ user: request.jwtIdentity }))

  const { accessToken, sessionId } = await app.jwt.createSession('user123', { metadata: { device: 'laptop' } })
  const get = async (): Promise<number> =>
    (await app.inject({ url: '/protected', headers: { authorization: `Bearer ${accessToken}` } })).statusCode
  t.equal(await get(), 200)
  t.match(await app.jwt.listSessions('user123'), [{ id: sessionId, metadata: { device: 'laptop' } }])
  t.equal(await app.jwt.revokeSession(sessionId), true)
  t.equal(await get(), 401)
})
