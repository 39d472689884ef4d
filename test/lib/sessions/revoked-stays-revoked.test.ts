import { Redis } from 'ioredis'
import pg from 'pg'
import t from 'tap'
import { MemoryStore } from '../../../lib/index.ts'
import { PostgresStore } from '../../../lib/stores/postgres/store.ts'
import { RedisStore } from '../../../lib/stores/redis/store.ts'
import { SqliteStore } from '../../../lib/stores/sqlite/store.ts'
import { noPostgres, startPostgres } from '../../helpers/postgres-server.ts'
import { noRedis, startRedis } from '../../helpers/redis-server.ts'
import { databasePath, libsql } from '../../helpers/sqlite.ts'
import { revokedStaysRevoked } from '../../helpers/ways-to-make-a-token.ts'

t.test('what was revoked once is refused until it expires, however it was made: in memory', async t => {
  const store = new MemoryStore()
  t.teardown(() => { store.close() })
  await revokedStaysRevoked(t, store)
})

t.test('on SQLite', { skip: libsql.missing }, async t => {
  const database = libsql.open(await databasePath(t))
  const store = new SqliteStore(database, { synchronous: 'normal' })
  t.teardown(() => { store.close(); database.close() })
  await revokedStaysRevoked(t, store)
})

t.test('on PostgreSQL', { skip: noPostgres }, async t => {
  const { url } = await startPostgres(t, 'fsync=off')
  const pool = new pg.Pool({ connectionString: url })
  pool.on('error', () => {})
  const store = new PostgresStore(pool)
  t.teardown(async () => { store.close(); await pool.end() })
  await revokedStaysRevoked(t, store)
})

t.test('on Redis', { skip: noRedis }, async t => {
  const server = await startRedis(t)
  const client = new Redis(server.url)
  t.teardown(() => client.disconnect())
  await revokedStaysRevoked(t, new RedisStore(client))
})
