import { freezeUtf8 } from './freeze.ts'
import { isUsableType } from './explicit-typing.ts'
import type { Errors } from '../errors.ts'
import type { JwtHeader } from '../types/claims.ts'

/** How many headers are kept. Few keys sign at the same time. If every token has a different header, this saves nothing. */
const maxHeaders = 8

/**
 * Creates the check of a header whose signature was verified. The key has checked `alg` and `crit`.
 *
 * @returns A function that returns the header frozen, or throws `FST_JWT_INVALID_TOKEN`.
 */
export function createHeaderCheck (errors: Errors): (token: string, header: JwtHeader) => JwtHeader {
  // Nearly all tokens of a key have the same header: one object, checked and frozen, serves them all.
  const known: { readonly text: string, readonly header: JwtHeader }[] = []

  return function checkHeader (token, header) {
    for (let i = 0; i < known.length; i++) {
      const { text, header } = known[i] as typeof known[number]
      if (token.startsWith(text)) return header
    }
    if (!freezeUtf8(token, 0, header)) throw errors.FST_JWT_INVALID_TOKEN('malformed')
    if (header['kid'] !== undefined && typeof header['kid'] !== 'string') throw errors.FST_JWT_INVALID_TOKEN('kid')
    if (!isUsableType(header['typ'])) throw errors.FST_JWT_INVALID_TOKEN('typ')
    if (known.length < maxHeaders) {
      // With its dot, so that it does not match a longer header. A copy: a slice would keep the whole token alive.
      const text = Buffer.from(token.slice(0, token.indexOf('.') + 1), 'latin1').toString('latin1')
      known.push({ text, header })
    }
    return header
  }
}
