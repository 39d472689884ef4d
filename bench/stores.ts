// A store of each kind that this machine can run, with a server of its own where it needs one.
import { Redis } from 'ioredis'
import pg from 'pg'
import { MemoryStore } from '../lib/index.ts'
import type { Store } from '../lib/index.ts'
import { PostgresStore } from '../lib/stores/postgres/store.ts'
import { RedisStore } from '../lib/stores/redis/store.ts'
import { SqliteStore } from '../lib/stores/sqlite/store.ts'
import { noPostgres, startPostgres } from '../test/helpers/postgres-server.ts'
import { noRedis, startRedis } from '../test/helpers/redis-server.ts'
import { databasePath, drivers } from '../test/helpers/sqlite.ts'

export interface OpenStore {
  readonly name: string
  readonly store: Store
}

/** Opens them one by one. What they need is closed by `end`, the last first. */
export async function openStores (ends: Array<() => unknown>): Promise<OpenStore[]> {
  const t = { teardown (run: () => Promise<void>) { ends.push(run) } }
  const stores: OpenStore[] = []

  const memory = new MemoryStore()
  ends.push(() => { memory.close() })
  stores.push({ name: 'MemoryStore', store: memory })

  const driver = drivers.find(({ missing }) => missing === false)
  if (driver !== undefined) {
    const database = driver.open(await databasePath(t))
    const sqlite = new SqliteStore(database)
    ends.push(() => { sqlite.close(); database.close() })
    stores.push({ name: `SqliteStore (${driver.name})`, store: sqlite })
  }
  if (noRedis === false) {
    const client = new Redis((await startRedis(t)).url)
    ends.push(() => { client.disconnect() })
    stores.push({ name: 'RedisStore (ioredis)', store: new RedisStore(client) })
  }
  if (noPostgres === false) {
    const pool = new pg.Pool({ connectionString: (await startPostgres(t)).url, max: 10 })
    const postgres = new PostgresStore(pool)
    ends.push(async () => { postgres.close(); await pool.end() })
    stores.push({ name: 'PostgresStore (pg)', store: postgres })
  }
  return stores
}
