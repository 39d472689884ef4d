import { createPublicKey } from 'node:crypto'
import type { JsonWebKey, KeyObject } from 'node:crypto'
import { requiredMembers, thumbprintMembers, thumbprintOf } from '../keys/thumbprint.ts'
import type { JWK } from '../types/keys.ts'

/** Members of private and secret keys (RFC 7518 §6). */
const privateMembers = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k', 'priv'] as const

/**
 * Reads a public JWK and its thumbprint (RFC 7638); `null` for anything else. The JWK must be in canonical form, since other forms have
 * other thumbprints.
 */
export function readPublicJwk (jwk: unknown): { key: KeyObject, thumbprint: string } | null {
  if (typeof jwk !== 'object' || jwk === null || !thumbprintMembers.has((jwk as JsonWebKey).kty)) return null
  if (privateMembers.some(name => Object.hasOwn(jwk, name))) return null
  let key: KeyObject
  try {
    key = createPublicKey({ key: jwk as JsonWebKey, format: 'jwk' })
  } catch {
    return null
  }
  const exported = key.export({ format: 'jwk' })
  const given = requiredMembers(jwk as JsonWebKey)
  return JSON.stringify(given) === JSON.stringify(requiredMembers(exported)) ? { key, thumbprint: thumbprintOf(exported) } : null
}

/** The thumbprint to bind a token to. The app gives the thumbprint itself, or the public JWK. @throws {TypeError} */
export function thumbprintFrom (key: string | JWK): string {
  if (typeof key === 'string' && /^[\w-]{43}$/.test(key)) return key
  const read = readPublicJwk(key)
  if (read === null) throw new TypeError("'dpopKey' takes the thumbprint of a key (RFC 7638), as verifyDpopProof returns it, or a public JWK")
  return read.thumbprint
}
