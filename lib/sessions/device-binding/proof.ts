import { createPublicKey, timingSafeEqual, verify } from 'node:crypto'
import { isWeak } from '../../keys/algorithms.ts'
import type { KeyObject } from 'node:crypto'
import type { Errors } from '../../errors.ts'
import type { DeviceAlgorithm, DeviceKey } from '../../types/device-binding.ts'

/*
 * The proof that a browser signs with the key of a device (Device Bound Session Credentials): a JWS in compact form (RFC 7515
 * §7.1) with `typ: dbsc+jwt`, whose `jti` is a challenge of ours.
 */

/** What a proof has to say. */
export interface Expected {
  /** The URL that the proof was sent to, for `aud`. */
  readonly url: string
  readonly errors: Errors
}

/** What a registration has to say. */
export interface ExpectedRegistration extends Expected {
  /** What was announced at login: one of each, or several if keys of the server have been rotated. */
  readonly announced: ReadonlyArray<{ readonly challenge: string, readonly authorization: string }>
}

/** What a refresh has to say. */
export interface ExpectedRefresh extends Expected {
  readonly algorithm: DeviceAlgorithm
  readonly publicKey: DeviceKey
}

/** The key of a device, and how it signs. */
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

/** A longer text holds no proof: one with an RSA key of 4,096 bits has about 2,000 characters. */
const maxLength = 4096

/** An RSA key of more bits is slow to verify with. No hardware makes one. */
const maxRsaBits = 4096

/** Strict base64url (RFC 4648 §5): one spelling, no padding. */
function decode (text: unknown): Buffer | null {
  if (typeof text !== 'string') return null
  const bytes = Buffer.from(text, 'base64url')
  return text !== '' && bytes.toString('base64url') === text ? bytes : null
}

const utf8 = new TextDecoder('utf-8', { fatal: true })

function parseObject (bytes: Buffer | null): JsonObject | null {
  if (bytes === null) return null
  try {
    const value: unknown = JSON.parse(utf8.decode(bytes))
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value as JsonObject : null
  } catch {
    return null
  }
}

function parse (text: string, errors: Errors): Jws {
  const parts = text.length > maxLength ? [] : text.split('.')
  const [header, payload, signature] = [parseObject(decode(parts[0])), parseObject(decode(parts[1])), decode(parts[2])]
  if (parts.length !== 3 || header === null || payload === null || signature === null) throw errors.FST_JWT_DEVICE_PROOF_INVALID('malformed')
  // An extension that must be understood is none that we understand (RFC 7515 §4.1.11).
  if (header['crit'] !== undefined) throw errors.FST_JWT_DEVICE_PROOF_INVALID('crit')
  if (header['typ'] !== 'dbsc+jwt') throw errors.FST_JWT_DEVICE_PROOF_INVALID('typ')
  return { header, payload, signed: `${parts[0]}.${parts[1]}`, signature }
}

/** The public members of a JWK that fits an algorithm; `null` for any other, and for one with private members. */
function readKey (jwk: unknown, algorithm: DeviceAlgorithm): DeviceKey | null {
  if (typeof jwk !== 'object' || jwk === null) return null
  const { kty, crv, x, y, n, e, d, alg = algorithm, use = 'sig' } = jwk as Readonly<Partial<Record<'kty' | 'crv' | 'x' | 'y' | 'n' | 'e' | 'd' | 'alg' | 'use', unknown>>>
  if (d !== undefined || alg !== algorithm || use !== 'sig') return null
  const encoded = (algorithm === 'ES256' ? [x, y] : [n, e]).map(decode)
  if (!encoded.every(member => member !== null)) return null
  if (algorithm === 'ES256') {
    // RFC 7518 §6.2.1.2: as long as the curve says, with leading zeros.
    return kty === 'EC' && crv === 'P-256' && encoded.every(member => member.length === 32) ? { kty, crv, x: x as string, y: y as string } : null
  }
  return kty === 'RSA' ? { kty, n: n as string, e: e as string } : null
}

