/** Sessions remembered; about twice as many at most, some 100 bytes each. */
const limit = 50_000

/**
 * The pairs of tokens of which nothing more has to be learnt from the store: their session is there, and their use is written down.
 * Of each session the last one. Those that were looked at least are forgotten first, and then asked about once more. All of them are
 * forgotten if the store may have lost data.
 */
export class KnownPairs {
  #young = new Map<string, number>()
  #old = new Map<string, number>()
  /** The epoch of the store in which all of them were learnt. */
  #epoch = 0

  /** @param epoch In which the store is now. */
  has (sid: string, generation: number, epoch: number): boolean {
    if (epoch !== this.#epoch) return false
    if (this.#young.get(sid) === generation) return true
    if (this.#old.get(sid) !== generation) return false
    this.add(sid, generation, epoch)
    return true
  }

  /** @param epoch In which the store was asked. */
  add (sid: string, generation: number, epoch: number): void {
    // The answer has waited, for a callback of the app say.
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
