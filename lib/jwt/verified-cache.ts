/**
 * What is remembered of verified tokens. A token is asked for by the text it was found in, such as `Bearer <token>`, and where
 * in it the token begins: comparing the text as it came costs less than cutting the token out. A text that begins in another
 * way, or with another start, is another one.
 */
export interface VerifiedCache<T> {
  get (text: string, start?: number): T | undefined
  /**
   * As `get`, for a text that was cut out of a longer one, as a cookie is of its header. Where that is the same as when the
   * text came last, so is its part, and the longer text is compared in its place: V8 compares what was cut by a call into
   * C++, which costs as much as all the rest. So a token is given out only to who has sent all of it. What an app has put
   * in the part's place is told from it by its length and its end, and is not compared beyond that.
   *
   * @param source What the text was cut out of.
   * @param part Which part of it the text is.
   */
  getPart (text: string, source: string, part: string): T | undefined
  set (text: string, verified: T, start?: number): void
}

/** A text that ends with a verified token. */
interface Entry<T> {
  text: string
  /** What the text was cut out of when it came last, and which part of it it is; empty where it was not, or of too much. */
  source: string
  part: string
  readonly length: number
  readonly verified: T
  /** Asked for since the clock's hand passed. */
  used: boolean
}

const none: VerifiedCache<never> = { get: () => undefined, getPart: () => undefined, set () {} }

/** What a text was cut out of is kept up to this length, so that an entry stays small. Characters. */
const longestSource = 1024

/**
 * A number that tells tokens apart (FNV-1a): of the end of the signature, which is as good as random, and of where the token
 * begins. Two in four thousand million may share one, but never the same text with another start, as each step is one to one.
 * Hashing all of a token's characters, as a map keyed by it does, costs ten times as much.
 */
function fingerprintOf (text: string, start: number): number {
  let hash = 0x811c9dc5 ^ start
  for (let i = Math.max(text.length - 6, 0); i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  return hash
}

/** How many fingerprints share a place, so that two tokens whose place is the same don't forever put each other out. */
const ways = 4

/**
 * Remembers about as many fingerprints as the cache holds tokens. So a token that comes again only after that many others
 * counts as new: the cache would have forgotten it by then, and storing it would have been in vain.
 *
 * @returns Whether a token came before, as far as is known.
 */
function createDoorkeeper (size: number): (fingerprint: number) => boolean {
  const places = Math.max(2 ** Math.ceil(Math.log2(Math.min(size, 2 ** 20) / ways)), 1)
  const fingerprints = new Int32Array(places * ways)
  let random = 1

  return fingerprint => {
    const first = ((fingerprint >>> 8) & (places - 1)) * ways
    for (let i = first; i < first + ways; i++) {
      if (fingerprints[i] === fingerprint) return true
    }
    // Whichever chance takes (Knuth's linear congruential generator, its upper bits): with any rule, five that come in turn to
    // a place for four could put each other out for ever.
    random = Math.imul(random, 1664525) + 1013904223 | 0
    fingerprints[first + (random >>> 30)] = fingerprint
    return false
  }
}

/**
 * Remembers `size` verified tokens that came twice. Past that, one that was not used of late is forgotten for each new one: the
 * clock algorithm, which is as good as least recently used, and where a hit writes one bit, and not a list's links. A token
 * that comes once and never again is not worth the copy, nor what it would push out.
 *
 * Failures are never stored, so that only who holds valid tokens can fill it. A hit costs one map look-up by a fingerprint,
 * and comparing the whole text; an entry costs the token, or the text of up to a kilobyte that it was cut out of, its claims,
 * and about 150 bytes.
 *
 * @param size Tokens remembered; 0 for none.
 */
export function createVerifiedCache<T> (size: number): VerifiedCache<T> {
  if (size === 0) return none
  const entries = new Map<number, Entry<T>>()
  const cameBefore = createDoorkeeper(size)
  /** The fingerprints of all entries, round which the hand goes. */
  const clock: number[] = []
  let hand = 0

  /** Moves the hand to an entry that was not used since it last came by, and takes that out. */
  function forgetOne (): void {
    for (;; hand = (hand + 1) % size) {
      const fingerprint = clock[hand] as number
      const entry = entries.get(fingerprint) as Entry<T>
      if (!entry.used) {
        entries.delete(fingerprint)
        return
      }
      entry.used = false
    }
  }

  function add (fingerprint: number, entry: Entry<T>): void {
    if (!entries.has(fingerprint)) {
      if (clock.length < size) {
        clock.push(fingerprint)
      } else {
        forgetOne()
        clock[hand] = fingerprint
        hand = (hand + 1) % size
      }
    }
    entries.set(fingerprint, entry)
  }

  /** Keeps what the entry's text was cut out of, and the text as a cut of that, so that it is there once. */
  function keepSource (entry: Entry<T>, source: string, part: string): void {
    const start = source.indexOf(entry.text)
    // An app may have put another text in place of what was there.
    if (start === -1) return
    entry.text = source.slice(start, start + entry.text.length)
    entry.source = source
    entry.part = part
  }

  return {
    get (text, start = 0) {
      const entry = entries.get(fingerprintOf(text, start))
      if (entry === undefined || entry.text !== text) return undefined
      if (!entry.used) entry.used = true
      return entry.verified
    },
    getPart (text, source, part) {
      const entry = entries.get(fingerprintOf(text, 0))
      if (entry === undefined) return undefined
      if (entry.source !== source || entry.part !== part || entry.length !== text.length) {
        if (entry.text !== text) return undefined
        if (source.length <= longestSource) keepSource(entry, source, part)
      }
      if (!entry.used) entry.used = true
      return entry.verified
    },
    set (text, verified, start = 0) {
      const fingerprint = fingerprintOf(text, start)
      if (!cameBefore(fingerprint)) return
      // The text may be a slice of all the cookies, which it would keep alive: store a copy.
      add(fingerprint, { text: Buffer.from(text, 'latin1').toString('latin1'), source: '', part: '', length: text.length, verified, used: false })
    }
  }
}
