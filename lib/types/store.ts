import type { MaybePromise } from './claims.ts'
import type { DeviceBinding } from './device-binding.ts'

/*
 * The contract between this package and a store, version 2. Times are whole milliseconds since the epoch unless stated otherwise, at most
 * 8.64e15, the last that a `Date` can hold; `null` is "never". Arguments are copied, as JSON would copy them, and results do not change
 * later: changing either does not change the store. `fastify-jwt-extended/store-contract` tests each rule.
 */

/** The values that a session's refresh token is made of, so that the same token can be issued again. */
export interface RotatedToken {
  /** Seconds since the epoch. */
  readonly issuedAt: number
  /** Seconds since the epoch; `null` for a token that does not expire. */
  readonly expiresAt: number | null
  /** An opaque token is derived from this and a key of the server; empty for a JWT. */
  readonly salt: string
}

/** The part of a session that stores do not read: one JSON document. A store keeps unknown members. */
export interface SessionDocument {
  readonly createdAt: number
  /** The login, or the last rotation. */
  readonly lastUsedAt: number
  /** The current refresh token. */
  readonly token: RotatedToken
  /** Claims of the access tokens of this session. */
  readonly claims: Readonly<Record<string, unknown>>
  readonly metadata: Readonly<Record<string, unknown>>
  /** The device that the session is bound to. */
  readonly binding?: DeviceBinding
  readonly [member: string]: unknown
}

/** The fields of a session that decide about an access token. They are read for every request. */
export interface SessionState {
  /** Increases by one with every change. */
  readonly version: number
  /** How often the session was rotated: the `gen` claim of its current tokens. */
  readonly generation: number
  /** Whether a token of the current generation was accepted. */
  readonly used: boolean
  /** Access tokens of an earlier generation are stale: their claims have changed. */
  readonly staleBefore: number
}

/**
 * One login. Refresh tokens appear only as ids: the `jti` of a JWT, or the SHA-256 of an opaque token. So a leaked store holds no token.
 */
export interface SessionRecord extends SessionState {
  /** Session id, the `sid` claim. */
  readonly id: string
  /** Who is logged in. */
  readonly identity: string
  /** The current refresh token. */
  readonly tokenId: string
  /** The refresh token that the current one has replaced; `null` before the first rotation. */
  readonly previousTokenId: string | null
  /** When it was replaced, by the clock of the store. */
  readonly rotatedAt: number | null
  /** When the last token of the session expires, and so the record. */
  readonly expiresAt: number | null
  readonly document: SessionDocument
}

/** A session as a store returns it, with the time of the store's clock. */
export interface StoredSession {
  readonly session: SessionRecord
  readonly now: number
}

/** The new values of a session that is replaced. What is missing does not change. */
export interface SessionChange {
  readonly generation?: number
  readonly used?: boolean
  readonly staleBefore?: number
  readonly tokenId?: string
  readonly previousTokenId?: string
  /** `true`: the store sets `rotatedAt`, by its own clock. */
  readonly rotated?: boolean
  readonly expiresAt?: number | null
  readonly document?: SessionDocument
}

/** How many sessions an identity may have, and what happens if there would be more. */
export interface SessionLimit {
  /** At least 1. */
  readonly max: number
  /** `endOldest`: the oldest sessions end. `refuse`: the new session is not created. */
  readonly whenFull: 'endOldest' | 'refuse'
}

/** The result of `createSession`. */
export interface CreatedSession {
  /** `false` if the limit was reached, or if `endSessions` was called at the same time. */
  readonly created: boolean
  /** The ids of the sessions that ended because of the limit. */
  readonly ended: readonly string[]
}

/** A page of sessions that were ended. */
export interface EndedSessions {
  readonly ended: readonly string[]
  /** Whether there are, or may be, more. */
  readonly more: boolean
}

/** A page of sessions. */
export interface SessionPage {
  readonly sessions: readonly SessionRecord[]
  /** Where the next page begins; `null` on the last page. */
  readonly next: string | null
}

