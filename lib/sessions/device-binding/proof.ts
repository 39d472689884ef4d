import { createPublicKey } from 'node:crypto'
import { isEqual } from '../../constant-time.ts'
import { fits, isSignedBy } from '../../dpop/algorithms.ts'
import { readPublicJwk } from '../../dpop/public-key.ts'
import { decodePart, parsePart } from '../../jwt/compact-part.ts'
import { requiredMembers } from '../../keys/thumbprint.ts'
import type { KeyObject } from 'node:crypto'
import type { Errors } from '../../errors.ts'
import type { JWK } from '../../types/keys.ts'
import type { DeviceAlgorithm, DeviceKey } from '../../types/device-binding.ts'

/*
 * The proof that a browser signs with the key of a device (Device Bound Session Credentials): a JWS in compact form (RFC 7515
 * §7.1) with `typ: dbsc+jwt`, whose `jti` is a challenge of ours.
 */

/** What a proof must contain. */
export interface Expected {
  /** The URL that the proof was sent to, for `aud`. */
  readonly url: string
  readonly errors: Errors
}

/** What the proof of a registration must contain. */
export interface ExpectedRegistration extends Expected {
  /** What was announced at login: one pair, or several if keys of the server have been rotated. */
  readonly announced: ReadonlyArray<{ readonly challenge: string, readonly authorization: string }>
}

/** What the proof of a refresh must contain. */
export interface ExpectedRefresh extends Expected {
  readonly algorithm: DeviceAlgorithm
  readonly publicKey: DeviceKey
}

/** The key of a device, and its algorithm. */
export interface RegisteredKey {
  readonly algorithm: DeviceAlgorithm
  readonly publicKey: DeviceKey
}

type JsonObject = Readonly<Record<string, unknown>>

interface Jws {
  readonly header: JsonObject
  readonly payload: JsonObject
  /** What was signed (RFC 7515 §5.1). */
  readonly signed: string
  readonly signature: Buffer
}

/** The longest text that is parsed. A proof with an RSA key of 4,096 bits has about 2,000 characters. */
const maxLength = 4096

function parse (text: string, errors: Errors): Jws {
  const parts = text.length > maxLength ? [] : text.split('.')
  const [head = '', body = '', tail = ''] = parts
  const [header, payload, signature] = [parsePart(head), parsePart(body), decodePart(tail)]
  if (parts.length !== 3 || tail === '' || header === null || payload === null || signature === null) throw errors.FST_JWT_DEVICE_PROOF_INVALID('malformed')
  // No critical extension is supported (RFC 7515 §4.1.11).
  if (header['crit'] !== undefined) throw errors.FST_JWT_DEVICE_PROOF_INVALID('crit')
  if (header['typ'] !== 'dbsc+jwt') throw errors.FST_JWT_DEVICE_PROOF_INVALID('typ')
  return { header, payload, signed: `${head}.${body}`, signature }
}

/** The key in a public JWK that fits the algorithm, and its required members; `null` for any other JWK. */
function readKey (jwk: unknown, algorithm: DeviceAlgorithm): { key: KeyObject, publicKey: DeviceKey } | null {
  const read = readPublicJwk(jwk)
  if (read === null || !fits(read.key, algorithm)) return null
  const { alg = algorithm, use = 'sig' } = jwk as JWK
  return alg === algorithm && use === 'sig' ? { key: read.key, publicKey: requiredMembers(jwk as JWK) as DeviceKey } : null
}

function checkSignature ({ signed, signature }: Jws, algorithm: DeviceAlgorithm, key: KeyObject, errors: Errors): void {
  if (!isSignedBy(key, algorithm, Buffer.from(signed), signature)) throw errors.FST_JWT_DEVICE_PROOF_INVALID('signature')
}

function says (claim: unknown, expected: string): boolean {
  return typeof claim === 'string' && isEqual(claim, expected)
}

/** `aud` is optional in a proof. If present, it must be the URL that the proof was sent to (RFC 7519 §4.1.3). */
function checkAudience ({ payload: { aud } }: Jws, { url, errors }: Expected): void {
  if (aud !== undefined && aud !== url) throw errors.FST_JWT_DEVICE_PROOF_INVALID('aud')
}

/**
 * Verifies the proof of a registration with the key that it contains.
 *
 * @throws `FST_JWT_DEVICE_PROOF_INVALID` with the reason.
 */
export function verifyRegistration (text: string, expected: ExpectedRegistration): RegisteredKey {
  const { announced, errors } = expected
  const jws = parse(text, errors)
  const { alg, jwk } = jws.header
  if (alg !== 'ES256' && alg !== 'RS256') throw errors.FST_JWT_DEVICE_PROOF_INVALID('alg')
  const read = readKey(jwk, alg)
  if (read === null) throw errors.FST_JWT_DEVICE_PROOF_INVALID('jwk')
  checkSignature(jws, alg, read.key, errors)
  const { jti, authorization } = jws.payload
  const ours = announced.find(({ challenge }) => says(jti, challenge))
  if (ours === undefined) throw errors.FST_JWT_DEVICE_PROOF_INVALID('jti')
  if (!says(authorization, ours.authorization)) throw errors.FST_JWT_DEVICE_PROOF_INVALID('authorization')
  checkAudience(jws, expected)
  return { algorithm: alg, publicKey: read.publicKey }
}

/**
 * Verifies the proof of a refresh with the registered key. The caller must check the challenge: it may be spent.
 *
 * @returns The challenge that was signed.
 * @throws `FST_JWT_DEVICE_PROOF_INVALID` with the reason.
 */
export function verifyRefresh (text: string, expected: ExpectedRefresh): string {
  const { algorithm, publicKey, errors } = expected
  const jws = parse(text, errors)
  if (jws.header['alg'] !== algorithm) throw errors.FST_JWT_DEVICE_PROOF_INVALID('alg')
  // A refresh is verified with the registered key, so the proof must not contain one.
  if (jws.header['jwk'] !== undefined) throw errors.FST_JWT_DEVICE_PROOF_INVALID('jwk')
  checkSignature(jws, algorithm, createPublicKey({ key: { ...publicKey }, format: 'jwk' }), errors)
  const { jti } = jws.payload
  if (typeof jti !== 'string') throw errors.FST_JWT_DEVICE_PROOF_INVALID('jti')
  checkAudience(jws, expected)
  return jti
}
