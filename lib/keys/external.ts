import type { FastifyRequest } from 'fastify'
import type { Settings } from '../options/settings.ts'
import type { MaybePromise } from '../types/claims.ts'
import type { VerificationKey } from '../types/keys.ts'
import type { UnverifiedToken } from '../jwt/unverified.ts'

/** Keys that are not local: those of another issuer, or those that the `decodeKey` option returns. */
export interface ExternalKeys {
  /** The settings that the claims of its tokens are checked against. */
  readonly settings: Settings
  /** `true` for another issuer beside our own keys: its refresh tokens are refused, since only their issuer may accept them. */
  readonly accessOnly: boolean
  /**
   * The key that must have signed a token. Called for every request: a cached token skips the signature check only if it was verified with
   * the same object.
   *
   * @throws 401 if there is no key for the token, 503 if the key cannot be fetched; also as a rejection.
   */
  find (token: UnverifiedToken, request: FastifyRequest | null): MaybePromise<VerificationKey>
  /** Another key to try after that key has failed; `null` if there is none. */
  findAgain (token: UnverifiedToken): MaybePromise<VerificationKey | null>
}
