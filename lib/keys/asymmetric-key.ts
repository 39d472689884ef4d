import { createPrivateKey, createPublicKey, KeyObject } from 'node:crypto'
import type { JsonWebKeyInput } from 'node:crypto'
import { badOption } from '../errors.ts'
import { algorithmsOf, describe, isWeak, recipeOf } from './algorithms.ts'
import { readKeyText } from './key-text.ts'
import type { Algorithm, JWK, PrivateKey, PublicKey } from '../types/keys.ts'
import type { KeyText } from './key-text.ts'

function textOf (option: string, value: unknown): KeyText {
  if (typeof value === 'string') return readKeyText(option, value)
  if (value instanceof Uint8Array) return readKeyText(option, Buffer.from(value).toString('utf8'))
  throw badOption(option, 'takes PEM as a string or a Buffer, a KeyObject or a JWK, ' +
    `got ${value === null ? 'null' : typeof value}`)
}

function isJwk (value: unknown): value is JWK {
  return typeof value === 'object' && value !== null && !(value instanceof KeyObject) && 'kty' in value
}

/** Refuses a JWK that is meant for another use or algorithm (RFC 7517 §4.2, §4.4). */
function checkJwk (option: string, jwk: JWK, algorithm: Algorithm | null): void {
  if (jwk.kty === 'oct') throw badOption(option, "is a secret; give it as 'secretKey'")
  if (jwk.use !== undefined && jwk.use !== 'sig') {
    throw badOption(option, "is a JWK whose 'use' is not 'sig'; give the key for signatures")
  }
  if (algorithm !== null && jwk.alg !== undefined && algorithmOfJwk(jwk) !== algorithm) {
    throw badOption(option, `is a JWK whose 'alg' is not '${algorithm}'; set 'algorithm' to the JWK's, or give another key`)
  }
}

/** The `alg` of a JWK. RFC 9864 names EdDSA by its curve; the `alg` of our tokens is EdDSA for both curves. */
export function algorithmOfJwk (jwk: JWK): unknown {
  return jwk.alg === 'Ed25519' || jwk.alg === 'Ed448' ? 'EdDSA' : jwk.alg
}

function checkFit (option: string, key: KeyObject, algorithm: Algorithm): KeyObject {
  const fitting = algorithmsOf(key)
  if (!fitting.includes(algorithm)) {
    const other = fitting.length === 0 ? '' : `set 'algorithm' to '${fitting.join("' or '")}', or `
    throw badOption(option, `is ${describe(key)}, which does not fit the algorithm '${algorithm}'; ` +
      `${other}make a key with ${recipeOf(algorithm)}`)
  }
  if (isWeak(key)) {
    throw badOption(option, `is ${describe(key)}, too weak for '${algorithm}', which needs at least 2,048 bits and ` +
      `a public exponent of 3 or more (RFC 7518, section 3.3); make a key with ${recipeOf(algorithm)}`)
  }
  return key
}

function parsePrivatePem (option: string, { pem, labels }: Extract<KeyText, { kind: 'pem' }>, passphrase: unknown): KeyObject {
  if (labels.includes('OPENSSH PRIVATE KEY')) {
    throw badOption(option, "is in OpenSSH's own format; convert it with `ssh-keygen -p -m PKCS8 -f <file>`")
  }
  if (!labels.some(label => label.endsWith('PRIVATE KEY'))) {
    throw badOption(option, "holds no private key; give the private key here, and this one as 'publicKey'")
  }
  const encrypted = labels.includes('ENCRYPTED PRIVATE KEY') || pem.includes('Proc-Type: 4,ENCRYPTED')
  const isText = typeof passphrase === 'string' || passphrase instanceof Uint8Array
  if (!encrypted) return createPrivateKey(pem)
  if (!isText || passphrase.length === 0) {
    throw badOption(option, 'is encrypted; give `{ key, passphrase }`')
  }
  try {
    return createPrivateKey({ key: pem, passphrase: Buffer.from(passphrase) })
  } catch {
    const untidy = typeof passphrase === 'string' && passphrase !== passphrase.trim()
    throw badOption(option, `cannot be decrypted: the passphrase is wrong${untidy ? ' (white space stands around it)' : ''} or the file is damaged`)
  }
}

function parsePrivateJwk (option: string, jwk: JWK, algorithm: Algorithm): KeyObject {
  checkJwk(option, jwk, algorithm)
  if (jwk.d === undefined) throw badOption(option, "is a public JWK; give the private one here, and this one as 'publicKey'")
  return createPrivateKey({ key: jwk as JsonWebKeyInput['key'], format: 'jwk' })
}

