import { readFile, writeFile } from 'node:fs/promises'
import t from 'tap'
import type { Test } from 'tap'
import { documentOf, session } from '../../../../lib/stores/contract-tests/contract-test.ts'
import { testStore } from '../../../../lib/stores/contract.ts'
import { SqliteStore } from '../../../../lib/stores/sqlite/store.ts'
import { refresh, sessionApp, verdict } from '../../../helpers/session-app.ts'
import { databasePath, drivers, libsql, scheduledBy } from '../../../helpers/sqlite.ts'
import type { SqliteStoreOptions } from '../../../../lib/stores/sqlite/store.ts'
import type { Driver, OpenDatabase } from '../../../helpers/sqlite.ts'
import { movableTime } from '../../../helpers/clock.ts'

const day = 86_400_000

interface Opened { readonly path: string, readonly database: OpenDatabase, readonly store: SqliteStore }

async function openStore (t: Test, driver: Driver, options: SqliteStoreOptions = {}, path?: string): Promise<Opened> {
  const file = path ?? await databasePath(t)
  const database = driver.open(file)
  // What is tested here is not the disk.
  const store = new SqliteStore(database, { synchronous: 'normal', ...options })
  t.teardown(() => {
    store.close()
    try { database.close() } catch { /* The test has closed it. */ }
  })
  return { path: file, database, store }
}

function countOf (database: OpenDatabase, table: string): number {
  return Number((database.prepare(`SELECT count(*) AS count FROM ${table}`).get() as { count: number }).count)
}

