import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto'

/*
 * A nonce is 24 bytes in base64url: its time in seconds since the epoch (8 bytes), and an HMAC of it with a key of the servers (16 bytes).
 * So nothing is stored, and every server with the key accepts it.
 */

/** Characters of a nonce. */
const nonceLength = 32

/** Bytes of the time, and of the tag. */
const timeLength = 8
const tagLength = 16

/** Nonces of proofs (RFC 9449 §8). */
export interface Nonces {
  /** A nonce that is valid from now on. */
  current (): string
  /** When a nonce was made, in seconds since the epoch; `null` if these servers did not make it. */
  madeAt (nonce: unknown): number | null
}

/** Derives the key for nonces from another key (RFC 5869). */
function nonceKeyOf (key: Uint8Array): Buffer {
  return Buffer.from(hkdfSync('sha256', key, '', 'fastify-jwt-extended DPoP nonces', 32))
}

/** @param keysNow Returns the keys that may have made a nonce, at least one. The first one makes new nonces. */
export function createNonces (keysNow: () => readonly Uint8Array[]): Nonces {
  // Derived keys are kept until a rotation replaces the list of keys.
  let known: readonly Uint8Array[] = []
  let derived: readonly Buffer[] = []
  let last: { readonly second: number, readonly key: Buffer, readonly nonce: string } | undefined

  function nonceKeys (): readonly Buffer[] {
    const now = keysNow()
    if (now !== known) {
      derived = now.map(nonceKeyOf)
      known = now
    }
    return derived
  }

  const tagOf = (key: Uint8Array, time: Uint8Array): Buffer => createHmac('sha256', key).update(time).digest().subarray(0, tagLength)

  return {
    current () {
      const second = Math.floor(Date.now() / 1000)
      const key = nonceKeys()[0] as Buffer
      if (last?.second === second && last.key === key) return last.nonce
      const time = Buffer.alloc(timeLength)
      time.writeBigUInt64BE(BigInt(second))
      const nonce = Buffer.concat([time, tagOf(key, time)]).toString('base64url')
      last = { second, key, nonce }
      return nonce
    },

    madeAt (nonce) {
      if (typeof nonce !== 'string' || nonce.length !== nonceLength) return null
      const bytes = Buffer.from(nonce, 'base64url')
      // `Buffer.from` skips characters that are not base64url.
      if (bytes.length !== timeLength + tagLength) return null
      const [time, tag] = [bytes.subarray(0, timeLength), bytes.subarray(timeLength)]
      return nonceKeys().some(key => timingSafeEqual(tag, tagOf(key, time))) ? Number(time.readBigUInt64BE()) : null
    }
  }
}
