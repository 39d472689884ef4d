import type { KeyObject } from 'node:crypto'
import { createVerifier, TokenError } from 'fast-jwt'
import type { Algorithm, DecodedToken, VerificationKey } from '../types/keys.ts'

/**
 * Prepares a key for verifying.
 *
 * @param key An HMAC secret, or a public key.
 * @param algorithms Algorithms of one family only, so that a token cannot choose how its key is read (RFC 8725 §3.1).
 * @param keyId The `kid` of its tokens (RFC 7515 §4.1.4).
 */
export function createVerificationKey (
  key: Buffer | KeyObject, algorithms: readonly Algorithm[], keyId: string | undefined
): VerificationKey {
  const material = Buffer.isBuffer(key) ? key : key.export({ format: 'pem', type: 'spki' }).toString()
  const verifyToken: (token: string) => DecodedToken = createVerifier({
    key: material,
    algorithms: [...algorithms],
    complete: true,
    ignoreExpiration: true,
    ignoreNotBefore: true,
    // `checkTimes` checks the times. A fixed time here saves reading the clock.
    clockTimestamp: 1
  })

  return Object.freeze({
    keyId,
    algorithms: Object.freeze([...algorithms]),
    publicKey: typeof material === 'string' ? material : null,
    verify (token: string): DecodedToken {
      const decoded = verifyToken(token)
      // No extension is understood (RFC 7515 §4.1.11). `fast-jwt` lets `"crit": null` and the like pass.
      if (decoded.header.crit !== undefined) {
        throw new TokenError(TokenError.codes.invalidCritHeader, 'The crit header is not understood.')
      }
      return decoded
    }
  })
}
