import type { SqlRow } from '../sql-session.ts'

/** A connection of its own, which hears notifications. It does not reconnect: whoever has missed something has to begin anew. */
export interface ListeningConnection {
  query (text: string, values: readonly unknown[]): Promise<readonly SqlRow[]>
  close (): void
}

/**
 * Connects and listens.
 *
 * @param heard Told of each notification, in the order of the commits.
 * @param lost Told that the connection is gone, perhaps more than once.
 */
export type Listen = (channels: readonly string[], heard: (payload: string) => void, lost: (reason: unknown) => void) => Promise<ListeningConnection>

/** A `Client` of `pg`. */
interface PgClient {
  connect (): Promise<unknown>
  query (text: string, values?: unknown[]): Promise<{ rows: SqlRow[] }>
  end (): Promise<void>
  on (event: 'notification', listener: (message: { payload?: string }) => void): unknown
  on (event: 'error' | 'end', listener: (error?: Error) => void): unknown
}

/** What a `Pool` of `pg` makes its clients with. */
interface PgPool {
  readonly options: object
  readonly Client: new (options: object) => PgClient
}

function poolOf (client: { pool?: unknown }): PgPool | null {
  // `app.pg` of @fastify/postgres has it as a member.
  const pool = (client.pool ?? client) as Partial<PgPool>
  return typeof pool.Client === 'function' && typeof pool.options === 'object' ? pool as PgPool : null
}

/** @returns `null` if the client has no second connection to give that tells when it is lost. */
export function listenerOf (client: object): Listen | null {
  const pool = poolOf(client)
  if (pool === null) return null
  return async (channels, heard, lost) => {
    const connection = new pool.Client(pool.options)
    // With a query under way, which a silent network leaves there, `end` destroys the socket.
    const close = (): void => { connection.end().catch(() => {}) }
    connection.on('error', lost)
    connection.on('end', () => { lost(new Error('the connection of the feed has ended')) })
    connection.on('notification', ({ payload = '' }) => { heard(payload) })
    try {
      await connection.connect()
      await connection.query(channels.map(channel => `LISTEN "${channel}"`).join(';'))
    } catch (error) {
      close()
      throw error
    }
    return {
      query: async (text, values) => (await connection.query(text, [...values])).rows,
      close
    }
  }
}
