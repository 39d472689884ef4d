import type { FastifyRequest } from 'fastify'
import type { Registration } from '../registration.ts'
import type { JwtUser, MaybePromise } from '../types/claims.ts'
import type { JwtError } from '../types/errors.ts'
import type { SessionAnswer, VerifiedToken } from '../types/verified-token.ts'
import type { HookOptions } from './hook-options.ts'
import type { Locator } from './locate.ts'

/** The state of one request in the pipeline, which tries one token at a time. */
export interface Attempt extends SessionAnswer {
  readonly check: Check
  readonly request: FastifyRequest
  /** The next step. */
  step: number
  /** The place that is being looked at, by its index among the locators. */
  place: number
  /** The place at which the search ends, exclusive. */
  end: number
  token: string
  /** Further values of the same cookie that are still to be tried; `null` until they are read. */
  others: string[] | null
  verified: VerifiedToken | null
  user: JwtUser | null
  /** The key that the token is bound to, if its proof has been checked. */
  provenKey: string | null
  /** Why no token has passed so far. */
  refusal: JwtError | null
  /** The rank of that refusal, so that the answer does not depend on the order of tokens; see `refusal.ts`. */
  rank: number
  /** Whether a step had to wait. If so, the times are checked again. */
  waited: boolean
}

/** One step of the pipeline. It refuses by throwing, or returns a promise if it has to wait. */
export type Step = (attempt: Attempt) => MaybePromise<void>

/** The requirements of a hook on one registration. What does not depend on the request is decided already. */
export interface Check extends HookOptions {
  readonly registration: Registration
  readonly locators: readonly Locator[]
  readonly steps: readonly Step[]
}
