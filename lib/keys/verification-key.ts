import type { KeyObject } from 'node:crypto'
import { createVerifier, TokenError } from 'fast-jwt'
import type { Algorithm, DecodedToken, VerificationKey } from '../types/keys.ts'

/**
 * A key that verifies.
 *
 * @param key An HMAC secret, or an asymmetric public key.
 * @param algorithms All of the key's own family, so that no token can choose how its key is read (RFC 8725 §3.1).
 */
export function createVerificationKey (
  key: Buffer | KeyObject, algorithms: readonly Algorithm[], keyId: string | undefined
): VerificationKey {
  const verifyToken: (token: string) => DecodedToken = createVerifier({
    key: Buffer.isBuffer(key) ? key : key.export({ format: 'pem', type: 'spki' }),
    algorithms: [...algorithms],
    complete: true,
    ignoreExpiration: true,
    ignoreNotBefore: true,
    // Times are checked by `checkTimes`: here any will do, so that no clock is read.
    clockTimestamp: 1
  })

  return Object.freeze({
    keyId,
    algorithms: Object.freeze([...algorithms]),
    verify (token: string): DecodedToken {
      const decoded = verifyToken(token)
      // `fast-jwt` lets `"crit": null` and the like pass; RFC 7515 §4.1.11 allows a list of names only, of
      // which none is understood here.
      if (decoded.header.crit !== undefined) {
        throw new TokenError(TokenError.codes.invalidCritHeader, 'The crit header is not understood.')
      }
      return decoded
    }
  })
}
