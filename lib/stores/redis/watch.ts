import { isJwtError } from '../../errors.ts'
import type { RedisConnection } from './client.ts'
import type { JwtError } from '../../types/errors.ts'

/** Refuses commands while too many are waiting: a server that does not answer must not fill the memory of this process. */
export function limitPending (connection: RedisConnection, limit: number): RedisConnection {
  let pending = 0
  return {
    ...connection,
    async send (key, command, args) {
      if (pending >= limit) throw new Error(`${limit} commands are waiting for Redis`)
      pending++
      try {
        return await connection.send(key, command, args)
      } finally {
        pending--
      }
    }
  }
}

/** Repeats the checks of start-up: a primary may become a replica, or its eviction policy may change. */
export interface ServerWatch {
  /** Starts a check if one is due, without waiting for it. @throws The fault that the last check found. */
  require (): void
}

/**
 * @param check Rejects with `FST_JWT_BAD_OPTION` if a server is not what the store needs.
 * @param interval Milliseconds between two checks. A check that is due runs with the next request.
 */
export function createServerWatch (check: () => Promise<void>, interval: number): ServerWatch {
  let lookedAt = performance.now()
  let looking = false
  let fault: JwtError | null = null

  async function look (): Promise<void> {
    looking = true
    try {
      await check()
      fault = null
    } catch (error) {
      // Without an answer there is no verdict: the commands of the requests will fail by themselves.
      if (isJwtError(error)) fault = error
    }
    lookedAt = performance.now()
    looking = false
  }

  return {
    require () {
      // eslint-disable-next-line no-void -- `look` never rejects, and need not be awaited
      if (!looking && performance.now() - lookedAt >= interval) void look()
      if (fault !== null) throw fault
    }
  }
}
