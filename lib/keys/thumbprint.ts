import { createHash } from 'node:crypto'
import type { JWK } from '../types/keys.ts'

/** The members that a thumbprint hashes, in its order (RFC 7638 §3.2, RFC 8037 §2). All of them are public. */
export const thumbprintMembers: ReadonlyMap<unknown, readonly string[]> = new Map([
  ['RSA', ['e', 'kty', 'n']],
  ['EC', ['crv', 'kty', 'x', 'y']],
  ['OKP', ['crv', 'kty', 'x']]
])

/** The members of a public key of a known type that its thumbprint hashes, and no others. */
export function requiredMembers (jwk: JWK): Record<string, unknown> {
  return Object.fromEntries((thumbprintMembers.get(jwk.kty) as readonly string[]).map(name => [name, jwk[name]]))
}

/** The SHA-256 thumbprint of a public key (RFC 7638), in base64url. */
export function thumbprintOf (jwk: JWK): string {
  return createHash('sha256').update(JSON.stringify(requiredMembers(jwk))).digest('base64url')
}
