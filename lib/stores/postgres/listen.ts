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
 * @param timeout Milliseconds that it may take to connect.
 * @param signal Ends the attempt.
 */
export type Listen = (
  channels: readonly string[], heard: (payload: string) => void, lost: (reason: unknown) => void, timeout: number, signal: AbortSignal
) => Promise<ListeningConnection>

/** A `Client` of `pg`. */
interface PgClient {
  /** The process of the server that this connection belongs to, as the server has told it at its beginning. */
  readonly processID?: number | null
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

/** Options of a pool for a connection of our own. A pool hides its password from whoever copies it the usual way. */
function withTimeout (options: object, timeout: number): object {
  const copy = Object.create(Object.prototype, Object.getOwnPropertyDescriptors(options)) as object
  return Object.defineProperty(copy, 'connectionTimeoutMillis', { value: timeout, enumerable: true })
}

/**
 * A pooler such as PgBouncer gives a connection to another client after each transaction. It drops the notifications that come in between, and
 * passes on those of a mark, which come with a query: so the feed would prove what is not true. A pooler also tells numbers of its own in
 * place of the process of the server.
 */
async function refusePooler (connection: PgClient): Promise<void> {
  const { rows: [row] } = await connection.query('SELECT pg_backend_pid() AS pid')
  if (Number(row?.['pid']) === connection.processID) return
  throw new Error('there is a pooler, such as PgBouncer, in front of PostgreSQL, which loses notifications; connect the pool of the store directly')
}

/** @returns `null` if the client has no second connection to give that tells when it is lost. */
export function listenerOf (client: object): Listen | null {
  const pool = poolOf(client)
  if (pool === null) return null
  return async (channels, heard, lost, timeout, signal) => {
    // While it connects, nothing but its own time-out destroys the socket.
    const connection = new pool.Client(withTimeout(pool.options, timeout))
    // With a query under way, which a silent network leaves there, `end` destroys the socket.
    const close = (): void => { connection.end().catch(() => {}) }
    signal.addEventListener('abort', close)
    connection.on('error', lost)
    connection.on('end', () => { lost(new Error('the connection of the feed has ended')) })
    connection.on('notification', ({ payload = '' }) => { heard(payload) })
    try {
      await connection.connect()
      await refusePooler(connection)
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
