/** Algorithms of device proofs: those that browsers offer. */
export type DeviceAlgorithm = 'ES256' | 'RS256'

/** The public key of a device, as a JWK without any other member (RFC 7517 §4, RFC 7518 §6). */
export type DeviceKey =
  | { readonly kty: 'EC', readonly crv: 'P-256', readonly x: string, readonly y: string }
  | { readonly kty: 'RSA', readonly n: string, readonly e: string }

/** A challenge that a device may sign once. */
export interface DeviceChallenge {
  readonly value: string
  /** Milliseconds since the epoch, by the clock of the store. */
  readonly expiresAt: number
}

/** The device that a session is bound to, in the record of the session. It holds no secret of the device. */
export interface DeviceBinding {
  /** Part of the session identifier that the browser knows. */
  readonly id: string
  readonly algorithm: DeviceAlgorithm
  readonly publicKey: DeviceKey
  /** The generation of the tokens in the response to the registration. */
  readonly generation: number
  /** The CSRF token of double submit. It does not change, since an open page holds it. */
  readonly csrf?: string
  /** The challenges that are open. */
  readonly challenges: readonly DeviceChallenge[]
}
