import { randomUUID } from 'node:crypto'
import { createConnection, createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import pg from 'pg'
import postgres from 'postgres'
import t from 'tap'
import type { Test } from 'tap'
import { PostgresStore } from '../../../../lib/stores/postgres/store.ts'
import type { PostgresClient, PostgresStoreOptions } from '../../../../lib/stores/postgres/store.ts'
import { noPostgres, startPostgres } from '../../../helpers/postgres-server.ts'
import type { PostgresServer } from '../../../helpers/postgres-server.ts'
import { passage, patient, replicaWarnings, startServer, until, untilPassage, untilTrusted } from '../../../helpers/replicas.ts'
import type { Server } from '../../../helpers/replicas.ts'
import { endedElsewhere, fallenSilent, revokedElsewhere, staleElsewhere } from '../../../helpers/replication-tests.ts'
import { sessionApp } from '../../../helpers/session-app.ts'
import { startSilentProxy } from '../../../helpers/silent-proxy.ts'

function connect (t: Test, url: string): pg.Pool {
  const pool = new pg.Pool({ connectionString: url, max: 5 })
  pool.on('error', () => {})
  t.teardown(async () => pool.end())
  return pool
}

/** A server of many, on a client of its own. */
async function start (t: Test, client: PostgresClient, options: PostgresStoreOptions = {}): Promise<Server<PostgresStore>> {
  return startServer(t, new PostgresStore(client, { commandTimeout: 1000, replicate: patient, ...options }))
}

/** The tables, and a feed that was there before every token of these tests. */
async function oldFeed (server: PostgresServer): Promise<void> {
  await server.run(PostgresStore.schema())
  await server.run("INSERT INTO jwt_denials VALUES ('feed', '1', 8640000000000000)")
}

/** As PgBouncer does it, tells every client another number than that of the server's process. */
async function startPooler (t: Test, server: PostgresServer): Promise<{ port: number }> {
  const target = Number(new URL(server.url).port)
  const keyData = Buffer.from([0x4b, 0, 0, 0, 12])
  const pooler = createServer(client => {
    const upstream = createConnection(target, '127.0.0.1')
    upstream.on('data', (chunk: Buffer) => {
      const at = chunk.indexOf(keyData)
      if (at !== -1) chunk.writeInt32BE(1, at + keyData.length)
      client.write(chunk)
    })
    client.on('data', chunk => { upstream.write(chunk) })
    for (const [one, other] of [[client, upstream], [upstream, client]] as const) {
      one.on('error', () => {})
      one.on('close', () => { other.destroy() })
    }
  })
  await new Promise<void>(resolve => { pooler.listen(0, '127.0.0.1', resolve) })
  t.teardown(() => { pooler.close() })
  return pooler.address() as AddressInfo
}

t.test('on PostgreSQL', { skip: noPostgres }, async t => {
  const server = await startPostgres(t)
  await oldFeed(server)

  await t.test('a token passes without a question until another server revokes it', async t => {
    let servers = 0
    await revokedElsewhere(t, async t => {
      const pool = connect(t, server.url)
      // One of them as `app.pg` of @fastify/postgres.
      return start(t, servers++ === 0 ? { pool, query: async (text: string, values?: unknown[]) => pool.query(text, values) } as PostgresClient : pool)
    })
  })

  await t.test('whatever ends a session ends it on every server, many at once too', async t =>
    endedElsewhere(t, async t => start(t, connect(t, server.url)), 250))

  await t.test('claims that change now make the tokens of before stale on every server', async t =>
    staleElsewhere(t, async t => start(t, connect(t, server.url))))

  await t.test('ids of any length and script are published and loaded', async t => {
    const [here, there] = [await start(t, connect(t, server.url)), await start(t, connect(t, server.url))]
    await untilTrusted(here.store, there.store)
    const ids = ['', 'a "b" \\ \n', '\u0001'.repeat(500), '\u{1F511}'.repeat(250), 'a zero \0', 'x'.repeat(3000)].map(id => `${randomUUID()}${id}`.slice(0, 3000))
    const judged = ({ store }: Server<PostgresStore>, id: string): string | undefined =>
      store.judge?.({ jti: id, sid: null, generation: undefined, issuedAt: 1e10 })
    for (const id of ids) {
      await here.store.denyToken(id, null, null)
      await until(() => judged(there, id) === 'denied', JSON.stringify(id))
    }
    const late = await start(t, connect(t, server.url))
    await untilTrusted(late.store)
    for (const id of ids) t.equal(judged(late, id), 'denied')
    t.equal(judged(late, 'another'), 'passes')
  })

  await t.test('a store without the option publishes, too, and keeps nothing more if nobody replicates', async t => {
    const plain = new PostgresStore(connect(t, server.url), { prefix: 'plain_' })
    t.teardown(() => { plain.close() })
    const app = await sessionApp(t, { store: plain })
    await app.jwt.revokeSession((await app.jwt.createSession('ada')).sessionId)
    t.strictSame(await server.run('SELECT * FROM plain_denials'), [])
    t.equal(plain.replica, null)
    t.equal(plain.judge, undefined)
    const replicated = await start(t, connect(t, server.url), { prefix: 'plain_' })
    await untilTrusted(replicated.store)
    const { sessionId } = await app.jwt.createSession('ada')
    await app.jwt.revokeSession(sessionId)
    await until(() => replicated.store.judge?.({ jti: null, sid: sessionId, generation: 0, issuedAt: 1e10 }) === 'denied', 'the denial')
  })

  await t.test('if the client has no second connection to listen on, the store is asked, and that is said', async t => {
    const warnings = replicaWarnings(t)
    const sql = postgres(server.url, { onnotice: () => {} })
    t.teardown(async () => sql.end())
    const single = new pg.Client(server.url)
    await single.connect()
    t.teardown(async () => single.end())
    for (const client of [sql, single]) {
      const one = await start(t, client)
      t.equal(await passage(one, one.app.jwt.createAccessToken('ada')), '200 from the store')
    }
    await until(() => warnings.length === 2, 'warnings')
    t.match(warnings[0], /a Pool of pg/)
  })

  await t.test('behind a pooler, which loses notifications, the store is asked, and that is said', async t => {
    const warnings = replicaWarnings(t)
    const pooler = await startPooler(t, server)
    const pool = new pg.Pool({ host: '127.0.0.1', port: pooler.port, user: 'tester', password: 'hidden from copies', database: 'postgres' })
    t.teardown(async () => pool.end())
    const one = await start(t, pool)
    await until(() => warnings.length === 1, 'a warning')
    t.match(warnings[0], /there is a pooler, such as PgBouncer/)
    t.equal(await passage(one, one.app.jwt.createAccessToken('ada')), '200 from the store')
    t.equal(one.store.replica?.trusted, false)
  })

  await t.test('when the tables have lost their rows, every token of before is asked about', async t => {
    const one = await start(t, connect(t, server.url))
    await untilTrusted(one.store)
    const { accessToken } = await one.app.jwt.createSession('ada')
    await untilPassage(one, accessToken, '200 from memory')
    await server.run('TRUNCATE jwt_denials, jwt_sessions')
    await untilPassage(one, accessToken, 'FST_JWT_REVOKED from the store')
    await untilTrusted(one.store)
    t.equal(await passage(one, accessToken), 'FST_JWT_REVOKED from the store')
  })
})

t.test('a PostgreSQL that freezes, falls silent, or dies', { skip: noPostgres }, async t => {
  const server = await startPostgres(t)
  await oldFeed(server)
  const { port } = new URL(server.url)
  const proxy = await startSilentProxy(t, { host: '127.0.0.1', port: Number(port) })
  const one = await start(t, connect(t, `postgres://tester@127.0.0.1:${proxy.port}/postgres`), { replicate: { maxStaleness: 400 } })
  const pool = connect(t, server.url)
  const other = await start(t, pool)
  const { valid, revoked } = await fallenSilent(t, proxy, one, other, async sid => pool.query('DELETE FROM jwt_sessions WHERE id = $1', [`=${sid}`]))

  await t.test('frozen: 503 after maxStaleness, but for what is known to be revoked; then it is back', async t => {
    server.freeze()
    await until(() => one.store.replica?.trusted === false, 'no trust')
    t.equal(await passage(one, valid), 'FST_JWT_STORE_UNAVAILABLE from the store')
    t.equal(await passage(one, revoked), 'FST_JWT_REVOKED from memory')
    server.thaw()
    await untilPassage(one, valid, '200 from memory')
  })

  await t.test('killed and back: the same tokens pass, and the same are refused', async t => {
    await server.kill()
    await until(() => one.store.replica?.trusted === false, 'no trust')
    t.equal(await passage(one, valid), 'FST_JWT_STORE_UNAVAILABLE from the store')
    await server.restart()
    await untilPassage(one, valid, '200 from memory')
    t.equal(await passage(one, revoked), 'FST_JWT_REVOKED from memory')
  })

  await t.test('a closed store asks, and holds no connection', async t => {
    one.store.close()
    await until(() => proxy.feeds() === 0, 'no feed')
    t.equal(await passage(one, valid), '200 from the store')
  })
})
