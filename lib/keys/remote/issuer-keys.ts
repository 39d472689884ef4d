import { isPromise } from '../../after.ts'
import type { Settings } from '../../options/settings.ts'
import type { VerificationKey } from '../../types/keys.ts'
import type { KeySource } from '../external.ts'
import type { RemoteKeys } from './remote-jwk-set.ts'

/**
 * The keys an issuer publishes, as a source for its tokens.
 *
 * @param accessOnly Whether its refresh tokens are refused.
 */
export function createRemoteKeySource (keys: RemoteKeys, settings: Settings, accessOnly: boolean): KeySource {
  const { errors } = settings

  function known (key: VerificationKey | null): VerificationKey {
    if (key === null) throw errors.FST_JWT_INVALID_TOKEN('kid')
    return key
  }

  /** That keys cannot be had is no verdict on the token; the cause is for the log. */
  function fail (cause: unknown): never {
    const error = errors.FST_JWT_KEYS_UNAVAILABLE()
    error.cause = cause
    throw error
  }

  return {
    settings,
    accessOnly,
    find ({ header }) {
      if (!(keys.algorithms as readonly string[]).includes(header.alg)) throw errors.FST_JWT_INVALID_TOKEN('algorithm')
      const found = keys.find(header)
      return isPromise(found) ? found.then(known, fail) : known(found)
    },
    findAgain: ({ header }) => keys.findAgain(header)
  }
}
