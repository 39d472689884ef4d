import { isUtf8 } from 'node:buffer'

/** Decoding writes this character in place of bytes that are not UTF-8. A text may also contain it. */
const replacement = '\uFFFD'

/** Names that need no check: nearly all names in a token. Not a `Set`, which would hash each name of each new token. */
function isKnownName (name: string): boolean {
  switch (name) {
    case 'sub':
    case 'type':
    case 'fresh':
    case 'jti':
    case 'iat':
    case 'nbf':
    case 'exp':
    case 'identity':
    case 'iss':
    case 'aud':
    case 'sid':
    case 'csrf':
    case 'auth_time':
    case 'alg':
    case 'typ':
    case 'kid':
      return true
    default:
      return false
  }
}

/**
 * Deeply freezes a value parsed from JSON. It does not recurse, since the sender decides how deep the value is nested.
 *
 * @returns Whether it contains a U+FFFD. A separate walk would double the cost.
 */
function freezeAndLook (value: object): boolean {
  let found = false
  let pending: object[] | undefined
  for (let object: object | undefined = value; object !== undefined; object = pending?.pop()) {
    Object.freeze(object)
    for (const name in object) {
      if (!isKnownName(name) && name.includes(replacement)) found = true
      const item = (object as Record<string, unknown>)[name]
      if (typeof item === 'string') {
        if (item.includes(replacement)) found = true
      } else if (typeof item === 'object' && item !== null) {
        if (pending === undefined) pending = [item]
        else pending.push(item)
      }
    }
  }
  return found
}

/** Deeply freezes a value parsed from JSON. */
export function deepFreeze<T extends object> (value: T): T {
  freezeAndLook(value)
  return value
}

/**
 * Deeply freezes the header or the claims of a token, and returns whether they are UTF-8 (RFC 7519 §7.2). Otherwise two names that differ
 * only in invalid bytes would become one. The bytes are checked only if the text contains a U+FFFD, so this costs nearly nothing for a
 * valid token.
 *
 * @param token Three parts in base64url.
 * @param part Which of them: 0 for the header, 1 for the claims.
 * @param parsed The value of this part.
 */
export function freezeUtf8 (token: string, part: 0 | 1, parsed: object): boolean {
  return !freezeAndLook(parsed) || isUtf8(Buffer.from(token.split('.', 2)[part] as string, 'base64url'))
}
