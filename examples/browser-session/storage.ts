import { SqliteStore } from 'fastify-jwt-extended/sqlite'
import { openDatabase } from './database.ts'
import { sqliteAccounts } from './sqlite-accounts.ts'
import type { Redis } from 'ioredis'
import type { Store } from 'fastify-jwt-extended'
import type { Accounts } from './accounts.ts'
import type { Config } from './config.ts'

/** Everything that is kept between two requests. */
export interface Storage {
  accounts: Accounts
  /** Sessions and revocations. */
  store: Store
  /** Where attempts are counted, so that all processes count together; `null` for memory. */
  redis: Redis | null
  /** For people: where it is kept. */
  place: string
  close (): Promise<void>
}

/** An SQLite file, or PostgreSQL or Redis if one is named. Their packages are only loaded when they are wanted. */
export async function openStorage ({ redisUrl, databaseUrl, databaseFile }: Config): Promise<Storage> {
  if (redisUrl !== null) return openRedis(redisUrl)
  return databaseUrl === null ? openFile(databaseFile) : openPostgres(databaseUrl)
}

async function openFile (path: string): Promise<Storage> {
  const database = await openDatabase(path)
  const store = new SqliteStore(database)
  return {
    accounts: sqliteAccounts(database),
    store,
    redis: null,
    place: path,
    async close () {
      store.close()
      database.close()
    }
  }
}

async function openPostgres (url: string): Promise<Storage> {
  const [{ default: pg }, { PostgresStore }, { postgresAccounts }] = await Promise.all([
    import('pg'), import('fastify-jwt-extended/postgres'), import('./postgres-accounts.ts')
  ])
  const pool = new pg.Pool({ connectionString: url, connectionTimeoutMillis: 1000 })
  // Without a listener, the first lost connection would end the process. The pool connects again by itself.
  pool.on('error', error => { console.error(`PostgreSQL: ${error.message}`) })
  const store = new PostgresStore(pool)
  return {
    accounts: await postgresAccounts(pool),
    store,
    redis: null,
    place: 'PostgreSQL',
    async close () {
      store.close()
      await pool.end()
    }
  }
}

async function openRedis (url: string): Promise<Storage> {
  const [{ Redis }, { RedisStore }, { redisAccounts }] = await Promise.all([
    import('ioredis'), import('fastify-jwt-extended/redis'), import('./redis-accounts.ts')
  ])
  const redis = new Redis(url, { maxRetriesPerRequest: 1 })
  // Without a listener, the first lost connection would end the process. ioredis connects again by itself.
  redis.on('error', error => { console.error(`Redis: ${error.message}`) })
  return {
    accounts: redisAccounts(redis),
    store: new RedisStore(redis, { prefix: 'browser-session:' }),
    redis,
    place: 'Redis',
    async close () { await redis.quit() }
  }
}
