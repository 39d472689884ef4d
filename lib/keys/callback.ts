import { KeyObject } from 'node:crypto'
import { Lru } from 'toad-cache'
import { after } from '../after.ts'
import { badOption } from '../errors.ts'
import { remedyFor } from '../options/unknown.ts'
import { allAlgorithms, isAlgorithm, isHmac } from './algorithms.ts'
import { readPublicKeyOfAnyKind } from './asymmetric-key.ts'
import { parseJson } from './key-text.ts'
import { readSecret } from './secret-key.ts'
import { createVerificationKey } from './verification-key.ts'
import type { KeyOptions } from '../types/options.ts'
import type { Settings } from '../options/settings.ts'
import type { Algorithm, DecodedKey, PublicKey, Secret, VerificationKey } from '../types/keys.ts'
import type { ExternalKeys } from './external.ts'

/** Preparing an RSA key costs about as much as one verification, so prepared keys are kept. */
const maxPreparedKeys = 1000

const hmacAlgorithms = allAlgorithms.filter(isHmac)

const members = ['algorithm', 'secretKey', 'publicKey']

/** The key that a `decodeKey` callback returned, in one form. */
interface ReturnedKey {
  readonly algorithm: Algorithm | undefined
  readonly kind: 'secret' | 'public'
  readonly material: Secret | PublicKey
}

function isPublicJwkText (text: string): boolean {
  const value = parseJson(text)
  return typeof value === 'object' && value !== null && 'kty' in value && value.kty !== 'oct'
}

function fault (problem: string): Error {
  return badOption('decodeKey', `returned ${problem}`)
}

/**
 * A text is a public key if it is PEM or the JSON of a JWK, else a secret. The readers refuse private keys, and secrets that look like a
 * key.
 */
function kindOf (material: unknown): ReturnedKey['kind'] {
  if (typeof material === 'string') return material.includes('-----BEGIN ') || isPublicJwkText(material) ? 'public' : 'secret'
  if (material instanceof Uint8Array) return kindOf(Buffer.from(material).toString('latin1'))
  if (material instanceof KeyObject) return material.type === 'secret' ? 'secret' : 'public'
  if (typeof material === 'object' && material !== null && 'kty' in material) return material.kty === 'oct' ? 'secret' : 'public'
  throw fault('something that is not a key; it takes a secret, a public key, { algorithm, secretKey }, ' +
    '{ algorithm, publicKey }, or null if there is no key for the token')
}

function parseReturned (returned: DecodedKey): ReturnedKey {
  if (typeof returned !== 'object' || !('secretKey' in returned || 'publicKey' in returned)) {
    const material = returned
    return { algorithm: undefined, kind: kindOf(material), material }
  }
  const unknown = Object.keys(returned).find(name => !members.includes(name))
  if (unknown !== undefined) throw fault(`a key with '${unknown}', which is unknown; ${remedyFor(unknown, members)}`)
  const { algorithm, secretKey, publicKey } = returned as { algorithm?: Algorithm, secretKey?: Secret, publicKey?: PublicKey }
  if (algorithm !== undefined && !isAlgorithm(algorithm)) throw fault('a key whose algorithm is not supported')
  if (secretKey !== undefined && publicKey === undefined) return { algorithm, kind: 'secret', material: secretKey }
  if (publicKey !== undefined && secretKey === undefined) return { algorithm, kind: 'public', material: publicKey }
  // With both, a token could choose the key that verifies it.
  throw fault('a key that must have either a secretKey or a publicKey')
}

/**
 * The keys that the `decodeKey` option returns for each token. Equal keys are one prepared object, so that the cache of
 * verified tokens can compare keys by identity.
 */
export function createCallbackKeys (settings: Settings, decodeKey: NonNullable<KeyOptions['decodeKey']>): ExternalKeys {
  const { errors } = settings
  const { algorithm: preferred, decodeAlgorithms } = settings.keyOptions
  const prepared = new Lru<VerificationKey>(maxPreparedKeys)
  const objectIds = new WeakMap<KeyObject, number>()
  let objects = 0

  /** The algorithms to accept, of those that fit a key: never more than `decodeAlgorithms`, never two families. */
  function narrow (fitting: readonly Algorithm[], named: Algorithm | undefined): readonly Algorithm[] {
    if (named !== undefined) return fitting.filter(algorithm => algorithm === named && decodeAlgorithms?.includes(algorithm) !== false)
    if (decodeAlgorithms !== undefined) return fitting.filter(algorithm => decodeAlgorithms.includes(algorithm))
    return preferred !== undefined && fitting.includes(preferred) ? [preferred] : fitting
  }

  function prepare ({ algorithm, kind, material }: ReturnedKey): VerificationKey {
    const unusable = algorithm === undefined
      ? `a ${kind} key that fits none of the accepted algorithms; see decodeAlgorithms`
      : `a ${kind} key for ${algorithm}, which does not fit it or is not accepted; see decodeAlgorithms`
    if (kind === 'public') {
      const { key, algorithms: fitting } = readPublicKeyOfAnyKind('decodeKey', material)
      const algorithms = narrow(fitting, algorithm)
      if (algorithms.length === 0) throw fault(unusable)
      return createVerificationKey(key, algorithms, undefined)
    }
    // A secret fits every HMAC algorithm. If nothing says which one it is for, only HS256 is accepted.
    const unspecified = decodeAlgorithms === undefined && (preferred === undefined || !isHmac(preferred))
    const algorithms = narrow(hmacAlgorithms, algorithm ?? (unspecified ? 'HS256' : undefined))
    if (algorithms.length === 0) throw fault(unusable)
    return createVerificationKey(readSecret('decodeKey', material, algorithms), algorithms, undefined)
  }

  /**
   * Equal for equal keys. Content is compared, since an app may change an object or create it again. A `KeyObject` can't change, and is
   * compared by identity.
   */
  function idOf (material: Secret | PublicKey): string {
    if (typeof material === 'string') return `text ${material}`
    if (material instanceof Uint8Array) return `bytes ${Buffer.from(material).toString('latin1')}`
    if (!(material instanceof KeyObject)) return `jwk ${JSON.stringify(material)}`
    let id = objectIds.get(material)
    if (id === undefined) objectIds.set(material, id = objects++)
    return `object ${id}`
  }

  function verificationKey (returned: DecodedKey): VerificationKey {
    const parsed = parseReturned(returned)
    const id = `${parsed.kind} ${parsed.algorithm ?? ''} ${idOf(parsed.material)}`
    let key = prepared.get(id)
    if (key === undefined) prepared.set(id, key = prepare(parsed))
    return key
  }

  return {
    settings,
    accessOnly: false,
    find ({ header, claims }, request) {
      if (request === null) {
        throw new TypeError('The decodeKey option needs a request, and this call has none; use a hook or request.verifyJwt(), then request.jwtClaims')
      }
      return after(decodeKey(header, claims, request), returned => {
        if (returned === null || returned === undefined) throw errors.FST_JWT_INVALID_TOKEN('key')
        return verificationKey(returned)
      })
    },
    findAgain: () => null
  }
}
