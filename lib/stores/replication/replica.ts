import { ExpiringShards } from './expiring-shards.ts'
import type { HeldToken } from '../../types/store.ts'

/** The part of `maxEntries` that may be in use when what did not fit is loaded again. */
const roomAgain = 0.9

/** What a store refuses from now on. Ids are as the store writes them. */
export type Denial = TokenDenial | StaleMark

/** A token or a session that is refused. */
export interface TokenDenial {
  readonly kind: 'token' | 'session'
  readonly id: string
  /** Milliseconds for which it is kept at least; `Infinity` for ever. A life, and not a date: no clock but the own one matters. */
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
 * has to say it.
 */
export type Verdict = 'passes' | 'denied' | 'ask'

/** A mark that the store has put into the feed because this server asked for it. */
export interface Mark {
  /** When this server asked for it. */
  readonly askedAt: number
  /** The last denial that the store had published. */
  readonly position: string
  /** Since when the feed knows of every denial, in milliseconds since the epoch. */
  readonly born: number
}

export interface ReplicaOptions {
  /** Milliseconds after the last proven moment for which a token may pass. */
  readonly maxStaleness: number
  /** Denials that are held; beyond them the store is asked. */
  readonly maxEntries: number
  /** Milliseconds by which the clocks of servers may differ. */
  readonly clockSkew: number
}

/** A revocation of this server that the feed has not brought back yet. */
interface Hold {
  /** Commands that are under way. */
  pending: number
  /** When the last of them was answered. */
  settledAt: number
}

/**
 * The denials of a store in the memory of this process. A state machine without I/O: the feed tells it what came in, and every moment
 * is given, by a monotonic clock in milliseconds.
 *
 * The promise: a token passes only if all that the store had denied `maxStaleness` ago has come in. Three things prove it. The feed
 * brings what is published in order, each publication names the one before it, and a mark that was asked for at some moment comes
 * behind all that was published before that moment. What was published before the feed was connected is loaded after the first mark, and counts from the next one on.
 *
 * A denial is never taken back, so that one that has come in is kept until its token has expired, whatever becomes of the feed.
 */
export class Replica {
  readonly #options: ReplicaOptions
  /** When an entry is over, in seconds: small integers take no memory of their own. */
  readonly #tokens = new ExpiringShards<number>(end => end)
  readonly #sessions = new ExpiringShards<number>(end => end)
  readonly #stale = new ExpiringShards<{ readonly staleBefore: number, readonly end: number }>(({ end }) => end)
  readonly #holds = new Map<string, Hold>()
  /** The last publication that has come in; `null` if the next mark has to tell where the feed is. */
  #position: string | null = null
  /** Counts the loads, so that the end of one that was overtaken means nothing. */
  #load = 0
  /** When everything had been loaded; `Infinity` if it was not. */
  #loadedAt = Infinity
  #lastProven = -Infinity
  /** When the last hold was answered that ended without a feed. */
  #lastForgotten = -Infinity
  #born = Infinity
  /** Set if a denial did not fit. */
  #overflowed = false

  constructor (options: ReplicaOptions) {
    this.#options = options
  }

  /** Denials and stale marks that are held. */
  get size (): number {
    return this.#tokens.size + this.#sessions.size + this.#stale.size
  }

  /** How often all denials were read. What the store had before, it may have lost when they are read anew. */
  get epoch (): number {
    return this.#load
  }

  get overflowed (): boolean {
    return this.#overflowed
  }

  /** Whether tokens may pass without a question. */
  trusted (now: number): boolean {
    // A store that lost its data while it was read has shown an empty list: only a mark of later says that it was the whole.
    return !this.#overflowed && this.#lastProven > this.#loadedAt && this.#lastProven > this.#lastForgotten && now - this.#lastProven <= this.#options.maxStaleness
  }

  judge ({ jti, sid, generation, issuedAt }: HeldToken, now: number): Verdict {
    if (jti !== null && this.#tokens.has(jti)) return 'denied'
    if (sid !== null && this.#sessions.has(sid)) return 'denied'
    if (this.#holds.size > 0) {
      const hold = this.#holdOf('token', jti) ?? this.#holdOf('session', sid)
      if (hold !== undefined) return hold.pending > 0 ? 'denied' : 'ask'
      if (this.#holdOf('stale', sid) !== undefined) return 'ask'
    }
    if (!this.trusted(now)) return 'ask'
    // An older token may have been denied before the feed was there, or by a store that has lost its data since.
    if (issuedAt === undefined || issuedAt * 1000 <= this.#born + this.#options.clockSkew) return 'ask'
    if (sid !== null && this.#stale.size > 0) {
      const mark = this.#stale.get(sid)
      if (mark !== undefined && (generation === undefined || generation < mark.staleBefore)) return 'ask'
    }
    return 'passes'
  }

  /** Takes a denial that was published or loaded. @returns Whether it was new. */
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

  /** A publication has come in. */
  published (before: string, position: string): void {
    // Something is missing in between: the next mark begins anew.
    if (before !== this.#position) this.lost()
    else this.#position = position
  }

  /**
   * A mark has come in.
   *
   * @returns The number of the load that has to begin now; `null` for none.
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

  /** All denials are held that the store had when a load began. Tokens pass from the next mark on. */
  loaded (load: number, now: number): void {
    if (load === this.#load && this.#position !== null) this.#loadedAt = now
  }

  /** The connection is gone, or something was missed. What has come in is kept. */
  lost (): void {
    this.#position = null
    this.#loadedAt = Infinity
    this.#lastProven = -Infinity
    for (const [key, { pending, settledAt }] of this.#holds) {
      if (pending === 0) this.#forgetHold(key, settledAt)
    }
  }

  /**
   * This server revokes something: it is refused from now on, and the store is asked from the answer until the feed has brought it.
   *
   * @returns To be called with the moment of the answer, whatever it is.
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

  /** Removes some of what is over. To be called now and then. */
  sweep (now: number): void {
    const seconds = now / 1000
    for (const entries of [this.#tokens, this.#sessions, this.#stale]) entries.sweep(seconds)
    if (!this.#overflowed || this.size > this.#options.maxEntries * roomAgain) return
    // What did not fit has to be loaded.
    this.#overflowed = false
    this.lost()
  }

  #holdOf (kind: Denial['kind'], id: string | null): Hold | undefined {
    return id === null ? undefined : this.#holds.get(`${kind} ${id}`)
  }

  /** Without a feed nothing would end a hold. No token passes until a mark that was asked for after it. */
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

/** A copy: a part of a text would keep the whole of it alive. */
function flatCopy (text: string): string {
  return Buffer.from(text).toString()
}
