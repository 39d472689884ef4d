/** What the prepared statements of `node:sqlite`, `better-sqlite3` and `libsql` have in common. */
export interface SqliteStatement {
  run (...parameters: unknown[]): { readonly changes: number | bigint }
  get (...parameters: unknown[]): unknown
  all (...parameters: unknown[]): unknown[]
}

/** A database of `node:sqlite`, `better-sqlite3` or `libsql`. */
export interface SqliteDatabase {
  exec (sql: string): unknown
  prepare (sql: string): SqliteStatement
}

/**
 * Runs work in a transaction that takes the write lock first. So it waits for other writers at its start, and is never refused halfway.
 *
 * Every write needs it, also a single statement. If a statement that writes by itself finds the file locked, `libsql` leaves it unfinished:
 * later writes are then not committed, and are undone when the statement runs again.
 */
export function inTransaction<T> (database: SqliteDatabase, work: () => T): T {
  database.exec('BEGIN IMMEDIATE')
  try {
    const result = work()
    database.exec('COMMIT')
    return result
  } catch (error) {
    try {
      database.exec('ROLLBACK')
    } catch {
      // SQLite has rolled back by itself, as it does on a full disk. The first error says why.
    }
    throw error
  }
}
