import { isPromise } from '../../after.ts'
import type { Settings } from '../../options/settings.ts'
import type { VerificationKey } from '../../types/keys.ts'
import type { ExternalKeys } from '../external.ts'
import type { RemoteJwkSet } from './remote-jwk-set.ts'

/**
 * The external keys of an issuer, from its JWK Set. Turns a missing key or a failed fetch into the error of the request.
 *
 * @param settings What the claims of its tokens are checked against.
 * @param accessOnly Whether its refresh tokens are refused.
 */
export function createIssuerKeys (jwkSet: RemoteJwkSet, settings: Settings, accessOnly: boolean): ExternalKeys {
  const { errors } = settings

  function requireKey (key: VerificationKey | null): VerificationKey {
    if (key === null) throw errors.FST_JWT_INVALID_TOKEN('kid')
    return key
  }

  /** 503, since nothing is known about the token. The cause is for the log. */
  function failUnavailable (cause: unknown): never {
    const error = errors.FST_JWT_KEYS_UNAVAILABLE()
    error.cause = cause
    throw error
  }

  return {
    settings,
    accessOnly,
    find ({ header }) {
      if (!jwkSet.algorithms.some(algorithm => algorithm === header.alg)) throw errors.FST_JWT_INVALID_TOKEN('algorithm')
      const found = jwkSet.find(header)
      return isPromise(found) ? found.then(requireKey, failUnavailable) : requireKey(found)
    },
    findAgain: ({ header }) => jwkSet.findAgain(header)
  }
}
