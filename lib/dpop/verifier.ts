import { createHash } from 'node:crypto'
import { after } from '../after.ts'
import { badOption, conceal } from '../errors.ts'
import { refusePromise } from '../refuse-promise.ts'
import { failClosed } from '../stores/fail-closed.ts'
import { boundKeyOf } from './bound-key.ts'
import { sendNonce } from './fresh-nonce.ts'
import { createNonces } from './nonce.ts'
import { createProofReader } from './proof.ts'
import { normalizeUri, requestUri } from './target-uri.ts'
import type { FastifyRequest } from 'fastify'
import type { ResolvedProofOptions } from '../options/dpop.ts'
import type { Settings } from '../options/settings.ts'
import type { JwtClaims, MaybePromise } from '../types/claims.ts'
import type { FoundLocation } from '../types/hooks.ts'
import type { Store } from '../types/store.ts'
import type { Proof } from './proof.ts'

/** For how many seconds a used proof is remembered after it expires, since the clocks of servers and store differ. */
const margin = 10

/** Where a token was found. */
export interface Presented {
  readonly location: FoundLocation
  /** Whether it came with the scheme `DPoP`. */
  readonly bound: boolean
  readonly cookie: unknown
}

/** Proofs of possession (RFC 9449). */
export interface ProofVerifier {
  /**
   * Checks that a bound token came with a proof by its key, and that an unbound token is allowed.
   *
   * @returns The thumbprint of that key, or `null` for a token that is not bound. A promise only if the store returned one.
   * @throws `FST_JWT_DPOP_PROOF`, `FST_JWT_DPOP_NONCE`, `FST_JWT_DPOP_BINDING`, `FST_JWT_STORE_UNAVAILABLE`
   */
  checkToken (request: FastifyRequest, token: string, claims: JwtClaims, presented: Presented): MaybePromise<string | null>
  /**
   * Checks the proof of a token request. The tokens in the response are bound to its key (RFC 9449 §5).
   *
   * @returns The thumbprint of that key, or `null` for a request without a proof.
   * @throws As `checkToken`; `FST_JWT_DPOP_PROOF` also for a request without a proof if every token must be bound.
   */
  keyOf (request: FastifyRequest): MaybePromise<string | null>
  /** Refuses a token that needs a proof but did not come in a request. @throws `FST_JWT_DPOP_BINDING` */
  refuseWithoutRequest (claims: JwtClaims): void
}

/** The proof that a request has used. Several hooks of a route may check it. */
interface UsedProof {
  readonly text: string
  readonly store: Store
  /** Whether it was used for the first time. */
  readonly first: MaybePromise<boolean>
}

const kUsedProof = Symbol('fastify-jwt-extended.usedProof')

declare module 'fastify' {
  interface FastifyRequest {
    [kUsedProof]?: UsedProof
  }
}

function sha256 (text: string): string {
  return createHash('sha256').update(text).digest('base64url')
}

