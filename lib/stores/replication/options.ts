import { badOption } from '../../errors.ts'
import { checkOptionNames } from '../../options/unknown.ts'

/** How a store keeps its denials in the memory of every server. */
export interface ReplicateOptions {
  /**
   * Milliseconds within which a revocation by another server takes effect here. If denials may have been missing for longer than this,
   * requests query the store. At least 100. Default: 1,000.
   */
  maxStaleness?: number
  /** Denials in memory, about 100 bytes each. If there are more, requests query the store. Default: 1,000,000. */
  maxEntries?: number
}

/** The state of a replica, for a health check or a metric. */
export interface ReplicaStatus {
  /** Whether tokens are checked in memory now. */
  readonly trusted: boolean
  /** Denials in memory, including those of ended sessions. */
  readonly denials: number
}

const defaults: Readonly<Required<ReplicateOptions>> = { maxStaleness: 1000, maxEntries: 1_000_000 }

/** @returns `null` for no replication. @throws `FST_JWT_BAD_OPTION` */
export function resolveReplicate (given: unknown): Readonly<Required<ReplicateOptions>> | null {
  if (given === undefined || given === false) return null
  if (given !== true && (typeof given !== 'object' || given === null)) {
    throw badOption('store.replicate', 'takes true, false, or an object such as { maxStaleness: 1000 }')
  }
  const options = given === true ? {} : given
  checkOptionNames(options, Object.keys(defaults), 'store.replicate.')
  const resolved = { ...defaults, ...Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) }
  for (const [name, least, unit] of [['maxStaleness', 100, ' of milliseconds'], ['maxEntries', 1, '']] as const) {
    const value = resolved[name]
    if (!Number.isInteger(value) || value < least || value > 2 ** 31 - 1) {
      throw badOption(`store.replicate.${name}`, `takes a whole number${unit} of at least ${least}, got ${String(value)}`)
    }
  }
  return Object.freeze(resolved)
}
