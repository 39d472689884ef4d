/** How many characters at the end of a token are hashed. They are part of the signature, so as good as random. */
const hashedLength = 6

/** How many entries are checked for expiry for each new token. */
const sweepLength = 8

/** How many new tokens are turned away before the hand passes one token in use. */
const patience = 16

interface Entry<T> {
  readonly hash: number
  readonly token: string
  readonly value: T
  readonly place: number
  /** Whether it was found since the hand passed. */
  used: boolean
}

/**
 * Remembers verified tokens, so that their signature is not checked again.
 *
 * A token is found by a hash of the end of its signature, and then compared as a whole. A new token replaces an expired one, so the cache
 * holds few expired tokens. If it is full of valid tokens, the new token replaces one that was not used recently (second chance). The hand
 * passes tokens in use slowly. Otherwise, if twice as many tokens as fit are used in turn, none of them would be found.
 *
 * `get` and `set` are O(1). An entry costs the token, its claims and about 130 bytes. Only verified tokens are stored, so nobody without
 * valid tokens can fill it. Of tokens with the same hash, the last one is kept.
 */
export class VerifiedCache<T> {
  readonly #entries = new Map<number, Entry<T>>()
  /** All entries, around which the hand moves. */
  readonly #ring: Entry<T>[] = []
  /** Their expiry, in seconds since the epoch. A separate array, so that the sweep reads contiguous memory. */
  readonly #expiries: number[] = []
  readonly #size: number
  #hand = 0
  #sweep = 0
  #turnedAway = 0

  /** @param size How many tokens are remembered; 0 for none. */
  constructor (size: number) {
    this.#size = size
  }

  get (token: string): T | undefined {
    const entry = this.#entries.get(hashOf(token))
    if (entry === undefined || entry.token !== token) return undefined
    if (!entry.used) entry.used = true
    return entry.value
  }

  /** @param expiry Seconds since the epoch; `Infinity` for never. */
  set (token: string, value: T, expiry: number): void {
    // Decided before anything is copied: if many tokens are used in turn, most are turned away.
    const free = this.#freePlace()
    if (free === -1) return
    const hash = hashOf(token)
    const place = this.#entries.get(hash)?.place ?? free
    const old = this.#ring[place]
    if (old !== undefined) this.#entries.delete(old.hash)
    const entry = { hash, token: flatCopy(token), value, place, used: true }
    this.#entries.set(hash, entry)
    this.#ring[place] = entry
    this.#expiries[place] = expiry
  }

  /** The place for a new token; -1 if it is turned away. */
  #freePlace (): number {
    if (this.#size === 0) return -1
    const expired = this.#expiredPlace()
    if (expired !== -1) return expired
    return this.#ring.length < this.#size ? this.#ring.length : this.#placeUnderHand()
  }

  /** The place of an expired token among the few that are checked; -1 if none of them has expired. */
  #expiredPlace (): number {
    const now = Date.now() / 1000
    const { length } = this.#ring
    for (let i = 0; i < sweepLength && i < length; i++) {
      this.#sweep = this.#sweep + 1 < length ? this.#sweep + 1 : 0
      if (this.#expiries[this.#sweep] as number <= now) return this.#sweep
    }
    return -1
  }

  /** The place under the hand, if its token was not used recently; else -1. */
  #placeUnderHand (): number {
    const entry = this.#ring[this.#hand] as Entry<T>
    if (!entry.used) return this.#passHand()
    this.#turnedAway++
    if (this.#turnedAway === patience) {
      this.#turnedAway = 0
      entry.used = false
      this.#passHand()
    }
    return -1
  }

  /** Moves the hand on. @returns Where it was. */
  #passHand (): number {
    const place = this.#hand
    this.#hand = place + 1 === this.#size ? 0 : place + 1
    return place
  }
}

/** A hash of 32 bits of the characters before the last one, which has unused bits. */
function hashOf (token: string): number {
  let hash = 0
  for (let i = token.length - 1 - hashedLength; i < token.length - 1; i++) hash = (Math.imul(hash, 67) + token.charCodeAt(i)) | 0
  return hash
}

/** A copy: a slice would keep the whole header alive. */
function flatCopy (text: string): string {
  return Buffer.from(text, 'latin1').toString('latin1')
}