for (const driver of drivers) {
  t.test(`by ${driver.name}`, { skip: driver.missing }, async t => {
    await t.test('the store contract, with a replica too', async t => {
      t.jobs = 100
      for (const replicate of [false, true]) {
        const { store } = await openStore(t, driver, { replicate })
        testStore((name, run) => t.test(`${name}${replicate ? ', with a replica' : ''}`, { buffered: true }, run), () => store)
      }
    })

    await t.test('every method answers with a value, not a promise', async t => {
      const { store } = await openStore(t, driver)
      const record = session()
      t.equal(store.open(), undefined)
      t.strictSame(store.createSession(record, null), { created: true, ended: [] })
      t.equal(store.getSession(record.id)?.session.id, record.id)
      t.equal(store.getSessionState(record.id)?.generation, 0)
      t.equal(store.replaceSession(record.id, 0, { used: true }), true)
      t.match(store.checkToken('a', record.id), { version: 1 })
      t.equal(store.listSessions(record.identity, null, 10).sessions.length, 1)
      t.strictSame(store.endSessions(record.identity, null, 10), { ended: [record.id], more: false })
      t.equal(store.endSession(record.id), null)
      t.equal(store.denyToken('a', null, null), undefined)
      t.equal(store.denySession('a', null), undefined)
      t.equal(store.isDenied('a', null), true)
      t.equal(store.checkToken('a', 'b'), 'denied')
    })

    await t.test('two databases on one file are one store', async t => {
      const first = await openStore(t, driver)
      const second = await openStore(t, driver, {}, first.path)
      first.store.open()
      second.store.open()
      const record = session()
      first.store.createSession(record, null)
      t.match(second.store.checkToken('a', record.id), { version: 0 })
      t.equal(second.store.endSession(record.id), record.identity)
      t.equal(first.store.checkToken('a', record.id), 'unknown')
      second.store.denyToken('a', null, Date.now() + 1000)
      t.equal(first.store.isDenied('a', null), true)
    })

    await t.test('two prefixes in one file are two stores', async t => {
      const { path, store } = await openStore(t, driver)
      const other = await openStore(t, driver, { prefix: 'other_' }, path)
      store.denyToken('a', null, null)
      t.equal(other.store.isDenied('a', null), false)
    })

    await t.test('an app on it starts again where it stopped', async t => {
      const { path, store } = await openStore(t, driver)
      const before = await sessionApp(t, { store })
      const [kept, ended] = [await before.jwt.createSession('ada'), await before.jwt.createSession('ada')]
      await before.jwt.revokeSession(ended.sessionId)
      const plain = before.jwt.createAccessToken('ada')
      await before.jwt.revokeToken(plain)
      await before.close()

      const after = await sessionApp(t, { store: (await openStore(t, driver, {}, path)).store })
      t.equal(await verdict(after, 'GET', '/me', kept.accessToken), 200)
      t.equal(await verdict(after, 'GET', '/me', (await refresh(after, kept.refreshToken)).accessToken), 200)
      t.equal(await verdict(after, 'GET', '/me', ended.accessToken), 'FST_JWT_REVOKED')
      t.equal(await verdict(after, 'POST', '/refresh', ended.refreshToken), 'FST_JWT_REVOKED')
      t.equal(await verdict(after, 'GET', '/me', plain), 'FST_JWT_REVOKED')
    })

    await t.test('a file that another connection has locked is a 503 for who must write, and good to read', async t => {
      const { path, store } = await openStore(t, driver, { busyTimeout: 20 })
      const app = await sessionApp(t, { store })
      app.post('/login', async () => app.jwt.createSession('ada'))
      const { accessToken, refreshToken } = await app.jwt.createSession('ada')
      const other = driver.open(path)
      other.exec('BEGIN IMMEDIATE')
      t.equal(await verdict(app, 'GET', '/me', accessToken), 200)
      t.equal(await verdict(app, 'POST', '/login', ''), 'FST_JWT_STORE_UNAVAILABLE')
      t.equal(await verdict(app, 'POST', '/refresh', refreshToken), 'FST_JWT_STORE_UNAVAILABLE')
      await t.rejects(async () => app.jwt.revokeToken(accessToken), { code: 'FST_JWT_STORE_UNAVAILABLE' })
      other.exec('COMMIT')
      other.close()
      t.equal(await verdict(app, 'POST', '/refresh', refreshToken), 200, 'and all is well afterwards')
      t.equal(await verdict(app, 'POST', '/login', ''), 200)
    })

    await t.test('a full disk is a 503 for who must write, and a revoked token stays revoked', async t => {
      const { database, store } = await openStore(t, driver)
      const app = await sessionApp(t, { store })
      app.post('/login', async () => app.jwt.createSession('ada'))
      app.post('/limited', async () => app.jwt.createSession('ada', { metadata: { long: 'x'.repeat(100_000) } }))
      const { accessToken } = await app.jwt.createSession('ada')
      const revoked = app.jwt.createAccessToken('ada')
      await app.jwt.revokeToken(revoked)
      const { page_count: pages } = database.prepare('PRAGMA page_count').get() as { page_count: number }
      database.prepare(`PRAGMA max_page_count = ${pages}`).get()
      t.equal(await verdict(app, 'POST', '/limited', ''), 'FST_JWT_STORE_UNAVAILABLE')
      t.equal(await verdict(app, 'GET', '/me', accessToken), 200)
      t.equal(await verdict(app, 'GET', '/me', revoked), 'FST_JWT_REVOKED')
      database.prepare('PRAGMA max_page_count = 1000000').get()
      t.equal(await verdict(app, 'POST', '/limited', ''), 200, 'and there is room again')
    })

    await t.test('a damaged file is a 503 and never a pass', async t => {
      const { path, database, store } = await openStore(t, driver)
      const app = await sessionApp(t, { store })
      const { accessToken } = await app.jwt.createSession('ada')
      const revoked = app.jwt.createAccessToken('ada')
      await app.jwt.revokeToken(revoked)
      await app.close()
      store.close()
      // So that all is in the file, and nothing in its log.
      database.prepare('PRAGMA wal_checkpoint(TRUNCATE)').get()
      database.close()
      await writeFile(`${path}-wal`, '')
      const content = await readFile(path)
      await writeFile(path, content.fill(0x5a, 4096))
      const again = await openStore(t, driver, {}, path)
      const onDamaged = sessionApp(t, { store: again.store })
      // Either it is found at start-up, or each request is refused.
      const verdicts = await onDamaged.then(async app => [await verdict(app, 'GET', '/me', accessToken), await verdict(app, 'GET', '/me', revoked)], () => null)
      if (verdicts !== null) t.strictSame(verdicts, ['FST_JWT_STORE_UNAVAILABLE', 'FST_JWT_STORE_UNAVAILABLE'])
    })

    // A statement of libsql goes on when its database was closed.
    if (driver !== libsql) {
      await t.test('a database that the app has closed is a 503', async t => {
        const { database, store } = await openStore(t, driver)
        const app = await sessionApp(t, { store })
        const { accessToken } = await app.jwt.createSession('ada')
        database.close()
        t.equal(await verdict(app, 'GET', '/me', accessToken), 'FST_JWT_STORE_UNAVAILABLE')
      })
    }

    await t.test('what has expired goes a day later, in steps, and nothing that lives', async t => {
      const { database, store } = await openStore(t, driver)
      const timers: Array<{ run: () => void, milliseconds: number }> = []
      const { setTimeout } = globalThis
      t.teardown(() => { globalThis.setTimeout = setTimeout })
      globalThis.setTimeout = ((run: () => void, milliseconds: number) => {
        timers.push({ run, milliseconds })
        return setTimeout(() => {}, 0)
      }) as typeof setTimeout
      store.open()
      const now = Date.now()
      for (let i = 0; i < 110; i++) store.denyToken(`expired ${i}`, null, now - day - 1000)
      store.createSession(session({ expiresAt: now - day - 1000 }), null)
      store.createSession(session({ expiresAt: now - 1000 }), null)
      store.createSession(session(), null)
      store.denyToken('kept a day', null, now - day + 60_000)
      store.denySession('kept', null)
      store.useOnce('forgotten', now - 61_000)
      store.useOnce('kept a minute', now - 30_000)
      const pauses: number[] = []
      const next = (): void => {
        const timer = timers.pop()
        pauses.push(Number(timer?.milliseconds))
        timer?.run()
      }
      for (let turn = 0; turn < 10; turn++) next()
      t.strictSame(pauses, [60_000, 12, 12, 12, 12, 12, 12, 12, 12, 60_000], 'no more than 25 rows at once, copied back in a turn of its own')
      t.equal(countOf(database, 'jwt_denials'), 2)
      t.equal(countOf(database, 'jwt_sessions'), 2)
      t.equal(countOf(database, 'jwt_used_ids'), 1, 'an id used once goes a minute later')
      database.exec('DROP TABLE jwt_denials')
      next()
      t.equal(timers.pop()?.milliseconds, 1000, 'after a failure it is tried again')
    })

    await t.test('a clock that jumps ahead by an hour, and back, forgets nothing', async t => {
      const { store } = await openStore(t, driver)
      const app = await sessionApp(t, { store })
      const { accessToken } = await app.jwt.createSession('ada')
      const revoked = app.jwt.createAccessToken('ada')
      await app.jwt.revokeToken(revoked)
      const time = movableTime(t)
      time.advance(3600)
      t.equal(await verdict(app, 'GET', '/me', revoked), 'FST_JWT_EXPIRED')
      time.reset()
      t.equal(await verdict(app, 'GET', '/me', revoked), 'FST_JWT_REVOKED')
      t.equal(await verdict(app, 'GET', '/me', accessToken), 200)
    })

    await t.test('tables of an earlier version stop start-up, and are not misread', async t => {
      const path = await databasePath(t)
      const database = driver.open(path)
      t.teardown(() => { database.close() })
      database.exec('CREATE TABLE jwt_sessions (id TEXT PRIMARY KEY, identity TEXT NOT NULL)')
      t.throws(() => { new SqliteStore(database).open() }, { code: 'FST_JWT_BAD_OPTION', message: /earlier version.*set another prefix/ })
      const store = new SqliteStore(database, { prefix: 'jwt2_' })
      t.teardown(() => { store.close() })
      store.open()
      const record = session({ identity: '"ada"' })
      store.createSession(record, null)
      t.equal(store.getSession(record.id)?.session.identity, '"ada"')
      database.exec("UPDATE jwt2_sessions SET identity_json = '42'")
      t.throws(() => store.getSession(record.id), /has not written/)
    })

    await t.test('the clean-up waits for no other process', async t => {
      const path = await databasePath(t)
      const { database, store } = await openStore(t, driver, { busyTimeout: 60_000 }, path)
      const steps = scheduledBy(() => { store.open() })
      const other = driver.open(path)
      t.teardown(() => { other.close() })
      store.createSession(session({ expiresAt: Date.now() - 2 * 86_400_000 }), null)
      other.exec('BEGIN IMMEDIATE')
      steps[0]?.()
      t.equal(countOf(database, 'jwt_sessions'), 1)
      other.exec('ROLLBACK')
      for (let i = 0; i < 60; i++) store.denyToken(`expired ${i}`, null, Date.now() - 2 * day)
      const [copyBack = () => t.fail('nothing is copied back')] = scheduledBy(() => { steps[0]?.() })
      t.equal(countOf(database, 'jwt_sessions'), 0)
      t.equal(countOf(database, 'jwt_denials'), 35)
      // What the step has begun ends quietly.
      database.close()
      t.doesNotThrow(() => { copyBack() })
    })

    await t.test('inside a transaction of the app, the clean-up fails and changes no setting', async t => {
      const { database, store } = await openStore(t, driver, { busyTimeout: 321, synchronous: 'full' })
      const steps = scheduledBy(() => { store.open() })
      store.denyToken('expired', null, Date.now() - 2 * day)
      database.exec('BEGIN')
      const [retry] = scheduledBy(() => { steps[0]?.() })
      database.exec('ROLLBACK')
      t.equal(countOf(database, 'jwt_denials'), 1)
      t.match(database.prepare('PRAGMA busy_timeout').get(), { timeout: 321 })
      t.match(database.prepare('PRAGMA synchronous').get(), { synchronous: 2 })
      retry?.()
      t.equal(countOf(database, 'jwt_denials'), 0)
    })

    await t.test('after a write that found the file locked, later writes are kept', async t => {
      const path = await databasePath(t)
      const [one, two] = [await openStore(t, driver, { busyTimeout: 0 }, path), await openStore(t, driver, {}, path)]
      const record = session()
      one.store.createSession(record, null)
      const writes: Array<(store: SqliteStore) => unknown> = [
        store => store.denyToken('a token', null, null),
        store => store.denySession('a session', null),
        store => store.useOnce('an id', Date.now() + 60_000),
        store => store.createSession(session(), null),
        store => store.createSession(session(), { max: 1, whenFull: 'endOldest' }),
        store => store.replaceSession(record.id, 0, { used: true }),
        store => store.endSession(record.id),
        store => store.endSessions(record.identity, null, 10)
      ]
      for (const [index, write] of writes.entries()) {
        two.database.exec('BEGIN IMMEDIATE')
        t.throws(() => write(one.store), /locked/)
        two.database.exec('ROLLBACK')
        one.store.denyToken(`later ${index}`, null, null)
        t.equal(two.store.isDenied(`later ${index}`, null), true)
        t.match(two.store.getSession(record.id), { session: { version: 0 } }, 'and what failed has not happened')
        t.doesNotThrow(() => two.store.denyToken('nobody waits for the file', null, null))
      }
    })

    await t.test('a login that cannot be stored ends no other session', async t => {
      const { store } = await openStore(t, driver)
      const [kept, other] = [session(), session()]
      store.createSession(kept, null)
      store.createSession(other, null)
      // It would end the oldest, but its id is there already.
      t.throws(() => store.createSession(session({ id: other.id, identity: kept.identity }), { max: 1, whenFull: 'endOldest' }))
      t.equal(store.getSession(kept.id)?.session.id, kept.id)
    })
  })
}

