import { badOption } from '../../errors.ts'
import { checkOptionNames } from '../../options/unknown.ts'
import type { ReplicateOptions } from '../replication/options.ts'

/** Options of `PostgresStore`. */
export interface PostgresStoreOptions {
  /** The schema of the tables. Default: `'public'`. */
  schema?: string
  /** The beginning of every table name: letters, digits and `_`. Default: `'jwt_'`. */
  prefix?: string
  /** Milliseconds that PostgreSQL may take to answer, with the wait for a connection; then the request is a 503. Default: 2,000. */
  commandTimeout?: number
  /**
   * Statements that may wait for an answer. Further requests are a 503 at once, so that an unresponsive database does not fill the memory
   * of this process. Default: 5,000.
   */
  maxPending?: number
  /**
   * Keep the denials in the memory of this server, too: most access tokens need no query to PostgreSQL, and a revocation by another
   * server takes effect here within `maxStaleness` milliseconds. Needs a `Pool` of `pg`, or `app.pg`. Default: `false`.
   */
  replicate?: boolean | ReplicateOptions
}

/** Options without `replicate`, which the replication reads by itself. */
export type ResolvedOptions = Required<Omit<PostgresStoreOptions, 'replicate'>>

const defaults: Readonly<ResolvedOptions> = { schema: 'public', prefix: 'jwt_', commandTimeout: 2000, maxPending: 5000 }

/** @throws `FST_JWT_BAD_OPTION` */
export function resolveOptions (given: Omit<PostgresStoreOptions, 'replicate'>): ResolvedOptions {
  checkOptionNames(given, [...Object.keys(defaults), 'replicate'], 'store.')
  const options = { ...defaults, ...Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) }
  for (const name of ['schema', 'prefix'] as const) {
    if (typeof options[name] !== 'string' || !/^\w{1,40}$/.test(options[name])) {
      throw badOption(`store.${name}`, 'takes 1 to 40 letters, digits and underscores')
    }
  }
  for (const name of ['commandTimeout', 'maxPending'] as const) {
    const value = options[name]
    if (!Number.isInteger(value) || value < 1 || value > 2 ** 31 - 1) {
      throw badOption(`store.${name}`, `takes a whole number of at least 1, got ${String(value)}`)
    }
  }
  return options
}
