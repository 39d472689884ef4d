import type { SqlRow } from '../sql-session.ts'

/** A separate connection that receives notifications. It does not reconnect: after a gap, the denials must be loaded again. */
export interface ListeningConnection {
  query (text: string, values: readonly unknown[]): Promise<readonly SqlRow[]>
  close (): void
}

/**
 * Connects and listens.
 *
 * @param heard Called with each notification, in the order of the commits.
 * @param lost Called when the connection is lost, perhaps more than once.
 * @param timeout Milliseconds that it may take to connect.
 * @param signal Aborts the attempt.
 */
export type Listen = (
  channels: readonly string[], heard: (payload: string) => void, lost: (reason: unknown) => void, timeout: number, signal: AbortSignal
) => Promise<ListeningConnection>

/** A `Client` of `pg`. */
interface PgClient {
  /** The id of the connection's server process, as the server has sent it at start-up. */
  readonly processID?: number | null
  connect (): Promise<unknown>
  query (text: string, values?: unknown[]): Promise<{ rows: SqlRow[] }>
  end (): Promise<void>
  on (event: 'notification', listener: (message: { payload?: string }) => void): unknown
  on (event: 'error' | 'end', listener: (error?: Error) => void): unknown
}

/** What a `Pool` of `pg` creates its clients with. */
interface PgPool {
  readonly options: object
  readonly Client: new (options: object) => PgClient
}

function poolOf (client: { pool?: unknown }): PgPool | null {
  // `app.pg` of @fastify/postgres has the pool as a member.
  const pool = (client.pool ?? client) as Partial<PgPool>
  return typeof pool.Client === 'function' && typeof pool.options === 'object' ? pool as PgPool : null
}

/** The options of a pool with another time-out. The password of a pool is not enumerable, so a spread would lose it. */
function withTimeout (options: object, timeout: number): object {
  const copy = Object.create(Object.prototype, Object.getOwnPropertyDescriptors(options)) as object
  return Object.defineProperty(copy, 'connectionTimeoutMillis', { value: timeout, enumerable: true })
}

/**
 * Refuses a pooler such as PgBouncer, which gives a connection to another client after each transaction. It drops notifications that
 * arrive in between, but delivers those of a mark, which arrive with a query. So the marks would prove a feed that has gaps. A pooler is
 * recognised by its process ids: it sends its own instead of those of the server.
 */
async function refusePooler (connection: PgClient): Promise<void> {
  const { rows: [row] } = await connection.query('SELECT pg_backend_pid() AS pid')
  if (Number(row?.['pid']) === connection.processID) return
  throw new Error('there is a pooler, such as PgBouncer, in front of PostgreSQL, which loses notifications; connect the pool of the store directly')
}

/** @returns `null` if the client can't open a second connection that reports when it is lost. */
export function listenerOf (client: object): Listen | null {
  const pool = poolOf(client)
  if (pool === null) return null
  return async (channels, heard, lost, timeout, signal) => {
    // While the client connects, only its own time-out destroys the socket.
    const connection = new pool.Client(withTimeout(pool.options, timeout))
    // If a query is pending, as it is on a silent network, `end` destroys the socket.
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
