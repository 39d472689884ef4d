import type { Redis } from 'ioredis'
import type { Account, Accounts } from './accounts.ts'

/** Accounts on Redis, beside the sessions: one hash each. */
export function redisAccounts (redis: Redis): Accounts {
  const keyOf = (name: string): string => `browser-session:account:${name}`
  return {
    async find (name) {
      const { passwordHash, createdAt } = await redis.hgetall(keyOf(name))
      if (passwordHash === undefined || createdAt === undefined) return null
      return { name, passwordHash, createdAt: Number(createdAt) }
    },
    async create ({ name, passwordHash, createdAt }: Account) {
      // Who sets the field first has the name.
      if (await redis.hsetnx(keyOf(name), 'createdAt', createdAt) === 0) return false
      await redis.hset(keyOf(name), 'passwordHash', passwordHash)
      return true
    },
    async setPassword (name, passwordHash) { await redis.hset(keyOf(name), 'passwordHash', passwordHash) }
  }
}
