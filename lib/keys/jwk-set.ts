import { createHash, createPublicKey } from 'node:crypto'
import type { JsonWebKey, KeyObject } from 'node:crypto'
import { algorithmsOf, isWeak } from './algorithms.ts'
import { algorithmOfJwk } from './asymmetric-key.ts'
import { createVerificationKey } from './verification-key.ts'
import type { Algorithm, PublicJWK, VerificationKey } from '../types/keys.ts'

/** The members that RFC 7638 §3.2 and RFC 8037 §2 hash, in their order; all of them public. */
const thumbprintMembers: ReadonlyMap<unknown, readonly string[]> = new Map([
  ['RSA', ['e', 'kty', 'n']],
  ['EC', ['crv', 'kty', 'x', 'y']],
  ['OKP', ['crv', 'kty', 'x']]
])

/** A public key as it is published (RFC 7517 §4); one without a name goes by its thumbprint (RFC 7638). */
export function publicJwk (key: KeyObject, algorithm: Algorithm, keyId: string | undefined): PublicJWK {
  const exported = key.export({ format: 'jwk' })
  const members = thumbprintMembers.get(exported.kty) as readonly string[]
  const jwk = Object.fromEntries(members.map(name => [name, exported[name]]))
  const thumbprint = createHash('sha256').update(JSON.stringify(jwk)).digest('base64url')
  return Object.freeze({ ...jwk, kid: keyId ?? thumbprint, alg: algorithm, use: 'sig' })
}

function algorithmsOfJwk (jwk: JsonWebKey, key: KeyObject, allowed: readonly Algorithm[]): Algorithm[] {
  const named = algorithmOfJwk(jwk)
  return algorithmsOf(key).filter(algorithm =>
    allowed.includes(algorithm) && (named === undefined || named === algorithm))
}

/**
 * The key in a JWK of someone else's JWK Set, or `null` when it is none to verify with here: a secret, a key for
 * encryption or for an algorithm that is not allowed, one too weak, or one that cannot be read (RFC 7517 §5:
 * such keys are ignored).
 *
 * @param allowed The algorithms that may be used.
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
