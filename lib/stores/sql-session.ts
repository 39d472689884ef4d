import type { SessionDocument, SessionRecord, SessionState } from '../types/store.ts'

/** `null` as a time: the last one that a `Date` can hold, so that "later than" needs no exception. */
export const never = 8_640_000_000_000_000

/** A time as a column holds it. */
export function writeTime (time: number | null): number {
  return time ?? never
}

/** A row of a table of sessions. Drivers answer integers as numbers, bigints or strings. */
export type SqlRow = Readonly<Record<string, unknown>>

/** Reads a number. One that is missing would be `NaN`, which no token is older than: it is an error, and so a 503. */
export function readNumber (row: SqlRow, column: string): number {
  const value = Number(row[column] ?? NaN)
  if (Number.isNaN(value)) throw new Error(`The column '${column}' holds no number`)
  return value
}

/** The state of a session from a row of it. */
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
    identity: row['identity'] as string,
    tokenId: row['token_id'] as string,
    previousTokenId: row['previous_token_id'] as string | null,
    rotatedAt: row['rotated_at'] === null ? null : readNumber(row, 'rotated_at'),
    expiresAt: expiresAt === never ? null : expiresAt,
    document: JSON.parse(row['document'] as string) as SessionDocument
  }
}

/** Where the next page of sessions begins: behind the last one of this page. */
export function pageEnd (row: SqlRow): string {
  return `${Number(row['created_at'])} ${row['id'] as string}`
}

/** The time and the id behind which a page begins. Sessions come newest first. */
export function pageStart (after: string | null): [createdAt: number, id: string] {
  if (after === null) return [never, '']
  const space = after.indexOf(' ')
  return [Number(after.slice(0, space)), after.slice(space + 1)]
}
