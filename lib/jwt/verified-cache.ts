/** Characters of a token's end that are hashed: of the signature, so as good as random. */
const hashedLength = 6

/** So many new tokens are turned away for each token in use that the hand passes. */
const patience = 16

interface Entry<T> {
  readonly hash: number
  readonly token: string
  readonly value: T
  /** Found since the hand passed. */
  used: boolean
}

/**
 * Remembers verified tokens, so that their signature is not checked again.
 *
 * A token is found by a hash of the end of its signature, and then compared as a whole. When the cache is full, a new token
 * takes the place of one that was not used of late (second chance). The hand is slow to pass tokens that are in use: with twice
 * as many tokens in turn as there is room for, a cache that takes every new one would find none of them.
 *
 * `get` and `set` are O(1). An entry costs the token, its claims and about 100 bytes. Only verified tokens
 * are stored, so nobody without valid tokens can fill it. Of tokens with the same hash, the last one is kept.
 */
export class VerifiedCache<T> {
  readonly #entries = new Map<number, Entry<T>>()
  /** All entries, around which the hand moves. */
  readonly #ring: Entry<T>[] = []
  readonly #size: number
  #hand = 0
  #turnedAway = 0

  /** @param size Tokens remembered; 0 for none. */
  constructor (size: number) {
    this.#size = size
  }

  get (token: string): T | undefined {
    const entry = this.#entries.get(hashOf(token))
    if (entry === undefined || entry.token !== token) return undefined
    if (!entry.used) entry.used = true
    return entry.value
  }

  set (token: string, value: T): void {
    const full = this.#ring.length >= this.#size
    // Decided before anything is copied: with many tokens in turn, most are turned away.
    if (full && !this.#makesRoom()) return
    const entry: Entry<T> = { hash: hashOf(token), token: flatCopy(token), value, used: true }
    const twin = this.#entries.get(entry.hash)
    if (twin !== undefined) this.#ring[this.#ring.indexOf(twin)] = entry
    else if (full) this.#replace(entry)
    else this.#ring.push(entry)
    this.#entries.set(entry.hash, entry)
  }

  /** Whether the token under the hand has gone out of use. If not, the hand passes it after a while. */
  #makesRoom (): boolean {
    const entry = this.#ring[this.#hand]
    if (entry === undefined || !entry.used) return entry !== undefined
    this.#turnedAway++
    if (this.#turnedAway === patience) {
      this.#turnedAway = 0
      entry.used = false
      this.#hand = (this.#hand + 1) % this.#size
    }
    return false
  }

  /** Gives the place under the hand to another token. */
  #replace (entry: Entry<T>): void {
    this.#entries.delete((this.#ring[this.#hand] as Entry<T>).hash)
    this.#ring[this.#hand] = entry
    this.#hand = (this.#hand + 1) % this.#size
  }
}

/** 32 bits of the characters before the last, which has unused bits. */
function hashOf (token: string): number {
  let hash = 0
  for (let i = token.length - 1 - hashedLength; i < token.length - 1; i++) hash = (Math.imul(hash, 67) + token.charCodeAt(i)) | 0
  return hash
}

/** A copy: a slice would keep the whole header alive that it was cut out of. */
function flatCopy (text: string): string {
  return Buffer.from(text, 'latin1').toString('latin1')
}