/** Ids that are refused until their tokens have expired. Nothing is evicted earlier. */
export interface Denylist {
  /**
   * Refuses a token. If it is called twice, the later time applies.
   *
   * @param jti Its id.
   * @param sid The session it belongs to, or `null`. A sharded store keeps both in one place.
   * @param expiresAt When the denial ends.
   */
  denyToken (jti: string, sid: string | null, expiresAt: number | null): MaybePromise<void>
  /** Refuses all tokens of a session, also if the store has no record of it. If it is called twice, the later time applies. */
  denySession (sid: string, expiresAt: number | null): MaybePromise<void>
  /** Whether a token or its session is refused: one round trip, since it is called for requests. */
  isDenied (jti: string | null, sid: string | null): MaybePromise<boolean>
  /**
   * Records the use of an id that must not be used twice: that of a DPoP proof. One atomic step for all servers. There is such an id for
   * every request, so they are deleted soon after `expiresAt`. They are separate from ids of tokens and sessions.
   *
   * @param expiresAt Until when a second use is refused.
   * @returns `true` for the first use, `false` for any other before `expiresAt`. After it, either.
   */
  useOnce (id: string, expiresAt: number): MaybePromise<boolean>
}

/** One record for each login. Each method is one atomic step. */
export interface SessionStore {
  /**
   * Adds a session.
   *
   * @param limit How many its identity may have, this one included; `null` for no limit. It is checked in the same atomic step.
   */
  createSession (session: SessionRecord, limit: SessionLimit | null): MaybePromise<CreatedSession>
  /** The session, or `null` if it is unknown, ended or expired. */
  getSession (id: string): MaybePromise<StoredSession | null>
  /** As `getSession`, without the document: one round trip, since it is called for requests. */
  getSessionState (id: string): MaybePromise<SessionState | null>
  /**
   * Changes a session if its version is still the one that the caller has read (compare and set).
   *
   * @param version The version that was read.
   * @returns Whether it was changed.
   */
  replaceSession (id: string, version: number, change: SessionChange): MaybePromise<boolean>
  /** Ends a session, and its tokens with it. @returns Its identity, or `null` if there was none. */
  endSession (id: string): MaybePromise<string | null>
  /**
   * Ends up to `limit` sessions of an identity. If it is called until there are no more, every session is ended that was created, or was
   * being created, before the last call.
   *
   * @param except The id of a session that is not ended, or `null`.
   */
  endSessions (identity: string, except: string | null, limit: number): MaybePromise<EndedSessions>
  /**
   * The live sessions of an identity, newest first.
   *
   * @param after `next` of the page before, or `null`.
   * @param limit Sessions in one page.
   */
  listSessions (identity: string, after: string | null, limit: number): MaybePromise<SessionPage>
}

/**
 * What a store knows about a token of a session: `denied` if the token or the session is refused, `unknown` if there is no such session.
 */
export type TokenState = 'denied' | 'unknown' | SessionState

/** The fields of an access token that `judge` needs. */
export interface HeldToken {
  readonly jti: string | null
  readonly sid: string | null
  /** The `gen` claim. */
  readonly generation: number | undefined
  /** The `iat` claim, in seconds since the epoch. */
  readonly issuedAt: number | undefined
}

/** Members of a store that keeps its denials in the memory of every server. All are optional. */
export interface ReplicatedStore {
  /**
   * A number that grows whenever the store may have lost data, for example after a failover. Sessions that were found earlier are then
   * looked up again. Without it, a session that the store has lost passes until its access token expires.
   */
  readonly epoch?: number
  /**
   * Decides about an access token from memory. For a refresh token, the store is always queried, since the tokens made from it would
   * outlive a mistake.
   *
   * @returns `passes` if it is neither denied nor stale; `denied`; `ask` if the store must be queried.
   */
  judge? (token: HeldToken): 'passes' | 'denied' | 'ask'
  /**
   * Calls the listener with the id of each session that another server has ended.
   *
   * @returns A function that removes the listener.
   */
  onSessionEnd? (listener: (sid: string) => void): () => void
}

/** Where revocations and sessions are kept. */
export interface Store extends Denylist, SessionStore, ReplicatedStore {
  /** `isDenied` and `getSessionState` together: one round trip, since it is called for every request with a token of a session. */
  checkToken (jti: string | null, sid: string): MaybePromise<TokenState>
  /** Called once at registration, and awaited. A rejection stops start-up. */
  open? (): MaybePromise<void>
}

/** A denylist and sessions that are kept in two places. */
export interface SplitStore {
  readonly denylist: Denylist & ReplicatedStore & { open? (): MaybePromise<void> }
  readonly sessions: SessionStore & ReplicatedStore & { open? (): MaybePromise<void> }
}

/** A live session, as `listSessions` shows it. */
export interface SessionInfo {
  id: string
  createdAt: Date
  lastUsedAt: Date
  /** `null` for a session that does not expire. */
  expiresAt: Date | null
  metadata: Readonly<Record<string, unknown>>
  /** Whether it is bound to a device; see the `deviceBinding` option. */
  bound: boolean
}
