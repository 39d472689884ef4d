/** Characters of a token's end by which it is looked up: of the signature, so as good as random. */
const keyLength = 12

/** A full cache takes one new token in so many, so that part of a working set that does not fit stays in it. */
const admitOneIn = 8

interface Entry<T> {
  readonly token: string
  readonly value: T
  /** Found since the hand passed. */
  used: boolean
}

/**
 * Remembers verified tokens, so that their signature is not checked again.
 *
 * A token is found by the end of its signature, and then compared as a whole. When the cache is full, a new token takes the
 * place of one that was not used of late (second chance), and only one new token in eight is taken: with twice as many
 * tokens in turn as there is room for, a cache that takes every one would find none of them.
 *
 * `get` and `set` are O(1), `set` on average. An entry costs the token, its claims and about 120 bytes. Only verified tokens
 * are stored, so nobody without valid tokens can fill it.
 */
export class VerifiedCache<T> {
  readonly #entries = new Map<string, Entry<T>>()
  /** The keys of all entries, around which the hand moves. */
  readonly #ring: string[] = []
  readonly #size: number
  #hand = 0
  #turnedAway = 0

  /** @param size Tokens remembered; 0 for none. */
  constructor (size: number) {
    this.#size = size
  }

  get (token: string): T | undefined {
    const entry = this.#entries.get(token.slice(-keyLength))
    if (entry === undefined || entry.token !== token) return undefined
    if (!entry.used) entry.used = true
    return entry.value
  }

  set (token: string, value: T): void {
    const key = flatCopy(token.slice(-keyLength))
    if (!this.#entries.has(key)) {
      if (this.#ring.length < this.#size) this.#ring.push(key)
      else if (!this.#admits()) return
      else this.#replace(key)
    }
    this.#entries.set(key, { token: flatCopy(token), value, used: false })
  }

  #admits (): boolean {
    if (this.#size === 0) return false
    this.#turnedAway = (this.#turnedAway + 1) % admitOneIn
    return this.#turnedAway === 0
  }

  /** Moves the hand to an entry that was not used since it last passed, and gives its place to another key. */
  #replace (key: string): void {
    for (;; this.#hand = (this.#hand + 1) % this.#size) {
      const old = this.#ring[this.#hand] as string
      const entry = this.#entries.get(old) as Entry<T>
      if (!entry.used) {
        this.#entries.delete(old)
        this.#ring[this.#hand] = key
        this.#hand = (this.#hand + 1) % this.#size
        return
      }
      entry.used = false
    }
  }
}

/** A copy: a slice would keep the whole header alive that it was cut out of. */
function flatCopy (text: string): string {
  return Buffer.from(text, 'latin1').toString('latin1')
}
