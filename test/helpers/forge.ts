import { createHmac, randomUUID } from 'node:crypto'
import { secretKey } from './protected-app.ts'

const hashes = { HS256: 'sha256', HS384: 'sha384', HS512: 'sha512' } as const

export function base64url (value: unknown): string {
  return Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url')
}

/** A signature made by hand (RFC 7515 §5.1), so that what is tested does not also make the evidence. */
export function sign (signingInput: string, key: string = secretKey, algorithm: keyof typeof hashes = 'HS256'): string {
  return createHmac(hashes[algorithm], key).update(signingInput).digest('base64url')
}

/** A token of another library: any header, any payload, signed with the key of the tests unless told. */
export function forge (
  payload: unknown, header: Record<string, unknown> = {}, key?: string, algorithm: keyof typeof hashes = 'HS256'
): string {
  const input = `${base64url({ alg: algorithm, typ: 'JWT', ...header })}.${base64url(payload)}`
  return `${input}.${sign(input, key, algorithm)}`
}

export function now (): number {
  return Math.floor(Date.now() / 1000)
}

/** The claims of a sound access token, with changes; `undefined` takes a claim away. */
export function claims (changes: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    sub: 'user123',
    type: 'access',
    fresh: false,
    jti: randomUUID(),
    iat: now(),
    nbf: now(),
    exp: now() + 900,
    ...changes
  }
}

/** The three parts of a token. */
export function parts (token: string): [header: string, payload: string, signature: string] {
  const [header = '', payload = '', signature = ''] = token.split('.')
  return [header, payload, signature]
}

/** A part of a token, decoded. */
export function decoded (part: string): Record<string, unknown> {
  return JSON.parse(Buffer.from(part, 'base64url').toString()) as Record<string, unknown>
}
