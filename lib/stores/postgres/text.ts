import { createHash } from 'node:crypto'

/** Characters that PostgreSQL cannot hold, and those that two texts would lose their difference with. */
const unstorable = /[\0\p{Cs}]/u

/** Longer texts are known by their hash: an index entry takes no more than 2,700 bytes. */
const longest = 500

/** A text as a key: itself, or a hash of it if PostgreSQL cannot index it. No two texts share a key. */
export function keyOf (text: string): string {
  if (text.length <= longest && !unstorable.test(text)) return `=${text}`
  return `#${createHash('sha256').update(JSON.stringify(text)).digest('hex')}`
}

/** The text of a key that is no hash, as the ids of our own sessions are none. */
export function textOf (key: string): string {
  return key.slice(1)
}
