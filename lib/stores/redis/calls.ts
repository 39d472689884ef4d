import { redisErrorCode } from './requirements.ts'
import type { RedisConnection } from './client.ts'
import type { RedisScript } from './scripts.ts'
import type { ServerWatch } from './watch.ts'

/** One call of a store method. All of its commands share one time-out. */
export interface Call {
  /** `true` after the time-out. */
  over: boolean
  readonly startedAt: number
}

/** Sends the commands of the store methods. */
export interface Calls {
  /**
   * Runs a call with a time-out. A late result is dropped.
   *
   * @param watched Whether Redis must still pass the checks of start-up.
   */
  inTime<T> (work: (call: Call) => Promise<T>, watched?: boolean): Promise<T>
  run (call: Call, script: RedisScript, keys: [string, ...string[]], args: string[]): Promise<unknown>
  /** Sends a change, unless the call has timed out: its caller already got an error. */
  change (call: Call, key: string, command: string, args: string[]): Promise<unknown>
}

/** @param commandTimeout Milliseconds. */
export function createCalls (connection: RedisConnection, watch: ServerWatch, commandTimeout: number): Calls {
  async function change (call: Call, key: string, command: string, args: string[]): Promise<unknown> {
    if (call.over) throw new Error('The call has timed out')
    return connection.send(key, command, args)
  }

  return {
    change,

    async run (call, { sha, source }, keys, args) {
      const rest = [String(keys.length), ...keys, ...args]
      try {
        return await change(call, keys[0], 'EVALSHA', [sha, ...rest])
      } catch (error) {
        // The server does not have the script: it is new, was restarted, or has taken over.
        if (redisErrorCode(error) !== 'NOSCRIPT') throw error
        return change(call, keys[0], 'EVAL', [source, ...rest])
      }
    },

    async inTime<T> (work: (call: Call) => Promise<T>, watched = true) {
      if (watched) watch.require()
      const call: Call = { over: false, startedAt: Date.now() }
      return new Promise<T>((resolve, reject) => {
        const timer = setTimeout(() => {
          // If this process was busy, the reply may have arrived already. It is read before this callback runs.
          setImmediate(() => {
            call.over = true
            reject(new Error(`Redis did not answer within ${commandTimeout} ms`))
          })
        }, commandTimeout).unref()
        work(call).finally(() => clearTimeout(timer)).then(resolve, reject)
      })
    }
  }
}