/** @param keys Returns the current keys of opaque tokens. The keys for nonces are derived from them, or from `nonceSecret`. */
export function createProofVerifier ({ errors }: Settings, options: ResolvedProofOptions, store: Store, keys: () => readonly Uint8Array[]): ProofVerifier {
  const { required, replayWindow, clockTolerance, nonceLife, nonceSecret, url } = options
  const readProof = createProofReader(options.algorithms, errors)
  const { useOnce } = failClosed(store, errors)
  const secrets = nonceSecret === null ? null : [nonceSecret]
  const nonces = nonceLife === null ? null : { life: nonceLife, ...createNonces(secrets === null ? keys : () => secrets) }

  /** The one proof of a request (RFC 9449 §4.3, 1). */
  function proofIn ({ headers: { dpop } }: FastifyRequest): string {
    if (dpop === undefined) throw errors.FST_JWT_DPOP_PROOF('missing')
    // Node.js joins headers of one name with a comma, which a proof never has.
    if (typeof dpop !== 'string' || dpop.includes(',')) throw errors.FST_JWT_DPOP_PROOF('several')
    return dpop
  }

  function uriOf (request: FastifyRequest): string | null {
    if (url === null) return requestUri(request.protocol, request.host, request.originalUrl)
    const given: unknown = url(request)
    if (typeof given === 'string') return normalizeUri(given)
    try {
      refusePromise(given, 'dpop.url', 'a URL as text')
      throw badOption('dpop.url', 'must return a URL as text')
    } catch (error) {
      throw conceal(error)
    }
  }

  /**
   * When the proof expires, in seconds since the epoch. It depends on the nonce if one is required, else on `iat` (RFC 9449 §4.3, 10 and
   * 11).
   */
  function expiryOf (request: FastifyRequest, { iat, nonce }: Proof): number {
    const now = Date.now() / 1000
    if (nonces !== null) {
      const madeAt = nonces.madeAt(nonce)
      const age = madeAt === null ? Infinity : now - madeAt
      // Sent early, so that the client need not repeat a request to get the next nonce.
      if (age > nonces.life / 2 || age < -clockTolerance) sendNonce(request, nonces.current())
      if (madeAt === null || age > nonces.life || age < -clockTolerance) throw errors.FST_JWT_DPOP_NONCE()
      return madeAt + nonces.life
    }
    const expiry = iat + replayWindow + clockTolerance
    if (iat > now + clockTolerance || expiry <= now) throw errors.FST_JWT_DPOP_PROOF('iat')
    return expiry
  }

  /** Whether this request is the first to use a proof. Two clients may choose the same `jti`, so the key counts, too. */
  function isFirstUse (request: FastifyRequest, text: string, { thumbprint, jti }: Proof, expiry: number): MaybePromise<boolean> {
    const used = request[kUsedProof]
    if (used?.text === text && used.store === store) return used.first
    const first = useOnce(sha256(JSON.stringify([thumbprint, jti])), Math.ceil((expiry + margin) * 1000))
    request[kUsedProof] = { text, store, first }
    return first
  }

  /**
   * Checks the proof of a request.
   *
   * @param key The key that must have made it; `null` for any.
   * @param token The access token that it must name; `null` for none.
   * @returns The thumbprint of its key.
   */
  function checkProof (request: FastifyRequest, key: string | null, token: string | null): MaybePromise<string> {
    const text = proofIn(request)
    const proof = readProof(text)
    const { thumbprint, htm, htu, ath } = proof
    if (htm !== request.method) throw errors.FST_JWT_DPOP_PROOF('htm')
    const uri = normalizeUri(htu)
    if (uri === null || uri !== uriOf(request)) throw errors.FST_JWT_DPOP_PROOF('htu')
    const expiry = expiryOf(request, proof)
    if (token !== null && ath !== sha256(token)) throw errors.FST_JWT_DPOP_PROOF('ath')
    if (key !== null && thumbprint !== key) throw errors.FST_JWT_DPOP_BINDING('Invalid DPoP key binding')
    return after(isFirstUse(request, text, proof, expiry), first => {
      // Only `true` passes: a store that returns nothing must not accept a proof.
      if (first !== true) throw errors.FST_JWT_DPOP_PROOF('replayed')
      return thumbprint
    })
  }

  return {
    checkToken (request, token, claims, { location, bound, cookie }) {
      const key = boundKeyOf(claims)
      if (key === null) {
        // A browser creates no proof for a token in a cookie.
        if (bound || (required && cookie === null)) throw errors.FST_JWT_DPOP_BINDING('Token is not bound to a key')
        return null
      }
      // RFC 9449 §7.2. A refresh token comes in the body of a token request, and its proof beside it (§5).
      const fits = bound || location === 'extractToken' || (claims.type === 'refresh' && location !== 'headers')
      if (!fits) throw errors.FST_JWT_DPOP_BINDING('Token is bound to a key: send it with the scheme DPoP and a proof')
      return checkProof(request, key, claims.type === 'access' ? token : null)
    },

    keyOf: request => request.headers['dpop'] === undefined && !required ? null : checkProof(request, null, null),

    refuseWithoutRequest (claims) {
      if (boundKeyOf(claims) !== null) throw errors.FST_JWT_DPOP_BINDING('Token is bound to a key: send it in a request, with a proof')
      if (required) throw errors.FST_JWT_DPOP_BINDING('Token is not bound to a key')
    }
  }
}
