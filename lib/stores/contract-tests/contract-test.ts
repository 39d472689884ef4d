import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import type { SessionDocument, SessionRecord, Store, StoredSession } from '../../types/store.ts'

/** One rule that every store keeps. */
export interface StoreContractTest {
  /** The rule, as a sentence. */
  readonly name: string
  /** What happens to users of a store that breaks it. */
  readonly lost: string
  /** Rejects with an `AssertionError` if the store breaks the rule. */
  readonly run: (store: Store) => Promise<void>
}

/** Milliseconds. @internal */
export const hour = 3_600_000

/** Ids and identities that break a careless key, query or delimiter. @internal */
export const awkward: readonly string[] = [
  ' ', 'with space', '{brace}', '{}', '}{', 'a:b', "quote ' and \"", 'percent %s %', 'back\\slash',
  'new\nline', 'zoë ☃ 𝒳', '__proto__', 'null', '*', '-- ; DROP TABLE sessions', 'long'.repeat(500),
  // Some drivers cut a text off at NUL, and all of them write lone surrogates as the same character.
  'nul\0one', 'nul\0two', 'nul', 'half \ud800', 'half \ud801', 'half \ufffd', '#', '=', '~'
]

/** Waits. @internal */
export function sleep (milliseconds: number): Promise<void> {
  return new Promise(resolve => { setTimeout(resolve, milliseconds) })
}

/** A copy through JSON, because a store may return objects with another prototype. @internal */
export function plain (value: unknown): unknown {
  return JSON.parse(JSON.stringify(value))
}

/** The document of a new session. @internal */
export function documentOf (changes: Partial<SessionDocument> = {}): SessionDocument {
  const now = Date.now()
  const seconds = Math.floor(now / 1000)
  return {
    createdAt: now,
    lastUsedAt: now,
    token: { issuedAt: seconds, expiresAt: seconds + 3600, salt: '' },
    claims: {},
    metadata: {},
    ...changes
  }
}

/** A new session with its own id and identity. @internal */
export function session (changes: Partial<SessionRecord> = {}): SessionRecord {
  return {
    id: randomUUID(),
    identity: randomUUID(),
    version: 0,
    generation: 0,
    used: true,
    staleBefore: 0,
    tokenId: randomUUID(),
    previousTokenId: null,
    rotatedAt: null,
    expiresAt: Date.now() + hour,
    document: documentOf(),
    ...changes
  }
}

/** Adds a session to a store. @internal */
export async function start (store: Store, changes: Partial<SessionRecord> = {}): Promise<SessionRecord> {
  const record = session(changes)
  await store.createSession(record, null)
  return record
}

/** Reads a session that must exist, with the time of the store's clock. @internal */
export async function read (store: Store, id: string): Promise<StoredSession> {
  const stored = await store.getSession(id)
  assert.ok(stored !== null, 'the session is not there')
  return stored
}

/** All sessions of an identity, page after page. @internal */
export async function listed (store: Store, identity: string, limit = 100): Promise<SessionRecord[]> {
  const sessions: SessionRecord[] = []
  let next: string | null = null
  do {
    const page = await store.listSessions(identity, next, limit)
    sessions.push(...page.sessions)
    next = page.next
  } while (next !== null)
  return sessions
}
