import { createPublicKey } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { badOption } from '../errors.ts'
import { checkOptionNames } from '../options/unknown.ts'
import { refuseUndefined } from '../options/unset.ts'
import { algorithmsOf, allAlgorithms, isAlgorithm, isHmac, secretCommand } from './algorithms.ts'
import { readPrivateKey, readPublicKey } from './asymmetric-key.ts'
import { publicJwk } from './jwk-set.ts'
import { checkSecretEnds, readSecret } from './secret-key.ts'
import { createSigningKey } from './signing-key.ts'
import { createVerificationKey } from './verification-key.ts'
import type {
  Algorithm, JSONWebKeySet, KeySet, KeysOption, NamedKey, PrivateKey, PublicJWK, PublicKey, Secret, SigningKey,
  VerificationKey
} from '../types/keys.ts'

/** The options of local keys: those of this app, as opposed to the external keys of other issuers and of `decodeKey`. */
export interface LocalKeyOptions {
  secretKey?: Secret | readonly Secret[] | undefined
  /** Default: `'HS256'`; for a public key alone, the first of `decodeAlgorithms`. */
  algorithm?: Algorithm | undefined
  privateKey?: PrivateKey | undefined
  publicKey?: PublicKey | undefined
  keyId?: string | undefined
  keys?: KeysOption | undefined
  /** Default: each key's own algorithm. */
  decodeAlgorithms?: readonly Algorithm[] | undefined
}

/** One key of the options. */
interface GivenKey {
  /** The prefix of its members in an error: `''` or `'keys[0].'`. */
  path: string
  keyId: string | undefined
  algorithm: Algorithm
  decodeAlgorithms: readonly Algorithm[]
  secretKey: Secret | undefined
  privateKey: PrivateKey | undefined
  publicKey: PublicKey | undefined
}

interface LoadedKey {
  signing: SigningKey | null
  verification: VerificationKey
  jwk: PublicJWK | null
}

const namedKeyMembers = ['keyId', 'algorithm', 'secretKey', 'privateKey', 'publicKey']

function checkAlgorithm (option: string, value: unknown): Algorithm {
  if (isAlgorithm(value)) return value
  if (typeof value === 'string' && value.toLowerCase() === 'none') {
    throw badOption(option, "is 'none', with which anyone could create tokens; " +
      `use one of ${allAlgorithms.join(', ')}`)
  }
  throw badOption(option, `takes one of ${allAlgorithms.join(', ')}, got ${typeof value === 'string' ? JSON.stringify(value) : typeof value}`)
}

function checkKeyId (option: string, value: unknown): string {
  if (typeof value === 'string' && value !== '') return value
  throw badOption(option, 'takes a non-empty string, the name of the key (the `kid` of its tokens)')
}

function checkDecodeAlgorithms (value: unknown): readonly Algorithm[] | undefined {
  if (value === undefined) return undefined
  if (!Array.isArray(value) || value.length === 0) {
    throw badOption('decodeAlgorithms', 'takes an array of at least one algorithm')
  }
  return value.map(algorithm => checkAlgorithm('decodeAlgorithms', algorithm))
}

function loadSecret (path: string, key: GivenKey, secretKey: Secret): LoadedKey {
  const { algorithm, decodeAlgorithms, keyId } = key
  if (!isHmac(algorithm)) {
    throw badOption(`${key.path}secretKey`, `does not fit the algorithm '${algorithm}', which takes a 'privateKey' ` +
      "or a 'publicKey'; give one of these, or set 'algorithm' to 'HS256'")
  }
  const verifying = decodeAlgorithms.filter(isHmac)
  const secret = readSecret(path, secretKey, [...verifying, algorithm])
  checkSecretEnds(path, secretKey)
  return {
    signing: createSigningKey(secret, algorithm, keyId),
    verification: createVerificationKey(secret, verifying, keyId),
    jwk: null
  }
}

