import { badOption } from '../errors.ts'
import type { NamedKey } from '../types/keys.ts'
import type { JwtExtendedOptions } from '../types/options.ts'

/** Option names of @fastify/jwt, fast-jwt, jsonwebtoken and jose, with the options that do the same here. */
const otherNames = new Map<string, readonly (keyof JwtExtendedOptions | keyof NamedKey)[]>(Object.entries({
  secret: ['secretKey'],
  key: ['secretKey'],
  alg: ['algorithm'],
  kid: ['keyId'],
  algorithms: ['algorithm', 'decodeAlgorithms'],
  sign: ['algorithm', 'accessExpires', 'issuer', 'audience'],
  verify: ['decodeAlgorithms', 'decodeIssuer', 'decodeAudience', 'leeway'],
  decode: ['decodeAlgorithms', 'decodeIssuer', 'decodeAudience', 'leeway'],
  expiresIn: ['accessExpires', 'refreshExpires'],
  clockTolerance: ['leeway'],
  cookie: ['tokenLocation', 'accessCookieName'],
  cookies: ['tokenLocation'],
  onlyCookie: ['tokenLocation'],
  csrf: ['csrfProtection'],
  allowedIss: ['decodeIssuer'],
  allowedAud: ['decodeAudience'],
  iss: ['issuer'],
  aud: ['audience'],
  cache: ['cacheSize'],
  passphrase: ['privateKey'],
  trusted: ['isRevoked'],
  formatUser: ['userLookup']
}))

/** Levenshtein distance: how many characters to insert, delete or replace. */
function editDistance (from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, column) => column)
  let left = to.length
  for (const character of from) {
    let diagonal = 0
    row = row.map((above, column) => {
      left = column === 0 ? above + 1 : Math.min(above + 1, left + 1, diagonal + (character === to[column - 1] ? 0 : 1))
      diagonal = above
      return left
    })
  }
  return left
}

/** Letters and digits in lower case, so that `SECRET_KEY` is `secretKey`. */
function normalized (name: string): string {
  return name.toLowerCase().replace(/[^a-z0-9]/g, '')
}

/** The known name that is nearest, if no more than a quarter of its characters differ. */
function closest (name: string, known: readonly string[]): string | undefined {
  const wanted = normalized(name)
  // The cost grows with the length: no name of ours is this long.
  if (wanted.length > 100) return undefined
  const [best] = known
    .map(candidate => ({ candidate, distance: editDistance(wanted, normalized(candidate)) }))
    .filter(({ candidate, distance }) => distance <= candidate.length / 4)
    .sort((a, b) => a.distance - b.distance)
  return best?.candidate
}

/** The words of a name: `access`, `expires` of `accessExpires` and `ACCESS_EXPIRES`. */
function wordsOf (name: string): string[] {
  return name.replace(/([a-z\d])([A-Z])/g, '$1 $2').toLowerCase().match(/[a-z\d]+/g) ?? []
}

/** How many names are suggested at most. */
const maxSuggestions = 3

/** Known names that contain the unknown one, or whose words are all in it: the shortest of them. */
function related (name: string, known: readonly string[]): readonly string[] {
  const words = new Set(wordsOf(name.slice(0, 100)))
  const text = [...words].join('').replace(/^jwt/, '')
  return known
    .filter(candidate => {
      const parts = wordsOf(candidate)
      return (text.length >= 4 && normalized(candidate).includes(text)) || (parts.length > 1 && parts.every(part => words.has(part)))
    })
    .sort((a, b) => a.length - b.length)
    .slice(0, maxSuggestions)
}

/** A list of more names than this is too long to read. */
const shortList = 12

function joined (names: readonly string[], conjunction = 'and'): string {
  const quoted = names.map(name => `'${name}'`)
  const last = quoted.pop()
  return quoted.length === 0 ? `${last}` : `${quoted.join(', ')} ${conjunction} ${last}`
}

/** What to write instead of an unknown name: our name for it, the name that was probably meant, a list if it is short, or else where the names are. */
export function remedyFor (name: string, known: readonly string[]): string {
  const ours = otherNames.get(name)
  if (ours?.every(option => known.includes(option)) === true) return `use ${joined(ours)}`
  const meant = closest(name, known)
  if (meant !== undefined) return `did you mean '${meant}'?`
  if (known.length <= shortList) return `the options are ${known.join(', ')}`
  const suggestions = related(name, known)
  return suggestions.length > 0 ? `did you mean ${joined(suggestions, 'or')}?` : 'docs/options.md in the package lists the options'
}

/**
 * Stops start-up at an option that does not exist: a misspelt one would silently do nothing.
 *
 * @param path The prefix of the name in the error, such as `'keys[0].'`.
 * @throws `FST_JWT_BAD_OPTION`
 */
export function checkOptionNames (options: object, known: readonly string[], path = ''): void {
  const unknown = Object.keys(options).find(name => !known.includes(name))
  if (unknown !== undefined) throw badOption(`${path}${unknown}`, `is unknown; ${remedyFor(unknown, known)}`)
}

/**
 * The same for the options of one call, such as `createAccessToken`.
 *
 * @returns The options.
 * @throws {TypeError}
 */
export function checkCallOptionNames<T extends object> (options: T, known: readonly string[]): T {
  // Inherited names too, since inherited options are read.
  for (const name in options) {
    if (!known.includes(name)) throw new TypeError(`Unknown option '${name}'; ${remedyFor(name, known)}`)
  }
  return options
}