function parsePrivateKey (option: string, value: unknown, algorithm: Algorithm): KeyObject {
  if (value instanceof KeyObject) {
    if (value.type === 'private') return value
    throw badOption(option, `is a ${value.type} key; give it as '${value.type}Key'`)
  }
  if (isJwk(value)) return parsePrivateJwk(option, value, algorithm)
  const encrypted = typeof value === 'object' && value !== null && 'key' in value ? value : { key: value }
  const text = textOf(option, encrypted.key)
  if (text.kind === 'jwk') return parsePrivateJwk(option, text.jwk, algorithm)
  return parsePrivatePem(option, text, 'passphrase' in encrypted ? encrypted.passphrase : undefined)
}

/** The JWK in a value, which is an object or its JSON text; `null` for any other key. */
function jwkOf (option: string, value: unknown): JWK | null {
  if (isJwk(value)) return value
  if (value instanceof KeyObject) return null
  const text = textOf(option, value)
  return text.kind === 'jwk' ? text.jwk : null
}

function parsePublicKey (option: string, value: unknown, algorithm: Algorithm | null): KeyObject {
  if (value instanceof KeyObject) {
    if (value.type === 'public') return value
    throw badOption(option, `is a ${value.type} key; give it as '${value.type}Key'`)
  }
  const text = isJwk(value) ? { kind: 'jwk' as const, jwk: value } : textOf(option, value)
  // OpenSSL would derive the public key from a private one. An app that passes its private key around as a
  // public one should find out here.
  if (text.kind === 'jwk') {
    checkJwk(option, text.jwk, algorithm)
    if (text.jwk.d !== undefined) throw badOption(option, "is a private JWK; give it as 'privateKey', or remove its private members")
    return createPublicKey({ key: text.jwk as JsonWebKeyInput['key'], format: 'jwk' })
  }
  if (text.labels.some(label => label.endsWith('PRIVATE KEY'))) {
    throw badOption(option, "holds a private key; give it as 'privateKey', or its public half, which " +
      '`openssl pkey -in <file> -pubout` prints')
  }
  return createPublicKey(text.pem)
}

/** Replaces the errors of OpenSSL, which are obscure and may quote the key. */
function parsed (option: string, parse: () => KeyObject): KeyObject {
  try {
    return parse()
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'FST_JWT_BAD_OPTION') throw error
    throw badOption(option, 'cannot be read as a key: it is damaged, incomplete, or of a type that cannot sign; ' +
      'check it with `openssl pkey -in <file> -noout -text` (`-pubin` for a public key)')
  }
}

/**
 * Reads a private key, and checks that it fits its algorithm.
 *
 * @param option The name of the option, for the error.
 * @throws `FST_JWT_BAD_OPTION`
 */
export function readPrivateKey (option: string, value: PrivateKey, algorithm: Algorithm): KeyObject {
  return checkFit(option, parsed(option, () => parsePrivateKey(option, value, algorithm)), algorithm)
}

/**
 * Reads a public key or an X.509 certificate, and checks that it fits its algorithm. Only the key of a certificate is
 * used. It is trusted because it is configured: issuer and dates are not checked.
 *
 * @param option The name of the option, for the error.
 * @throws `FST_JWT_BAD_OPTION`
 */
export function readPublicKey (option: string, value: PublicKey, algorithm: Algorithm): KeyObject {
  return checkFit(option, parsed(option, () => parsePublicKey(option, value, algorithm)), algorithm)
}

/**
 * Reads a public key or an X.509 certificate whose algorithm is not configured.
 *
 * @param option The name of the option, for the error.
 * @returns The key, and the algorithms it may be used with: all that fit, or the one its JWK names.
 * @throws `FST_JWT_BAD_OPTION`
 */
export function readPublicKeyOfAnyKind (option: string, value: PublicKey): { key: KeyObject, algorithms: readonly Algorithm[] } {
  const key = parsed(option, () => parsePublicKey(option, value, null))
  const jwk = jwkOf(option, value)
  const named = jwk === null ? undefined : algorithmOfJwk(jwk)
  const algorithms = algorithmsOf(key).filter(algorithm => named === undefined || named === algorithm)
  const [algorithm] = algorithms
  if (algorithm === undefined) throw badOption(option, `is ${describe(key)}, which fits no supported algorithm; give another key`)
  return { key: checkFit(option, key, algorithm), algorithms }
}
