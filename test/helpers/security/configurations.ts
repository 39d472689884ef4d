import { constants, createHmac, randomBytes, sign as signBytes } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import type { JwtExtendedOptions } from '../../../lib/index.ts'
import { ecPair, ed25519Pair, rsaPair } from '../keys/key-pairs.ts'

/** One way to set the plugin up, with what an attacker knows of it and what makes a sound token for it. */
export interface Configuration {
  readonly name: string
  readonly options: JwtExtendedOptions
  readonly algorithm: string
  /** The name of the key that signs; `undefined` where keys have none. */
  readonly kid: string | undefined
  /** Signs with the key of the app, by `node:crypto` alone: what is tested does not also make the evidence. */
  readonly sign: (input: string) => Buffer
  /** The key that everybody may know. */
  readonly publicKey: KeyObject | null
  /** What must never be seen outside. */
  readonly secrets: readonly string[]
}

const secret = randomBytes(48).toString('base64')
const olderSecret = randomBytes(48).toString('base64')
const setSecret = randomBytes(48).toString('base64')

/** The signature of an algorithm of RFC 7518 §3.1 or RFC 8037. */
export function signatureOf (algorithm: string, key: KeyObject | Buffer | string, input: string): Buffer {
  const hash = `sha${algorithm.slice(2)}`
  if (algorithm.startsWith('HS')) return createHmac(hash, key).update(input).digest()
  const privateKey = key as KeyObject
  if (algorithm === 'EdDSA') return signBytes(null, Buffer.from(input), privateKey)
  if (algorithm.startsWith('ES')) return signBytes(hash, Buffer.from(input), { key: privateKey, dsaEncoding: 'ieee-p1363' })
  const padding = algorithm.startsWith('PS')
    ? { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST }
    : { padding: constants.RSA_PKCS1_PADDING }
  return signBytes(hash, Buffer.from(input), { key: privateKey, ...padding })
}

/** The lines of a key in PEM, any of which would give it away. */
function linesOf (key: KeyObject): string[] {
  return key.export({ format: 'pem', type: 'pkcs8' }).toString().split('\n').filter(line => line !== '' && !line.startsWith('-----'))
}

const ofSecret = (algorithm: string): Configuration => ({
  name: algorithm,
  options: { secretKey: secret, algorithm: algorithm as 'HS256' },
  algorithm,
  kid: undefined,
  sign: input => signatureOf(algorithm, secret, input),
  publicKey: null,
  secrets: [secret]
})

function ofPair (algorithm: string, { privateKey, publicKey }: { privateKey: KeyObject, publicKey: KeyObject }): Configuration {
  return {
    name: algorithm,
    options: { privateKey, algorithm: algorithm as 'RS256' },
    algorithm,
    kid: undefined,
    sign: input => signatureOf(algorithm, privateKey, input),
    publicKey,
    secrets: linesOf(privateKey)
  }
}

export const hmac: Configuration = ofSecret('HS256')

/** Every family of algorithms, an array of secrets, and the worst case for confusion: a set of keys with all families in it. */
export const configurations: readonly Configuration[] = [
  hmac,
  ofSecret('HS512'),
  { ...hmac, name: 'rotating secrets', options: { secretKey: [olderSecret, secret] }, secrets: [secret, olderSecret] },
  ofPair('RS256', rsaPair()),
  ofPair('PS256', rsaPair()),
  ofPair('ES256', ecPair('P-256')),
  ofPair('ES512', ecPair('P-521')),
  ofPair('EdDSA', ed25519Pair()),
  {
    name: 'key set',
    options: {
      keys: [
        { keyId: 'rsa-1', algorithm: 'RS256', privateKey: rsaPair().privateKey },
        { keyId: 'hmac-1', algorithm: 'HS256', secretKey: setSecret },
        { keyId: 'ec-1', algorithm: 'ES256', privateKey: ecPair('P-256').privateKey },
        { keyId: 'ed-1', algorithm: 'EdDSA', privateKey: ed25519Pair().privateKey }
      ]
    },
    algorithm: 'RS256',
    kid: 'rsa-1',
    sign: input => signatureOf('RS256', rsaPair().privateKey, input),
    publicKey: rsaPair().publicKey,
    secrets: [setSecret, ...linesOf(rsaPair().privateKey), ...linesOf(ecPair('P-256').privateKey), ...linesOf(ed25519Pair().privateKey)]
  }
]

export function now (): number {
  return Math.floor(Date.now() / 1000)
}

/** The claims of a sound access token, with changes; `undefined` takes one away. */
export function soundClaims (changes: Record<string, unknown> = {}): Record<string, unknown> {
  return { sub: 'user123', type: 'access', fresh: false, jti: 'a-token', iat: now() - 5, nbf: now() - 5, exp: now() + 900, ...changes }
}

export function base64url (value: string | Uint8Array): string {
  return Buffer.from(value).toString('base64url')
}

/** The header of a sound token, with changes. */
export function soundHeader ({ algorithm, kid }: Configuration, changes: Record<string, unknown> = {}): Record<string, unknown> {
  return { alg: algorithm, typ: 'JWT', kid, ...changes }
}

/** A token of any bytes, with the signature that belongs to it. */
export function signRaw (configuration: Configuration, header: string | Uint8Array, payload: string | Uint8Array): string {
  const input = `${base64url(header)}.${base64url(payload)}`
  return `${input}.${base64url(configuration.sign(input))}`
}

/** A token properly signed, whatever it says. */
export function signed (configuration: Configuration, claims: Record<string, unknown> = {}, header: Record<string, unknown> = {}): string {
  return signRaw(configuration, JSON.stringify(soundHeader(configuration, header)), JSON.stringify(soundClaims(claims)))
}

/** As `signed`, the claims as JSON text. */
export function signedJson (configuration: Configuration, payload: string | Uint8Array): string {
  return signRaw(configuration, JSON.stringify(soundHeader(configuration)), payload)
}
