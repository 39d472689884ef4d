/** Sessions in each of the two maps, about 100 bytes each. */
const limit = 50_000

/**
 * A cache of the token pairs that need no query to the store: their session exists, and their use is recorded. It holds the last pair
 * of each session. The least recently used are evicted first; the store is then queried about them once more. The cache is emptied if
 * the store may have lost data.
 */
export class KnownPairs {
  #young = new Map<string, number>()
  #old = new Map<string, number>()
  /** The epoch of the store in which all entries were added. */
  #epoch = 0

  /** @param epoch The current epoch of the store. */
  has (sid: string, generation: number, epoch: number): boolean {
    if (epoch !== this.#epoch) return false
    if (this.#young.get(sid) === generation) return true
    if (this.#old.get(sid) !== generation) return false
    this.add(sid, generation, epoch)
    return true
  }

  /** @param epoch The epoch of the store when it was queried. */
  add (sid: string, generation: number, epoch: number): void {
    // The answer is out of date: a callback of the app may have delayed it.
    if (epoch < this.#epoch) return
    if (epoch > this.#epoch) this.#begin(epoch)
    if (this.#young.size >= limit) {
      this.#old = this.#young
      this.#young = new Map()
    }
    this.#young.set(sid, generation)
  }

  #begin (epoch: number): void {
    this.#epoch = epoch
    this.#young = new Map()
    this.#old = new Map()
  }
}
