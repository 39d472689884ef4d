import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { RedisStore } from 'fastify-jwt-extended/redis'
import { SqliteStore } from 'fastify-jwt-extended/sqlite'
import { Redis } from 'ioredis'
import { openDatabase } from '../browser-session/database.ts'
import { RedisUsers, SqliteUsers } from './users.ts'
import type { FastifyBaseLogger } from 'fastify'
import type { Store } from 'fastify-jwt-extended'
import type { Config } from './config.ts'
import type { Users } from './users.ts'

/** All that outlives a request. */
export interface Storage {
  users: Users
  /** Sessions and revocations. */
  store: Store
  /** Where attempts are counted for all machines; `null` for the memory of this process. */
  redis: Redis | null
  close (): Promise<void>
}

export async function openStorage ({ redisUrl, databaseFile }: Config, log: FastifyBaseLogger): Promise<Storage> {
  if (redisUrl !== null) {
    const redis = new Redis(redisUrl)
    redis.on('error', error => { log.error({ err: error }, 'Redis') })
    return { users: new RedisUsers(redis), store: new RedisStore(redis), redis, async close () { await redis.quit() } }
  }
  mkdirSync(dirname(databaseFile), { recursive: true, mode: 0o700 })
  const database = await openDatabase(databaseFile)
  const store = new SqliteStore(database)
  return {
    users: new SqliteUsers(database),
    store,
    redis: null,
    async close () {
      store.close()
      database.close()
    }
  }
}
