import { hostileTokens } from './hostile-tokens.ts'
import { base64url, configurations, signed } from './configurations.ts'

/** Numbers that look random and are the same for the same seed (mulberry32). */
export function createRandom (seed: number): (below: number) => number {
  let state = seed >>> 0
  return below => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below
  }
}

type Random = ReturnType<typeof createRandom>

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
const oddities = ['.', '..', '=', '+', '/', ' ', ',', ';', '\t', '"', '\\', '%', '%00', '\0', '\n', '\r\n', '\u00a0', '\ufffd', '\ud800', '\u{1f600}', 'Bearer ', '{}', '[]', 'null', '__proto__', 'e30', 'none']
const algorithms = ['none', 'None', 'HS256', 'HS384', 'HS512', 'RS256', 'PS256', 'ES256', 'ES512', 'EdDSA', '', 'dir']
const values: readonly unknown[] = [null, true, false, 0, -1, 1, 1.5, 1e21, '', 'admin', '9999999999', [], {}, ['admin'], { toString: 1 }, Number.MAX_SAFE_INTEGER, 'access', 'refresh']
const claims = ['sub', 'exp', 'nbf', 'iat', 'type', 'fresh', 'jti', 'sid', 'aud', 'iss', 'csrf', 'auth_time', '__proto__', 'identity']

function pick<T> (random: Random, list: readonly T[]): T {
  return list[random(list.length)] as T
}

function changePart (token: string, index: number, change: (object: Record<string, unknown>) => void): string {
  const parts = token.split('.')
  try {
    const object = JSON.parse(Buffer.from(parts[index] ?? '', 'base64url').toString()) as Record<string, unknown>
    change(object)
    parts[index] = base64url(JSON.stringify(object))
  } catch {
    parts[index] = base64url('{"alg":"HS256"}')
  }
  return parts.join('.')
}

const mutations: ReadonlyArray<(token: string, random: Random, others: readonly string[]) => string> = [
  (token, random) => { const at = random(token.length); return token.slice(0, at) + alphabet.charAt(random(alphabet.length)) + token.slice(at + 1) },
  (token, random) => { const at = random(token.length); return token.slice(0, at) + String.fromCharCode(token.charCodeAt(at) ^ (1 << random(8))) + token.slice(at + 1) },
  (token, random) => { const at = random(token.length + 1); return token.slice(0, at) + pick(random, oddities) + token.slice(at) },
  (token, random) => { const at = random(token.length); return token.slice(0, at) + token.slice(at + 1 + random(4)) },
  (token, random) => token.slice(0, random(token.length)),
  (token, random) => token.slice(random(token.length)),
  (token, random, others) => { const other = pick(random, others); return token.slice(0, random(token.length)) + other.slice(random(other.length)) },
  (token, random, others) => { const [a, b, c] = [token, pick(random, others), pick(random, others)].map(text => text.split('.')); return `${a?.[0]}.${b?.[1]}.${c?.[2]}` },
  (token, random) => { const parts = token.split('.'); const at = random(parts.length); parts[at] = pick(random, parts); return parts.join('.') },
  (token, random) => changePart(token, 0, header => { header['alg'] = pick(random, algorithms) }),
  (token, random) => changePart(token, 0, header => { header[pick(random, ['kid', 'typ', 'crit', 'jwk', 'jku', 'b64', 'zip'])] = pick(random, values) }),
  (token, random) => changePart(token, 1, payload => { payload[pick(random, claims)] = pick(random, values) }),
  (token, random) => { const at = token.lastIndexOf('.'); return `${token.slice(0, at)}.${base64url(Buffer.alloc(random(100), random(256)))}` },
  (token, random) => token.repeat(1 + random(3)) + pick(random, oddities),
  (_token, random) => Array.from({ length: random(60) }, () => String.fromCharCode(random(random(2) === 0 ? 128 : 65536))).join(''),
  (_token, random) => `${base64url(String(pick(random, [...oddities, '{"alg":"HS256"}'])))}.${base64url(JSON.stringify(pick(random, values)))}.${base64url(Buffer.alloc(32))}`
]

let seeds: readonly string[] | undefined

/** Tokens to begin with: sound ones of every configuration, and all of the corpus. */
export function seedTokens (): string[] {
  seeds ??= makeSeeds()
  return [...seeds]
}

function makeSeeds (): string[] {
  return configurations.flatMap(configuration => [
    signed(configuration), signed(configuration, { type: 'refresh' }), signed(configuration, { exp: 1 }),
    ...(configuration.algorithm === 'HS256' ? hostileTokens.map(({ token }) => token(configuration)) : [])
  ]).filter((token): token is string => token !== null && token.length > 0)
}

/** One to four changes to one of the tokens. */
export function mutate (random: Random, tokens: readonly string[]): string {
  let token = pick(random, tokens)
  for (let changes = 1 + random(4); changes > 0; changes--) token = pick(random, mutations)(token, random, tokens) || 'a'
  return token
}
