import type { MaybePromise } from './claims.ts'
import type { DeviceBinding } from './device-binding.ts'

/*
 * The contract between this package and a store, version 2. Times are milliseconds since the epoch unless they say otherwise;
 * `null` is "never". What comes in is copied, as JSON would, and what goes out may be kept: a change to either is no change to
 * the store. `fastify-jwt-extended/store-contract` tests each rule.
 */

/** What a session's next refresh token is made of, so that the very same one can be issued again. */
export interface RotatedToken {
  /** Seconds since the epoch. */
  readonly issuedAt: number
  /** Seconds since the epoch; `null` for a token that does not expire. */
  readonly expiresAt: number | null
  /** From which an opaque token is derived, together with a key of the server; empty for a JWT. */
  readonly salt: string
}

/** All of a session that no store compares: one JSON document. A store keeps members that it does not know. */
export interface SessionDocument {
  readonly createdAt: number
  /** The login, or the last rotation. */
  readonly lastUsedAt: number
  /** The refresh token that is current. */
  readonly token: RotatedToken
  /** Claims of the access tokens of this session. */
  readonly claims: Readonly<Record<string, unknown>>
  readonly metadata: Readonly<Record<string, unknown>>
  /** The device that the session is bound to. */
  readonly binding?: DeviceBinding
  readonly [member: string]: unknown
}

/** The fields of a session that decide about an access token. A store answers them for every request. */
export interface SessionState {
  /** Goes up by one with every change. */
  readonly version: number
  /** How often the session was rotated: the `gen` claim of its current tokens. */
  readonly generation: number
  /** Whether a token of the current generation was accepted. */
  readonly used: boolean
  /** Access tokens of an earlier generation are stale: their claims have changed since. */
  readonly staleBefore: number
}

/**
 * One login. Refresh tokens appear only as ids: the `jti` of a JWT, or the SHA-256 of an opaque token, so that a leaked store
 * holds nothing that can be presented.
 */
export interface SessionRecord extends SessionState {
  /** Session id, the `sid` claim. */
  readonly id: string
  /** Who is logged in. */
  readonly identity: string
  /** The refresh token that is current. */
  readonly tokenId: string
  /** The refresh token that the current one has replaced; `null` before the first rotation. */
  readonly previousTokenId: string | null
  /** When it was replaced, by the clock of the store. */
  readonly rotatedAt: number | null
  /** When the last token made in its name expires, and the record with it. */
  readonly expiresAt: number | null
  readonly document: SessionDocument
}

/** A session as a store answers it, with the time on the store's clock. */
export interface StoredSession {
  readonly session: SessionRecord
  readonly now: number
}

/** The new values of a session that is replaced. What is not there stays. */
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

/** How many sessions an identity may have, and what happens to one too many. */
export interface SessionLimit {
  /** At least 1. */
  readonly max: number
  /** `endOldest`: those that were created first end. `refuse`: the new one is not created. */
  readonly whenFull: 'endOldest' | 'refuse'
}

/** What became of a session that was to be created. */
export interface CreatedSession {
  /** `false` if there are as many as `limit` allows, or if `endSessions` came in between. */
  readonly created: boolean
  /** The ids of the sessions that ended for it. */
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
  /** Where the next page begins; `null` after the last one. */
  readonly next: string | null
}

/** Ids that are refused until the tokens that carry them have expired. Nothing is forgotten before. */
export interface Denylist {
  /**
   * Refuses a token. Asked twice, the later time holds.
   *
   * @param jti Its id.
   * @param sid The session it belongs to, or `null`. A store that is split by key keeps both in one place.
   * @param expiresAt Until when.
   */
  denyToken (jti: string, sid: string | null, expiresAt: number | null): MaybePromise<void>
  /** Refuses all tokens of a session that this store may have no record of. Asked twice, the later time holds. */
  denySession (sid: string, expiresAt: number | null): MaybePromise<void>
  /** Whether a token or its session is refused: one round trip, since requests ask it. */
  isDenied (jti: string | null, sid: string | null): MaybePromise<boolean>
  /**
   * Uses an id that must not be used twice: the proof of a request (`dpop`). One atomic step, whoever shares the store. Ids of this
   * kind come with every request: they are forgotten soon after `expiresAt`, and are told apart from those of tokens and sessions.
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
   * @param limit How many its identity may have, this one included; `null` for any number. Decided in the same step.
   */
  createSession (session: SessionRecord, limit: SessionLimit | null): MaybePromise<CreatedSession>
  /** The session, or `null` if it is unknown, ended or expired. */
  getSession (id: string): MaybePromise<StoredSession | null>
  /** As `getSession`, without the document: one round trip, since requests ask it. */
  getSessionState (id: string): MaybePromise<SessionState | null>
  /**
   * Changes a session, if it still is as the caller has read it (compare and set).
   *
   * @param version The version that was read.
   * @returns Whether it was changed.
   */
  replaceSession (id: string, version: number, change: SessionChange): MaybePromise<boolean>
  /** Ends a session, and its tokens with it. @returns Its identity, or `null` if there was none. */
  endSession (id: string): MaybePromise<string | null>
  /**
   * Ends up to `limit` sessions of an identity. Called until there are no more, no session is left that was created, or was
   * being created, before the last call.
   *
   * @param except The id of a session that stays, or `null`.
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
 * What a store knows of a token that belongs to a session: `denied` if the token or the session is refused, `unknown` if there
 * is no such session.
 */
export type TokenState = 'denied' | 'unknown' | SessionState

/** An access token, as a store knows it that holds its denials in the memory of every server. */
export interface HeldToken {
  readonly jti: string | null
  readonly sid: string | null
  /** The `gen` claim. */
  readonly generation: number | undefined
  /** The `iat` claim, in seconds since the epoch. */
  readonly issuedAt: number | undefined
}

/** What a store adds that holds its denials in the memory of every server, too. Both are optional. */
export interface ReplicatedStore {
  /**
   * Judges an access token without a question. A refresh token is always asked about: what is made of it would outlive a mistake.
   *
   * @returns `passes` if it is neither denied nor stale; `denied`; `ask` if the store has to say it.
   */
  judge? (token: HeldToken): 'passes' | 'denied' | 'ask'
  /**
   * Calls back with the id of each session that another server has ended.
   *
   * @returns Ends it.
   */
  onSessionEnd? (listener: (sid: string) => void): () => void
}

/** Where revocations and sessions are kept. */
export interface Store extends Denylist, SessionStore, ReplicatedStore {
  /** `isDenied` and `getSessionState` at once: one round trip, since every request with a token of a session asks it. */
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
  /** `null` for a session without end. */
  expiresAt: Date | null
  metadata: Readonly<Record<string, unknown>>
  /** Whether it is bound to a device; see the `deviceBinding` option. */
  bound: boolean
}
