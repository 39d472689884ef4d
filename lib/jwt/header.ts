import { isUsableType } from './explicit-typing.ts'
import { freezeUtf8 } from './freeze.ts'
import type { Errors } from '../errors.ts'
import type { JwtHeader } from '../types/claims.ts'

/** Distinct headers kept; those of apps that put other things into each header are not worth it. */
const maxHeaders = 100

/**
 * Makes the check of the header of a token whose signature was verified, beside what the key has checked.
 *
 * @returns A function that gives the header frozen, or throws `FST_JWT_INVALID_TOKEN`.
 */
export function createHeaderCheck (errors: Errors): (token: string, header: JwtHeader) => JwtHeader {
  // Nearly all tokens of a key have the same header: one object, checked and frozen, serves them all.
  const headers = new Map<string, JwtHeader>()
  // That of the token before, with its dot: comparing costs less than looking up, and this way of it less than `startsWith`,
  // which is slow where the string is a slice.
  let lastText = '.'
  let lastHeader: JwtHeader | undefined

  return function checkedHeader (token, header) {
    if (lastHeader !== undefined && token.slice(0, lastText.length) === lastText) return lastHeader
    const text = token.slice(0, token.indexOf('.'))
    const known = headers.get(text)
    if (known !== undefined) {
      lastText = `${text}.`
      lastHeader = known
      return known
    }
    if (!freezeUtf8(token, 0, header)) throw errors.FST_JWT_INVALID_TOKEN('malformed')
    if (header['kid'] !== undefined && typeof header['kid'] !== 'string') throw errors.FST_JWT_INVALID_TOKEN('kid')
    if (!isUsableType(header['typ'])) throw errors.FST_JWT_INVALID_TOKEN('typ')
    if (headers.size < maxHeaders) headers.set(Buffer.from(text, 'latin1').toString('latin1'), header)
    return header
  }
}
