import { freezeUtf8 } from './freeze.ts'
import { isUsableType } from './explicit-typing.ts'
import type { Errors } from '../errors.ts'
import type { JwtHeader } from '../types/claims.ts'

/** Distinct headers kept. An app that puts something else into each header gains nothing from them. */
const maxHeaders = 100

/**
 * Creates the check of a header whose signature was verified. The key has checked `alg` and `crit`.
 *
 * @returns A function that returns the header frozen, or throws `FST_JWT_INVALID_TOKEN`.
 */
export function createHeaderCheck (errors: Errors): (token: string, header: JwtHeader) => JwtHeader {
  // Nearly all tokens of a key have the same header: one object, checked and frozen, serves them all.
  const known = new Map<string, JwtHeader>()

  return function checkHeader (token, header) {
    const text = token.slice(0, token.indexOf('.'))
    const checked = known.get(text)
    if (checked !== undefined) return checked
    if (!freezeUtf8(token, 0, header)) throw errors.FST_JWT_INVALID_TOKEN('malformed')
    if (header['kid'] !== undefined && typeof header['kid'] !== 'string') throw errors.FST_JWT_INVALID_TOKEN('kid')
    if (!isUsableType(header['typ'])) throw errors.FST_JWT_INVALID_TOKEN('typ')
    // A copy of the text: a slice would keep the whole token alive.
    if (known.size < maxHeaders) known.set(Buffer.from(text, 'latin1').toString('latin1'), header)
    return header
  }
}
