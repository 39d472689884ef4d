import type { SqliteDatabase, SqliteStatement } from './database.ts'

/** The tables of the store, under a prefix. Times are milliseconds since the epoch. */
function schema (prefix: string): string {
  return `
CREATE TABLE IF NOT EXISTS "${prefix}denials" (
  kind TEXT NOT NULL,
  id TEXT NOT NULL,
  expires_at INTEGER NOT NULL,
  PRIMARY KEY (kind, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS "${prefix}denials_expiry" ON "${prefix}denials" (expires_at);
CREATE TABLE IF NOT EXISTS "${prefix}used_ids" (
  id TEXT NOT NULL PRIMARY KEY,
  expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS "${prefix}used_ids_expiry" ON "${prefix}used_ids" (expires_at);
CREATE TABLE IF NOT EXISTS "${prefix}sessions" (
  id TEXT NOT NULL PRIMARY KEY,
  identity TEXT NOT NULL,
  version INTEGER NOT NULL,
  generation INTEGER NOT NULL,
  used INTEGER NOT NULL,
  stale_before INTEGER NOT NULL,
  token_id TEXT NOT NULL,
  previous_token_id TEXT,
  rotated_at INTEGER,
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  document TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS "${prefix}sessions_identity" ON "${prefix}sessions" (identity, created_at, id);
CREATE INDEX IF NOT EXISTS "${prefix}sessions_expiry" ON "${prefix}sessions" (expires_at);`
}

/** Every statement of the store, prepared once. */
export type Statements = Readonly<Record<
  'deny' | 'isDenied' | 'useOnce' | 'checkToken' | 'insert' | 'count' | 'oldest' | 'find' | 'state' | 'replace' | 'end' | 'endAll' | 'list' |
  'forgetDenials' | 'forgetUsedIds' | 'forgetSessions', SqliteStatement>>

/** Creates the tables if they do not exist, and prepares the statements. */
export function prepareStatements (database: SqliteDatabase, prefix: string): Statements {
  database.exec(schema(prefix))
  const denials = `"${prefix}denials"`
  const usedIds = `"${prefix}used_ids"`
  const sessions = `"${prefix}sessions"`
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
    insert: `INSERT INTO ${sessions} (id, identity, version, generation, used, stale_before, token_id, previous_token_id, rotated_at, created_at, expires_at, document)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    count: `SELECT count(*) AS count FROM ${sessions} WHERE identity = ? AND expires_at > ?`,
    oldest: `DELETE FROM ${sessions} WHERE id IN
      (SELECT id FROM ${sessions} WHERE identity = ? AND expires_at > ? ORDER BY created_at, id LIMIT ?) RETURNING id`,
    find: `SELECT * FROM ${sessions} WHERE id = ? AND expires_at > ?`,
    state: `SELECT version, generation, used, stale_before FROM ${sessions} WHERE id = ? AND expires_at > ?`,
    replace: `UPDATE ${sessions} SET version = version + 1, generation = coalesce(?, generation), used = coalesce(?, used),
      stale_before = coalesce(?, stale_before), token_id = coalesce(?, token_id), previous_token_id = coalesce(?, previous_token_id),
      rotated_at = coalesce(?, rotated_at), expires_at = coalesce(?, expires_at), document = coalesce(?, document)
      WHERE id = ? AND version = ? AND expires_at > ?`,
    end: `DELETE FROM ${sessions} WHERE id = ? RETURNING identity, expires_at`,
    endAll: `DELETE FROM ${sessions} WHERE id IN
      (SELECT id FROM ${sessions} WHERE identity = ? AND id IS NOT ? ORDER BY created_at, id LIMIT ?) RETURNING id`,
    list: `SELECT * FROM ${sessions} WHERE identity = ? AND (created_at, id) < (?, ?) AND expires_at > ?
      ORDER BY created_at DESC, id DESC LIMIT ?`,
    forgetDenials: `DELETE FROM ${denials} WHERE (kind, id) IN (SELECT kind, id FROM ${denials} WHERE expires_at <= ? LIMIT ?)`,
    forgetUsedIds: `DELETE FROM ${usedIds} WHERE id IN (SELECT id FROM ${usedIds} WHERE expires_at <= ? LIMIT ?)`,
    forgetSessions: `DELETE FROM ${sessions} WHERE id IN (SELECT id FROM ${sessions} WHERE expires_at <= ? LIMIT ?)`
  }
  return Object.fromEntries(Object.entries(sql).map(([name, text]) => [name, database.prepare(text)])) as Record<keyof Statements, SqliteStatement>
}
