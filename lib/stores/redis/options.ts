import { badOption } from '../../errors.ts'
import { checkOptionNames } from '../../options/unknown.ts'
import type { ReplicateOptions } from '../replication/options.ts'

/** Options of `RedisStore`. */
export interface RedisStoreOptions {
  /** The beginning of every key. Apps that share a Redis but no tokens need different prefixes. Default: `'fastify-jwt:'`. */
  prefix?: string
  /** Milliseconds that Redis may take to answer; then the request is a 503. Default: 2,000. */
  commandTimeout?: number
  /**
   * Milliseconds by which the clocks of the servers may differ. Every key is kept for this time after its token has expired, so that no
   * denial is lost early on a server whose clock is behind. Default: 10,000.
   */
  clockSkew?: number
  /**
   * Accept a Redis whose `maxmemory-policy` may evict keys. When memory is short, it could lose a revocation, and a revoked
   * token would be accepted again. Default: `false`.
   */
  allowEviction?: boolean
  /**
   * Commands that may wait for an answer. Further requests are a 503 at once, so that an unresponsive Redis does not fill the memory of
   * this process. Default: 5,000.
   */
  maxPending?: number
  /**
   * Milliseconds between checks of the role and the eviction policy of Redis. If Redis has become a replica, or may evict revocations,
   * requests are a 503 until that is corrected. Default: 10,000.
   */
  checkInterval?: number
  /**
   * Keep the denials in the memory of this server, too: most access tokens need no query to Redis, and a revocation by another server
   * takes effect here within `maxStaleness` milliseconds. Not available with a Cluster. Default: `false`.
   */
  replicate?: boolean | ReplicateOptions
}

/** Options without `replicate`, which the replication reads by itself. */
export type ResolvedOptions = Required<Omit<RedisStoreOptions, 'replicate'>>

const defaults: Readonly<ResolvedOptions> =
  { prefix: 'fastify-jwt:', commandTimeout: 2000, clockSkew: 10_000, allowEviction: false, maxPending: 5000, checkInterval: 10_000 }

/** @throws `FST_JWT_BAD_OPTION` */
export function resolveOptions (given: Omit<RedisStoreOptions, 'replicate'>): ResolvedOptions {
  checkOptionNames(given, [...Object.keys(defaults), 'replicate'], 'store.')
  const options = { ...defaults, ...Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) }
  if (typeof options.prefix !== 'string' || !/^[^{}]*(\{[^{}]+\}[^{}]*)?$/.test(options.prefix)) {
    throw badOption('store.prefix', 'takes a string without braces, or with one complete hash tag')
  }
  for (const [name, least, unit] of [['commandTimeout', 1, ' of milliseconds'], ['clockSkew', 0, ' of milliseconds'], ['maxPending', 1, ''], ['checkInterval', 1, ' of milliseconds']] as const) {
    const value = options[name]
    if (!Number.isInteger(value) || value < least || value > 2 ** 31 - 1) {
      throw badOption(`store.${name}`, `takes a whole number${unit} of at least ${least}, got ${String(value)}`)
    }
  }
  if (typeof options.allowEviction !== 'boolean') throw badOption('store.allowEviction', 'takes true or false')
  return options
}
