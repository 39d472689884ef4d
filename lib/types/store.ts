import type { MaybePromise } from './claims.ts'

/**
 * What a store holds of one session. Refresh tokens appear only as `tokenId`: the `jti` of a JWT, or
 * the SHA-256 of an opaque token, so that a leaked store holds nothing that can be presented.
 * Times are milliseconds since the epoch.
 */
export interface SessionRecord {
  /** Session id, the `sid` claim. */
  readonly id: string
  /** Who is logged in. */
  readonly identity: string
  readonly createdAt: number
  /** The login, or the last rotation. */
  readonly lastUsedAt: number
  /** When the current refresh token expires, and the session with it; `null` for never. */
  readonly expiresAt: number | null
  /** When the last access token of this session expires; a session that ends is denied at least so long. */
  readonly accessExpiresAt: number | null
  /** The refresh token that is current. */
  readonly current: RotatedToken
  /** The id of the refresh token that `current` replaced; `null` before the first rotation. */
  readonly previousTokenId: string | null
  /** When `current` replaced it. */
  readonly rotatedAt: number | null
  /** The claims given at creation, used again at each rotation. */
  readonly claims: Readonly<Record<string, unknown>>
  readonly metadata: Readonly<Record<string, unknown>>
}

/** What must be remembered of a refresh token to issue the very same one again. */
export interface RotatedToken {
  readonly tokenId: string
  /** Seconds since the epoch. */
  readonly issuedAt: number
  /** Seconds since the epoch; `null` for a token that does not expire. */
  readonly expiresAt: number | null
  /** Salt from which an opaque token is derived from its predecessor; empty for a JWT. */
  readonly salt: string
}

/** One step of refresh-token rotation, carried out atomically. */
export interface Rotation {
  /** The id of the refresh token that was presented. */
  readonly presented: string
  /** Its successor, should it be the current one. */
  readonly next: RotatedToken
  /**
   * The caller's time, milliseconds since the epoch. A store that several servers share may decide the
   * reuse interval by a clock of its own, on which they all agree.
   */
  readonly now: number
  /** How long, in milliseconds, the token just replaced still gets its successor; 0 for not at all. */
  readonly reuseInterval: number
  /** The new `expiresAt` of the session, milliseconds since the epoch; `null` for never. */
  readonly expiresAt: number | null
  /** The new `accessExpiresAt` of the session; the later of this and the old one is kept. */
  readonly accessExpiresAt: number | null
  /** Claims that replace those kept from the login; `null` keeps them. */
  readonly claims: Readonly<Record<string, unknown>> | null
}

/**
 * `rotated`: the presented token was current, and `next` is now. `repeated`: it was replaced within the
 * reuse interval, and `session.current` is the successor everybody gets. `reused`: it was replaced
 * before that, or was never of this session. `unknown`: there is no such session.
 */
export type RotationResult =
  | { readonly outcome: 'rotated' | 'repeated', readonly session: SessionRecord }
  | { readonly outcome: 'reused', readonly session: SessionRecord }
  | { readonly outcome: 'unknown' }

/** Ids that are refused until the tokens that carry them have expired. */
export interface Denylist {
  /**
   * Refuses a token. Asked twice, the later time holds.
   *
   * @param jti Its id.
   * @param sid The session it belongs to, or `null`. A store that is split by key keeps it there.
   * @param expiresAt Until when, milliseconds since the epoch, never forgotten before; `null` for ever.
   */
  denyToken (jti: string, sid: string | null, expiresAt: number | null): MaybePromise<void>
  /**
   * Whether the token or its session is refused: one round trip at most, since every request asks.
   *
   * @param jti The token's id, or `null` when it has none.
   * @param sid Its session, or `null`.
   */
  isDenied (jti: string | null, sid: string | null): MaybePromise<boolean>
}

/**
 * One record per login. Each method is atomic for its session. What comes in is copied, as JSON would,
 * and what goes out may be kept: a change to either is no change to the store.
 */
export interface SessionStore {
  createSession (session: SessionRecord): MaybePromise<void>
  /** The session, or `null` when it is unknown, ended or expired. */
  getSession (id: string): MaybePromise<SessionRecord | null>
  /** Compare and set: see {@link RotationResult}. A `reused` outcome does not end the session. */
  rotateSession (id: string, rotation: Rotation): MaybePromise<RotationResult>
  /**
   * Ends a session and denies its `sid` in the same step, so that no token of it passes from then on.
   * Denied even when there is no such session, since an access token may outlive its record.
   *
   * @param denyUntil Milliseconds since the epoch, or `null` for ever; the session's own
   *   `accessExpiresAt` when that is later.
   * @returns Whether there was one.
   */
  endSession (id: string, denyUntil: number | null): MaybePromise<boolean>
  /** The live sessions of an identity, newest first. */
  listSessions (identity: string): MaybePromise<SessionRecord[]>
}

/** Where revocations and sessions are kept. `MemoryStore` and `RedisStore` are two; write your own with `fastify-jwt-extended/store-contract`. */
export interface Store extends Denylist, SessionStore {
  /** Called once at registration; a rejection stops start-up. */
  open? (): MaybePromise<void>
  /** Called when the instance that made the store closes. Only the built-in default store is closed by this package. */
  close? (): MaybePromise<void>
}

/** One session, as `listSessions` shows it. */
export interface SessionInfo {
  id: string
  createdAt: Date
  lastUsedAt: Date
  /** `null` for a session without end. */
  expiresAt: Date | null
  metadata: Readonly<Record<string, unknown>>
}