t.test('options that are wrong stop start-up, and name the remedy', { skip: libsql.missing }, async t => {
  const { database } = await openStore(t, libsql)
  const wrong = (options: object): (() => unknown) => () => new SqliteStore(database, options)
  t.throws(() => new SqliteStore({} as OpenDatabase), { code: 'FST_JWT_BAD_OPTION', message: /takes a database of node:sqlite, better-sqlite3 or libsql/ })
  t.throws(() => new SqliteStore(null as unknown as OpenDatabase), { code: 'FST_JWT_BAD_OPTION' })
  t.throws(wrong({ prefx: 'a' }), { code: 'FST_JWT_BAD_OPTION', message: /prefx/ })
  for (const prefix of ['', 'a b', 'a"', 1]) t.throws(wrong({ prefix }), { code: 'FST_JWT_BAD_OPTION', message: /store\.prefix/ })
  for (const busyTimeout of [-1, 1.5, 60_001, '1']) t.throws(wrong({ busyTimeout }), { code: 'FST_JWT_BAD_OPTION', message: /store\.busyTimeout/ })
  t.throws(wrong({ synchronous: 'off' }), { code: 'FST_JWT_BAD_OPTION', message: /store\.synchronous/ })
  t.doesNotThrow(wrong({ prefix: undefined }))
})

