import { Redis } from 'ioredis'
import pg from 'pg'
import t from 'tap'
import type { Test } from 'tap'
import { PostgresStore } from '../../../../lib/stores/postgres/store.ts'
import { RedisStore } from '../../../../lib/stores/redis/store.ts'
import { SqliteStore } from '../../../../lib/stores/sqlite/store.ts'
import { boundApp, signedIn } from '../../../helpers/bound-app.ts'
import { noPostgres, startPostgres } from '../../../helpers/postgres-server.ts'
import { noRedis, startRedis } from '../../../helpers/redis-server.ts'
import { databasePath, libsql } from '../../../helpers/sqlite.ts'
import type { LightMyRequestResponse } from 'fastify'
import type { Store } from '../../../../lib/index.ts'

const attempts = Array.from({ length: 6 }, (_, index) => index)

/** The statuses of answers, and how often each came. */
function tally (responses: readonly LightMyRequestResponse[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const { statusCode } of responses) counts[statusCode] = (counts[statusCode] ?? 0) + 1
  return counts
}

/** Two servers with one store: of requests that come at the same time, one passes. */
async function onceOnTwoServers (t: Test, store: Store): Promise<void> {
  const servers = [await boundApp(t, { store }), await boundApp(t, { store })] as const
  const browser = await signedIn(servers[0])
  const twins = () => attempts.map(index => {
    const twin = browser.copyWithRegistration()
    twin.app = servers[index % 2 === 0 ? 0 : 1]
    return twin
  })

  const registrations = twins()
  t.same(tally(await Promise.all(registrations.map(async twin => twin.register()))), { 200: 1, 400: 5 }, 'one registration')
  const winner = registrations.find(({ instructions }) => instructions !== undefined)
  Object.assign(browser, { cookies: winner?.cookies, instructions: winner?.instructions, challenge: winner?.challenge })
  t.match(await servers[1].jwt.listSessions('ada'), [{ bound: true }])

  const proof = browser.device.refresh({ jti: browser.challenge })
  t.same(tally(await Promise.all(twins().map(async twin => twin.refreshWith(proof)))), { 200: 1, 403: 5 }, 'one refresh for one challenge')
  t.equal((await browser.refresh()).statusCode, 200, 'and the session goes on')
}

t.test('a challenge is used once on two servers: with SQLite', { skip: libsql.missing }, async t => {
  const database = libsql.open(await databasePath(t))
  const store = new SqliteStore(database, { synchronous: 'normal' })
  t.teardown(() => { store.close(); database.close() })
  await onceOnTwoServers(t, store)
})

t.test('with PostgreSQL', { skip: noPostgres }, async t => {
  const { url } = await startPostgres(t, 'fsync=off')
  const pool = new pg.Pool({ connectionString: url })
  pool.on('error', () => {})
  const store = new PostgresStore(pool)
  t.teardown(async () => { store.close(); await pool.end() })
  await onceOnTwoServers(t, store)
})

t.test('with Redis', { skip: noRedis }, async t => {
  const server = await startRedis(t)
  const client = new Redis(server.url)
  t.teardown(() => client.disconnect())
  await onceOnTwoServers(t, new RedisStore(client))
})
