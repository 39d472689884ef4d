import { readFile, writeFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import type { Test } from 'tap'
import { session } from '../../../../lib/stores/contract-tests/contract-test.ts'
import type { FeedListener } from '../../../../lib/stores/replication/feed.ts'
import { createSqliteFeed } from '../../../../lib/stores/sqlite/feed.ts'
import { keyOf } from '../../../../lib/stores/sqlite/key.ts'
import { prepareStatements } from '../../../../lib/stores/sqlite/statements.ts'
import { SqliteStore } from '../../../../lib/stores/sqlite/store.ts'
import type { SqliteStoreOptions } from '../../../../lib/stores/sqlite/store.ts'
import { movableTime } from '../../../helpers/clock.ts'
import { passage, patient, startServer, until, untilPassage, untilTrusted } from '../../../helpers/replicas.ts'
import type { Server } from '../../../helpers/replicas.ts'
import { endedElsewhere, revokedElsewhere, staleElsewhere } from '../../../helpers/replication-tests.ts'
import { call, startServer as startProcess } from '../../../helpers/server-processes.ts'
import { databasePath, drivers, libsql, scheduledBy } from '../../../helpers/sqlite.ts'
import type { Driver, OpenDatabase } from '../../../helpers/sqlite.ts'

const day = 86_400_000

interface Opened { readonly database: OpenDatabase, readonly store: SqliteStore }

function open (t: Test, driver: Driver, path: string, options: SqliteStoreOptions = {}): Opened {
  const database = driver.open(path)
  const store = new SqliteStore(database, { synchronous: 'normal', replicate: patient, ...options })
  t.teardown(() => {
    store.close()
    database.close()
  })
  return { database, store }
}

/** A process of many, on a connection of its own. */
async function start (t: Test, driver: Driver, path: string, options: SqliteStoreOptions = {}): Promise<Server<SqliteStore> & Opened> {
  const opened = open(t, driver, path, options)
  return { ...await startServer(t, opened.store), ...opened }
}

/** A file whose feed was there before every token of these tests. */
async function oldFeed (t: Test, driver: Driver): Promise<string> {
  const path = await databasePath(t)
  const database = driver.open(path)
  const store = new SqliteStore(database)
  store.open()
  store.close()
  database.exec(`INSERT INTO jwt_feed (place, kind, id, expires_at) VALUES (0, 'feed', '1', ${Date.now()})`)
  database.close()
  return path
}

function feedOf (database: OpenDatabase): Array<{ place: number, kind: string, id: string, expires_at: number }> {
  return (database.prepare('SELECT * FROM jwt_feed ORDER BY place').all() as Array<{ place: number, kind: string, id: string, expires_at: number }>).map(row => ({ ...row }))
}

function judged (store: SqliteStore, { jti = null, sid = null }: { jti?: string | null, sid?: string | null }): string | undefined {
  return store.judge?.({ jti, sid, generation: 0, issuedAt: 1e10 })
}

/** Runs the first step of the clean-up, a minute early. */
function sweep (store: SqliteStore): void {
  scheduledBy(() => { store.open() })[0]?.()
}

for (const driver of drivers) {
  t.test(`by ${driver.name}`, { skip: driver.missing }, async t => {
    await t.test('a token passes without a question until another process revokes it', async t => {
      const path = await oldFeed(t, driver)
      await revokedElsewhere(t, async t => start(t, driver, path))
    })

    await t.test('whatever ends a session ends it in every process, many at once too', async t => {
      const path = await oldFeed(t, driver)
      await endedElsewhere(t, async t => start(t, driver, path), 60)
    })

    await t.test('claims that change now make the tokens of before stale in every process', async t => {
      const path = await oldFeed(t, driver)
      await staleElsewhere(t, async t => start(t, driver, path))
    })

    await t.test('a clock that jumps ahead while denials are loaded or published, and back, forgets none', async t => {
      const path = await oldFeed(t, driver)
      const [here, there] = [await start(t, driver, path), await start(t, driver, path)]
      await untilTrusted(here.store, there.store)
      const clock = movableTime(t)
      const [revoked, valid] = ['ada', 'eve'].map(name => here.app.jwt.createAccessToken(name)) as [string, string]
      await here.app.jwt.revokeToken(revoked)
      clock.advance(7200)
      const late = await start(t, driver, path)
      await untilTrusted(there.store, late.store)
      clock.reset()
      for (const server of [there, late]) t.match(await passage(server, revoked), /^FST_JWT_REVOKED/, 'at once')
      for (const server of [there, late]) {
        await untilPassage(server, revoked, 'FST_JWT_REVOKED from memory')
        await untilPassage(server, valid, '200 from memory')
      }
    })

    await t.test('a feed that was created while the clock was ahead is replaced', async t => {
      const path = await databasePath(t)
      const clock = movableTime(t)
      clock.advance(30 * 86_400)
      await untilTrusted((await start(t, driver, path)).store)
      clock.reset()
      const { app, store, database } = await start(t, driver, path)
      await untilTrusted(store)
      t.ok(Number(feedOf(database)[0]?.id) <= Date.now())
      t.equal(judged(store, { jti: 'a token of later' }), 'passes')
      await app.close()
    })

    await t.test('a feed that cannot be renewed yet is trusted', async t => {
      const path = await oldFeed(t, driver)
      const { store, database } = await start(t, driver, path)
      await untilTrusted(store)
      database.exec(`UPDATE jwt_feed SET expires_at = ${Date.now() - 13 * 3_600_000}`)
      const other = driver.open(path)
      t.teardown(() => { other.close() })
      other.exec('BEGIN IMMEDIATE')
      const { epoch } = store
      await sleep(3 * 250)
      t.equal(store.replica?.trusted, true)
      other.exec('ROLLBACK')
      await until(() => (feedOf(database)[0]?.expires_at ?? 0) > Date.now() - 60_000, 'the renewal')
      t.equal(store.epoch, epoch)
    })

    await t.test('ids of any length and script are published and loaded', async t => {
      const path = await oldFeed(t, driver)
      const [here, there] = [await start(t, driver, path), await start(t, driver, path)]
      await untilTrusted(here.store, there.store)
      const ids = ['a', '', 'a "b" \' \\ \n', 'a zero \0 and more', 'a zero \0', 'half \ud800', 'half \ud801', '#', '\u{1F511}'.repeat(250), 'x'.repeat(3000)]
      for (const id of ids) here.store.denyToken(id, null, null)
      await until(() => ids.every(id => judged(there.store, { jti: id }) === 'denied'), 'all denials')
      const late = await start(t, driver, path)
      await untilTrusted(late.store)
      for (const id of ids) {
        t.equal(judged(late.store, { jti: id }), 'denied')
        t.equal(await late.store.isDenied(id, null), true)
      }
      for (const id of ['another', 'a zero ', 'half \ufffd', '##', keyOf('half \ud800')]) {
        t.equal(judged(late.store, { jti: id }), 'passes')
        t.equal(await late.store.isDenied(id, null), false)
      }
    })
  })
}

t.test('on a file', { skip: libsql.missing }, async t => {
  await t.test('what is written to the feed, and when', async t => {
    const path = await databasePath(t)
    const { database, store: plain } = open(t, libsql, path, { replicate: false })
    const expiresAt = Date.now() + 60_000
    const ends = (): string => {
      const one = session({ expiresAt })
      plain.createSession(one, null)
      plain.endSession(one.id)
      return one.id
    }
    plain.denyToken('unheard', null, null)
    ends()
    t.strictSame(feedOf(database), [], 'nothing if no process replicates')
    t.equal(plain.replica, null)
    t.equal(plain.judge, undefined)
    t.equal(plain.epoch, 0)
    plain.onSessionEnd(() => {})()

    const { store } = open(t, libsql, path)
    store.open()
    await untilTrusted(store)
    t.match(feedOf(database), [{ place: 0, kind: 'feed' }])
    t.equal(judged(store, { jti: 'unheard' }), 'denied', 'a denial from before the feed is loaded')
    t.equal(store.replica?.denials, 1)
    plain.denyToken('token', null, expiresAt)
    plain.denyToken('token', null, expiresAt)
    plain.denyToken('token', null, expiresAt - 1)
    plain.denyToken('token', null, expiresAt + 1)
    const ended = ends()
    const stale = session({ expiresAt })
    plain.createSession(stale, null)
    plain.replaceSession(stale.id, 0, { generation: 1, tokenId: 'next', rotated: true })
    plain.replaceSession(stale.id, 1, { staleBefore: 2 })
    plain.replaceSession(stale.id, 2, { staleBefore: 2, used: true })
    t.strictSame(feedOf(database).slice(1).map(({ kind, id, expires_at: end }) => [kind, id, end]), [
      ['token', 'token', expiresAt], ['token', 'token', expiresAt + 1], ['session', ended, expiresAt], ['stale', `2:${stale.id}`, expiresAt]
    ], 'each once, from a process that does not replicate, too')
    await until(() => judged(store, { jti: 'token' }) === 'denied' && judged(store, { sid: ended }) === 'denied' && judged(store, { sid: stale.id }) === 'ask', 'all of it')
  })

  await t.test('the clean-up publishes nothing, and forgets what has expired, but for the last row', async t => {
    const path = await oldFeed(t, libsql)
    const { database, store } = open(t, libsql, path, { replicate: false })
    const long = Date.now() - day - 5000
    store.createSession(session({ expiresAt: long }), null)
    const expired = session({ expiresAt: Date.now() - day / 2 })
    store.createSession(expired, null)
    sweep(store)
    t.equal(database.prepare('SELECT * FROM jwt_sessions').all().length, 1)
    t.strictSame(feedOf(database).map(({ kind }) => kind), ['feed'])
    t.equal(store.endSession(expired.id), null, 'it has expired, but the clock may be wrong')
    t.strictSame(feedOf(database).map(({ kind }) => kind), ['feed', 'session'])
    store.denyToken('first', null, long)
    store.denyToken('last', null, long)
    database.exec(`UPDATE jwt_feed SET expires_at = ${long} WHERE kind = 'session'`)
    database.exec(`UPDATE jwt_feed SET expires_at = ${long} WHERE place = 0`)
    sweep(store)
    t.strictSame(feedOf(database).map(({ id }) => id), ['last'])
    store.denyToken('late', null, null)
    t.strictSame(feedOf(database).map(({ id }) => id), ['last'], 'the feed has ended a day after the last process that replicates')
  })

  await t.test('a feed that is in use stays', async t => {
    const path = await oldFeed(t, libsql)
    const { database, store } = open(t, libsql, path)
    database.exec(`UPDATE jwt_feed SET expires_at = ${Date.now() - day / 2 - 1000}`)
    store.open()
    await untilTrusted(store)
    const [feed] = feedOf(database)
    t.equal(feed?.id, '1')
    t.ok(Number(feed?.expires_at) > Date.now() - 60_000)
  })

  await t.test('more denials than are read at once arrive, and are loaded', async t => {
    const path = await oldFeed(t, libsql)
    const [here, there] = [open(t, libsql, path), open(t, libsql, path)]
    for (const { store } of [here, there]) store.open()
    await untilTrusted(here.store, there.store)
    const expiresAt = Date.now() + 60_000
    for (let i = 0; i < 2500; i++) here.store.denyToken(`${i}`, null, expiresAt)
    await until(() => there.store.replica?.denials === 2500, 'all of them')
    const late = open(t, libsql, path)
    late.store.open()
    await untilTrusted(late.store)
    t.equal(late.store.replica?.denials, 2500)
    t.equal(there.store.epoch, 1, 'nothing was loaded again')
  })

  await t.test('a feed that is closed while it reads on ends there', async t => {
    const path = await oldFeed(t, libsql)
    const { database, store } = open(t, libsql, path, { replicate: false })
    store.open()
    const statements = prepareStatements(database, 'jwt_')
    const told: string[] = []
    const listener: FeedListener = { denied: denials => { told.push(`${denials.length} denials`) }, marked: name => { told.push(name) }, lost: () => {} }
    const ownEnds = new Set<string>()
    const feed = createSqliteFeed({ statements: () => statements, aside: write => { write(statements) }, ownEnds, clockSkew: 0 })
    const connection = await feed.connect(listener, new AbortController().signal)
    ownEnds.add('never published')
    await connection.mark('first')
    t.equal(ownEnds.size, 0, 'what will not come is forgotten')
    for (let i = 0; i < 1500; i++) store.denyToken(`${i}`, null, null)
    const marks = [connection.mark('second'), connection.load(page => { told.push(`${page.length} loaded`) })]
    connection.close()
    await Promise.all(marks)
    t.strictSame(told, ['first', '1000 denials', '1000 loaded'])
  })

  await t.test('a stale mark that is damaged is an error, and nothing is trusted', async t => {
    const { database, store } = open(t, libsql, await oldFeed(t, libsql))
    store.open()
    await untilTrusted(store)
    database.exec(`INSERT INTO jwt_feed (kind, id, expires_at) VALUES ('stale', 'x:a session', ${Date.now() + day})`)
    await until(() => judged(store, { sid: 'a session' }) === 'ask' && judged(store, { sid: 'another' }) === 'ask', 'the end of trust')
  })

  await t.test('another process on the file, which does not replicate, is heard', async t => {
    const path = await oldFeed(t, libsql)
    const { store } = open(t, libsql, path)
    store.open()
    await untilTrusted(store)
    const ended: string[] = []
    store.onSessionEnd(sid => { ended.push(sid) })
    const { url } = await startProcess(t, { SQLITE_FILE: path })
    const { body: { sessionId: sid, accessToken } } = await call<{ sessionId: string, accessToken: string }>(`${url}/login`, 'POST')
    t.equal(judged(store, { sid }), 'passes')
    t.equal((await call(`${url}/logout`, 'POST', accessToken)).status, 200)
    await until(() => judged(store, { sid }) === 'denied', 'the end of the session')
    t.strictSame(ended, [sid])
  })

  await t.test('when the tables have lost their rows, every token of before is asked about', async t => {
    const one = await start(t, libsql, await oldFeed(t, libsql))
    await untilTrusted(one.store)
    const [{ accessToken: kept }, { accessToken: lost, sessionId }] = [await one.app.jwt.createSession('ada'), await one.app.jwt.createSession('ada')]
    for (const token of [kept, lost]) await untilPassage(one, token, '200 from memory')
    one.database.exec(`BEGIN; DELETE FROM jwt_feed; DELETE FROM jwt_sessions WHERE id = '${sessionId}'; COMMIT`)
    await untilPassage(one, lost, 'FST_JWT_REVOKED from the store')
    await untilTrusted(one.store)
    t.equal(await passage(one, lost), 'FST_JWT_REVOKED from the store')
    for (let i = 0; i < 2; i++) t.equal(await passage(one, kept), '200 from the store', 'it may have been revoked before there was this feed')
  })

  await t.test('when an older copy of the file was restored, everything is loaded again', async t => {
    const path = await oldFeed(t, libsql)
    const one = await start(t, libsql, path)
    await untilTrusted(one.store)
    const { accessToken } = await one.app.jwt.createSession('ada')
    await untilPassage(one, accessToken, '200 from memory')
    const other = open(t, libsql, path, { replicate: false })
    other.store.denyToken('lost', null, null)
    await until(() => judged(one.store, { jti: 'lost' }) === 'denied', 'the denial')
    t.equal(one.store.epoch, 1)
    other.database.exec("BEGIN; DELETE FROM jwt_feed WHERE place = 1; UPDATE sqlite_sequence SET seq = 0 WHERE name = 'jwt_feed'; COMMIT")
    other.store.denyToken('in its place', null, null)
    t.strictSame(feedOf(one.database).map(({ place, id }) => [place, id]), [[0, '1'], [1, 'in its place']])
    await until(() => judged(one.store, { jti: 'in its place' }) === 'denied', 'the denial')
    t.equal(one.store.epoch, 2)
    await untilTrusted(one.store)
    t.equal(await passage(one, accessToken), '200 from the store', 'its session is looked up again')
    t.equal(await passage(one, accessToken), '200 from memory')
  })

  await t.test('a damaged file ends trust, and requests are a 503 but for what is known to be revoked; then it is back', async t => {
    const path = await oldFeed(t, libsql)
    const one = await start(t, libsql, path, { replicate: { maxStaleness: 300 } })
    await untilTrusted(one.store)
    const { accessToken: valid } = await one.app.jwt.createSession('ada')
    const { accessToken: revoked, sessionId } = await one.app.jwt.createSession('ada')
    await one.app.jwt.revokeSession(sessionId)
    await untilPassage(one, valid, '200 from memory')
    await untilPassage(one, revoked, 'FST_JWT_REVOKED from memory')
    one.database.prepare('PRAGMA wal_checkpoint(TRUNCATE)').all()
    const content = await readFile(path)
    // In place, since the connection stays open. It forgets its copies of the pages.
    await writeFile(path, Buffer.from(content).fill(0x5a, 4096))
    one.database.exec('PRAGMA shrink_memory')
    await until(() => one.store.replica?.trusted === false, 'no trust')
    t.equal(await passage(one, valid), 'FST_JWT_STORE_UNAVAILABLE from the store')
    t.equal(await passage(one, revoked), 'FST_JWT_REVOKED from memory')
    await writeFile(path, content)
    one.database.exec('PRAGMA shrink_memory')
    await untilPassage(one, valid, '200 from memory')
    t.equal(await passage(one, revoked), 'FST_JWT_REVOKED from memory')
  })

  await t.test('while another process writes, a feed is not created, nothing waits for it, and the store is asked', async t => {
    const path = await databasePath(t)
    const { database, store } = open(t, libsql, path, { busyTimeout: 60_000 })
    store.open()
    const other = libsql.open(path)
    other.exec('BEGIN IMMEDIATE')
    // A wait for the other would last longer than this test may.
    await sleep(400)
    t.equal(store.replica?.trusted, false)
    t.equal(judged(store, { jti: 'a' }), 'ask')
    t.match(database.prepare('PRAGMA busy_timeout').get(), { timeout: 60_000 }, 'other writes wait as before')
    other.exec('COMMIT')
    other.close()
    await untilTrusted(store)
  })

  await t.test('what this process revokes is refused at once, and its feed tells it nothing new', async t => {
    const { store } = open(t, libsql, await oldFeed(t, libsql))
    store.open()
    await untilTrusted(store)
    const remote: string[] = []
    store.onSessionEnd(sid => { remote.push(sid) })
    const [first, second, third] = [session({ identity: 'ada' }), session({ identity: 'ada' }), session({ identity: 'ada' })]
    const ids = [first, second, third].map(({ id }) => id)
    store.createSession(first, null)
    t.equal(judged(store, { sid: first.id }), 'passes')
    store.createSession(second, { max: 1, whenFull: 'endOldest' })
    t.equal(judged(store, { sid: first.id }), 'ask')
    store.createSession(third, null)
    store.endSessions('ada', third.id, 10)
    t.equal(judged(store, { sid: second.id }), 'ask')
    store.endSession(third.id)
    t.equal(judged(store, { sid: third.id }), 'ask')
    const stale = session()
    store.createSession(stale, null)
    store.replaceSession(stale.id, 0, { staleBefore: 1 })
    t.equal(judged(store, { sid: stale.id }), 'ask')
    store.denySession('another', null)
    t.equal(judged(store, { sid: 'another' }), 'ask')
    store.denyToken('token', null, null)
    t.equal(judged(store, { jti: 'token' }), 'ask')
    await until(() => [...ids, 'another'].every(sid => judged(store, { sid }) === 'denied') && judged(store, { jti: 'token' }) === 'denied', 'the feed')
    t.strictSame(remote, [])
  })

  await t.test('while it is unknown whether a revocation was written, the store is asked', async t => {
    const path = await oldFeed(t, libsql)
    const { store } = open(t, libsql, path, { busyTimeout: 0 })
    store.open()
    await untilTrusted(store)
    const record = session()
    store.createSession(record, null)
    const other = libsql.open(path)
    other.exec('BEGIN IMMEDIATE')
    t.throws(() => store.endSession(record.id), /locked/)
    t.throws(() => store.denyToken('a', null, null), /locked/)
    t.equal(judged(store, { sid: record.id }), 'ask')
    t.equal(judged(store, { jti: 'a' }), 'ask')
    other.exec('COMMIT')
    other.close()
    await until(() => judged(store, { jti: 'a' }) === 'passes' && judged(store, { sid: record.id }) === 'passes', 'a mark')
  })

  await t.test('a closed store asks', async t => {
    const one = await start(t, libsql, await oldFeed(t, libsql))
    await untilTrusted(one.store)
    const { accessToken } = await one.app.jwt.createSession('ada')
    await untilPassage(one, accessToken, '200 from memory')
    one.store.close()
    t.equal(await passage(one, accessToken), '200 from the store')
    one.store.open()
    await untilTrusted(one.store)
    await untilPassage(one, accessToken, '200 from memory')
  })

  await t.test('options that are wrong stop start-up', async t => {
    const { database } = open(t, libsql, await databasePath(t))
    t.throws(() => new SqliteStore(database, { replicate: 'yes' as never }), { code: 'FST_JWT_BAD_OPTION', message: /'store\.replicate' takes true, false/ })
    t.throws(() => new SqliteStore(database, { replicate: { maxStaleness: 99 } }), { code: 'FST_JWT_BAD_OPTION', message: /'store\.replicate\.maxStaleness'/ })
    t.throws(() => new SqliteStore(database, { replicat: true } as never), { code: 'FST_JWT_BAD_OPTION', message: /did you mean 'replicate'/ })
  })
})
