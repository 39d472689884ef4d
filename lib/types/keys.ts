import type { KeyObject } from 'node:crypto'

/** The supported signature algorithms of RFC 7518 §3 and RFC 8037. `none` is not one. */
export type Algorithm =
  | 'HS256' | 'HS384' | 'HS512'
  | 'RS256' | 'RS384' | 'RS512'
  | 'PS256' | 'PS384' | 'PS512'
  | 'ES256' | 'ES384' | 'ES512'
  | 'EdDSA'

/**
 * A JSON Web Key (RFC 7517 §4), with the members of every kind of key (RFC 7518 §6, RFC 8037 §2). Declared here, since not every
 * version of `@types/node` has one.
 */
export interface JWK {
  kty?: string | undefined
  alg?: string | undefined
  kid?: string | undefined
  use?: string | undefined
  key_ops?: string[]
  crv?: string | undefined
  x?: string | undefined
  y?: string | undefined
  d?: string | undefined
  n?: string | undefined
  e?: string | undefined
  p?: string | undefined
  q?: string | undefined
  dp?: string | undefined
  dq?: string | undefined
  qi?: string | undefined
  k?: string | undefined
  [member: string]: unknown
}

/**
 * An HMAC secret: text, bytes, a secret `KeyObject`, or a JWK of type `oct`. At least 32, 48 or 64 bytes for HS256, HS384
 * or HS512 (RFC 7518 §3.2).
 */
export type Secret = string | Uint8Array | KeyObject | JWK

/** A private key: PEM, `KeyObject`, JWK (RFC 7517) or its JSON text, or an encrypted PEM with its passphrase. */
export type PrivateKey =
  | string | Uint8Array | KeyObject | JWK | { key: string | Uint8Array, passphrase: string | Uint8Array | undefined }

/** A public key: PEM, an X.509 certificate in PEM, `KeyObject`, JWK (RFC 7517) or its JSON text. */
export type PublicKey = string | Uint8Array | KeyObject | JWK

/** A named key: a secret, or a private or public key. With `publicKey` alone it can only verify. */
export interface NamedKey {
  /** The name of the key, the `kid` of RFC 7515 §4.1.4. */
  keyId: string
  /** The algorithm it signs and verifies with. Default: the `algorithm` option. */
  algorithm?: Algorithm
  /** `undefined`, such as an environment variable that is not set, stops start-up. The same holds for the next two members. */
  secretKey?: Secret | undefined
  privateKey?: PrivateKey | undefined
  publicKey?: PublicKey | undefined
}

/**
 * What the `decodeKey` option returns: a secret or a public key, alone or with the algorithm that its tokens must have.
 */
export type DecodedKey =
  | Secret
  | PublicKey
  | { readonly algorithm?: Algorithm, readonly secretKey: Secret }
  | { readonly algorithm?: Algorithm, readonly publicKey: PublicKey }

/** Several keys: the first signs, all verify. */
export type KeysOption = readonly NamedKey[]

/** The JWK of a public key (RFC 7517 §4). */
export interface PublicJWK {
  kty: 'RSA' | 'EC' | 'OKP'
  /** The `keyId`, or else the thumbprint of the key (RFC 7638). */
  kid: string
  alg: Algorithm
  use: 'sig'
  /** The members of its kind of key: `n` and `e`; `crv` and `x`, with `y` on an elliptic curve of RFC 7518. */
  n?: string
  e?: string
  crv?: string
  x?: string
  y?: string
  [member: string]: unknown
}

/** A JWK Set (RFC 7517 §5). */
export interface JSONWebKeySet {
  keys: PublicJWK[]
}

/** A verified token, as `fast-jwt` returns it with `complete: true`. @internal */
export interface DecodedToken {
  header: Record<string, unknown> & { alg: string }
  payload: Record<string, unknown>
  /** Base64url. */
  signature: string
}

/** A key that signs, with its one algorithm. @internal */
export interface SigningKey {
  readonly keyId: string | undefined
  readonly algorithm: Algorithm
  /** The derived key for opaque refresh tokens. */
  readonly opaqueKey: Uint8Array
  /**
   * Signs claims as they are: `iat`, `nbf` and `exp` are the caller's. `headers` are added to `alg`, `typ` and `kid`.
   *
   * @throws {TypeError} If `headers` has `alg`, `kid` or `crit`.
   */
  sign (payload: Record<string, unknown>, headers?: Record<string, unknown>): string
}

/** A key that verifies, with the algorithms it may be used with (RFC 8725 §3.1). @internal */
export interface VerificationKey {
  readonly keyId: string | undefined
  readonly algorithms: readonly Algorithm[]
  /** In PEM, so that equal keys can be recognised; `null` for a secret. */
  readonly publicKey: string | null
  /**
   * Checks algorithm, signature and `crit`. Checks no claim.
   *
   * @throws `TokenError` of `fast-jwt`.
   */
  verify (token: string): DecodedToken
}

/** The local keys of a registration. A rotation replaces the whole object. @internal */
export interface KeySet {
  /** The first key; `null` if it can only verify. */
  readonly signing: SigningKey | null
  readonly verification: readonly VerificationKey[]
  /** The keys for opaque refresh tokens: one for each signing key, in the same order. */
  readonly opaqueKeys: readonly Uint8Array[]
  readonly jwks: JSONWebKeySet
}
