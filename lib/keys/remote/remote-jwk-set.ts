import { badOption } from '../../errors.ts'
import { allAlgorithms, isHmac } from '../algorithms.ts'
import { fetchJson } from './fetch-json.ts'
import { verificationKeyFromJwk } from '../jwk-set.ts'
import { discoveryUrl, readDiscoveredUrl, readRemoteUrl } from './url.ts'
import { createTokenBucket } from './token-bucket.ts'
import type { MaybePromise } from '../../types/claims.ts'
import type { Algorithm, VerificationKey } from '../../types/keys.ts'

/** Where an issuer publishes its keys: a JWK Set, or an issuer whose discovery document names one. */
export type RemoteKeySource = { readonly jwksUri: string } | { readonly issuer: string }

export interface RemoteKeysOptions {
  /** What may be verified with; HMAC algorithms are left out. Default: every asymmetric algorithm. */
  algorithms?: readonly Algorithm[] | undefined
  /** Where the source stands in the options, for errors at start-up: `''`, or such as `'issuers[0].'`. */
  path?: string
  /** Milliseconds that the issuer may take to answer, discovery included. */
  timeout?: number
  /** Milliseconds that keys are used without asking again. */
  maxAge?: number
  /** Milliseconds since they were fetched that keys are used when the issuer cannot be asked. */
  maxStale?: number
  /** Milliseconds after a failure in which the issuer is left alone. */
  retryDelay?: number
  /** How many fetches in a row unknown `kid`s may cause … */
  refetches?: number
  /** … and in how many milliseconds they may cause one more. */
  refetchInterval?: number
}

const defaults = {
  path: '',
  timeout: 5_000,
  maxAge: 600_000,
  maxStale: 3_600_000,
  retryDelay: 1_000,
  refetches: 5,
  refetchInterval: 10_000
}

/** From this part of `maxAge` on, keys are fetched again beside the requests, so that none has to wait. */
const refreshAhead = 0.8

/** Whether a token is good cannot be known, because its issuer's keys cannot be had; `cause` says why. */
export class KeysUnavailableError extends Error {
  override name = 'KeysUnavailableError'
}

/** The keys of an issuer elsewhere. */
export interface RemoteKeys {
  /** What may be verified with. */
  readonly algorithms: readonly Algorithm[]
  /**
   * The key a token names, or `null` when its issuer has no such key. At once while the keys are known, else
   * as a promise. A removed or replaced key is no longer found, so `find(header) === key` holds for a key that
   * is still good.
   *
   * Without a `kid` it is the issuer's only key for that algorithm; with several, there is no telling.
   *
   * @throws `KeysUnavailableError`, as a rejection, when the issuer cannot be asked.
   */
  find (header: Readonly<Record<string, unknown>>): MaybePromise<VerificationKey | null>
  /**
   * The key once more, freshly fetched, when the one found has not made the signature of a token without `kid`: its
   * issuer may have replaced its only key. `null` when the limit for unknown `kid`s does not allow it, or nothing
   * can be had; for a token with a `kid`, which says of itself whether its key is known, always.
   */
  findAgain (header: Readonly<Record<string, unknown>>): MaybePromise<VerificationKey | null>
}

/** What an issuer said at one time. */
interface FetchedSet {
  readonly fetchedAt: number
  find (kid: unknown, algorithm: Algorithm): VerificationKey | null
}

/** However the clock was set meanwhile: a time that seems to lie ahead must not stop everything until then. */
function since (time: number): number {
  return Math.abs(Date.now() - time)
}

function createFetchedSet (
  { keys }: Record<string, unknown>, allowed: readonly Algorithm[]
): FetchedSet {
  if (!Array.isArray(keys)) throw new TypeError('the answer is no JWK Set')
  const jwks: unknown[] = keys
  const fetchedAt = Date.now()
  // Prepared when first asked for: of a set of many keys, few sign at a time.
  const prepared = new Map<unknown, VerificationKey | null>()
  const byKid = new Map<unknown, unknown[]>()
  for (const jwk of jwks) {
    if (typeof jwk !== 'object' || jwk === null || !('kid' in jwk)) continue
    const sameKid = byKid.get(jwk.kid)
    if (sameKid === undefined) byKid.set(jwk.kid, [jwk])
    else sameKid.push(jwk)
  }

  function prepare (jwk: unknown): VerificationKey | null {
    let key = prepared.get(jwk)
    if (key === undefined) {
      key = verificationKeyFromJwk(jwk, allowed)
      prepared.set(jwk, key)
    }
    return key
  }

  return {
    fetchedAt,
    find (kid, algorithm) {
      const candidates = (kid === undefined ? jwks : byKid.get(kid) ?? [])
        .map(prepare).filter(key => key?.algorithms.includes(algorithm))
      // One name may stand for keys of different types (RFC 7517 §4.5), but not for two of the same.
      return candidates.length === 1 ? candidates[0] as VerificationKey : null
    }
  }
}

