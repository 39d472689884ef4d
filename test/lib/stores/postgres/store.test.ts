import { PGlite } from '@electric-sql/pglite'
import fastifyPostgres from '@fastify/postgres'
import Fastify from 'fastify'
import pg from 'pg'
import postgres from 'postgres'
import t from 'tap'
import type { Test } from 'tap'
import { session, start } from '../../../../lib/stores/contract-tests/contract-test.ts'
import { testStore } from '../../../../lib/stores/contract.ts'
import { PostgresStore } from '../../../../lib/stores/postgres/store.ts'
import { noPostgres, startPostgres } from '../../../helpers/postgres-server.ts'
import { replicaWarnings, until } from '../../../helpers/replicas.ts'
import { refresh, send, sessionApp, verdict } from '../../../helpers/session-app.ts'
import type { PostgresClient, PostgresStoreOptions } from '../../../../lib/stores/postgres/store.ts'
import type { PostgresServer } from '../../../helpers/postgres-server.ts'

const day = 86_400_000

async function contract (t: Test, store: PostgresStore): Promise<void> {
  await t.test('the store contract', t => {
    t.jobs = 10
    testStore((name, run) => t.test(name, { buffered: true }, run), () => store)
    t.end()
  })
}

async function openStore (t: Test, client: PostgresClient, options: PostgresStoreOptions = {}): Promise<PostgresStore> {
  const store = new PostgresStore(client, { commandTimeout: 20_000, ...options })
  t.teardown(() => store.close())
  await store.open()
  return store
}

function poolOf (t: Test, server: PostgresServer, config: pg.PoolConfig = {}): pg.Pool {
  const pool = new pg.Pool({ connectionString: server.url, ...config })
  pool.on('error', () => {})
  t.teardown(() => pool.end())
  return pool
}

t.test('on PGlite', async t => {
  const database = await PGlite.create()
  t.teardown(() => database.close())
  await contract(t, await openStore(t, database))

  await t.test('it has no second connection to listen on: the store is asked, and that is said', async t => {
    const warnings = replicaWarnings(t)
    t.equal(new PostgresStore(database, { replicate: true }).judge, undefined)
    await until(() => warnings.length === 1, 'a warning')
    t.match(warnings[0], /a Pool of pg/)
  })

  await t.test('options that are wrong stop start-up, and name the remedy', async t => {
    const wrong = (options: object): (() => unknown) => () => new PostgresStore(database, options)
    for (const client of [{}, null, 'postgres://localhost']) {
      t.throws(() => new PostgresStore(client as unknown as PostgresClient), { code: 'FST_JWT_BAD_OPTION', message: /takes a client of PostgreSQL/ })
    }
    t.throws(wrong({ prefx: 'a' }), { code: 'FST_JWT_BAD_OPTION', message: /prefx/ })
    for (const name of ['schema', 'prefix']) {
      for (const value of ['', 'a b', 'a"', 1]) t.throws(wrong({ [name]: value }), { code: 'FST_JWT_BAD_OPTION', message: new RegExp(`store\\.${name}`) })
    }
    for (const name of ['commandTimeout', 'maxPending']) {
      for (const value of [0, 1.5, '1']) t.throws(wrong({ [name]: value }), { code: 'FST_JWT_BAD_OPTION', message: new RegExp(`store\\.${name}`) })
    }
    t.doesNotThrow(wrong({ prefix: undefined }))
  })

  await t.test('a schema that is not there is named, and who migrates by themselves get the SQL', async t => {
    const store = new PostgresStore(database, { schema: 'auth', prefix: 'login_' })
    t.teardown(() => store.close())
    await t.rejects(store.open(), { code: 'FST_JWT_BAD_OPTION', message: /schema 'auth'.*PostgresStore\.schema\(\{ schema: 'auth', prefix: 'login_' \}\)/s })
    await database.exec('ROLLBACK; CREATE SCHEMA auth')
    await database.exec(PostgresStore.schema({ schema: 'auth', prefix: 'login_' }))
    await store.open()
    const record = await start(store)
    t.equal((await store.getSession(record.id))?.session.identity, record.identity)
    t.match(PostgresStore.schema(), 'CREATE TABLE IF NOT EXISTS "public"."jwt_sessions"')
  })

  await t.test('an answer that is none is an error, and so are too many questions at once', async t => {
    const empty = new PostgresStore({ query: async () => ({ rows: [] }) })
    await t.rejects(empty.isDenied('a', null), { message: /answered no row/ })
    const nameless = new PostgresStore({ query: async () => ({ rows: [{}] }) })
    await t.rejects(nameless.isDenied('a', null), { message: "The column 'denied' holds no number" })
    await t.rejects(nameless.getSessionState('a'), { message: "The column 'version' holds no number" })
    await t.rejects(nameless.open(), { code: 'FST_JWT_BAD_OPTION', message: /'now' holds no number/ })
    const silent = new PostgresStore({ query: () => new Promise(() => {}) }, { commandTimeout: 20, maxPending: 2 })
    const waiting = [silent.isDenied('a', null), silent.isDenied('a', null)]
    await t.rejects(silent.isDenied('a', null), { message: '2 statements wait for PostgreSQL' })
    for (const question of waiting) await t.rejects(question, { message: 'PostgreSQL did not answer within 20 ms' })
    await t.rejects(silent.isDenied('a', null), { message: '2 statements wait for PostgreSQL' }, 'they wait still')
    const failing = new PostgresStore({ query: async () => { throw 'no' as unknown as Error } }) // eslint-disable-line no-throw-literal
    await t.rejects(failing.open(), { code: 'FST_JWT_BAD_OPTION', message: /got no answer from PostgreSQL.*no/ })
  })

  await t.test('any text may be an id, also one that PostgreSQL cannot hold or index', async t => {
    const store = await openStore(t, database)
    const ids = ['a\0b', 'a', 'a\ud800b', 'a\ud801b', 'a\ufffdb', 'x'.repeat(6000), 'x'.repeat(6001)]
    for (const [index, id] of ids.entries()) {
      t.equal(await store.isDenied(id, id), false, `${index}`)
      await store.denyToken(id, null, null)
      t.equal(await store.isDenied(id, null), true)
      t.equal(await store.checkToken(null, id), 'unknown')
    }
    const record = await start(store, { identity: 'zero\0zero' })
    t.equal((await store.getSession(record.id))?.session.identity, 'zero\0zero')
    t.equal((await store.listSessions('zero\0zero', null, 1)).sessions.length, 1)
  })
})

