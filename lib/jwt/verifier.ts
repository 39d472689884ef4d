import { badOption } from '../errors.ts'
import { isHmac, secretCommand } from '../keys/algorithms.ts'
import { createCallbackKeys } from '../keys/callback.ts'
import { checkAlgorithms, loadKeys, noKeys } from '../keys/local.ts'
import { createIssuerKeys } from '../keys/remote/issuer-keys.ts'
import { createRemoteJwkSet } from '../keys/remote/remote-jwk-set.ts'
import { wrongIssuer } from './claims.ts'
import { createIntrospectionVerifier } from '../resource/introspection.ts'
import { createExternalVerifier } from './verify-external.ts'
import { createIssuerSources } from './issuer-sources.ts'
import { createLocalVerifier } from './verify.ts'
import type { Settings } from '../options/settings.ts'
import type { Algorithm, KeySet, KeysOption } from '../types/keys.ts'
import type { ExternalKeys } from '../keys/external.ts'
import type { JwkSetLocation } from '../keys/remote/remote-jwk-set.ts'
import type { TokenVerifier } from './verify.ts'

const foundOptions = ['decodeKey', 'jwksUri', 'issuers'] as const
const ownOptions = ['secretKey', 'privateKey', 'publicKey', 'keys'] as const

/** The option that gives keys of our own. */
function localKeysOption ({ keyOptions }: Settings): string | undefined {
  return ownOptions.find(name => keyOptions[name] !== undefined)
}

/** The option for external keys; `null` if there is none. */
function externalKeysOption (settings: Settings): typeof foundOptions[number] | null {
  const [first, second] = foundOptions.filter(name => settings[name] !== null)
  if (first !== undefined && second !== undefined) {
    throw badOption(first, `cannot be combined with '${second}'; ` + (first === 'decodeKey'
      ? 'it alone says which key verifies a token'
      : "give the URL as 'jwksUri' of one of the issuers"))
  }
  return first ?? null
}

/** The option that names the accepted issuers, by the option that verifies their tokens. For all others it is `decodeIssuer`. */
const namesIssuers: ReadonlyMap<string, string> = new Map([['issuers', 'issuers'], ['introspection', 'introspection.issuer']])

function checkWithoutOwnKeys (settings: Settings, found: string): void {
  if (settings.keyOptions.keyId !== undefined) throw badOption('keyId', 'has no effect without a key; leave it out')
  if (settings.jwksPath !== null) throw badOption('jwksPath', 'has no keys to serve, since no key of your own is given; leave it out')
  const says = namesIssuers.get(found)
  if (says === undefined) return
  for (const name of ['issuer', 'decodeIssuer'] as const) {
    if (settings[name] !== null) throw badOption(name, `has no effect without a key of your own; list the accepted issuers in '${says}'`)
  }
}

/** Refuses options for external keys that contradict those for our own keys. */
function checkTogether (settings: Settings, own: string | undefined, found: string): void {
  if (own === undefined) {
    checkWithoutOwnKeys(settings, found)
  } else if (found === 'jwksUri') {
    throw badOption('jwksUri', `cannot be combined with '${own}', since it is unclear which of the keys a token is for; ` +
      "give it in 'issuers', with the issuer's name")
  }
  if (found === 'decodeKey' && settings.implicitRefresh !== false) {
    throw badOption('implicitRefresh', "renews tokens of your own keys only, and with 'decodeKey' there are none; leave it out")
  }
}

/** Requires a signing key or `nonceSecret`, with which nonces of proofs are made. @throws `FST_JWT_BAD_OPTION` */
function checkNonceKeys (keys: KeySet, { dpop }: Settings): KeySet {
  if (dpop && dpop.nonceLife !== null && dpop.nonceSecret === null && keys.signing === null) {
    throw badOption('dpop.nonceSecret', `is missing, and there is no signing key to derive it from; create a secret with \`${secretCommand()}\`, the same for every server`)
  }
  return keys
}

/** Checks that the other options can use the local keys. @throws `FST_JWT_BAD_OPTION` */
function checkOwnKeys (keys: KeySet, settings: Settings): KeySet {
  if (settings.jwksPath !== null && keys.jwks.keys.length === 0) {
    throw badOption('jwksPath', "has nothing to serve, since a secret is never published; sign with a 'privateKey', or leave it out")
  }
  if (settings.decodeKey !== null && keys.signing === null) {
    throw badOption('decodeKey', "verifies every token, so that a public key beside it does nothing; leave that out, or give a 'privateKey' to sign with")
  }
  return checkNonceKeys(keys, settings)
}

