import type { KeyObject } from 'node:crypto'
import type { Algorithm } from '../types/keys.ts'

/** The minimum length of an HMAC secret in bytes: that of the hash (RFC 7518 §3.2). */
const secretBytes = new Map<Algorithm, number>([['HS256', 32], ['HS384', 48], ['HS512', 64]])

/** A command that makes a secret. It needs Node.js and nothing else. */
export function secretCommand (bytes = 48): string {
  return `node -p "crypto.randomBytes(${bytes}).toString('base64')"`
}

/** A command for each algorithm that makes a key for it. */
const recipes: Record<Algorithm, string> = {
  HS256: secretCommand(),
  HS384: secretCommand(),
  HS512: secretCommand(64),
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

/** RFC 7518 §3.4 ties each ES algorithm to one curve. The names are OpenSSL's. */
const curves: ReadonlyMap<string | undefined, { name: string, algorithm: Algorithm }> = new Map([
  ['prime256v1', { name: 'P-256', algorithm: 'ES256' }],
  ['secp384r1', { name: 'P-384', algorithm: 'ES384' }],
  ['secp521r1', { name: 'P-521', algorithm: 'ES512' }]
])

/** The minimum length of an RSA key in bits (RFC 7518 §3.3). */
const rsaBits = 2048

/** Every supported algorithm. */
export const allAlgorithms = Object.freeze(Object.keys(recipes) as Algorithm[])

export function isAlgorithm (value: unknown): value is Algorithm {
  return typeof value === 'string' && Object.hasOwn(recipes, value)
}

/** The minimum length of a secret for this algorithm, in bytes; 0 if the algorithm takes no secret. */
export function secretBytesOf (algorithm: Algorithm): number {
  return secretBytes.get(algorithm) ?? 0
}

export function isHmac (algorithm: Algorithm): boolean {
  return secretBytesOf(algorithm) > 0
}

/** A command that makes a key for this algorithm. */
export function recipeOf (algorithm: Algorithm): string {
  return `\`${recipes[algorithm]}\``
}

/** The algorithms that an asymmetric key fits; empty for a type or curve that JOSE does not name. */
export function algorithmsOf (key: KeyObject): readonly Algorithm[] {
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = key
  // `rsa-pss` is left out: such a key restricts hash and salt, which RFC 7518 §3.5 does not provide for.
  if (type === 'rsa') return rsaAlgorithms
  if (type === 'ed25519' || type === 'ed448') return ['EdDSA']
  const curve = type === 'ec' ? curves.get(details?.namedCurve) : undefined
  return curve === undefined ? [] : [curve.algorithm]
}

/** Whether an RSA key is shorter than RFC 7518 §3.3 and §3.5 allow, or has an exponent below 3: with 1, anyone can sign. */
export function isWeak (key: KeyObject): boolean {
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = key
  return type === 'rsa' && !(Number(details?.modulusLength) >= rsaBits && Number(details?.publicExponent) >= 3)
}

/** The type of a key, in words. Shows nothing of the key. */
export function describe (key: KeyObject): string {
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = key
  if (type === 'rsa') return `an RSA key of ${details?.modulusLength} bits`
  if (type === 'ec') return `an EC key on the curve ${curves.get(details?.namedCurve)?.name ?? details?.namedCurve}`
  return `a key of type ${type}`
}
