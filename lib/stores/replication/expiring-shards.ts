/** With a million ids, each map has a few thousand. Growing or sweeping it takes less than a millisecond. */
const shardCount = 256

/** Maps that are swept in one step. */
const sweptAtOnce = 4

/**
 * A map of values that expire. A single map of a million entries would block the event loop when it grows, so the ids are spread over
 * many maps.
 *
 * `get` and `set` are O(1). An expired entry stays until it is swept. An id of 36 characters whose value is a number takes about
 * 110 bytes (`bench/replica.ts` measures it).
 */
export class ExpiringShards<V> {
  readonly #shards: Array<Map<string, V> | undefined> = []
  readonly #endOf: (value: V) => number
  #size = 0
  #swept = 0

  /** @param endOf The expiry of a value, in the unit of `sweep`. */
  constructor (endOf: (value: V) => number) {
    this.#endOf = endOf
  }

  get size (): number {
    return this.#size
  }

  get (id: string): V | undefined {
    return this.#shards[indexOf(id)]?.get(id)
  }

  has (id: string): boolean {
    return this.#shards[indexOf(id)]?.has(id) === true
  }

  set (id: string, value: V): void {
    const shard = this.#shards[indexOf(id)] ??= new Map()
    const before = shard.size
    shard.set(id, value)
    this.#size += shard.size - before
  }

  /** Removes expired entries from some of the maps. The next call continues with others. */
  sweep (now: number): void {
    for (let count = 0; count < sweptAtOnce; count++) {
      const shard = this.#shards[this.#swept]
      this.#swept = (this.#swept + 1) % shardCount
      if (shard === undefined) continue
      const before = shard.size
      for (const [id, value] of shard) {
        if (this.#endOf(value) <= now) shard.delete(id)
      }
      this.#size -= before - shard.size
    }
  }
}

/** The index of an id's map, from its last characters: they are random in a random id, while its beginning may be the same in all. */
function indexOf (id: string): number {
  const { length } = id
  // Missing characters of a short id are NaN, which counts as 0.
  const hash = Math.imul(id.charCodeAt(length - 1), 67) + Math.imul(id.charCodeAt(length - 2), 29) + (id.charCodeAt(length - 3) | 0)
  return hash & (shardCount - 1)
}
