import { createPublicKey, createPrivateKey, KeyObject, X509Certificate } from 'node:crypto'
import { badOption } from '../errors.ts'
import { recipeOf, secretBytesOf } from './algorithms.ts'
import type { Algorithm, Secret } from '../types/keys.ts'

// Anywhere in the text, since what reads PEM skips what stands before it.
const pem = /-----BEGIN [A-Z0-9 ]+-----/

// What `LS0t…` decodes to is `-----BEGIN`: PEM put into base64 to fit an environment variable.
const encodedPem = /^\s*LS0tLS1CRUdJTi/

const openSsh = /^\s*(?:ssh-|ecdsa-sha2-|sk-)\S+ /

function isJwk (text: string): boolean {
  if (!/^\s*[[{]/.test(text)) return false
  try {
    const value = JSON.parse(text)
    return Array.isArray(value) || 'kty' in value || 'keys' in value
  } catch {
    return false
  }
}

function isDer (bytes: Buffer): boolean {
  // Every DER key and certificate is a SEQUENCE: without the tag, five parsers need not be asked.
  if (bytes[0] !== 0x30) return false
  const parsers = [
    () => createPublicKey({ key: bytes, format: 'der', type: 'spki' }),
    () => createPublicKey({ key: bytes, format: 'der', type: 'pkcs1' }),
    () => createPrivateKey({ key: bytes, format: 'der', type: 'pkcs8' }),
    () => createPrivateKey({ key: bytes, format: 'der', type: 'pkcs1' }),
    () => new X509Certificate(bytes)
  ]
  return parsers.some(parse => {
    try {
      return parse() !== undefined
    } catch {
      return false
    }
  })
}

function bytesOf (option: string, secret: unknown): Buffer {
  if (typeof secret === 'string') return Buffer.from(secret, 'utf8')
  // A copy: whoever gave the bytes may wipe or change them afterwards.
  if (secret instanceof Uint8Array) return Buffer.from(secret)
  if (secret instanceof KeyObject) {
    if (secret.type === 'secret') return secret.export()
    throw badOption(option, `is a ${secret.type} key; give it as '${secret.type}Key'`)
  }
  if (typeof secret === 'object' && secret !== null && 'kty' in secret) {
    if (secret.kty === 'oct' && 'k' in secret && typeof secret.k === 'string') return Buffer.from(secret.k, 'base64url')
    throw badOption(option, "is a JWK that is no secret; give it as 'privateKey' or 'publicKey'")
  }
  throw badOption(option, `takes a string or a Buffer, got ${secret === null ? 'null' : typeof secret}`)
}

/**
 * The bytes of an HMAC secret.
 *
 * A public key as a secret would let anyone who has it sign (RFC 8725 §2.1), so nothing that reads as a key
 * of another kind is taken, in whatever wrapping.
 *
 * @param option The option it came in, for the error.
 * @param algorithms What it is used with; the strictest decides how long it must be (RFC 7518 §3.2).
 */
export function readSecret (option: string, secret: Secret, algorithms: readonly Algorithm[]): Buffer {
  const bytes = bytesOf(option, secret)
  const text = bytes.toString('latin1')
  if (pem.test(text) || encodedPem.test(text) || openSsh.test(text) || isJwk(text) || isDer(bytes)) {
    throw badOption(option, 'is a key or a certificate, not a secret, and a public one would let everyone sign; ' +
      `give it as 'privateKey' or 'publicKey' with an algorithm such as 'RS256', or make a secret with ${recipeOf('HS256')}`)
  }
  for (const algorithm of algorithms) {
    const needed = secretBytesOf(algorithm)
    if (bytes.length < needed) {
      throw badOption(option, `has ${bytes.length} bytes, ${algorithm} needs at least ${needed} (RFC 7518, section 3.2); ` +
        `make one with ${recipeOf(algorithm)}`)
    }
  }
  return bytes
}
