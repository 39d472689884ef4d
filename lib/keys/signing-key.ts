import type { KeyObject } from 'node:crypto'
import { createSigner } from 'fast-jwt'
import { Lru } from 'toad-cache'
import { opaqueKeyOf } from './opaque-key.ts'
import type { Algorithm, SigningKey } from '../types/keys.ts'

/** `alg` and `kid` say which key signed; an extension of `crit` (RFC 7515 §4.1.11) we would refuse ourselves. */
const ownHeaders = ['alg', 'kid', 'crit']

/** Signers kept for headers seen before; preparing an RSA key costs about as much as signing with it. */
const signersKept = 32

type Sign = (payload: Record<string, unknown>) => string

/**
 * A key that signs.
 *
 * @param key An HMAC secret, or an asymmetric private key.
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
  const signers = new Lru<Sign>(signersKept)

  return Object.freeze({
    keyId,
    algorithm,
    opaqueKey: opaqueKeyOf(Buffer.from(material)),
    sign (payload: Record<string, unknown>, headers?: Record<string, unknown>): string {
      if (headers === undefined) return signPlain(payload)
      for (const name of ownHeaders) {
        if (Object.hasOwn(headers, name)) throw new TypeError(`fastify-jwt-extended: header '${name}' belongs to the package`)
      }
      const cacheKey = JSON.stringify(headers)
      let sign = signers.get(cacheKey)
      if (sign === undefined) {
        // From the text, so that no later change of the object given shows in a token.
        sign = signerWith(JSON.parse(cacheKey) as Record<string, unknown>)
        signers.set(cacheKey, sign)
      }
      return sign(payload)
    }
  })
}
