import type { KeyObject } from 'node:crypto'
import { createSigner } from 'fast-jwt'
import { Lru } from 'toad-cache'
import { opaqueKeyOf } from './opaque-key.ts'
import type { Algorithm, SigningKey } from '../types/keys.ts'

/** `alg` and `kid` name the key. Tokens with `crit` (RFC 7515 §4.1.11) are refused by this package itself. */
const reservedHeaders = ['alg', 'kid', 'crit']

/** Preparing an RSA key costs about as much as signing with it, so signers are kept by header. */
const maxSigners = 32

type Sign = (payload: Record<string, unknown>) => string

/**
 * Prepares a key for signing.
 *
 * @param key An HMAC secret, or a private key.
 * @param keyId The `kid` of its tokens (RFC 7515 §4.1.4).
 */
export function createSigningKey (
  key: Buffer | KeyObject, algorithm: Algorithm, keyId: string | undefined
): SigningKey {
  const material = Buffer.isBuffer(key) ? key : key.export({ format: 'pem', type: 'pkcs8' })
  const named = keyId === undefined ? {} : { kid: keyId }

  function signerWith (headers: Record<string, unknown>): Sign {
    return createSigner({ key: material, algorithm, ...named, header: { typ: 'JWT', ...headers, alg: algorithm, ...named } })
  }

  const signPlain = signerWith({})
  const signers = new Lru<Sign>(maxSigners)

  return Object.freeze({
    keyId,
    algorithm,
    opaqueKey: opaqueKeyOf(Buffer.from(material)),
    sign (payload: Record<string, unknown>, headers?: Record<string, unknown>): string {
      if (headers === undefined) return signPlain(payload)
      for (const name of reservedHeaders) {
        if (Object.hasOwn(headers, name)) throw new TypeError(`fastify-jwt-extended: the header parameter '${name}' is set by this package`)
      }
      const cacheKey = JSON.stringify(headers)
      let sign = signers.get(cacheKey)
      if (sign === undefined) {
        // A copy, so that later changes to the app's object do not reach a token.
        sign = signerWith(JSON.parse(cacheKey) as Record<string, unknown>)
        signers.set(cacheKey, sign)
      }
      return sign(payload)
    }
  })
}
