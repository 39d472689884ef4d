import { proofAlgorithms } from '../dpop/algorithms.ts'
import { readSecret } from '../keys/secret-key.ts'
import { badOption } from '../errors.ts'
import { checkOptionNames } from './unknown.ts'
import { refuseUndefined } from './unset.ts'
import * as validate from './validators.ts'
import type { FastifyRequest } from 'fastify'
import type { Secret } from '../types/keys.ts'
import type { ProofAlgorithm, ProofOptions } from '../types/options.ts'
import type { Validator } from './validators.ts'

/** The `dpop` option, checked and complete. Times are in seconds. */
export interface ResolvedProofOptions {
  readonly required: boolean
  readonly replayWindow: number
  readonly clockTolerance: number
  /** Life of a nonce; `null` if none is required. */
  readonly nonceLife: number | null
  readonly nonceSecret: Buffer | null
  readonly algorithms: readonly ProofAlgorithm[]
  readonly url: ((request: FastifyRequest) => string) | null
}

const defaultNonceLife = 300

const mode = validate.oneOf('allowed', 'required')

const nonceSecret: Validator<Buffer> = (value, name) => readSecret(name, value as Secret, ['HS256'])

const members = {
  mode,
  replayWindow: validate.lifetime,
  clockTolerance: validate.seconds,
  nonce: ((value, name) => typeof value === 'boolean' ? value : validate.lifetime(value, name)) as Validator<boolean | number>,
  nonceSecret,
  algorithms: validate.oneOrSeveral<ProofAlgorithm>(validate.oneOf(...proofAlgorithms)),
  url: validate.callback<NonNullable<ProofOptions['url']>>()
}

/** Checks the `dpop` option. `lib/dpop/` carries it out. */
export const proofOptions: Validator<ResolvedProofOptions> = (value, name) => {
  const given: Record<string, unknown> = typeof value === 'object' && value !== null && !Array.isArray(value)
    ? value as Record<string, unknown>
    : { mode: validate.oneOf(false, 'allowed', 'required')(value, name) }
  checkOptionNames(given, Object.keys(members), `${name}.`)
  refuseUndefined(given, ['nonceSecret'], `${name}.`)
  function read<Member extends keyof typeof members, D> (member: Member, fallback: D): ReturnType<typeof members[Member]> | D {
    const one = given[member]
    return one === undefined ? fallback : members[member](one, `${name}.${member}`) as ReturnType<typeof members[Member]>
  }
  const nonce = read('nonce', false)
  if (nonce === false && given['nonceSecret'] !== undefined) throw badOption(`${name}.nonceSecret`, 'does nothing without nonce; add nonce: true, or leave it out')
  return Object.freeze({
    required: read('mode', 'allowed') === 'required',
    replayWindow: read('replayWindow', 60),
    clockTolerance: read('clockTolerance', 10),
    nonceLife: nonce === false ? null : nonce === true ? defaultNonceLife : nonce,
    nonceSecret: read('nonceSecret', null),
    algorithms: read('algorithms', proofAlgorithms),
    url: read('url', null)
  })
}
