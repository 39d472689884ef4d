import { badOption } from '../../errors.ts'
import { listenerOf } from './listen.ts'
import type { Listen } from './listen.ts'
import type { SqlRow } from '../sql-session.ts'

/** A `Pool` or `Client` of `pg`, `app.pg` of `@fastify/postgres`, or a database of PGlite. */
export interface QueryClient {
  query (text: string, values?: any[]): Promise<{ rows: any[] }> // eslint-disable-line @typescript-eslint/no-explicit-any -- as the clients declare it
  /** PGlite only: runs several statements at once. */
  exec? (text: string): Promise<unknown>
}

/** The `sql` function of postgres.js. */
export interface PostgresJsClient {
  unsafe (text: string, values?: any[], options?: { prepare?: boolean }): PromiseLike<unknown> // eslint-disable-line @typescript-eslint/no-explicit-any -- as the client declares it
}

/** A client of PostgreSQL that {@link PostgresStore} takes. */
export type PostgresClient = QueryClient | PostgresJsClient

/** What the store needs from a client. @internal */
export interface PostgresConnection {
  query (text: string, values: readonly unknown[]): Promise<readonly SqlRow[]>
  /** Runs statements without parameters, in one transaction. */
  script (text: string): Promise<void>
  /** `null` if the client can't open a second connection. */
  readonly listen: Listen | null
}

/** @throws `FST_JWT_BAD_OPTION` if it is no client. @internal */
export function connectionOf (client: PostgresClient): PostgresConnection {
  // A caller without types may pass anything.
  const given = client as Partial<QueryClient & PostgresJsClient> | null | undefined
  if (typeof given?.unsafe === 'function') return overPostgresJs(client as PostgresJsClient)
  if (typeof given?.query === 'function') return overQuery(client as QueryClient)
  throw badOption('store', 'takes a client of PostgreSQL: a Pool of pg, sql of postgres.js, app.pg of @fastify/postgres, or a database of PGlite')
}

function overQuery (client: QueryClient): PostgresConnection {
  return {
    listen: listenerOf(client),
    async query (text, values) {
      const { rows } = await client.query(text, [...values])
      return rows as SqlRow[]
    },
    async script (text) {
      // PGlite takes one statement in `query`; pg takes several, which PostgreSQL runs as one transaction.
      if (client.exec === undefined) await client.query(text)
      else await client.exec(`BEGIN;${text};COMMIT`)
    }
  }
}

function overPostgresJs (sql: PostgresJsClient): PostgresConnection {
  return {
    // Its `listen` reconnects by itself, and reports that only after new notifications may have arrived.
    listen: null,
    async query (text, values) {
      return withOriginalNames(await sql.unsafe(text, [...values], { prepare: true }) as readonly SqlRow[])
    },
    async script (text) {
      await sql.unsafe(text)
    }
  }
}

/** The `transform` option of postgres.js renames columns: `stale_before` may come as `staleBefore`, `StaleBefore` or `stale-before`. */
function withOriginalNames (rows: readonly SqlRow[]): readonly SqlRow[] {
  return rows.map(row => Object.fromEntries(Object.entries(row).map(([name, value]) => [originalName(name), value])))
}

const originalNames = new Map<string, string>()

/** Cached: there are few column names, and every request needs them. */
function originalName (name: string): string {
  let original = originalNames.get(name)
  if (original === undefined) {
    original = name.replaceAll('-', '_').replace(/\B[A-Z]/g, '_$&').toLowerCase()
    originalNames.set(name, original)
  }
  return original
}