function readPair (key: GivenKey): { privateKey: KeyObject | null, publicKey: KeyObject } {
  const { path, algorithm } = key
  const privateKey = key.privateKey === undefined ? null : readPrivateKey(`${path}privateKey`, key.privateKey, algorithm)
  const derived = privateKey === null ? null : createPublicKey(privateKey)
  const publicKey = key.publicKey === undefined ? derived : readPublicKey(`${path}publicKey`, key.publicKey, algorithm)
  if (derived !== null && publicKey?.equals(derived) === false) {
    throw badOption(`${path}publicKey`, "does not belong to 'privateKey'; leave it out, since it can be derived")
  }
  return { privateKey, publicKey: publicKey as KeyObject }
}

function loadKey (key: GivenKey): LoadedKey {
  const { path, algorithm, keyId, decodeAlgorithms, secretKey } = key
  if (secretKey !== undefined) return loadSecret(`${path}secretKey`, key, secretKey)
  if (isHmac(algorithm)) {
    throw badOption(`${path}algorithm`, `is '${algorithm}', which takes a 'secretKey'; for a private or public key set it to ` +
      "that key's, such as 'RS256', 'ES256' or 'EdDSA'")
  }
  const { privateKey, publicKey } = readPair(key)
  const fitting = algorithmsOf(publicKey)
  return {
    signing: privateKey === null ? null : createSigningKey(privateKey, algorithm, keyId),
    verification: createVerificationKey(publicKey, decodeAlgorithms.filter(name => fitting.includes(name)), keyId),
    jwk: publicJwk(publicKey, algorithm, keyId)
  }
}

/**
 * Checks `algorithm` and `decodeAlgorithms`, also if no local key is given.
 *
 * @returns `decodeAlgorithms`
 * @throws `FST_JWT_BAD_OPTION`
 */
export function checkAlgorithms (options: LocalKeyOptions): readonly Algorithm[] | undefined {
  if (options.algorithm !== undefined) checkAlgorithm('algorithm', options.algorithm)
  return checkDecodeAlgorithms(options.decodeAlgorithms)
}

/** Requires exactly one of secret and key pair: with both, a token could choose the key that verifies it. */
function checkOneKey (path: string, key: { secretKey?: unknown, privateKey?: unknown, publicKey?: unknown }): void {
  if (key.secretKey === undefined) {
    if (key.privateKey !== undefined || key.publicKey !== undefined) return
    throw badOption(`${path}secretKey`, "is missing, and so are 'privateKey' and 'publicKey'; " +
      `make a secret with \`${secretCommand()}\` and keep it out of the source`)
  }
  const other = key.privateKey !== undefined ? 'privateKey' : key.publicKey !== undefined ? 'publicKey' : null
  if (other !== null) {
    throw badOption(`${path}secretKey`, `cannot be combined with '${other}'; give one of them, or both as separate keys in 'keys'`)
  }
}

function checkNamedKey (value: NamedKey, index: number, options: LocalKeyOptions): GivenKey {
  const path = `keys[${index}].`
  if (typeof value !== 'object' || value === null) {
    throw badOption(`keys[${index}]`, `takes an object of ${namedKeyMembers.join(', ')}`)
  }
  checkOptionNames(value, namedKeyMembers, path)
  refuseUndefined(value, ['secretKey', 'privateKey', 'publicKey'], path)
  const { keyId, algorithm = options.algorithm ?? 'HS256', secretKey, privateKey, publicKey } = value
  checkKeyId(`${path}keyId`, keyId)
  checkAlgorithm(`${path}algorithm`, algorithm)
  checkOneKey(path, value)
  return { path, keyId, algorithm, decodeAlgorithms: [algorithm], secretKey, privateKey, publicKey }
}

