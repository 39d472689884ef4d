import { badOption } from '../../errors.ts'
import { allAlgorithms, isHmac } from '../algorithms.ts'
import { fetchJson } from './fetch-json.ts'
import { verificationKeyFromJwk } from '../jwk-set.ts'
import { discoveryUrl, readDiscoveredUrl, readRemoteUrl } from './url.ts'
import { createTokenBucket } from './token-bucket.ts'
import type { MaybePromise } from '../../types/claims.ts'
import type { Algorithm, VerificationKey } from '../../types/keys.ts'
import type { FetchKeys } from '../../types/options.ts'

/** Where a JWK Set is: at a URL, or at the URL in the discovery document of an issuer. */
export type JwkSetLocation = { readonly jwksUri: string } | { readonly issuer: string }

/** Options of {@link createRemoteJwkSet}. */
export interface RemoteJwkSetOptions {
  /** The algorithms accepted; HMAC algorithms are ignored. Default: every asymmetric algorithm. */
  algorithms?: readonly Algorithm[] | undefined
  /** The prefix of an option's name in an error at start-up, such as `'issuers[0].'`. Default: `''`. */
  path?: string
  /** Milliseconds for a fetch, discovery included. Default: 5,000. */
  timeout?: number
  /** Milliseconds for which keys are used without a new fetch. Default: 600,000. */
  maxAge?: number
  /** Milliseconds after a fetch for which keys are still used if the issuer does not answer. Default: 3,600,000. */
  maxStale?: number
  /** Milliseconds to wait after a failed fetch. Default: 1,000. */
  retryDelay?: number
  /** Used in place of `fetch`. */
  fetch?: FetchKeys | null
  /** How many fetches in a row unknown `kid`s may cause. Default: 5. */
  refetches?: number
  /** Milliseconds until they may cause one more. Default: 10,000. */
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

/** From this part of `maxAge` on, keys are fetched in the background, so that no request has to wait. */
const refreshAhead = 0.8

/** The issuer's keys could not be fetched, so nothing is known about the token; `cause` says why. */
export class KeysUnavailableError extends Error {
  override name = 'KeysUnavailableError'
}

/** The JWK Set of another issuer (RFC 7517 §5). */
export interface RemoteJwkSet {
  /** The algorithms accepted. */
  readonly algorithms: readonly Algorithm[]
  /**
   * The key that a token names by its `kid`. A token without `kid` gets the issuer's only key for its algorithm, or `null`
   * if there are several. While a key is in the set, every call returns the same object.
   *
   * @returns `null` if the issuer has no such key. A promise only if the keys have to be fetched.
   * @throws `KeysUnavailableError`, as a rejection, if the issuer does not answer.
   */
  find (header: Readonly<Record<string, unknown>>): MaybePromise<VerificationKey | null>
  /**
   * Fetches the keys again for a token without `kid` whose signature does not fit the key found: the issuer may have replaced its only key.
   * If the fetch fails, the old keys are used.
   *
   * @returns `null` for a token with a `kid`, right after a failed fetch, if the limit for unknown `kid`s is reached, or if there is no
   *   such key.
   */
  findAgain (header: Readonly<Record<string, unknown>>): MaybePromise<VerificationKey | null>
}

/** The keys of one fetch. */
interface FetchedSet {
  readonly fetchedAt: number
  find (kid: unknown, alg: unknown): VerificationKey | null
}

/** Milliseconds since a time. If the clock was set back, a time in the future counts as past, so that nothing waits for it. */
function since (time: number): number {
  return Math.abs(Date.now() - time)
}

function createFetchedSet (
  { keys }: Record<string, unknown>, allowed: readonly Algorithm[]
): FetchedSet {
  if (!Array.isArray(keys)) throw new TypeError('the response is not a JWK Set')
  const jwks: unknown[] = keys
  const fetchedAt = Date.now()
  // Keys are prepared on first use, since most keys of a large set never sign.
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
    find (kid, alg) {
      const candidates = (kid === undefined ? jwks : byKid.get(kid) ?? [])
        .map(prepare).filter(key => key !== null && key.algorithms.some(algorithm => algorithm === alg))
      // Keys of different types may share a `kid` (RFC 7517 §4.5), but two for one algorithm are ambiguous. One key that is
      // listed twice is still one.
      const [key = null, ...others] = candidates
      return others.every(other => other?.publicKey === key?.publicKey) ? key : null
    }
  }
}

