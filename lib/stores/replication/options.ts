import { badOption } from '../../errors.ts'
import { checkOptionNames } from '../../options/unknown.ts'

/** How the denials of a store are held in the memory of every server. */
export interface ReplicateOptions {
  /**
   * Milliseconds after which a revocation by another server holds here at the latest. If the store has not proved for so long that nothing
   * is missing, requests ask it. At least 100. Default: 1,000.
   */
  maxStaleness?: number
  /** Denials that are held in memory, about 110 bytes each. If there are more, requests ask the store. Default: 1,000,000. */
  maxEntries?: number
}

/** The state of a replica, for a health check or a metric. */
export interface ReplicaStatus {
  /** Whether tokens pass without a question now. */
  readonly trusted: boolean
  /** Denials that are held, those of ended sessions included. */
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
