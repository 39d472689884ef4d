import type { MaybePromise } from './claims.ts'

/**
 * What a store keeps of a session. A refresh token appears only as its `tokenId`: the `jti` of a JWT, or the SHA-256 of an
 * opaque token. So a leaked store holds no usable token. Times are milliseconds since the epoch.
 */
export interface SessionRecord {
  /** Session id, the `sid` claim. */
  readonly id: string
  /** The identity of the user. */
  readonly identity: string
  readonly createdAt: number
  /** The time of the login, or of the last rotation. */
  readonly lastUsedAt: number
  /** When the current refresh token expires, and the session with it; `null` for never. */
  readonly expiresAt: number | null
  /** When the last access token expires. An ended session is denied at least until then; `null` for ever. */
  readonly accessExpiresAt: number | null
  /** The current refresh token. */
  readonly current: RotatedToken
  /** The id of the refresh token that `current` replaced; `null` before the first rotation. */
  readonly previousTokenId: string | null
  /** When `current` replaced it; `null` before the first rotation. */
  readonly rotatedAt: number | null
  /** The app's claims, for every access token of the session. */
  readonly claims: Readonly<Record<string, unknown>>
  readonly metadata: Readonly<Record<string, unknown>>
}

/** What is kept of a refresh token, so that the same token can be issued again. */
export interface RotatedToken {
  readonly tokenId: string
  /** Seconds since the epoch. */
  readonly issuedAt: number
  /** Seconds since the epoch; `null` for a token that does not expire. */
  readonly expiresAt: number | null
  /** Salt from which an opaque token is derived from its predecessor; empty for a JWT. */
  readonly salt: string
}

/** One step of refresh-token rotation. It is atomic. */
export interface Rotation {
  /** The id of the refresh token that was presented. */
  readonly presented: string
  /** Its successor, if it is the current one. */
  readonly next: RotatedToken
  /**
   * The caller's time, milliseconds since the epoch. A store that several servers share may use its own clock for the reuse
   * interval, so that all of them agree.
   */
  readonly now: number
  /** Milliseconds for which a replaced token still gets its successor; 0 for none. */
  readonly reuseInterval: number
  /** The new `expiresAt` of the session, milliseconds since the epoch; `null` for never. */
  readonly expiresAt: number | null
  /** The new `accessExpiresAt` of the session; the later of this and the old one is kept. */
  readonly accessExpiresAt: number | null
  /** Claims that replace those of the session; `null` keeps them. */
  readonly claims: Readonly<Record<string, unknown>> | null
}

/**
 * The result of a rotation.
 *
 * - `rotated`: the presented token was current; now `next` is.
 * - `repeated`: it was replaced within the reuse interval; `session.current` is its successor.
 * - `reused`: it was replaced earlier, or never belonged to this session.
 * - `unknown`: there is no such session.
 */
export type RotationResult =
  | { readonly outcome: 'rotated' | 'repeated', readonly session: SessionRecord }
  | { readonly outcome: 'reused', readonly session: SessionRecord }
  | { readonly outcome: 'unknown' }

/** Ids of tokens and sessions that are refused until their tokens have expired. */
export interface Denylist {
  /**
   * Denies a token. If it is denied already, the later time holds.
   *
   * @param jti The id of the token.
   * @param sid Its session, or `null`. A store that is sharded by session keeps the denial there.
   * @param expiresAt Milliseconds since the epoch until which the denial must be kept; `null` for ever.
   */
  denyToken (jti: string, sid: string | null, expiresAt: number | null): MaybePromise<void>
  /**
   * Whether a token or its session is denied. Called for every request: take one round trip at most.
   *
   * @param jti The id of the token, or `null` if it has none.
   * @param sid Its session, or `null` if it has none.
   */
  isDenied (jti: string | null, sid: string | null): MaybePromise<boolean>
}

/**
 * One record per session. Each method is atomic for its session. A store copies what it is given, as JSON does. Changes to
 * objects that it was given or has returned do not change the store.
 */
export interface SessionStore {
  /** Stores a new session. */
  createSession (session: SessionRecord): MaybePromise<void>
  /** The session, or `null` if it is unknown, ended or expired. */
  getSession (id: string): MaybePromise<SessionRecord | null>
  /** Replaces the current token if it is the presented one: see {@link RotationResult}. `reused` does not end the session. */
  rotateSession (id: string, rotation: Rotation): MaybePromise<RotationResult>
  /**
   * Ends a session and denies its `sid` in one step, so that none of its tokens is accepted any more. Denies it even if
   * there is no such session, since an access token may outlive its record.
   *
   * @param denyUntil Milliseconds since the epoch, or `null` for ever. If the session's `accessExpiresAt` is later, that
   *   holds.
   * @returns Whether there was such a session.
   */
  endSession (id: string, denyUntil: number | null): MaybePromise<boolean>
  /** The live sessions of an identity, newest first. */
  listSessions (identity: string): MaybePromise<SessionRecord[]>
}

/**
 * Keeps revocations and sessions, as `MemoryStore` and `RedisStore` do. Test a store of your own with
 * `fastify-jwt-extended/store-contract`.
 */
export interface Store extends Denylist, SessionStore {
  /** Called once at registration. A rejection stops start-up. */
  open? (): MaybePromise<void>
  /** Closes the store. This package only closes its default store; the app closes its own. */
  close? (): MaybePromise<void>
}

/** A session in the result of `listSessions`. */
export interface SessionInfo {
  id: string
  createdAt: Date
  lastUsedAt: Date
  /** `null` for a session that does not expire. */
  expiresAt: Date | null
  metadata: Readonly<Record<string, unknown>>
}
