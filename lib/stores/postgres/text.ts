import { createHash } from 'node:crypto'

/** NUL, which PostgreSQL cannot store, and lone surrogates, which would all be stored as the same character. */
const unstorable = /[\0\p{Cs}]/u

/** Longer texts are stored as a hash: an index entry holds at most 2,700 bytes. */
const longest = 500

/** A text as a key: itself, or a hash of it if PostgreSQL cannot index it. No two texts share a key. */
export function keyOf (text: string): string {
  if (text.length <= longest && !unstorable.test(text)) return `=${text}`
  return `#${createHash('sha256').update(JSON.stringify(text)).digest('hex')}`
}

/** The text of a key that is not a hash. The keys of our own session ids never are. */
export function textOf (key: string): string {
  return key.slice(1)
}
