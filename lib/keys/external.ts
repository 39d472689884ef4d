import type { FastifyRequest } from 'fastify'
import type { Settings } from '../options/settings.ts'
import type { MaybePromise } from '../types/claims.ts'
import type { VerificationKey } from '../types/keys.ts'
import type { UnverifiedToken } from '../jwt/unverified.ts'

/** Where the key of a token comes from that no key of our own has signed. */
export interface KeySource {
  /** What the claims of its tokens must say. */
  readonly settings: Settings
  /** Whether it is another issuer beside ourselves, whose refresh tokens are for that issuer alone. */
  readonly accessOnly: boolean
  /**
   * The key a token must have been signed with. It is asked for every request: a token that was seen before passes
   * unchecked only under the very same key.
   *
   * @throws The 401 of a token that no key belongs to, or 503 when the key cannot be had; also as a rejection.
   */
  find (token: UnverifiedToken, request: FastifyRequest | null): MaybePromise<VerificationKey>
  /** Another key to try when that one has not made the signature; `null` when there is none. */
  findAgain (token: UnverifiedToken): MaybePromise<VerificationKey | null>
}
