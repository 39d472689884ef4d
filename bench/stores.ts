// A store of each kind that this machine can run, with a server of its own where it needs one.
import { stat } from 'node:fs/promises'
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
  /** What it takes where it keeps its data: heap, file, memory of the server, tables and indexes. */
  bytes (): Promise<number>
  /** Runs many writes, without a wait for the disk after each where the store has one. */
  inBulk (work: () => Promise<unknown>): Promise<unknown>
  /** Of stores that delete expired rows: whether there are sessions, expired or not; and the deletion, stopped and begun anew. */
  readonly rows?: { any (): Promise<boolean>, keep (): void, sweep (): unknown }
}

const atOnce: OpenStore['inBulk'] = async work => work()

function heap (): number {
  if (globalThis.gc === undefined) return NaN
  for (let i = 0; i < 4; i++) globalThis.gc()
  return process.memoryUsage().heapUsed
}

/**
 * Opens them one by one. What they need is closed by `ends`, the last first.
 *
 * @param durable Whether PostgreSQL waits for its disk after each change.
 */
export async function openStores (ends: Array<() => unknown>, durable = true): Promise<OpenStore[]> {
  const t = { teardown (run: () => Promise<void>) { ends.push(run) } }
  const stores: OpenStore[] = []

  const memory = new MemoryStore()
  ends.push(() => { memory.close() })
  stores.push({ name: 'MemoryStore', store: memory, bytes: async () => heap(), inBulk: atOnce })

  const driver = drivers.find(({ missing }) => missing === false)
  if (driver !== undefined) {
    const path = await databasePath(t)
    const database = driver.open(path)
    const sqlite = new SqliteStore(database)
    ends.push(() => { sqlite.close(); database.close() })
    stores.push({
      name: `SqliteStore (${driver.name})`,
      store: sqlite,
      async bytes () {
        database.prepare('PRAGMA wal_checkpoint(TRUNCATE)').get()
        return (await stat(path)).size
      },
      async inBulk (work) {
        database.exec('PRAGMA synchronous = off')
        await work()
        database.exec('PRAGMA synchronous = full')
      },
      rows: {
        any: async () => database.prepare('SELECT 1 FROM jwt_sessions LIMIT 1').get() !== undefined,
        keep () { sqlite.close() },
        sweep () { sqlite.open() }
      }
    })
  }
  if (noRedis === false) {
    const client = new Redis((await startRedis(t)).url)
    ends.push(() => { client.disconnect() })
    const bytes = async (): Promise<number> => Number(/used_memory_dataset:(\d+)/.exec(await client.info('memory'))?.[1])
    stores.push({ name: 'RedisStore (ioredis)', store: new RedisStore(client), bytes, inBulk: atOnce })
  }
  if (noPostgres === false) {
    const server = await startPostgres(t, ...(durable ? [] : ['synchronous_commit=off']))
    const pool = new pg.Pool({ connectionString: server.url, max: 10 })
    const postgres = new PostgresStore(pool)
    ends.push(async () => { postgres.close(); await pool.end() })
    stores.push({
      name: 'PostgresStore (pg)',
      store: postgres,
      async bytes () {
        const [row] = await server.run("SELECT sum(pg_total_relation_size(oid)) AS bytes FROM pg_class WHERE relname LIKE 'jwt\\_%' AND relkind = 'r'")
        return Number(row?.['bytes'])
      },
      inBulk: atOnce,
      rows: {
        any: async () => (await server.run('SELECT 1 FROM jwt_sessions LIMIT 1')).length > 0,
        keep () { postgres.close() },
        sweep: async () => postgres.open()
      }
    })
  }
  return stores
}