function loadNamedKeys (options: LocalKeyOptions, decodeAlgorithms: readonly Algorithm[] | undefined): LoadedKey[] {
  const { keys } = options
  for (const name of ['secretKey', 'privateKey', 'publicKey', 'keyId'] as const) {
    if (options[name] !== undefined) throw badOption('keys', `cannot be combined with '${name}'; make it one of the keys`)
  }
  if (!Array.isArray(keys) || keys.length === 0) throw badOption('keys', 'takes an array of at least one key')
  const given = (keys as KeysOption).map((key, index) => checkNamedKey(key, index, options))
  given.forEach(({ path, keyId, algorithm }, index) => {
    if (given.findIndex(key => key.keyId === keyId) < index) {
      throw badOption(`${path}keyId`, 'is the name of an earlier key; give each key a name of its own')
    }
    if (decodeAlgorithms?.includes(algorithm) === false) {
      throw badOption('decodeAlgorithms', `lacks '${algorithm}', the algorithm of ${path.slice(0, -1)}; ` +
        'leave the option out: each key verifies with its own algorithm')
    }
  })
  const loaded = given.map(loadKey)
  if (loaded[0]?.signing === null && loaded.some(key => key.signing !== null)) {
    throw badOption('keys', 'begins with a key that can only verify; put the key that signs first')
  }
  return loaded
}

function loadSingleKey (options: LocalKeyOptions, decodeAlgorithms: readonly Algorithm[] | undefined): LoadedKey[] {
  const { secretKey, privateKey, publicKey } = options
  const secrets = Array.isArray(secretKey) ? secretKey as readonly Secret[] : undefined
  checkOneKey('', options)
  const verifyOnly = secretKey === undefined && privateKey === undefined
  const algorithm = options.algorithm ?? (verifyOnly ? decodeAlgorithms?.[0] : undefined) ?? 'HS256'
  if (decodeAlgorithms?.includes(algorithm) === false) {
    throw badOption('decodeAlgorithms', `lacks '${algorithm}', the 'algorithm', so the app would refuse its own tokens; add it`)
  }
  const key: GivenKey = {
    path: '',
    keyId: options.keyId === undefined ? undefined : checkKeyId('keyId', options.keyId),
    algorithm,
    decodeAlgorithms: decodeAlgorithms ?? [algorithm],
    secretKey: secrets === undefined ? secretKey as Secret | undefined : undefined,
    privateKey,
    publicKey
  }
  if (secrets === undefined) return [loadKey(key)]
  if (secrets.length === 0) throw badOption('secretKey', 'is an empty array; give at least one secret, the first of which signs')
  if (secrets.length > 1 && key.keyId !== undefined) {
    throw badOption('keyId', "names one key, and 'secretKey' has several; name each of them in 'keys'")
  }
  return secrets.map((secret, index) => loadSecret(`secretKey[${index}]`, key, secret))
}

function checkUsable (decodeAlgorithms: readonly Algorithm[] | undefined, loaded: readonly LoadedKey[]): void {
  const unusable = decodeAlgorithms?.find(algorithm => !loaded.some(key => key.verification.algorithms.includes(algorithm)))
  if (unusable !== undefined) {
    throw badOption('decodeAlgorithms', `has '${unusable}', which none of the keys can verify; remove it, or add such a key in 'keys'`)
  }
}

function keySet (loaded: readonly LoadedKey[]): KeySet {
  const jwks: JSONWebKeySet = { keys: loaded.flatMap(key => key.jwk ?? []) }
  Object.freeze(jwks.keys)
  return Object.freeze({
    signing: loaded[0]?.signing ?? null,
    verification: Object.freeze(loaded.map(key => key.verification)),
    opaqueKeys: Object.freeze(loaded.flatMap(key => key.signing?.opaqueKey ?? [])),
    jwks: Object.freeze(jwks)
  })
}

/** The local keys of an app that only accepts tokens of other issuers. */
export const noKeys: KeySet = keySet([])

/**
 * Reads and checks the local keys of a registration.
 *
 * @param others `true` if `decodeAlgorithms` may have algorithms that fit none of these keys: those of external keys, or of keys that a
 *   rotation adds.
 * @throws `FST_JWT_BAD_OPTION` with the option and the remedy, never with the key.
 */
export function loadKeys (options: LocalKeyOptions, others = false): KeySet {
  const decodeAlgorithms = checkAlgorithms(options)
  const loaded = options.keys === undefined
    ? loadSingleKey(options, decodeAlgorithms)
    : loadNamedKeys(options, decodeAlgorithms)
  if (!others) checkUsable(decodeAlgorithms, loaded)
  return keySet(loaded)
}
