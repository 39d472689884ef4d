import { constants, verify } from 'node:crypto'
import type { KeyObject, VerifyKeyObjectInput } from 'node:crypto'
import { algorithmsOf, isWeak } from '../keys/algorithms.ts'
import type { ProofAlgorithm } from '../types/options.ts'

/** How the signatures of an algorithm are checked. */
interface Signature {
  /** `null`: the algorithm has a hash of its own. */
  readonly hash: string | null
  readonly options: Omit<VerifyKeyObjectInput, 'key'>
  /** Length of a signature, for an algorithm that fixes it; else `null`. */
  readonly bytes: number | null
}

// RFC 7518 §3.4: r and s, each as long as the curve's order.
const ecdsa = (hash: string, bytes: number): Signature => ({ hash, options: { dsaEncoding: 'ieee-p1363' }, bytes })
const rsa = (hash: string): Signature => ({ hash, options: { padding: constants.RSA_PKCS1_PADDING }, bytes: null })
// RFC 7518 §3.5: the salt is as long as the hash.
const pss = (hash: string): Signature =>
  ({ hash, options: { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST }, bytes: null })
const eddsa: Signature = { hash: null, options: {}, bytes: null }

const signatures: Readonly<Record<ProofAlgorithm, Signature>> = {
  ES256: ecdsa('sha256', 64),
  ES384: ecdsa('sha384', 96),
  ES512: ecdsa('sha512', 132),
  PS256: pss('sha256'),
  PS384: pss('sha384'),
  PS512: pss('sha512'),
  RS256: rsa('sha256'),
  RS384: rsa('sha384'),
  RS512: rsa('sha512'),
  EdDSA: eddsa,
  Ed25519: eddsa
}

/** Every algorithm of a proof. None takes a secret: a proof carries the key that it is checked with. */
export const proofAlgorithms = Object.freeze(Object.keys(signatures) as ProofAlgorithm[])

/** The longest RSA key, in bits, and the largest public exponent. With larger ones, an attacker could make checks slow. */
const rsaBits = 4096
const largestExponent = 2n ** 32n

function isTooLarge ({ asymmetricKeyDetails: details }: KeyObject): boolean {
  return (details?.modulusLength ?? 0) > rsaBits || (details?.publicExponent ?? 0n) > largestExponent
}

/** Whether a key may be used with an algorithm. */
export function fits (key: KeyObject, algorithm: ProofAlgorithm): boolean {
  // RFC 9864 names EdDSA by its curve.
  const fitting = algorithm === 'Ed25519' ? key.asymmetricKeyType === 'ed25519' : algorithmsOf(key).includes(algorithm)
  return fitting && !isWeak(key) && !isTooLarge(key)
}

export function isSignedBy (key: KeyObject, algorithm: ProofAlgorithm, input: Uint8Array, signature: Uint8Array): boolean {
  const { hash, options, bytes } = signatures[algorithm]
  return (bytes === null || signature.length === bytes) && verify(hash, input, { key, ...options }, signature)
}