/** Fetches a JWK Set from the one place that is configured, or that the configured issuer names. */
function createFetcher (source: RemoteKeySource, path: string): (signal: AbortSignal) => Promise<Record<string, unknown>> {
  if ('jwksUri' in source) {
    const url = readRemoteUrl(`${path}jwksUri`, source.jwksUri)
    return signal => fetchJson(url, signal)
  }
  const { issuer } = source
  const url = discoveryUrl(`${path}issuer`, issuer)
  return async signal => {
    const document = await fetchJson(url, signal)
    // OpenID Connect Discovery 1.0 §4.3: else one issuer could speak for another.
    if (document.issuer !== issuer) throw new TypeError('the discovery document is of another issuer')
    return fetchJson(readDiscoveredUrl(document.jwks_uri, url), signal)
  }
}

/**
 * The keys of an issuer elsewhere, fetched when first needed and kept.
 *
 * Every fetch brings all keys, so it does not matter which token caused it: a flood of made-up `kid`s uses up
 * the fetches it may cause, and keys that really are new arrive with them.
 *
 * @throws `FST_JWT_BAD_OPTION` for a URL that is not `https:`, or `http:` on a loopback host.
 */
export function createRemoteKeys (source: RemoteKeySource, options: RemoteKeysOptions = {}): RemoteKeys {
  const { path, timeout, maxAge, maxStale, retryDelay, refetches, refetchInterval } = { ...defaults, ...options }
  const algorithms = (options.algorithms ?? allAlgorithms).filter(algorithm => !isHmac(algorithm))
  if (algorithms.length === 0) {
    throw badOption('decodeAlgorithms', "has only algorithms that take a secret, which no issuer publishes; add the issuer's, such as 'RS256'")
  }
  const fetchSet = createFetcher(source, path)
  const bucket = createTokenBucket(refetches, refetchInterval)
  let set: FetchedSet | null = null
  let failure: { error: KeysUnavailableError, at: number } | null = null
  let pending: Promise<void> | null = null

  async function refresh (): Promise<void> {
    try {
      set = createFetchedSet(await fetchSet(AbortSignal.timeout(timeout)), algorithms)
      failure = null
    } catch (cause) {
      failure = { error: new KeysUnavailableError('the keys of the issuer cannot be had', { cause }), at: Date.now() }
    } finally {
      pending = null
    }
  }

  /** One fetch at a time, which everyone waits for; it never rejects. */
  function refreshed (): Promise<void> {
    pending ??= refresh()
    return pending
  }

  function isLeftAlone (): boolean {
    return failure !== null && since(failure.at) < retryDelay
  }

  function isUsable (): boolean {
    return set !== null && since(set.fetchedAt) < (failure === null ? maxAge : maxStale)
  }

  /** The last word: what is known now, or why nothing is. */
  function settle (kid: unknown, algorithm: Algorithm): VerificationKey | null {
    const key = isUsable() ? (set as FetchedSet).find(kid, algorithm) : null
    if (key === null && failure !== null) throw failure.error
    return key
  }

  async function findAfterRefresh (kid: unknown, algorithm: Algorithm): Promise<VerificationKey | null> {
    await refreshed()
    return settle(kid, algorithm)
  }

  return {
    algorithms,

    findAgain ({ alg, kid }) {
      if (kid !== undefined || (pending === null && (isLeftAlone() || !bucket.take()))) return null
      return refreshed().then(() => (set as FetchedSet).find(undefined, alg as Algorithm))
    },

    find (header) {
      const { alg, kid } = header
      const algorithm = algorithms.find(name => name === alg)
      if (algorithm === undefined || (kid !== undefined && typeof kid !== 'string')) return null

      const mayFetch = pending !== null || !isLeftAlone()
      if (set !== null && isUsable()) {
        const key = set.find(kid, algorithm)
        if (key !== null) {
          if (mayFetch && since(set.fetchedAt) > maxAge * refreshAhead) pending ??= refresh()
          return key
        }
        // Nothing is known against the issuer, so what it does not list it does not have.
        if (pending === null && !(mayFetch && bucket.take())) {
          return failure === null ? null : Promise.reject(failure.error)
        }
        return findAfterRefresh(kid, algorithm)
      }
      return mayFetch ? findAfterRefresh(kid, algorithm) : Promise.reject((failure as { error: KeysUnavailableError }).error)
    }
  }
}
