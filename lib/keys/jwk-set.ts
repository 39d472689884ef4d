import { createPublicKey } from 'node:crypto'
import type { JsonWebKey, KeyObject } from 'node:crypto'
import { algorithmsOf, isWeak } from './algorithms.ts'
import { algorithmOfJwk } from './asymmetric-key.ts'
import { requiredMembers, thumbprintMembers, thumbprintOf } from './thumbprint.ts'
import { createVerificationKey } from './verification-key.ts'
import type { Algorithm, PublicJWK, VerificationKey } from '../types/keys.ts'

/** The JWK of a public key (RFC 7517 §4). Its `kid` is the `keyId`, or else its thumbprint (RFC 7638). */
export function publicJwk (key: KeyObject, algorithm: Algorithm, keyId: string | undefined): PublicJWK {
  const exported = key.export({ format: 'jwk' })
  return Object.freeze({
    ...requiredMembers(exported), kty: exported.kty as PublicJWK['kty'], kid: keyId ?? thumbprintOf(exported), alg: algorithm, use: 'sig'
  })
}

function algorithmsOfJwk (jwk: JsonWebKey, key: KeyObject, allowed: readonly Algorithm[]): Algorithm[] {
  const named = algorithmOfJwk(jwk)
  return algorithmsOf(key).filter(algorithm =>
    allowed.includes(algorithm) && (named === undefined || named === algorithm))
}

/**
 * Reads a JWK of another issuer's JWK Set. RFC 7517 §5: keys that cannot be used are ignored.
 *
 * @param allowed The algorithms that may be used.
 * @returns `null` for a secret, a key for encryption or for an algorithm that is not allowed, a weak or an unreadable key.
 */
export function verificationKeyFromJwk (jwk: unknown, allowed: readonly Algorithm[]): VerificationKey | null {
  if (typeof jwk !== 'object' || jwk === null) return null
  const { kty, use, kid, key_ops: operations } = jwk as JsonWebKey
  if (!thumbprintMembers.has(kty)) return null
  if (use !== undefined && use !== 'sig') return null
  if (operations !== undefined && !(Array.isArray(operations) && operations.includes('verify'))) return null
  if (kid !== undefined && typeof kid !== 'string') return null
  let key: KeyObject
  try {
    key = createPublicKey({ key: jwk as JsonWebKey, format: 'jwk' })
  } catch {
    return null
  }
  const algorithms = algorithmsOfJwk(jwk as JsonWebKey, key, allowed)
  return algorithms.length === 0 || isWeak(key) ? null : createVerificationKey(key, algorithms, kid)
}
