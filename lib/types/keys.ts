import type { JsonWebKey, KeyObject } from 'node:crypto'

/** The signature algorithms of RFC 7518 §3 and RFC 8037 that are supported; `none` never is. */
export type Algorithm =
  | 'HS256' | 'HS384' | 'HS512'
  | 'RS256' | 'RS384' | 'RS512'
  | 'PS256' | 'PS384' | 'PS512'
  | 'ES256' | 'ES384' | 'ES512'
  | 'EdDSA'

/**
 * An HMAC secret: its text, its bytes, a secret `KeyObject`, or a JWK of type `oct`. At least as long as the
 * hash: 32, 48 or 64 bytes (RFC 7518 §3.2).
 */
export type Secret = string | Uint8Array | KeyObject | JsonWebKey

/** A private key: PEM, `KeyObject`, JWK (RFC 7517), or an encrypted PEM with its passphrase. */
export type PrivateKey =
  | string | Uint8Array | KeyObject | JsonWebKey | { key: string | Uint8Array, passphrase: string | Uint8Array }

/** A public key: PEM (an X.509 certificate included), `KeyObject` or JWK (RFC 7517). */
export type PublicKey = string | Uint8Array | KeyObject | JsonWebKey

/** One named key: a secret, or a private or public key. With `publicKey` alone it verifies only. */
export interface NamedKey {
  /** The key's name, the `kid` of RFC 7515 §4.1.4. */
  keyId: string
  /** What it signs and verifies with. Default: the `algorithm` option. */
  algorithm?: Algorithm
  secretKey?: Secret
  privateKey?: PrivateKey
  publicKey?: PublicKey
}

/**
 * What the `decodeKey` option returns: a secret or a public key, or one with the algorithm that its tokens must have.
 */
export type DecodedKey =
  | Secret
  | PublicKey
  | { readonly algorithm?: Algorithm, readonly secretKey: Secret }
  | { readonly algorithm?: Algorithm, readonly publicKey: PublicKey }

/** Several keys: the first signs, all verify. */
export type KeysOption = readonly NamedKey[]

/** A public key as it is published (RFC 7517 §4). */
export interface PublicJWK extends JsonWebKey {
  /** The `keyId`, or the thumbprint (RFC 7638) of a key without one. */
  kid: string
  alg: Algorithm
  use: 'sig'
}

/** A JWK Set (RFC 7517 §5). */
export interface JSONWebKeySet {
  keys: PublicJWK[]
}

/** A verified token as `fast-jwt` gives it with `complete: true`. @internal */
export interface DecodedToken {
  header: Record<string, unknown> & { alg: string }
  payload: Record<string, unknown>
  /** Base64url. */
  signature: string
}

/** A key that signs, bound to one algorithm. @internal */
export interface SigningKey {
  readonly keyId: string | undefined
  readonly algorithm: Algorithm
  /** Derived from it, for opaque refresh tokens. */
  readonly opaqueKey: Uint8Array
  /**
   * Signs claims that carry their own `iat`, `nbf` and `exp`; `headers` are added to `alg`, `typ` and `kid`.
   *
   * @throws `TypeError` for a header `alg`, `kid` or `crit`.
   */
  sign (payload: Record<string, unknown>, headers?: Record<string, unknown>): string
}

/** A key that verifies, bound to the algorithms it may be used with (RFC 8725 §3.1). @internal */
export interface VerificationKey {
  readonly keyId: string | undefined
  readonly algorithms: readonly Algorithm[]
  /**
   * Checks algorithm, signature and `crit`; no claim is checked.
   *
   * @throws `TokenError` of `fast-jwt`.
   */
  verify (token: string): DecodedToken
}

/** The keys of one registration, at one moment; rotating replaces the whole. @internal */
export interface KeySet {
  /** The first key, or `null` when it only verifies. */
  readonly signing: SigningKey | null
  readonly verification: readonly VerificationKey[]
  /** For opaque refresh tokens: of each key that signs, the first one first. */
  readonly opaqueKeys: readonly Uint8Array[]
  readonly jwks: JSONWebKeySet
}
