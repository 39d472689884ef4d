interface Entry<V> {
  value: V
  expiresAt: number
}

/** How often expired entries are removed, in milliseconds. */
const sweepInterval = 1000

/** Entries removed at once, so that a million that expire together do not block the event loop for long. */
const sweepLimit = 10_000

/**
 * A map whose entries expire at a time on the wall clock. Unlike a cache, it never evicts an entry to make room.
 *
 * Keys that expire in the same second share a bucket. `get`, `has`, `set` and `delete` are O(1). Removal is O(1) per entry,
 * by one unreferenced timer that runs only while an entry can expire. An expired entry that is not removed yet is not found
 * either, since reads compare with the clock. An entry costs about 120 bytes beside its key and value (measured by the test
 * of `MemoryStore`).
 *
 * Why no package: an LRU evicts. `@isaacs/ttlcache` keys its buckets by `performance.now()` and relies on the order of
 * integer keys, which V8 guarantees only below 2³²: 49.7 days of uptime and lifetime. It also filters a whole bucket at
 * each renewal, and `exp` in whole seconds makes large buckets.
 */
export class ExpiringMap<V> {
  readonly #entries = new Map<string, Entry<V>>()
  readonly #buckets = new Map<number, Set<string>>()
  readonly #onExpire: ((key: string, value: V) => void) | undefined
  #timer: NodeJS.Timeout | undefined
  /** The second up to which buckets have been emptied. */
  #swept = 0

  /** @param onExpire Called for each entry that is removed because it has expired. */
  constructor (onExpire?: (key: string, value: V) => void) {
    this.#onExpire = onExpire
  }

  /** The number of entries, including those that have expired but are not removed yet. */
  get size (): number {
    return this.#entries.size
  }

  /** When an entry expires, in milliseconds since the epoch; `Infinity` for never, `undefined` if there is none. */
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
    // The bucket may have been swept already, if the entry has expired.
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
    // If the limit is reached, the next round goes on from the same second. If the clock was set back, `#swept` goes back
    // too: otherwise the sweep would skip entries that are added from then on.
    if (left > 0) this.#swept = now
    this.#timer = this.#buckets.size === 0
      ? undefined
      : setTimeout(this.#sweep, left > 0 ? sweepInterval : 1).unref()
  }

  /** The seconds whose buckets have expired. Counts seconds, or looks at all buckets if those are fewer. */
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
