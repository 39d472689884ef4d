import type { KeyObject } from 'node:crypto'
import type { Algorithm } from '../types/keys.ts'

/** Secret bytes an HMAC key needs: as many as its hash has (RFC 7518 §3.2). */
const secretBytes = { HS256: 32, HS384: 48, HS512: 64 } as const

/** Of each algorithm, how to make a key for it. */
const recipes: Record<Algorithm, string> = {
  HS256: 'openssl rand -base64 48',
  HS384: 'openssl rand -base64 48',
  HS512: 'openssl rand -base64 64',
  RS256: 'openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048',
  RS384: 'openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:3072',
  RS512: 'openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:4096',
  PS256: 'openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048',
  PS384: 'openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:3072',
  PS512: 'openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:4096',
  ES256: 'openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256',
  ES384: 'openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384',
  ES512: 'openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-521',
  EdDSA: 'openssl genpkey -algorithm ED25519'
}

const rsaAlgorithms: readonly Algorithm[] = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512']

/** RFC 7518 §3.4 ties each ES algorithm to one curve, here by OpenSSL's names. */
const curves: ReadonlyMap<string | undefined, { name: string, algorithm: Algorithm }> = new Map([
  ['prime256v1', { name: 'P-256', algorithm: 'ES256' }],
  ['secp384r1', { name: 'P-384', algorithm: 'ES384' }],
  ['secp521r1', { name: 'P-521', algorithm: 'ES512' }]
])

/** Below this an RSA key is refused (RFC 7518 §3.3). */
const rsaBits = 2048

/** Every algorithm, in the order of RFC 7518 §3.1. */
export const allAlgorithms = Object.freeze(Object.keys(recipes) as Algorithm[])

export function isAlgorithm (value: unknown): value is Algorithm {
  return typeof value === 'string' && Object.hasOwn(recipes, value)
}

/** How many bytes a secret needs for this algorithm; 0 for an algorithm that takes no secret. */
export function secretBytesOf (algorithm: Algorithm): number {
  return algorithm in secretBytes ? secretBytes[algorithm as keyof typeof secretBytes] : 0
}

export function isHmac (algorithm: Algorithm): boolean {
  return secretBytesOf(algorithm) > 0
}

/** A command that makes a key for this algorithm. */
export function recipeOf (algorithm: Algorithm): string {
  return `\`${recipes[algorithm]}\``
}

/** The algorithms an asymmetric key can be used with: none for a type or curve that JOSE does not name. */
export function algorithmsOf (key: KeyObject): readonly Algorithm[] {
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = key
  // Not `rsa-pss`: such a key carries restrictions on hash and salt that RFC 7518 §3.5 does not know.
  if (type === 'rsa') return rsaAlgorithms
  if (type === 'ed25519' || type === 'ed448') return ['EdDSA']
  const curve = type === 'ec' ? curves.get(details?.namedCurve) : undefined
  return curve === undefined ? [] : [curve.algorithm]
}

/** Whether this is an RSA key that RFC 7518 §3.3 and §3.5 forbid, or one whose signatures anyone can make. */
export function isWeak (key: KeyObject): boolean {
  if (key.asymmetricKeyType !== 'rsa') return false
  const { modulusLength, publicExponent } = key.asymmetricKeyDetails as { modulusLength: number, publicExponent: bigint }
  return modulusLength < rsaBits || publicExponent < 3n
}

/** What a key is, in words, without a bit of it. */
export function describe (key: KeyObject): string {
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = key
  if (type === 'rsa') return `an RSA key of ${details?.modulusLength} bits`
  if (type === 'ec') return `an EC key on the curve ${curves.get(details?.namedCurve)?.name ?? details?.namedCurve}`
  return `a key of type ${type}`
}
