import { readIdentity } from './identity-text.ts'
import type { SessionDocument, SessionRecord, SessionState } from '../types/store.ts'

/** Stands for the time `null`: the last time that a `Date` can hold, so that comparisons need no special case. */
export const never = 8_640_000_000_000_000

/** A time as a column holds it. */
export function writeTime (time: number | null): number {
  return time ?? never
}

/** A row of a table of sessions. Drivers return integers as numbers, bigints or strings. */
export type SqlRow = Readonly<Record<string, unknown>>

/** Reads a number. If it is missing, this throws, and the request is a 503: with `NaN`, no token would count as stale. */
export function readNumber (row: SqlRow, column: string): number {
  const value = Number(row[column] ?? NaN)
  if (Number.isNaN(value)) throw new Error(`The column '${column}' holds no number`)
  return value
}

/** The state of a session from its row. */
export function readStateRow (row: SqlRow): SessionState {
  return {
    version: readNumber(row, 'version'),
    generation: readNumber(row, 'generation'),
    used: readNumber(row, 'used') === 1,
    staleBefore: readNumber(row, 'stale_before')
  }
}

/** A session from its row. */
export function readSessionRow (row: SqlRow): SessionRecord {
  const expiresAt = readNumber(row, 'expires_at')
  return {
    ...readStateRow(row),
    id: row['id'] as string,
    identity: readIdentity(row['identity']),
    tokenId: row['token_id'] as string,
    previousTokenId: row['previous_token_id'] as string | null,
    rotatedAt: row['rotated_at'] === null ? null : readNumber(row, 'rotated_at'),
    expiresAt: expiresAt === never ? null : expiresAt,
    document: JSON.parse(row['document'] as string) as SessionDocument
  }
}

/** Where the next page of sessions begins: after the last session of this page. */
export function pageEnd (row: SqlRow): string {
  return `${Number(row['created_at'])} ${row['id'] as string}`
}

/** The time and the id after which a page begins. Sessions come newest first. */
export function pageStart (after: string | null): [createdAt: number, id: string] {
  if (after === null) return [never, '']
  const space = after.indexOf(' ')
  return [Number(after.slice(0, space)), after.slice(space + 1)]
}
