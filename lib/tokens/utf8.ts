import { isUtf8 } from 'node:buffer'

/** What decoding puts where bytes are not UTF-8; and what may stand there in its own right. */
const replacement = '\uFFFD'

/** Without recursion, for JSON may be nested as deep as its sender likes. */
function holdsReplacement (objects: object[]): boolean {
  for (let object = objects.pop(); object !== undefined; object = objects.pop()) {
    for (const name in object) {
      const value = (object as Record<string, unknown>)[name]
      if (name.includes(replacement) || (typeof value === 'string' && value.includes(replacement))) return true
      if (typeof value === 'object' && value !== null) objects.push(value)
    }
  }
  return false
}

/**
 * Whether header or claims of a token are UTF-8, as RFC 7519 §7.2 demands: two names that differ in broken bytes alone
 * would else become one. The bytes are looked at only when the text makes it possible that they are not, which
 * costs nearly nothing for a sound token.
 *
 * @param token Three parts in base64url.
 * @param part Which of them: 0 for the header, 1 for the claims.
 * @param parsed What is in it.
 */
export function isUtf8Part (token: string, part: 0 | 1, parsed: object): boolean {
  return !holdsReplacement([parsed]) || isUtf8(Buffer.from(token.split('.', 2)[part] as string, 'base64url'))
}
