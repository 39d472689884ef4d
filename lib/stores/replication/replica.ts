import { ExpiringShards } from './expiring-shards.ts'
import type { HeldToken } from '../../types/store.ts'

/** After an overflow, all denials are loaded again when at most this fraction of `maxEntries` is in use. */
const roomAgain = 0.9

/** What a store refuses from now on. Ids are as they stand in its feed. */
export type Denial = TokenDenial | StaleMark

/** A token or a session that is refused. */
export interface TokenDenial {
  readonly kind: 'token' | 'session'
  readonly id: string
  /** Milliseconds for which it is kept at least; `Infinity` for ever. It is relative, so that only the clock of this process matters. */
  readonly life: number
}

/** A session whose access tokens of an earlier generation are stale. */
export interface StaleMark {
  readonly kind: 'stale'
  readonly id: string
  readonly staleBefore: number
  readonly life: number
}

/**
 * `passes`: neither denied nor stale, as far as the store knew `maxStaleness` ago. `denied`: refused for certain. `ask`: the store
 * must be queried.
 */
export type Verdict = 'passes' | 'denied' | 'ask'

/** A mark that the store has put into the feed at the request of this server. */
export interface Mark {
  /** When this server requested it. */
  readonly askedAt: number
  /** The position of the last publication before it. */
  readonly position: string
  /** The time since which the feed has every denial, in milliseconds since the epoch. */
  readonly born: number
}

export interface ReplicaOptions {
  /** An id as it stands in the feed. */
  readonly nameOf: (id: string) => string
  /** Milliseconds for which a token may pass after the last proven moment. */
  readonly maxStaleness: number
  /** Denials in memory. If there are more, the store is queried. */
  readonly maxEntries: number
  /** Milliseconds by which the clocks of servers may differ. */
  readonly clockSkew: number
}

/** A revocation by this server that has not come back through the feed yet. */
interface Hold {
  /** Commands without an answer yet. */
  pending: number
  /** When the last of them was answered. */
  settledAt: number
}

/**
 * The denials of a store in the memory of this process. A state machine without I/O: its caller passes what the feed has brought, and
 * the time in milliseconds of a monotonic clock.
 *
 * The guarantee: a token passes only if every denial that the store had `maxStaleness` ago has arrived. Three things prove it.
 * Publications arrive in order. Each names the one before it. A mark arrives after everything that was published before it was
 * requested. Denials from before the connection are loaded after the first mark, and count as complete from the next mark on.
 *
 * A denial is never withdrawn. So one that has arrived is kept until its token has expired, even if the feed is lost.
 */
export class Replica {
  readonly #options: ReplicaOptions
  /** The expiry of an entry, in seconds: V8 stores a small integer without a separate object. */
  readonly #tokens = new ExpiringShards<number>(end => end)
  readonly #sessions = new ExpiringShards<number>(end => end)
  readonly #stale = new ExpiringShards<{ readonly staleBefore: number, readonly end: number }>(({ end }) => end)
  readonly #holds = new Map<string, Hold>()
  /** The position of the last publication that has arrived; `null` until the next mark tells it. */
  #position: string | null = null
  /** Counts the loads, so that the end of an outdated one is ignored. */
  #load = 0
  /** When the load was complete; `Infinity` if it is not. */
  #loadedAt = Infinity
  #lastProven = -Infinity
  /** The latest `settledAt` of the holds that were dropped without a feed. */
  #lastForgotten = -Infinity
  #born = Infinity
  /** Set if a denial did not fit. */
  #overflowed = false

  constructor (options: ReplicaOptions) {
    this.#options = options
  }

  /** Denials and stale marks in memory. */
  get size (): number {
    return this.#tokens.size + this.#sessions.size + this.#stale.size
  }

  /** How often all denials were loaded. Before each load, the store may have lost data. */
  get epoch (): number {
    return this.#load
  }

  get overflowed (): boolean {
    return this.#overflowed
  }

  /** Whether tokens may pass without a query. */
  trusted (now: number): boolean {
    // If the store lost its data during the load, the list was empty. Only a mark that is later than the load proves it complete.
    return !this.#overflowed && this.#lastProven > this.#loadedAt && this.#lastProven > this.#lastForgotten && now - this.#lastProven <= this.#options.maxStaleness
  }

