import { createHash } from 'node:crypto'

/**
 * NUL, at which some drivers cut a text off when they read it, and lone surrogates, which they replace. A `#` at the start would look
 * like a hash.
 */
const unreadable = /^#|[\0\p{Cs}]/u

/** An id as the tables hold it: itself, or a hash of it if a driver would read another one. No two ids share a key. */
export function keyOf (id: string): string {
  return unreadable.test(id) ? `#${createHash('sha256').update(JSON.stringify(id)).digest('hex')}` : id
}
