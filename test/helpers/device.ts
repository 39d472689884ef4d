import { generateKeyPairSync, randomUUID, sign } from 'node:crypto'
import type { KeyObject } from 'node:crypto'

export type Members = Readonly<Record<string, unknown>>

function encode (value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}

/** Signs whatever it is given, as a JWS in compact form. */
export function signJws (privateKey: KeyObject, header: Members, payload: Members): string {
  const text = `${encode(header)}.${encode(payload)}`
  const key = privateKey.asymmetricKeyType === 'ec' ? { key: privateKey, dsaEncoding: 'ieee-p1363' as const } : privateKey
  return `${text}.${sign('sha256', Buffer.from(text), key).toString('base64url')}`
}

/** The part of a browser that holds the key of a session. */
export class Device {
  readonly algorithm: 'ES256' | 'RS256'
  readonly privateKey: KeyObject
  readonly jwk: Members

  constructor (algorithm: 'ES256' | 'RS256' = 'ES256', bits = 2048) {
    const pair = algorithm === 'ES256' ? generateKeyPairSync('ec', { namedCurve: 'P-256' }) : generateKeyPairSync('rsa', { modulusLength: bits })
    this.algorithm = algorithm
    this.privateKey = pair.privateKey
    this.jwk = { ...pair.publicKey.export({ format: 'jwk' }) }
  }

  /** A proof as Chromium signs it, with other members where a test wants them; `undefined` leaves one out. */
  registration (payload: Members, header: Members = {}): string {
    return signJws(this.privateKey, { typ: 'dbsc+jwt', alg: this.algorithm, jwk: this.jwk, ...header }, payload)
  }

  refresh (payload: Members, header: Members = {}): string {
    return signJws(this.privateKey, { typ: 'dbsc+jwt', alg: this.algorithm, ...header }, payload)
  }
}

/** A challenge that nobody has asked for. */
export function someChallenge (): string {
  return randomUUID()
}