t.test('a file that cannot be in WAL mode stops start-up', { skip: libsql.missing }, async t => {
  const { path, database } = await openStore(t, libsql)
  database.exec('CREATE TABLE t (a)')
  // As a driver answers whose file is read-only.
  const stubborn = { exec: () => {}, prepare: () => ({ get: () => ({ journal_mode: 'delete' }), run: () => ({ changes: 0 }), all: () => [] }) }
  await t.rejects(sessionApp(t, { store: new SqliteStore(stubborn) }), { code: 'FST_JWT_BAD_OPTION', message: /WAL mode.*'delete'/ })
  t.ok(path)
})

t.test('the error of a transaction is what went wrong in it, also if SQLite has rolled back by itself', async t => {
  const failing = {
    exec (sql: string) { if (sql === 'ROLLBACK') throw new Error('no transaction is active') },
    prepare: () => ({ get: () => ({ journal_mode: 'wal', count: 0 }), run: () => { throw new Error('database or disk is full') }, all: () => [] })
  }
  const store = new SqliteStore(failing)
  t.teardown(() => store.close())
  t.throws(() => store.createSession(session(), { max: 1, whenFull: 'refuse' }), { message: 'database or disk is full' })
})

t.test('a document may hold what JSON can', { skip: libsql.missing }, async t => {
  const { store } = await openStore(t, libsql)
  const metadata = { nul: 'a\0b', quote: "'\"", deep: [{ a: [null, 1.5, true] }] }
  const record = session({ document: documentOf({ metadata }) })
  store.createSession(record, null)
  t.strictSame(store.getSession(record.id)?.session.document.metadata, metadata)
  store.denyToken('a\0b', null, null)
  t.equal(store.isDenied('a\0b', null), true)
})
