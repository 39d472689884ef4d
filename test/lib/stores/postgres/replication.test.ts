import { randomUUID } from 'node:crypto'
import { PGlite } from '@electric-sql/pglite'
import pg from 'pg'
import postgres from 'postgres'
import t from 'tap'
import type { Test } from 'tap'
import { PostgresStore } from '../../../../lib/stores/postgres/store.ts'
import type { PostgresClient, PostgresStoreOptions } from '../../../../lib/stores/postgres/store.ts'
import { noPostgres, startPostgres } from '../../../helpers/postgres-server.ts'
import type { PostgresServer } from '../../../helpers/postgres-server.ts'
import { passage, patient, replicaWarnings, revokedSessions, startServer, until, untilPassage, untilTrusted } from '../../../helpers/replicas.ts'
import type { Server } from '../../../helpers/replicas.ts'
import { send, sessionApp, verdict } from '../../../helpers/session-app.ts'
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

t.test('on PostgreSQL', { skip: noPostgres }, async t => {
  const server = await startPostgres(t)
  await oldFeed(server)

  await t.test('a token passes without a question until another server revokes it', async t => {
    const pool = connect(t, server.url)
    // As `app.pg` of @fastify/postgres.
    const here = await start(t, { pool, query: async (text: string, values?: unknown[]) => pool.query(text, values) } as PostgresClient)
    const there = await start(t, connect(t, server.url))
    await untilTrusted(here.store, there.store)
    const events = revokedSessions(t)
    const { accessToken, sessionId } = await here.app.jwt.createSession('ada')
    t.equal(await passage(there, accessToken), '200 from the store', 'each server asks once whether the session is there')
    t.equal(await passage(there, accessToken), '200 from memory')
    await here.app.jwt.revokeSession(sessionId)
    t.match(await passage(here, accessToken), /^FST_JWT_REVOKED/, 'at once')
    await untilPassage(there, accessToken, 'FST_JWT_REVOKED from memory')
    // The other server may hear of it before this one has its answer.
    t.strictSame(new Set(events), new Set([{ sessionId, cause: 'revoked' }, { sessionId, cause: null, remote: true }]))

    const stateless = here.app.jwt.createAccessToken('ada')
    t.equal(await passage(there, stateless), '200 from memory')
    await there.app.jwt.revokeToken(stateless)
    t.match(await passage(there, stateless), /^FST_JWT_REVOKED/, 'at once')
    await untilPassage(here, stateless, 'FST_JWT_REVOKED from memory')

    const late = await start(t, connect(t, server.url))
    await untilTrusted(late.store)
    t.equal(await passage(late, accessToken), 'FST_JWT_REVOKED from memory', 'loaded')
    t.equal(await passage(late, stateless), 'FST_JWT_REVOKED from memory', 'loaded')
  })

  await t.test('whatever ends a session ends it on every server, many at once too', async t => {
    const [here, there] = [await start(t, connect(t, server.url)), await start(t, connect(t, server.url))]
    await untilTrusted(here.store, there.store)
    const events = revokedSessions(t)
    const sessions = []
    for (let i = 0; i < 250; i++) sessions.push(await here.app.jwt.createSession('eve'))
    const [kept, ...others] = sessions
    if (kept === undefined) throw new Error('There are 250')
    await untilPassage(there, kept.accessToken, '200 from memory')
    t.equal(await here.app.jwt.revokeAllSessions('eve', { except: kept.sessionId }), 249)
    await until(() => events.filter(event => 'remote' in event).length === 249, 'an event for each')
    for (const { accessToken } of others.slice(-3)) t.equal(await passage(there, accessToken), 'FST_JWT_REVOKED from memory')
    t.equal(await passage(there, kept.accessToken), '200 from memory')

    const limited = await sessionApp(t, { store: there.store, maxSessions: 1 })
    const third = await limited.jwt.createSession('eve')
    await untilPassage(here, kept.accessToken, 'FST_JWT_REVOKED from memory')
    const rotated = (await send(here.app, 'POST', '/refresh', third.refreshToken)).json<{ accessToken: string, refreshToken: string }>()
    await send(here.app, 'POST', '/refresh', rotated.refreshToken)
    await untilPassage(there, rotated.accessToken, '200 from memory')
    t.equal(await verdict(here.app, 'POST', '/refresh', third.refreshToken), 'FST_JWT_REUSED')
    await untilPassage(there, rotated.accessToken, 'FST_JWT_REVOKED from memory')
  })

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

  await t.test('claims that change now make the tokens of before stale on every server', async t => {
    const [here, there] = [await start(t, connect(t, server.url)), await start(t, connect(t, server.url))]
    await untilTrusted(here.store, there.store)
    const { accessToken, refreshToken, sessionId } = await here.app.jwt.createSession('ada')
    await untilPassage(there, accessToken, '200 from memory')
    await here.app.jwt.updateSession(sessionId, { claims: { role: 'admin' }, now: true })
    t.equal(await passage(here, accessToken), 'FST_JWT_STALE from the store')
    await untilPassage(there, accessToken, 'FST_JWT_STALE from the store')
    const next = (await send(there.app, 'POST', '/refresh', refreshToken)).json<{ accessToken: string }>()
    await untilPassage(here, next.accessToken, '200 from memory')
    await untilPassage(there, next.accessToken, '200 from memory')
    const late = await start(t, connect(t, server.url))
    await untilTrusted(late.store)
    t.equal(await passage(late, accessToken), 'FST_JWT_STALE from the store')
    const state = await here.store.getSessionState(sessionId)
    t.strictSame([state?.generation, state?.used, state?.version], [1, true, 3], 'one change, one rotation and one mark')
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
    const lite = await PGlite.create()
    t.teardown(async () => lite.close())
    for (const client of [sql, lite]) {
      const one = await start(t, client)
      t.equal(await passage(one, one.app.jwt.createAccessToken('ada')), '200 from the store')
    }
    await until(() => warnings.length === 2, 'warnings')
    t.match(warnings[0], /a Pool of pg/)
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
  const other = await start(t, connect(t, server.url))
  await untilTrusted(one.store, other.store)
  const events = revokedSessions(t)
  const { accessToken, sessionId } = await other.app.jwt.createSession('ada')
  const { accessToken: valid } = await other.app.jwt.createSession('bob')
  for (const token of [accessToken, valid]) await untilPassage(one, token, '200 from memory')

  await t.test('silent: after maxStaleness the store is asked; then everything is loaded again', async t => {
    proxy.silence('feeds')
    await other.app.jwt.revokeSession(sessionId)
    await until(() => one.store.replica?.trusted === false, 'no trust')
    t.equal(await passage(one, accessToken), 'FST_JWT_REVOKED from the store')
    t.equal(await passage(one, valid), '200 from the store')
    proxy.speak()
    await untilTrusted(one.store)
    t.equal(await passage(one, accessToken), 'FST_JWT_REVOKED from memory')
    t.equal(await passage(one, valid), '200 from memory')
    t.strictSame(events.filter(event => 'remote' in event), [{ sessionId, cause: null, remote: true }], 'sockets are closed, too')
  })

  await t.test('frozen: 503 after maxStaleness, but for what is known to be revoked; then it is back', async t => {
    server.freeze()
    await until(() => one.store.replica?.trusted === false, 'no trust')
    t.equal(await passage(one, valid), 'FST_JWT_STORE_UNAVAILABLE from the store')
    t.equal(await passage(one, accessToken), 'FST_JWT_REVOKED from memory')
    server.thaw()
    await untilPassage(one, valid, '200 from memory')
  })

  await t.test('killed and back: the same tokens pass, and the same are refused', async t => {
    await server.kill()
    await until(() => one.store.replica?.trusted === false, 'no trust')
    t.equal(await passage(one, valid), 'FST_JWT_STORE_UNAVAILABLE from the store')
    await server.restart()
    await untilPassage(one, valid, '200 from memory')
    t.equal(await passage(one, accessToken), 'FST_JWT_REVOKED from memory')
  })

  await t.test('a closed store asks, and holds no connection', async t => {
    one.store.close()
    await until(() => proxy.feeds() === 0, 'no feed')
    t.equal(await passage(one, valid), '200 from the store')
  })
})
