import { createPublicKey, createPrivateKey, KeyObject, X509Certificate } from 'node:crypto'
import { badOption } from '../errors.ts'
import { recipeOf, secretBytesOf } from './algorithms.ts'
import { parseJson } from './key-text.ts'
import type { Algorithm, JWK, Secret } from '../types/keys.ts'

// Anywhere in the text, since PEM readers skip text before it (RFC 7468 §2).
const pem = /-----BEGIN [A-Z0-9 ]+-----/

// `-----BEGIN ` in base64: PEM that was encoded to fit into an environment variable.
const encodedPem = /^\s*LS0tLS1CRUdJTi/

const openSsh = /^\s*(?:ssh-|ecdsa-sha2-|sk-)\S+ /

/** Whether JSON is one key or several. */
function isKeys (value: unknown): boolean {
  return typeof value === 'object' && value !== null && (Array.isArray(value) || 'kty' in value || 'keys' in value)
}

function isSecretJwk (value: unknown): value is JWK & { k: string } {
  return typeof value === 'object' && value !== null && 'kty' in value && value.kty === 'oct' && 'k' in value && typeof value.k === 'string'
}

function isDer (bytes: Buffer): boolean {
  // Every DER key and certificate is a SEQUENCE. Without that tag, no parser has to run.
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
  if (typeof secret === 'string') {
    const jwk = parseJson(secret)
    return isSecretJwk(jwk) ? bytesOf(option, jwk) : Buffer.from(secret, 'utf8')
  }
  // A copy: the app may wipe or change its bytes afterwards.
  if (secret instanceof Uint8Array) return Buffer.from(secret)
  if (secret instanceof KeyObject) {
    if (secret.type === 'secret') return secret.export()
    throw badOption(option, `is a ${secret.type} key; give it as '${secret.type}Key'`)
  }
  if (typeof secret === 'object' && secret !== null && 'kty' in secret) {
    if (isSecretJwk(secret)) return Buffer.from(secret.k, 'base64url')
    throw badOption(option, "is a JWK that is not a secret; give it as 'privateKey' or 'publicKey'")
  }
  throw badOption(option, `takes a string or a Buffer, got ${secret === null ? 'null' : typeof secret}`)
}

/**
 * Reads an HMAC secret. Refuses every key of another type, in any encoding: if a public key were the secret, everyone could
 * sign (RFC 8725 §2.1).
 *
 * @param option The name of the option, for the error.
 * @param algorithms The algorithms it is used with. The strictest decides its length (RFC 7518 §3.2).
 * @returns Its bytes.
 * @throws `FST_JWT_BAD_OPTION`
 */
export function readSecret (option: string, secret: Secret, algorithms: readonly Algorithm[]): Buffer {
  const bytes = bytesOf(option, secret)
  const text = bytes.toString('latin1')
  if (pem.test(text) || encodedPem.test(text) || openSsh.test(text) || isKeys(parseJson(text)) || isDer(bytes)) {
    throw badOption(option, 'is a key or a certificate, not a secret; with a public one as the secret, anyone could sign; ' +
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

/**
 * Refuses a secret that begins or ends with white space, such as a line break from a file or a shell. Another server may have the secret
 * without it, and then neither accepts the tokens of the other.
 *
 * @throws `FST_JWT_BAD_OPTION`
 */
export function checkSecretEnds (option: string, secret: Secret): void {
  const text = typeof secret === 'string' ? secret : secret instanceof Uint8Array ? Buffer.from(secret).toString('latin1') : ''
  // Random bytes may end in any byte. Text has no control character but white space.
  if (typeof secret !== 'string' && !/^[\t-\r\x20-\x7e]*$/.test(text)) return
  const where = text.trimStart() !== text ? 'begins with' : text.trimEnd() !== text ? 'ends in' : null
  if (where === null || parseJson(text) !== undefined) return
  throw badOption(option, `${where} a line break or other white space, which another server may not have; remove it, as by value.trim()`)
}
