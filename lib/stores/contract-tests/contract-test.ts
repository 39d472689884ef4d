import { randomUUID } from 'node:crypto'
import type { Rotation, RotatedToken, SessionRecord, Store } from '../../types/store.ts'

/** A test of one rule that every store must keep. */
export interface StoreContractTest {
  /** The rule, as a sentence. */
  readonly name: string
  /** Rejects with an `AssertionError` if the store breaks the rule. */
  readonly run: (store: Store) => Promise<void>
}

const hour = 3_600_000

/** Ids and identities that break careless keys, queries and delimiters. @internal */
export const awkward: readonly string[] = [
  '', ' ', 'with space', '{brace}', '{}', '}{', 'a:b', "quote ' and \"", 'percent %s %', 'back\\slash',
  'new\nline', 'zoë ☃ 𝒳', '__proto__', 'null', '*', '-- ; DROP TABLE sessions', 'long'.repeat(500)
]

/** Waits. @internal */
export function sleep (milliseconds: number): Promise<void> {
  return new Promise(resolve => { setTimeout(resolve, milliseconds) })
}

/** A copy by way of JSON, since a store may return objects with another prototype. @internal */
export function plain (value: unknown): unknown {
  return JSON.parse(JSON.stringify(value))
}

/** A refresh token that lives for an hour. @internal */
export function refreshToken (changes: Partial<RotatedToken> = {}): RotatedToken {
  const now = Math.floor(Date.now() / 1000)
  return { tokenId: randomUUID(), issuedAt: now, expiresAt: now + 3600, salt: '', ...changes }
}

/** A new session, with an id and an identity of its own. @internal */
export function session (changes: Partial<SessionRecord> = {}): SessionRecord {
  const now = Date.now()
  return {
    id: randomUUID(),
    identity: randomUUID(),
    createdAt: now,
    lastUsedAt: now,
    expiresAt: now + hour,
    accessExpiresAt: now + hour / 4,
    current: refreshToken(),
    previousTokenId: null,
    rotatedAt: null,
    claims: {},
    metadata: {},
    ...changes
  }
}

/** A rotation that presents a session's current refresh token. @internal */
export function rotationOf (record: SessionRecord, changes: Partial<Rotation> = {}): Rotation {
  const now = Date.now()
  return {
    presented: record.current.tokenId,
    next: refreshToken(),
    now,
    reuseInterval: 10_000,
    expiresAt: now + hour,
    accessExpiresAt: now + hour / 4,
    claims: null,
    ...changes
  }
}
