import { KeyObject } from 'node:crypto'
import { Lru } from 'toad-cache'
import { after } from '../after.ts'
import { badOption } from '../errors.ts'
import { remedyFor } from '../options/unknown.ts'
import { allAlgorithms, isAlgorithm, isHmac } from './algorithms.ts'
import { readPublicKeyOfAnyKind } from './asymmetric-key.ts'
import { readSecret } from './secret-key.ts'
import { createVerificationKey } from './verification-key.ts'
import type { KeyOptions } from '../types/options.ts'
import type { Settings } from '../options/settings.ts'
import type { Algorithm, DecodedKey, PublicKey, Secret, VerificationKey } from '../types/keys.ts'
import type { KeySource } from './external.ts'

/** Keys kept ready for use, least recently used out first; preparing an RSA key costs about as much as verifying with it. */
const keysKept = 1000

const hmacAlgorithms = allAlgorithms.filter(isHmac)

const members = ['algorithm', 'secretKey', 'publicKey']

/** What a `decodeKey` callback has returned, told apart. */
interface ReturnedKey {
  readonly algorithm: Algorithm | undefined
  readonly kind: 'secret' | 'public'
  readonly material: Secret | PublicKey
}

function fault (problem: string): Error {
  return badOption('decodeKey', `returned ${problem}`)
}

/** PEM is a public key (or is refused as a private one); any other text is a secret, unless it reads as a key. */
function kindOf (material: unknown): ReturnedKey['kind'] {
  if (typeof material === 'string') return material.includes('-----BEGIN ') ? 'public' : 'secret'
  if (material instanceof Uint8Array) return kindOf(Buffer.from(material).toString('latin1'))
  if (material instanceof KeyObject) return material.type === 'secret' ? 'secret' : 'public'
  if (typeof material === 'object' && material !== null && 'kty' in material) return material.kty === 'oct' ? 'secret' : 'public'
  throw fault('something that is no key; it takes a secret, a public key, { algorithm, secretKey }, ' +
    '{ algorithm, publicKey }, or null when there is no key for the token')
}

function tellApart (returned: DecodedKey): ReturnedKey {
  if (typeof returned !== 'object' || !('secretKey' in returned || 'publicKey' in returned)) {
    const material = returned
    return { algorithm: undefined, kind: kindOf(material), material }
  }
  const unknown = Object.keys(returned).find(name => !members.includes(name))
  if (unknown !== undefined) throw fault(`a key with '${unknown}', which is unknown; ${remedyFor(unknown, members)}`)
  const { algorithm, secretKey, publicKey } = returned as { algorithm?: Algorithm, secretKey?: Secret, publicKey?: PublicKey }
  if (algorithm !== undefined && !isAlgorithm(algorithm)) throw fault('a key whose algorithm is none known here')
  if (secretKey !== undefined && publicKey === undefined) return { algorithm, kind: 'secret', material: secretKey }
  if (publicKey !== undefined && secretKey === undefined) return { algorithm, kind: 'public', material: publicKey }
  // With both, a token could choose which of them to be checked with.
  throw fault('a key that must have either a secretKey or a publicKey')
}

/**
 * The source of a registration whose `decodeKey` option gives the key of each token. The same key is prepared
 * once, so that a token seen before can be told to be under the same one.
 */
export function createDecodedKeySource (settings: Settings, decodeKey: NonNullable<KeyOptions['decodeKey']>): KeySource {
  const { errors } = settings
  const { algorithm: preferred, decodeAlgorithms } = settings.keyOptions
  const prepared = new Lru<VerificationKey>(keysKept)
  const objectIds = new WeakMap<KeyObject, number>()
  let objects = 0

  /** The algorithms of those that fit a key: never more than `decodeAlgorithms`, nor of two families. */
  function narrow (fitting: readonly Algorithm[], named: Algorithm | undefined): readonly Algorithm[] {
    if (named !== undefined) return fitting.filter(algorithm => algorithm === named && decodeAlgorithms?.includes(algorithm) !== false)
    if (decodeAlgorithms !== undefined) return fitting.filter(algorithm => decodeAlgorithms.includes(algorithm))
    return preferred !== undefined && fitting.includes(preferred) ? [preferred] : fitting
  }

  function prepare ({ algorithm, kind, material }: ReturnedKey): VerificationKey {
    const unusable = `a ${kind} key that ${algorithm ?? 'none of the algorithms accepted here'} goes with; see decodeAlgorithms`
    if (kind === 'public') {
      const { key, algorithms: fitting } = readPublicKeyOfAnyKind('decodeKey', material)
      const algorithms = narrow(fitting, algorithm)
      if (algorithms.length === 0) throw fault(unusable)
      return createVerificationKey(key, algorithms, undefined)
    }
    // One for a secret that nothing is said of: its length tells which it was made for, not which it is used with.
    const unsaid = decodeAlgorithms === undefined && (preferred === undefined || !isHmac(preferred))
    const algorithms = narrow(hmacAlgorithms, algorithm ?? (unsaid ? 'HS256' : undefined))
    if (algorithms.length === 0) throw fault(unusable)
    return createVerificationKey(readSecret('decodeKey', material, algorithms), algorithms, undefined)
  }

  /** Equal for equal keys; the content counts, since an object given may be changed or made anew. */
  function idOf (material: Secret | PublicKey): string {
    if (typeof material === 'string') return `text ${material}`
    if (material instanceof Uint8Array) return `bytes ${Buffer.from(material).toString('latin1')}`
    if (!(material instanceof KeyObject)) return `jwk ${JSON.stringify(material)}`
    let id = objectIds.get(material)
    if (id === undefined) objectIds.set(material, id = objects++)
    return `object ${id}`
  }

  function verificationKey (returned: DecodedKey): VerificationKey {
    const told = tellApart(returned)
    const id = `${told.kind} ${told.algorithm ?? ''} ${idOf(told.material)}`
    let key = prepared.get(id)
    if (key === undefined) prepared.set(id, key = prepare(told))
    return key
  }

  return {
    settings,
    accessOnly: false,
    find ({ header, claims }, request) {
      if (request === null) {
        throw new TypeError('The decodeKey option takes a request, and there is none here; use a hook or request.verifyJwt(), and request.jwtClaims afterwards')
      }
      return after(decodeKey(header, claims, request), returned => {
        if (returned === null || returned === undefined) throw errors.FST_JWT_INVALID_TOKEN('key')
        return verificationKey(returned)
      })
    },
    findAgain: () => null
  }
}
