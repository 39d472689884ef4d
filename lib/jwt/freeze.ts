import { isUtf8 } from 'node:buffer'

/** What decoding puts where bytes are not UTF-8; and what may stand there in its own right. */
const replacement = '\uFFFD'

/** Names that need no look: nearly all there are in a token. No set of them, which would hash each name of each new token. */
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
 * Freezes a value parsed from JSON, all the way down; without recursion, for it may be nested as deep as its sender likes.
 *
 * @returns Whether there is a U+FFFD in it. Told here, since another walk would cost as much again.
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

/** Freezes a value parsed from JSON, all the way down. */
export function deepFreeze<T extends object> (value: T): T {
  freezeAndLook(value)
  return value
}

/**
 * Freezes the header or the claims of a token, and says whether they are UTF-8, as RFC 7519 §7.2 demands: two names that
 * differ in broken bytes alone would else become one. The bytes are looked at only when the text makes it possible that
 * they are not, which costs nearly nothing for a sound token.
 *
 * @param token Three parts in base64url.
 * @param part Which of them: 0 for the header, 1 for the claims.
 * @param parsed What is in it.
 */
export function freezeUtf8 (token: string, part: 0 | 1, parsed: object): boolean {
  return !freezeAndLook(parsed) || isUtf8(Buffer.from(token.split('.', 2)[part] as string, 'base64url'))
}
