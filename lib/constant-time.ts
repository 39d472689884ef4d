import { timingSafeEqual } from 'node:crypto'

/** Compares in a time that does not depend on where the two differ. */
export function isEqual (one: string, other: string): boolean {
  const [left, right] = [Buffer.from(one), Buffer.from(other)]
  return left.length === right.length && timingSafeEqual(left, right)
}