  judge ({ jti, sid, generation, issuedAt }: HeldToken, now: number): Verdict {
    const { nameOf } = this.#options
    if (jti !== null && this.#tokens.size > 0 && this.#tokens.has(nameOf(jti))) return 'denied'
    if (sid !== null && this.#sessions.size > 0 && this.#sessions.has(nameOf(sid))) return 'denied'
    if (this.#holds.size > 0) {
      const hold = this.#holdOf('token', jti) ?? this.#holdOf('session', sid)
      if (hold !== undefined) return hold.pending > 0 ? 'denied' : 'ask'
      if (this.#holdOf('stale', sid) !== undefined) return 'ask'
    }
    if (!this.trusted(now)) return 'ask'
    // An older token may have been denied before the feed was created, or by a store that has lost its data since.
    if (issuedAt === undefined || issuedAt * 1000 <= this.#born + this.#options.clockSkew) return 'ask'
    if (sid !== null && this.#stale.size > 0) {
      const mark = this.#stale.get(nameOf(sid))
      if (mark !== undefined && (generation === undefined || generation < mark.staleBefore)) return 'ask'
    }
    return 'passes'
  }

  /** Adds a denial that was published or loaded. @returns Whether it was new. */
  add (denial: Denial, now: number): boolean {
    const end = Math.ceil((now + denial.life) / 1000)
    if (denial.kind === 'stale') return this.#addStale(denial, end)
    const denials = denial.kind === 'token' ? this.#tokens : this.#sessions
    const known = denials.get(denial.id)
    if (known === undefined) {
      if (this.#hasRoom()) denials.set(flatCopy(denial.id), end)
      return true
    }
    if (end > known) denials.set(denial.id, end)
    return false
  }

  /** A publication has arrived. */
  published (before: string, position: string): void {
    // A publication is missing: the next mark starts over.
    if (before !== this.#position) this.lost()
    else this.#position = position
  }

  /**
   * A mark has arrived.
   *
   * @returns The number of the load that must begin now; `null` for none.
   */
  marked ({ position, askedAt, born }: Mark): number | null {
    const inStep = position === this.#position
    if (!inStep) {
      this.lost()
      this.#position = position
      this.#born = born
      this.#load++
    }
    this.#lastProven = Math.max(this.#lastProven, askedAt)
    for (const [key, { pending, settledAt }] of this.#holds) {
      if (pending === 0 && settledAt < askedAt) this.#holds.delete(key)
    }
    return inStep ? null : this.#load
  }

  /** A load is complete: every denial that the store had when it began is in memory. Tokens pass from the next mark on. */
  loaded (load: number, now: number): void {
    if (load === this.#load && this.#position !== null) this.#loadedAt = now
  }

  /** The connection is lost, or a publication is missing. The denials in memory are kept. */
  lost (): void {
    this.#position = null
    this.#loadedAt = Infinity
    this.#lastProven = -Infinity
    for (const [key, { pending, settledAt }] of this.#holds) {
      if (pending === 0) this.#forgetHold(key, settledAt)
    }
  }

  /**
   * This server revokes a token or a session. It is refused until the store answers. Then the store is queried until the feed has brought
   * the denial. For a stale mark, the store is queried from the start.
   *
   * @returns A function to call with the time of the answer, even if it is an error.
   */
  hold (kind: Denial['kind'], id: string): (now: number) => void {
    const key = `${kind} ${id}`
    const hold = this.#holds.get(key) ?? { pending: 0, settledAt: -Infinity }
    this.#holds.set(key, hold)
    hold.pending++
    return now => {
      hold.pending--
      hold.settledAt = Math.max(hold.settledAt, now)
      if (hold.pending === 0 && this.#position === null) this.#forgetHold(key, hold.settledAt)
    }
  }

  /** Removes some expired entries. Called periodically. */
  sweep (now: number): void {
    const seconds = now / 1000
    for (const entries of [this.#tokens, this.#sessions, this.#stale]) entries.sweep(seconds)
    if (!this.#overflowed || this.size > this.#options.maxEntries * roomAgain) return
    // The denials that did not fit must be loaded.
    this.#overflowed = false
    this.lost()
  }

  #holdOf (kind: Denial['kind'], id: string | null): Hold | undefined {
    return id === null ? undefined : this.#holds.get(`${kind} ${id}`)
  }

  /** Drops a hold, because without a feed nothing would end it. No token passes until a mark arrives that was requested after it. */
  #forgetHold (key: string, settledAt: number): void {
    this.#holds.delete(key)
    this.#lastForgotten = Math.max(this.#lastForgotten, settledAt)
  }

  #addStale ({ id, staleBefore }: StaleMark, end: number): boolean {
    const known = this.#stale.get(id)
    if (known === undefined) {
      if (this.#hasRoom()) this.#stale.set(flatCopy(id), { staleBefore, end })
      return true
    }
    this.#stale.set(id, { staleBefore: Math.max(staleBefore, known.staleBefore), end: Math.max(end, known.end) })
    return false
  }

  #hasRoom (): boolean {
    if (this.size < this.#options.maxEntries) return true
    this.#overflowed = true
    return false
  }
}

/** A copy: a substring would keep the whole text in memory. */
function flatCopy (text: string): string {
  return Buffer.from(text).toString()
}
