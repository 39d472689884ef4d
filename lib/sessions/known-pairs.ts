/** Sessions remembered; about twice as many at most, some 100 bytes each. */
const limit = 50_000

/**
 * The pairs of tokens of which nothing more has to be learnt from the store: their session is there, and their use is written down.
 * Of each session the last one. Those that were looked at least are forgotten first, and then asked about once more.
 */
export class KnownPairs {
  #young = new Map<string, number>()
  #old = new Map<string, number>()

  has (sid: string, generation: number): boolean {
    if (this.#young.get(sid) === generation) return true
    if (this.#old.get(sid) !== generation) return false
    this.add(sid, generation)
    return true
  }

  add (sid: string, generation: number): void {
    if (this.#young.size >= limit) {
      this.#old = this.#young
      this.#young = new Map()
    }
    this.#young.set(sid, generation)
  }
}