t.test('on a server', { skip: noPostgres }, async t => {
  const server = await startPostgres(t, 'fsync=off', 'max_connections=60')

  await t.test('the store contract, by every client', async t => {
    t.jobs = 2
    t.test('by pg', { buffered: true }, async t => contract(t, await openStore(t, poolOf(t, server), { prefix: 'pg_' })))
    t.test('by postgres.js', { buffered: true }, async t => {
      const sql = postgres(server.url, { onnotice () {} })
      t.teardown(() => sql.end())
      await contract(t, await openStore(t, sql, { prefix: 'postgres_js_' }))
    })
    t.end()
  })

  await t.test('postgres.js may rename columns, and know no arrays: a stale token is refused all the same', async t => {
    const { camel, pascal, kebab } = postgres
    for (const [name, options] of Object.entries({ camel: { transform: camel }, pascal: { transform: pascal }, kebab: { transform: kebab }, no_types: { fetch_types: false } })) {
      const sql = postgres(server.url, { onnotice () {}, max: 2, ...options })
      t.teardown(() => sql.end())
      const app = await sessionApp(t, { store: await openStore(t, sql, { prefix: `${name}_` }) })
      const { sessionId, accessToken } = await app.jwt.createSession('ada')
      t.equal(await verdict(app, 'GET', '/me', accessToken), 200, name)
      await app.jwt.updateSession(sessionId, { claims: { role: 'none' }, now: true })
      t.equal(await verdict(app, 'GET', '/me', accessToken), 'FST_JWT_STALE', name)
    }
  })

  await t.test('rotations that wait for a row do not hold the connections for longer than their time', async t => {
    const store = await openStore(t, poolOf(t, server, { max: 2, statement_timeout: 1000, query_timeout: 2000 }), { commandTimeout: 1000 })
    const record = await start(store)
    const other = await poolOf(t, server).connect()
    await other.query('BEGIN')
    await other.query('SELECT 1 FROM jwt_sessions WHERE id = $1 FOR UPDATE', [`=${record.id}`])
    const waiting = Array.from({ length: 4 }, async () => store.replaceSession(record.id, 0, { used: false }))
    for (const { status } of await Promise.allSettled(waiting)) t.equal(status, 'rejected')
    while (await store.isDenied('a', null).catch(() => true));
    await other.query('COMMIT')
    other.release()
    t.equal((await store.getSession(record.id))?.session.version, 0)
  })

  await t.test('by @fastify/postgres, an app starts again where it stopped, with either kind of refresh token', async t => {
    for (const refreshTokenFormat of ['jwt', 'opaque'] as const) {
      const appOn = async () => {
        const database = Fastify()
        await database.register(fastifyPostgres, { connectionString: server.url })
        t.teardown(() => database.close())
        const store = new PostgresStore(database.pg)
        t.teardown(() => store.close())
        return sessionApp(t, { store, refreshTokenFormat })
      }
      const before = await appOn()
      const [kept, ended] = [await before.jwt.createSession('ada'), await before.jwt.createSession('ada')]
      await before.jwt.revokeSession(ended.sessionId)
      const after = await appOn()
      t.equal(await verdict(after, 'GET', '/me', (await refresh(after, kept.refreshToken)).accessToken), 200)
      t.equal(await verdict(after, 'GET', '/me', ended.accessToken), 'FST_JWT_REVOKED')
      t.equal(await verdict(after, 'POST', '/refresh', ended.refreshToken), 'FST_JWT_REVOKED')
    }
  })

  await t.test('servers that start at once create the tables once', async t => {
    const stores = Array.from({ length: 8 }, () => new PostgresStore(poolOf(t, server, { max: 1 }), { prefix: 'together_' }))
    t.teardown(() => { for (const store of stores) store.close() })
    await Promise.all(stores.map(async store => store.open()))
    await start(stores[0] as PostgresStore)
  })

  await t.test('a login that waits while all sessions end is not created, and one that is stored meanwhile ends', async t => {
    const store = await openStore(t, poolOf(t, server))
    const other = await poolOf(t, server).connect()
    const record = session()
    await store.endSessions(record.identity, null, 10)
    // Holds the row of the identity, as an ending that has not been committed does.
    await other.query('BEGIN')
    await other.query('UPDATE jwt_session_owners SET ends = ends + 1 WHERE owner = $1', [`=${record.identity}`])
    const waiting = store.createSession(record, null)
    await waitsForLock(server)
    await other.query('COMMIT')
    t.strictSame(await waiting, { created: false, ended: [] })
    t.equal(await store.getSession(record.id), null)

    await other.query('BEGIN')
    await other.query('UPDATE jwt_session_owners SET logins = logins + 1 WHERE owner = $1', [`=${record.identity}`])
    const ending = store.endSessions(record.identity, null, 10)
    await waitsForLock(server)
    await other.query('COMMIT')
    other.release()
    t.strictSame(await ending, { ended: [], more: true }, 'it has to look again')
    t.strictSame(await store.endSessions(record.identity, null, 10), { ended: [], more: false })
  })

  await t.test('a rotation that ran after its caller was told 503 has changed nothing', async t => {
    const store = await openStore(t, poolOf(t, server), { commandTimeout: 1000 })
    const record = await start(store)
    const other = await poolOf(t, server).connect()
    await other.query('BEGIN')
    await other.query('SELECT 1 FROM jwt_sessions WHERE id = $1 FOR UPDATE', [`=${record.id}`])
    await t.rejects(store.replaceSession(record.id, 0, { used: false }), { message: /did not answer within 1000 ms/ })
    await other.query('SELECT pg_sleep(0.2)')
    await other.query('COMMIT')
    other.release()
    while ((await server.run("SELECT 1 FROM pg_stat_activity WHERE query LIKE 'UPDATE%' AND state = 'active' AND pid <> pg_backend_pid()")).length > 0);
    t.equal((await store.getSession(record.id))?.session.version, 0)
  })

  await t.test('what has expired goes a day later, an id used once a minute later, in steps, on one server at a time, and nothing that lives', async t => {
    const timers: Array<{ run: () => void, milliseconds: number }> = []
    const store = await openStore(t, poolOf(t, server), { prefix: 'sweep_' })
    const now = Date.now()
    await server.run(`INSERT INTO sweep_denials SELECT 'token', 'expired' || i, ${now - day - 1000} FROM generate_series(1, 2100) AS i`)
    await store.denyToken('kept a day', null, now - day + 60_000)
    await store.denySession('kept', null)
    await store.useOnce('forgotten', now - 61_000)
    await store.useOnce('kept a minute', now - 30_000)
    await start(store, { expiresAt: now - day - 1000 })
    await start(store, { expiresAt: now - 1000 })
    await start(store)
    await server.run(`UPDATE sweep_session_owners SET touched_at = ${now - 2 * day}`)
    const { setTimeout } = globalThis
    t.teardown(() => { globalThis.setTimeout = setTimeout })
    globalThis.setTimeout = ((run: () => void, milliseconds: number) => {
      if (milliseconds !== 50 && milliseconds !== 60_000) return setTimeout(run, milliseconds)
      timers.push({ run, milliseconds })
      return setTimeout(() => {}, 0)
    }) as typeof setTimeout
    await store.open()
    const pauses: number[] = []
    for (let step = 0; step < 4; step++) {
      const timer = timers.pop()
      pauses.push(Number(timer?.milliseconds))
      timer?.run()
      while (timers.length === 0) await new Promise(resolve => { setTimeout(resolve, 5) })
    }
    t.strictSame(pauses, [60_000, 50, 50, 60_000], 'no more than 1,000 rows at once')
    t.match(await server.run('SELECT (SELECT count(*) FROM sweep_denials) AS denials, (SELECT count(*) FROM sweep_sessions) AS sessions, (SELECT count(*) FROM sweep_session_owners) AS owners, (SELECT min(id) FROM sweep_used_ids) AS used'),
      [{ denials: '2', sessions: '2', owners: '2', used: '=kept a minute' }])
    await server.run('DROP TABLE sweep_denials')
    timers.pop()?.run()
    while (timers.length === 0) await new Promise(resolve => { setTimeout(resolve, 5) })
    t.equal(timers.at(-1)?.milliseconds, 60_000, 'after a failure it is tried again')
    timers.pop()?.run()
    store.close()
    await new Promise(resolve => { setTimeout(resolve, 100) })
    t.strictSame(timers, [], 'a step that fails after the store was closed is not tried again')
  })

  await t.test('a database that cannot be written stops start-up', async t => {
    const pool = poolOf(t, server, { options: '-c default_transaction_read_only=on' })
    await t.rejects(new PostgresStore(pool).open(), { code: 'FST_JWT_BAD_OPTION', message: /cannot be written, such as a replica/ })
  })

  await t.test('a user who may not create tables is told what to run', async t => {
    await server.run('CREATE ROLE app LOGIN')
    const pool = poolOf(t, server, { connectionString: server.url.replace('tester', 'app') })
    await t.rejects(new PostgresStore(pool, { prefix: 'new_' }).open(), { code: 'FST_JWT_BAD_OPTION', message: /permission denied.*PostgresStore\.schema\(/s })
  })

  await t.test('a server that stands still, dies and comes back: 503, never a pass, and no restart', async t => {
    const pool = poolOf(t, server, { connectionTimeoutMillis: 1000, max: 4 })
    const store = new PostgresStore(pool, { commandTimeout: 1000, prefix: 'outage_' })
    t.teardown(() => store.close())
    const app = await sessionApp(t, { store })
    app.post('/login', async () => app.jwt.createSession('ada'))
    const { accessToken, refreshToken } = await app.jwt.createSession('ada')
    const revoked = app.jwt.createAccessToken('ada')
    await app.jwt.revokeToken(revoked)
    const unavailable = async (): Promise<void> => {
      const answers = await Promise.all([
        send(app, 'GET', '/me', accessToken), send(app, 'GET', '/me', revoked), send(app, 'POST', '/refresh', refreshToken), send(app, 'POST', '/login', '')
      ])
      for (const { statusCode, body } of answers) {
        t.equal(statusCode, 503)
        t.match(JSON.parse(body), { code: 'FST_JWT_STORE_UNAVAILABLE', message: 'Token store unavailable' })
      }
    }
    server.freeze()
    await unavailable()
    server.thaw()
    while (await verdict(app, 'GET', '/me', accessToken) !== 200);
    await server.kill()
    await unavailable()
    await server.restart()
    // Each connection is made anew, and each may take its time.
    const backAgain = async (...request: Parameters<typeof verdict>): Promise<unknown> => {
      for (;;) {
        const answer = await verdict(...request)
        if (answer !== 'FST_JWT_STORE_UNAVAILABLE') return answer
      }
    }
    t.equal(await backAgain(app, 'GET', '/me', accessToken), 200)
    t.equal(await backAgain(app, 'GET', '/me', revoked), 'FST_JWT_REVOKED')
    t.equal(await backAgain(app, 'POST', '/refresh', refreshToken), 200)
  })
})

/** Waits until a statement of the store waits for a row. */
async function waitsForLock (server: PostgresServer): Promise<void> {
  while ((await server.run("SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'")).length === 0);
}
