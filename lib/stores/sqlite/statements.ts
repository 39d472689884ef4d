import { createTables, tableNames } from './schema.ts'
import type { SqliteDatabase, SqliteStatement } from './database.ts'

/** Every statement of the store, prepared once. */
export type Statements = Readonly<Record<
  'deny' | 'isDenied' | 'useOnce' | 'checkToken' | 'insert' | 'count' | 'oldest' | 'find' | 'state' | 'replace' | 'end' | 'endAll' | 'list' |
  'feed' | 'beginFeed' | 'renewFeed' | 'lastOfFeed' | 'readFeed' | 'loadDenials' | 'loadFeed' |
  'forgetDenials' | 'forgetUsedIds' | 'forgetSessions' | 'forgetFeed', SqliteStatement>>

/** Creates the tables if they do not exist, and prepares the statements. @throws `FST_JWT_BAD_OPTION` for tables of an earlier version. */
export function prepareStatements (database: SqliteDatabase, prefix: string): Statements {
  createTables(database, prefix)
  const { denials, usedIds, sessions, feed } = tableNames(prefix)
  const denied = `EXISTS (SELECT 1 FROM ${denials} WHERE kind = 'token' AND id = ?) OR EXISTS (SELECT 1 FROM ${denials} WHERE kind = 'session' AND id = ?)`
  const sql: Record<keyof Statements, string> = {
    deny: `INSERT INTO ${denials} (kind, id, expires_at) VALUES (?, ?, ?)
      ON CONFLICT (kind, id) DO UPDATE SET expires_at = max(expires_at, excluded.expires_at)`,
    isDenied: `SELECT ${denied} AS denied`,
    useOnce: `INSERT INTO ${usedIds} (id, expires_at) VALUES (?, ?) ON CONFLICT (id) DO NOTHING`,
    // One text: a driver takes longer to build a row of five columns than SQLite to find it. A damaged row gives one that can't be read.
    checkToken: `SELECT CASE WHEN ${denied} THEN 'denied' ELSE (
        SELECT coalesce(version || ' ' || generation || ' ' || used || ' ' || stale_before, 'damaged') FROM ${sessions} WHERE id = ? AND expires_at > ?
      ) END AS state`,
    insert: `INSERT INTO ${sessions} (id, identity_json, version, generation, used, stale_before, token_id, previous_token_id, rotated_at, created_at, expires_at, document)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    count: `SELECT count(*) AS count FROM ${sessions} WHERE identity_json = ? AND expires_at > ?`,
    oldest: `DELETE FROM ${sessions} WHERE id IN
      (SELECT id FROM ${sessions} WHERE identity_json = ? AND expires_at > ? ORDER BY created_at, id LIMIT ?) RETURNING id`,
    find: `SELECT *, identity_json AS identity FROM ${sessions} WHERE id = ? AND expires_at > ?`,
    state: `SELECT version, generation, used, stale_before FROM ${sessions} WHERE id = ? AND expires_at > ?`,
    replace: `UPDATE ${sessions} SET version = version + 1, generation = coalesce(?, generation), used = coalesce(?, used),
      stale_before = coalesce(?, stale_before), token_id = coalesce(?, token_id), previous_token_id = coalesce(?, previous_token_id),
      rotated_at = coalesce(?, rotated_at), expires_at = coalesce(?, expires_at), document = coalesce(?, document)
      WHERE id = ? AND version = ? AND expires_at > ?`,
    end: `DELETE FROM ${sessions} WHERE id = ? RETURNING identity_json, expires_at`,
    endAll: `DELETE FROM ${sessions} WHERE id IN
      (SELECT id FROM ${sessions} WHERE identity_json = ? AND id IS NOT ? ORDER BY created_at, id LIMIT ?) RETURNING id`,
    list: `SELECT *, identity_json AS identity FROM ${sessions} WHERE identity_json = ? AND (created_at, id) < (?, ?) AND expires_at > ?
      ORDER BY created_at DESC, id DESC LIMIT ?`,
    feed: `SELECT id, expires_at FROM ${feed} WHERE place = 0`,
    // The third parameter is the clock skew. A feed from the future is replaced.
    beginFeed: `INSERT INTO ${feed} (place, kind, id, expires_at) VALUES (0, 'feed', ?, ?)
      ON CONFLICT (place) DO UPDATE SET id = excluded.id, expires_at = excluded.expires_at
      WHERE CAST(id AS INTEGER) > CAST(excluded.id AS INTEGER) + ?`,
    renewFeed: `UPDATE ${feed} SET expires_at = ? WHERE place = 0`,
    lastOfFeed: `SELECT * FROM ${feed} ORDER BY place DESC LIMIT 1`,
    readFeed: `SELECT * FROM ${feed} WHERE place >= ? ORDER BY place LIMIT ?`,
    loadDenials: load(denials),
    loadFeed: load(feed),
    forgetDenials: `DELETE FROM ${denials} WHERE (kind, id) IN (SELECT kind, id FROM ${denials} WHERE expires_at <= ? LIMIT ?)`,
    forgetUsedIds: `DELETE FROM ${usedIds} WHERE id IN (SELECT id FROM ${usedIds} WHERE expires_at <= ? LIMIT ?)`,
    forgetSessions: `DELETE FROM ${sessions} WHERE id IN (SELECT id FROM ${sessions} WHERE expires_at <= ? LIMIT ?)`,
    // The last row stays: those who have read it know by it that they have missed nothing.
    forgetFeed: `DELETE FROM ${feed} WHERE place IN
      (SELECT place FROM ${feed} WHERE expires_at <= ? AND place < (SELECT max(place) FROM ${feed}) LIMIT ?)`
  }
  return Object.fromEntries(Object.entries(sql).map(([name, text]) => [name, database.prepare(text)])) as Record<keyof Statements, SqliteStatement>
}

/** The next live denials, in the order of a covering index. */
function load (table: string): string {
  return `SELECT kind, id, expires_at FROM ${table} WHERE (expires_at, kind, id) > (?, ?, ?) AND kind <> 'feed' ORDER BY expires_at, kind, id LIMIT ?`
}
