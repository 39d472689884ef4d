/**
 * Opens a second connection with a copy of the client, and subscribes to the channels. It does not reconnect: after a gap, the denials
 * must be loaded again.
 *
 * @param heard Called with each message, in order.
 * @param lost Called when the connection is lost, perhaps more than once.
 * @param signal Aborts the attempt.
 * @returns Closes the connection.
 */
export type Subscribe = (
  channels: string[], heard: (message: string) => void, lost: (reason: unknown) => void, signal: AbortSignal
) => Promise<() => void>

interface Emitter {
  on (event: string, listener: (...args: never[]) => void): unknown
}

/** The copy of a client of ioredis or iovalkey. */
export interface IoredisCopy extends Emitter {
  connect (): Promise<void>
  subscribe (...channels: string[]): Promise<unknown>
  disconnect (): void
}

/** The copy of a client or Sentinel client of node-redis. */
export interface NodeRedisCopy extends Emitter {
  readonly isOpen: boolean
  connect (): Promise<unknown>
  subscribe (channels: string[], listener: (message: string) => void): Promise<unknown>
  destroy (): unknown
}

const ended = new Error('the connection of the feed has ended')

/** @param duplicate Makes the copy with other options. */
export function ioredisSubscribe (duplicate: (options: object) => IoredisCopy): Subscribe {
  return async (channels, heard, lost, signal) => {
    // The names of channels must not depend on the client's key prefix.
    const copy = duplicate({ lazyConnect: true, keyPrefix: '', autoResubscribe: false, retryStrategy: () => null })
    const close = (): void => { copy.disconnect() }
    signal.addEventListener('abort', close)
    copy.on('error', lost)
    copy.on('end', () => { lost(ended) })
    copy.on('message', (_channel: string, message: string) => { heard(message) })
    try {
      await copy.connect()
      await copy.subscribe(...channels)
    } catch (error) {
      close()
      throw error
    }
    return close
  }
}

/** @param duplicate Makes the copy. */
export function nodeRedisSubscribe (duplicate: () => NodeRedisCopy): Subscribe {
  return async (channels, heard, lost, signal) => {
    const copy = duplicate()
    const close = (): void => { if (copy.isOpen) copy.destroy() }
    signal.addEventListener('abort', close)
    try {
      await new Promise((resolve, reject) => {
        // The first error ends the attempt: a Sentinel client would retry for ever.
        copy.on('error', (error: unknown) => {
          reject(error)
          lost(error)
        })
        copy.on('end', () => { lost(ended) })
        copy.connect().then(async () => copy.subscribe(channels, heard)).then(resolve, reject)
      })
    } catch (error) {
      close()
      throw error
    }
    return close
  }
}
