/** The characters of a URI: printable ASCII without the space. Not the backslash, which URL parsers read as a slash. */
const characters = /^[\x21-\x5b\x5d-\x7e]+$/

/** Normalises percent-encoding (RFC 3986 §6.2.2): letters, digits and `-._~` are decoded, all others are in upper case. */
function normalizePath (path: string): string {
  return path.replace(/%[0-9a-f]{2}/gi, encoded => {
    const character = String.fromCharCode(parseInt(encoded.slice(1), 16))
    return /[\w.~-]/.test(character) ? character : encoded.toUpperCase()
  })
}

function normalize (text: string): string | null {
  if (!URL.canParse(text)) return null
  // Scheme and host in lower case, no default port, no dot segments (RFC 3986 §6.2.2, §6.2.3).
  const { protocol, host, pathname, username, password } = new URL(text)
  if (username !== '' || password !== '') return null
  return `${protocol}//${host}${normalizePath(pathname)}`
}

/** An absolute HTTP URI without its query and fragment, normalised (RFC 9449 §4.3, 9); `null` if it is invalid. */
export function normalizeUri (text: string): string | null {
  return characters.test(text) && /^https?:\/\/[^/]/i.test(text) ? normalize(text) : null
}

/**
 * The URI of a request, normalised; `null` if it is invalid.
 *
 * @param target The path and query, as the client has sent them.
 */
export function requestUri (protocol: string, host: string, target: string): string | null {
  // A Host header is a host and a port (RFC 9110 §7.2). A URL parser would cut off a path or user information.
  if (!/^[^/?#@\\\s]+$/.test(host) || !target.startsWith('/') || !characters.test(target)) return null
  return normalize(`${protocol}://${host}${target}`)
}