/** Returns a function that fetches the JWK Set, from the URL configured or the one in the issuer's discovery document. */
function createFetcher (location: JwkSetLocation, path: string, fetchKeys: FetchKeys | undefined): (signal: AbortSignal) => Promise<Record<string, unknown>> {
  if ('jwksUri' in location) {
    const url = readRemoteUrl(`${path}jwksUri`, location.jwksUri)
    return signal => fetchJson(url, signal, fetchKeys)
  }
  const { issuer } = location
  const url = discoveryUrl(`${path}issuer`, issuer)
  return async signal => {
    const document = await fetchJson(url, signal, fetchKeys)
    // OpenID Connect Discovery 1.0 §4.3: otherwise one issuer could impersonate another.
    if (document.issuer !== issuer) throw new TypeError(`the discovery document is of the issuer ${(JSON.stringify(document.issuer) ?? 'none').slice(0, 200)}, expected ${JSON.stringify(issuer)}`)
    return fetchJson(readDiscoveredUrl(document.jwks_uri, url), signal, fetchKeys)
  }
}

/**
 * A JWK Set that is fetched when first needed, and cached.
 *
 * Every fetch returns all keys. A flood of made-up `kid`s is limited to a few fetches, but it can't hide a new key: these fetches return
 * it, too.
 *
 * @throws `FST_JWT_BAD_OPTION` for a URL that is not `https:`, or `http:` on a loopback host.
 */
export function createRemoteJwkSet (location: JwkSetLocation, options: RemoteJwkSetOptions = {}): RemoteJwkSet {
  const { path, timeout, maxAge, maxStale, retryDelay, refetches, refetchInterval } = { ...defaults, ...options }
  const algorithms = (options.algorithms ?? allAlgorithms).filter(algorithm => !isHmac(algorithm))
  if (algorithms.length === 0) {
    throw badOption('decodeAlgorithms', "has only algorithms that take a secret, which no issuer publishes; add the issuer's, such as 'RS256'")
  }
  const fetchSet = createFetcher(location, path, options.fetch ?? undefined)
  const bucket = createTokenBucket(refetches, refetchInterval)
  let set: FetchedSet | null = null
  let failure: { error: KeysUnavailableError, at: number } | null = null
  let pending: Promise<void> | null = null

  async function refresh (): Promise<void> {
    try {
      set = createFetchedSet(await fetchSet(AbortSignal.timeout(timeout)), algorithms)
      failure = null
    } catch (cause) {
      failure = { error: new KeysUnavailableError('the keys of the issuer could not be fetched', { cause }), at: Date.now() }
    } finally {
      pending = null
    }
  }

  /** Starts a fetch, or joins the one under way. Never rejects. */
  function refreshed (): Promise<void> {
    pending ??= refresh()
    return pending
  }

  /** The error of a fetch that has just failed, or `null`: then the issuer may be asked. */
  function recentError (): KeysUnavailableError | null {
    return failure !== null && since(failure.at) < retryDelay ? failure.error : null
  }

  /** The current set, or `null` if there is none or it is too old. */
  function usableSet (): FetchedSet | null {
    return set !== null && since(set.fetchedAt) < (failure === null ? maxAge : maxStale) ? set : null
  }

  /** The key in the current set, or the error of the last fetch. */
  function settle (kid: unknown, alg: unknown): VerificationKey | null {
    const key = usableSet()?.find(kid, alg) ?? null
    if (key === null && failure !== null) throw failure.error
    return key
  }

  async function findAfterRefresh (kid: unknown, alg: unknown): Promise<VerificationKey | null> {
    await refreshed()
    return settle(kid, alg)
  }

  return {
    algorithms,

    findAgain ({ alg, kid }) {
      if (kid !== undefined || (pending === null && (recentError() !== null || !bucket.take()))) return null
      return refreshed().then(() => set?.find(undefined, alg) ?? null)
    },

    find (header) {
      const { alg, kid } = header
      if (!algorithms.some(algorithm => algorithm === alg) || (kid !== undefined && typeof kid !== 'string')) return null

      // A fetch under way may be joined at any time.
      const error = pending === null ? recentError() : null
      const current = usableSet()
      if (current !== null) {
        const key = current.find(kid, alg)
        if (key !== null) {
          if (error === null && since(current.fetchedAt) > maxAge * refreshAhead) pending ??= refresh()
          return key
        }
        // If the last fetch succeeded, an unlisted key does not exist.
        if (pending === null && !(error === null && bucket.take())) {
          return failure === null ? null : Promise.reject(failure.error)
        }
        return findAfterRefresh(kid, alg)
      }
      return error === null ? findAfterRefresh(kid, alg) : Promise.reject(error)
    }
  }
}