/**
 * Loads and checks the keys of a rotation.
 *
 * @throws `FST_JWT_BAD_OPTION` for bad keys; `TypeError` if the registration has no keys of its own.
 */
export function loadRotatedKeys (settings: Settings, keys: KeysOption): KeySet {
  if (localKeysOption(settings) === undefined) throw new TypeError('This registration has no keys of its own that could be replaced')
  const { algorithm, decodeAlgorithms } = settings.keyOptions
  // `decodeAlgorithms` stays, and may have algorithms that only the keys of another rotation use.
  return checkOwnKeys(loadKeys({ algorithm, decodeAlgorithms, keys: keys ?? [] }, true), settings)
}

/** The algorithms accepted of other issuers' keys; `undefined` for every one that fits a key. */
function remoteAlgorithms (settings: Settings): readonly Algorithm[] | undefined {
  const decodeAlgorithms = checkAlgorithms(settings.keyOptions)
  const { algorithm } = settings.keyOptions
  if (decodeAlgorithms !== undefined || algorithm === undefined || localKeysOption(settings) !== undefined) return decodeAlgorithms
  if (isHmac(algorithm)) throw badOption('algorithm', `is '${algorithm}', which takes a secret, and no issuer publishes one; set it to the issuer's, such as 'RS256', or leave it out`)
  return [algorithm]
}

function remoteSource (settings: Settings, from: JwkSetLocation, path: string, accessOnly: boolean): ExternalKeys {
  const { jwksMaxAge, jwksMaxStale, jwksFetch } = settings
  return createIssuerKeys(createRemoteJwkSet(from, {
    algorithms: remoteAlgorithms(settings), path, maxAge: jwksMaxAge * 1000, maxStale: jwksMaxStale * 1000, fetch: jwksFetch
  }), settings, accessOnly)
}

/** Asks another issuer about every token, or about those that no key can verify. */
function createAskingVerifier (settings: Settings, introspection: NonNullable<Settings['introspection']>): TokenVerifier {
  const alone = externalKeysOption(settings) === null && localKeysOption(settings) === undefined
  if (!alone) return createIntrospectionVerifier(settings, introspection, createKeyVerifier(settings), false)
  checkWithoutOwnKeys(settings, 'introspection')
  for (const name of ['algorithm', 'decodeAlgorithms'] as const) {
    if (settings.keyOptions[name] !== undefined) throw badOption(name, 'has no effect, since no token is verified with a key; leave it out')
  }
  if (settings.requireAccessTokenType) throw badOption('requireAccessTokenType', 'has no effect, since the issuer is asked about every token; leave it out')
  return createIntrospectionVerifier(settings, introspection, createLocalVerifier(settings, checkNonceKeys(noKeys, settings)), true)
}

/**
 * Creates the verifier of a registration. It uses our own keys, those of one or several other issuers, those that `decodeKey` returns, or
 * introspection.
 *
 * @throws `FST_JWT_BAD_OPTION`
 */
export function createTokenVerifier (settings: Settings): TokenVerifier {
  return settings.introspection === null ? createKeyVerifier(settings) : createAskingVerifier(settings, settings.introspection)
}

function createKeyVerifier (settings: Settings): TokenVerifier {
  const found = externalKeysOption(settings)
  if (found === null) {
    const keys = checkOwnKeys(loadKeys(settings.keyOptions), settings)
    if (settings.requireAccessTokenType && keys.signing !== null) throw badOption('requireAccessTokenType', 'has no effect, since only tokens of your own keys are accepted; leave it out')
    return createLocalVerifier(settings, keys)
  }

  const ownName = localKeysOption(settings)
  checkTogether(settings, ownName, found)
  checkAlgorithms(settings.keyOptions)
  const own = createLocalVerifier(settings, ownName === undefined ? checkNonceKeys(noKeys, settings) : checkOwnKeys(loadKeys(settings.keyOptions, true), settings))
  const { decodeKey, issuers, jwksUri, errors } = settings
  if (decodeKey !== null) {
    const source = createCallbackKeys(settings, decodeKey)
    return createExternalVerifier(settings, () => source, own)
  }
  if (issuers === null) {
    const source = remoteSource(settings, { jwksUri: jwksUri as string }, '', false)
    return createExternalVerifier(settings, () => source, own)
  }
  const find = createIssuerSources(settings, issuers, (claims, from, path) => remoteSource(claims, from, path, true))
  return createExternalVerifier(settings, ({ claims }) => {
    const source = find(claims['iss'])
    if (source === null && ownName === undefined) throw wrongIssuer(claims['iss'], issuers.map(({ issuer }) => issuer), errors)
    return source
  }, own)
}