/** Refuses a point that is not on the curve, and an RSA key that is too weak, or needlessly strong. */
function importKey (publicKey: DeviceKey): KeyObject | null {
  let key: KeyObject
  try {
    key = createPublicKey({ key: { ...publicKey }, format: 'jwk' })
  } catch {
    return null
  }
  return isWeak(key) || Number(key.asymmetricKeyDetails?.modulusLength ?? 0) > maxRsaBits ? null : key
}

function checkSignature ({ signed, signature }: Jws, algorithm: DeviceAlgorithm, key: KeyObject, errors: Errors): void {
  // RFC 7518 §3.4: r and s, of 32 bytes each.
  const options = algorithm === 'ES256' ? { key, dsaEncoding: 'ieee-p1363' as const } : { key }
  if (!verify('sha256', Buffer.from(signed), options, signature)) throw errors.FST_JWT_DEVICE_PROOF_INVALID('signature')
}

function isEqual (one: unknown, other: string): boolean {
  if (typeof one !== 'string') return false
  const [left, right] = [Buffer.from(one), Buffer.from(other)]
  return left.length === right.length && timingSafeEqual(left, right)
}

/** A proof need not say whom it is for. If it does, it is for nobody else (RFC 7519 §4.1.3). */
function checkAudience ({ payload: { aud } }: Jws, { url, errors }: Expected): void {
  if (aud !== undefined && aud !== url) throw errors.FST_JWT_DEVICE_PROOF_INVALID('aud')
}

/**
 * Verifies the proof of a registration, by the key that it brings itself.
 *
 * @throws `FST_JWT_DEVICE_PROOF_INVALID` with a word of why.
 */
export function verifyRegistration (text: string, expected: ExpectedRegistration): RegisteredKey {
  const { announced, errors } = expected
  const jws = parse(text, errors)
  const { alg, jwk } = jws.header
  if (alg !== 'ES256' && alg !== 'RS256') throw errors.FST_JWT_DEVICE_PROOF_INVALID('alg')
  const publicKey = readKey(jwk, alg)
  const key = publicKey === null ? null : importKey(publicKey)
  if (publicKey === null || key === null) throw errors.FST_JWT_DEVICE_PROOF_INVALID('jwk')
  checkSignature(jws, alg, key, errors)
  const { jti, authorization } = jws.payload
  const ours = announced.find(({ challenge }) => isEqual(jti, challenge))
  if (ours === undefined) throw errors.FST_JWT_DEVICE_PROOF_INVALID('jti')
  if (!isEqual(authorization, ours.authorization)) throw errors.FST_JWT_DEVICE_PROOF_INVALID('authorization')
  checkAudience(jws, expected)
  return { algorithm: alg, publicKey }
}

/**
 * Verifies the proof of a refresh, by the key that was registered. The caller checks the challenge: it may be spent.
 *
 * @returns The challenge that was signed.
 * @throws `FST_JWT_DEVICE_PROOF_INVALID` with a word of why.
 */
export function verifyRefresh (text: string, expected: ExpectedRefresh): string {
  const { algorithm, publicKey, errors } = expected
  const jws = parse(text, errors)
  if (jws.header['alg'] !== algorithm) throw errors.FST_JWT_DEVICE_PROOF_INVALID('alg')
  // A key in the proof is not looked at, and must not be there: nobody shall think that it counts.
  if (jws.header['jwk'] !== undefined) throw errors.FST_JWT_DEVICE_PROOF_INVALID('jwk')
  checkSignature(jws, algorithm, importKey(publicKey) as KeyObject, errors)
  const { jti } = jws.payload
  if (typeof jti !== 'string') throw errors.FST_JWT_DEVICE_PROOF_INVALID('jti')
  checkAudience(jws, expected)
  return jti
}
