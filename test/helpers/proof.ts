import { constants, createHash, generateKeyPairSync, randomUUID, sign } from 'node:crypto'
import type { JsonWebKey, KeyObject, SignKeyObjectInput } from 'node:crypto'
import { thumbprintOf } from '../../lib/keys/thumbprint.ts'
import { rsaPair } from './keys/key-pairs.ts'
import type { ProofAlgorithm } from '../../lib/index.ts'

/** A key of a client, whose tokens are bound to it. */
export interface ClientKey {
  readonly algorithm: ProofAlgorithm
  readonly privateKey: KeyObject
  readonly jwk: JsonWebKey
  readonly thumbprint: string
}

const curves: Record<string, string> = { ES256: 'P-256', ES384: 'P-384', ES512: 'P-521' }

function generate (algorithm: ProofAlgorithm, bits: number): { privateKey: KeyObject, publicKey: KeyObject } {
  const curve = curves[algorithm]
  if (curve !== undefined) return generateKeyPairSync('ec', { namedCurve: curve })
  return algorithm.startsWith('Ed') ? generateKeyPairSync('ed25519') : rsaPair('client', bits)
}

/** A key of a client. It is new, except for an RSA key, which takes a while to make. */
export function clientKey (algorithm: ProofAlgorithm = 'ES256', bits = 2048): ClientKey {
  const { privateKey, publicKey } = generate(algorithm, bits)
  const jwk = publicKey.export({ format: 'jwk' })
  return { algorithm, privateKey, jwk, thumbprint: thumbprintOf(jwk) }
}

const options: Record<string, Omit<SignKeyObjectInput, 'key'>> = {
  ES: { dsaEncoding: 'ieee-p1363' },
  PS: { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST },
  RS: { padding: constants.RSA_PKCS1_PADDING },
  Ed: {}
}

/** A part of a JWS: what is no text is written as JSON. */
export function part (value: unknown): string {
  return Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url')
}

/** Signs any header and claims, as a client that means ill might. */
export function signed ({ algorithm, privateKey }: ClientKey, header: unknown, claims: unknown): string {
  const input = `${part(header)}.${part(claims)}`
  const hash = algorithm.startsWith('Ed') ? null : `sha${algorithm.slice(2)}`
  return `${input}.${sign(hash, Buffer.from(input), { key: privateKey, ...options[algorithm.slice(0, 2)] }).toString('base64url')}`
}

/** What a proof is for, and what of it is to be otherwise. `undefined` leaves a member out. */
export interface ProofFor {
  readonly method?: string
  readonly url?: string
  /** The access token. */
  readonly token?: string
  readonly header?: Record<string, unknown>
  readonly claims?: Record<string, unknown>
}

/** A proof as RFC 9449 §4.2 has it. */
export function proof (key: ClientKey, { method = 'GET', url = 'http://localhost:80/me', token, header = {}, claims = {} }: ProofFor = {}): string {
  return signed(key, { typ: 'dpop+jwt', alg: key.algorithm, jwk: key.jwk, ...header }, {
    jti: randomUUID(),
    htm: method,
    htu: url,
    iat: Math.floor(Date.now() / 1000),
    ...(token === undefined ? {} : { ath: createHash('sha256').update(token).digest('base64url') }),
    ...claims
  })
}
