/** Enough that a million ids are a few thousand in each map, which grows and is swept in less than a millisecond. */
const shardCount = 256

/** Maps that are swept in one step. */
const sweptAtOnce = 4

/**
 * Values by id, each until a moment of its own. A single map of a million entries would stop the event loop when it grows, so that
 * the ids are spread over many.
 *
 * `get` and `set` are O(1). An entry that is over stays until the sweep comes by. An id of 36 characters whose value is a number takes
 * about 110 bytes (`bench/replica.ts` measures it).
 */
export class ExpiringShards<V> {
  readonly #shards: Array<Map<string, V> | undefined> = []
  readonly #endOf: (value: V) => number
  #size = 0
  #swept = 0

  /** @param endOf When a value is over, in the unit of `sweep`. */
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

  /** Removes what is over from some of the maps; the next call goes on with others. */
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

/** The map of an id, by its end: in a random id it is random, and what comes before it may be the same in all. */
function indexOf (id: string): number {
  const { length } = id
  // Of a text of fewer characters the missing ones are NaN, which counts as 0.
  const hash = Math.imul(id.charCodeAt(length - 1), 67) + Math.imul(id.charCodeAt(length - 2), 29) + (id.charCodeAt(length - 3) | 0)
  return hash & (shardCount - 1)
}
