import type { KeyObject } from 'node:crypto'
import { Lru } from 'toad-cache'
import { fits, isSignedBy } from './algorithms.ts'
import { readPublicJwk } from './public-key.ts'
import { decodePart, parsePart } from '../jwt/compact-part.ts'
import type { Errors } from '../errors.ts'
import type { ProofAlgorithm } from '../types/options.ts'

/** A DPoP proof whose signature has been checked with the key that it carries (RFC 9449 §4.2). */
export interface Proof {
  /** The thumbprint of that key (RFC 7638): the `jkt` of the tokens bound to it. */
  readonly thumbprint: string
  readonly jti: string
  /** The method of its request. */
  readonly htm: string
  /** The URI of its request, without query and fragment. */
  readonly htu: string
  /** Seconds since the epoch. */
  readonly iat: number
  /** The hash of the access token that it came with. */
  readonly ath: unknown
  readonly nonce: unknown
}

/** The key in the header of a proof. */
interface ProofKey {
  readonly key: KeyObject
  readonly algorithm: ProofAlgorithm
  readonly thumbprint: string
}

/** Longest proof accepted, in characters: several times one with an RSA key of 4,096 bits. */
const maxLength = 8192

/**
 * How many headers of proofs are remembered. A client always sends the same header, and preparing a key costs about as much as checking a
 * signature.
 */
const maxKeys = 1000

/**
 * Creates the reader of proofs. It does all checks that do not depend on the request (RFC 9449 §4.3, 2 to 7): the form, `typ`, `alg`,
 * `jwk`, the signature, and that the claims are there. It does not check their values.
 *
 * @param allowed The algorithms accepted.
 * @returns A function that throws `FST_JWT_DPOP_PROOF` with a reason of one word.
 */
export function createProofReader (allowed: readonly ProofAlgorithm[], errors: Errors): (text: string) => Proof {
  const keys = new Lru<ProofKey>(maxKeys)
  const refuse = errors.FST_JWT_DPOP_PROOF

  function keyOf (part: string): ProofKey {
    const header = parsePart(part)
    if (header === null) throw refuse('malformed')
    const { typ, alg, jwk, crit } = header
    // A media type is case-insensitive, and may begin with `application/` (RFC 7515 §4.1.9).
    if (typeof typ !== 'string' || typ.toLowerCase().replace(/^application\//, '') !== 'dpop+jwt') throw refuse('typ')
    // No extension is understood (RFC 7515 §4.1.11).
    if (crit !== undefined) throw refuse('crit')
    const algorithm = allowed.find(name => name === alg)
    if (algorithm === undefined) throw refuse('alg')
    const read = readPublicJwk(jwk)
    if (read === null || !fits(read.key, algorithm)) throw refuse('jwk')
    return { ...read, algorithm }
  }

  return function readProof (text) {
    if (text.length > maxLength) throw refuse('length')
    const parts = text.split('.')
    const [header = '', payload = '', signature = ''] = parts
    if (parts.length !== 3) throw refuse('malformed')
    const known = keys.get(header)
    const { key, algorithm, thumbprint } = known ?? keyOf(header)
    const bytes = decodePart(signature)
    if (bytes === null || !isSignedBy(key, algorithm, Buffer.from(`${header}.${payload}`, 'latin1'), bytes)) throw refuse('signature')
    if (known === undefined) keys.set(header, { key, algorithm, thumbprint })
    const claims = parsePart(payload)
    if (claims === null) throw refuse('malformed')
    const { jti, htm, htu, iat, ath, nonce } = claims
    if (typeof jti !== 'string' || jti === '') throw refuse('jti')
    if (typeof htm !== 'string') throw refuse('htm')
    if (typeof htu !== 'string') throw refuse('htu')
    if (typeof iat !== 'number' || !Number.isFinite(iat)) throw refuse('iat')
    return { thumbprint, jti, htm, htu, iat, ath, nonce }
  }
}
