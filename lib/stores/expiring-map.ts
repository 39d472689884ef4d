interface Entry<V> {
  value: V
  expiresAt: number
}

/** How often expired entries are removed, in milliseconds. */
const sweepInterval = 1000

/** Entries removed in one go, so that a million that expire together do not stop the event loop for long. */
const sweepLimit = 10_000

/**
 * A map whose entries are there until a time on the wall clock, neither shorter nor longer: nothing is
 * ever evicted to make room, which is what tells a denylist from a cache.
 *
 * Why not a package: an LRU evicts; and `@isaacs/ttlcache` keys its buckets by `performance.now()` and
 * relies on V8 ordering integer keys, which V8 promises below 2³² only (49.7 days of uptime plus life),
 * and filters a whole bucket at each renewal, which whole-second `exp` claims make large.
 *
 * Keys due in the same second share a bucket. `get`, `has`, `set` and `delete` are O(1), removal is
 * O(1) an entry, by one unreferenced timer that runs while there is something to expire. What is due
 * but not yet removed is not found either: reading compares with the clock. About 120 bytes an entry
 * beside its key and value (`test/lib/stores/memory.test.ts` measures it).
 */
export class ExpiringMap<V> {
  readonly #entries = new Map<string, Entry<V>>()
  readonly #buckets = new Map<number, Set<string>>()
  readonly #onExpire: ((key: string, value: V) => void) | undefined
  #timer: NodeJS.Timeout | undefined
  /** The second up to which buckets have been emptied. */
  #swept = 0

  /** @param onExpire Told of each entry that is removed because its time is over. */
  constructor (onExpire?: (key: string, value: V) => void) {
    this.#onExpire = onExpire
  }

  /** Entries held, those due but not yet removed included. */
  get size (): number {
    return this.#entries.size
  }

  /** When an entry expires, in milliseconds since the epoch, `Infinity` for never; `undefined` when there is none. */
  expiry (key: string): number | undefined {
    return this.#live(key)?.expiresAt
  }

  has (key: string): boolean {
    return this.#live(key) !== undefined
  }

  get (key: string): V | undefined {
    return this.#live(key)?.value
  }

  /** @param expiresAt Milliseconds since the epoch; `Infinity` for never. */
  set (key: string, value: V, expiresAt: number): void {
    const entry = this.#entries.get(key)
    if (entry === undefined) {
      this.#entries.set(key, { value, expiresAt })
      this.#schedule(key, expiresAt)
      return
    }
    entry.value = value
    if (entry.expiresAt !== expiresAt) {
      this.#unschedule(key, entry.expiresAt)
      entry.expiresAt = expiresAt
      this.#schedule(key, expiresAt)
    }
  }

  delete (key: string): void {
    const entry = this.#entries.get(key)
    if (entry === undefined) return
    this.#entries.delete(key)
    this.#unschedule(key, entry.expiresAt)
  }

  /** Empties the map and stops its timer. */
  clear (): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#entries.clear()
    this.#buckets.clear()
  }

  #live (key: string): Entry<V> | undefined {
    const entry = this.#entries.get(key)
    return entry !== undefined && entry.expiresAt > Date.now() ? entry : undefined
  }

  #schedule (key: string, expiresAt: number): void {
    if (expiresAt === Infinity) return
    const second = Math.ceil(expiresAt / 1000)
    const bucket = this.#buckets.get(second)
    if (bucket === undefined) this.#buckets.set(second, new Set([key]))
    else bucket.add(key)
    // What is due already would otherwise wait in a bucket that has been passed.
    this.#swept = Math.min(this.#swept, second - 1)
    this.#timer ??= setTimeout(this.#sweep, sweepInterval).unref()
  }

  #unschedule (key: string, expiresAt: number): void {
    const second = Math.ceil(expiresAt / 1000)
    const bucket = this.#buckets.get(second)
    if (bucket?.delete(key) && bucket.size === 0) this.#buckets.delete(second)
  }

  readonly #sweep = (): void => {
    const now = Math.floor(Date.now() / 1000)
    const due = this.#due(now)
    let left = sweepLimit
    for (const second of due) {
      left = this.#empty(second, left)
      if (left === 0) break
    }
    // With the limit reached there may be more, and the next round finds it. A clock set back takes
    // `#swept` back with it, or what is added from then on would be passed over.
    if (left > 0) this.#swept = now
    this.#timer = this.#buckets.size === 0
      ? undefined
      : setTimeout(this.#sweep, left > 0 ? sweepInterval : 1).unref()
  }

  /** The buckets whose time has come: by counting seconds, or by looking at all where that is less work. */
  #due (now: number): Iterable<number> {
    const seconds = now - this.#swept
    if (seconds > this.#buckets.size) return [...this.#buckets.keys()].filter(second => second <= now)
    return Array.from({ length: Math.max(0, seconds) }, (_, index) => this.#swept + 1 + index)
  }

  #empty (second: number, limit: number): number {
    const bucket = this.#buckets.get(second)
    if (bucket === undefined) return limit
    let left = limit
    for (const key of bucket) {
      if (left === 0) return 0
      left--
      const entry = this.#entries.get(key) as Entry<V>
      bucket.delete(key)
      this.#entries.delete(key)
      this.#onExpire?.(key, entry.value)
    }
    this.#buckets.delete(second)
    return left
  }
}
