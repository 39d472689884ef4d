interface Entry<V> {
  value: V
  /** By the wall clock, milliseconds since the epoch. */
  expiresAt: number
  /** By the monotonic clock, milliseconds since the process began. */
  dueAt: number
  /** Its bucket: the monotonic second in which it is checked. */
  second: number
}

/** How often expired entries are removed, in milliseconds. */
const sweepInterval = 1000

/** Entries removed in one go: a million that expire together must not stop the event loop for long. */
const sweepLimit = 10_000

/**
 * A map whose entries expire at a time of the wall clock. Unlike a cache, it never evicts an entry to make room: a denylist must not
 * forget.
 *
 * An entry expires only if both clocks agree: the wall clock has passed `expiresAt`, and the monotonic clock has passed the life
 * that the entry had when it was set. So no entry is lost if the wall clock jumps ahead for a moment.
 *
 * Why not a package: an LRU evicts, and a TTL cache follows one clock.
 *
 * Keys due in the same second share a bucket. `get`, `has`, `set` and `delete` are O(1). Removal is O(1) per entry, by one
 * unreferenced timer that runs while an entry can expire. An entry takes about 130 bytes besides its key and value
 * (`test/lib/stores/memory.test.ts` measures it).
 */
export class ExpiringMap<V> {
  readonly #entries = new Map<string, Entry<V>>()
  /** Keys by the monotonic second in which they are due. */
  readonly #buckets = new Map<number, Set<string>>()
  readonly #onExpire: ((key: string, value: V) => void) | undefined
  #timer: NodeJS.Timeout | undefined
  /** The second up to which buckets have been emptied. */
  #swept = 0

  /** @param onExpire Called for each entry that is removed because it has expired. */
  constructor (onExpire?: (key: string, value: V) => void) {
    this.#onExpire = onExpire
  }

  /** Entries in the map, including expired ones that are not removed yet. */
  get size (): number {
    return this.#entries.size
  }

  /** When an entry expires, in milliseconds since the epoch, `Infinity` for never; `undefined` if there is none. */
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
    if (entry?.expiresAt === expiresAt) {
      entry.value = value
      return
    }
    if (entry !== undefined) this.#unschedule(key, entry)
    const added = { value, expiresAt, dueAt: 0, second: 0 }
    this.#entries.set(key, added)
    this.#schedule(key, added)
  }

  delete (key: string): void {
    const entry = this.#entries.get(key)
    if (entry === undefined) return
    this.#entries.delete(key)
    this.#unschedule(key, entry)
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
    return entry !== undefined && (entry.expiresAt > Date.now() || entry.dueAt > performance.now()) ? entry : undefined
  }

  #schedule (key: string, entry: Entry<V>): void {
    const now = performance.now()
    entry.dueAt = now + entry.expiresAt - Date.now()
    if (entry.dueAt === Infinity) return
    // A bucket that was swept is not visited again.
    if (this.#timer === undefined) this.#swept = Math.floor(now / 1000)
    entry.second = Math.max(Math.ceil(entry.dueAt / 1000), this.#swept + 1)
    const bucket = this.#buckets.get(entry.second)
    if (bucket === undefined) this.#buckets.set(entry.second, new Set([key]))
    else bucket.add(key)
    this.#timer ??= setTimeout(this.#sweep, sweepInterval).unref()
  }

  #unschedule (key: string, { second }: Entry<V>): void {
    const bucket = this.#buckets.get(second)
    if (bucket?.delete(key) && bucket.size === 0) this.#buckets.delete(second)
  }

  readonly #sweep = (): void => {
    const now = Math.floor(performance.now() / 1000)
    let left = sweepLimit
    while (this.#swept < now && left > 0) {
      left = this.#empty(this.#swept + 1, left)
      // If the limit is reached, this second may have more entries: the next round continues with it.
      if (left > 0) this.#swept++
    }
    this.#timer = this.#buckets.size === 0 ? undefined : setTimeout(this.#sweep, left > 0 ? sweepInterval : 1).unref()
  }

  /** Removes the entries that are due in a second, up to a limit. @returns The rest of the limit. */
  #empty (second: number, limit: number): number {
    let left = limit
    for (const key of this.#buckets.get(second) ?? []) {
      if (left === 0) return 0
      left--
      const entry = this.#entries.get(key) as Entry<V>
      this.#unschedule(key, entry)
      // The wall clock was set back.
      if (entry.expiresAt > Date.now()) {
        this.#schedule(key, entry)
        continue
      }
      this.#entries.delete(key)
      this.#onExpire?.(key, entry.value)
    }
    return left
  }
}
