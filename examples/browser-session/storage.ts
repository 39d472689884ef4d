import { memoryAccounts } from './accounts.ts'
import type { Redis } from 'ioredis'
import type { Store } from 'fastify-jwt-extended'
import type { Accounts } from './accounts.ts'
import type { Config } from './config.ts'

/** Everything that is kept between two requests. */
export interface Storage {
  accounts: Accounts
  /** Sessions and revocations; `null` for the plugin's own store, in memory. */
  store: Store | null
  /** Where attempts are counted, so that all processes count together; `null` for memory. */
  redis: Redis | null
  close (): Promise<void>
}

/** Memory, or Redis when there is one. Its packages are only loaded when they are wanted. */
export async function openStorage ({ redisUrl }: Config): Promise<Storage> {
  if (redisUrl === null) return { accounts: memoryAccounts(), store: null, redis: null, async close () {} }

  const [{ Redis }, { RedisStore }, { redisAccounts }] = await Promise.all([
    import('ioredis'), import('fastify-jwt-extended'), import('./redis-accounts.ts')
  ])
  const redis = new Redis(redisUrl, { maxRetriesPerRequest: 1 })
  // Without a listener, the first lost connection would end the process. ioredis connects again by itself.
  redis.on('error', error => { console.error(`Redis: ${error.message}`) })
  return {
    accounts: redisAccounts(redis),
    store: new RedisStore(redis, { prefix: 'browser-session:' }),
    redis,
    async close () { await redis.quit() }
  }
}
