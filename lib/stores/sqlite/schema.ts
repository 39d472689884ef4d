import { badOption } from '../../errors.ts'
import type { SqliteDatabase } from './database.ts'

/**
 * Milliseconds for which an expired row is kept. If the clock jumps ahead by less, and back, no revoked token passes, and no user
 * is signed out for good.
 */
export const grace = 86_400_000

/** Names of the tables, quoted. */
export interface TableNames {
  readonly denials: string
  readonly usedIds: string
  readonly sessions: string
  readonly feed: string
}

export function tableNames (prefix: string): TableNames {
  return { denials: `"${prefix}denials"`, usedIds: `"${prefix}used_ids"`, sessions: `"${prefix}sessions"`, feed: `"${prefix}feed"` }
}

/**
 * The tables of the store, and triggers that publish each denial in the feed, whichever statement or program has made it. Times are
 * milliseconds since the epoch.
 *
 * SQLite has one writer at a time, so places in the feed are in the order of the commits. The row at place 0 is the feed itself: its id
 * is the time when it was created. Without it, nothing is published.
 */
function schemaSql (prefix: string): string {
  const { denials, usedIds, sessions, feed } = tableNames(prefix)
  const publish = (name: string, event: string, condition: string, values: string): string => `
CREATE TRIGGER IF NOT EXISTS "${prefix}publish_${name}" ${event} WHEN ${condition} EXISTS (SELECT 1 FROM ${feed} WHERE place = 0)
BEGIN
  INSERT INTO ${feed} (kind, id, expires_at) VALUES (${values});
END;`
  return `
CREATE TABLE IF NOT EXISTS ${denials} (
  kind TEXT NOT NULL,
  id TEXT NOT NULL,
  expires_at INTEGER NOT NULL,
  PRIMARY KEY (kind, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS "${prefix}denials_expiry" ON ${denials} (expires_at);
CREATE TABLE IF NOT EXISTS ${usedIds} (
  id TEXT NOT NULL PRIMARY KEY,
  expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS "${prefix}used_ids_expiry" ON ${usedIds} (expires_at);
CREATE TABLE IF NOT EXISTS ${sessions} (
  id TEXT NOT NULL PRIMARY KEY,
  identity_json TEXT NOT NULL,
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
CREATE INDEX IF NOT EXISTS "${prefix}sessions_identity" ON ${sessions} (identity_json, created_at, id);
CREATE INDEX IF NOT EXISTS "${prefix}sessions_expiry" ON ${sessions} (expires_at);
CREATE TABLE IF NOT EXISTS ${feed} (
  place INTEGER PRIMARY KEY AUTOINCREMENT,
  kind TEXT NOT NULL,
  id TEXT NOT NULL,
  expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS "${prefix}feed_expiry" ON ${feed} (expires_at, kind, id);
${[
    publish('denied', `AFTER INSERT ON ${denials}`, '', 'NEW.kind, NEW.id, NEW.expires_at'),
    // If a token is revoked again and again, the feed does not grow.
    publish('denied_longer', `AFTER UPDATE OF expires_at ON ${denials}`, 'NEW.expires_at > OLD.expires_at AND', 'NEW.kind, NEW.id, NEW.expires_at'),
    // The clean-up deletes older sessions, which is no revocation. strftime rounds down.
    publish('ended', `AFTER DELETE ON ${sessions}`, `OLD.expires_at > strftime('%s', 'now') * 1000 + 1000 - ${grace} AND`, "'session', OLD.id, OLD.expires_at"),
    publish('stale', `AFTER UPDATE OF stale_before ON ${sessions}`, 'NEW.stale_before > OLD.stale_before AND', "'stale', NEW.stale_before || ':' || NEW.id, NEW.expires_at")
  ].join('')}`
}

/** Creates the tables and triggers if they do not exist. @throws `FST_JWT_BAD_OPTION` */
export function createTables (database: SqliteDatabase, prefix: string): void {
  const columns = database.prepare(`SELECT name FROM pragma_table_info('${prefix}sessions')`).all() as Array<{ readonly name: string }>
  if (columns.length > 0 && !columns.some(({ name }) => name === 'identity_json')) {
    throw badOption('store', `has tables of an earlier version of this package, or of another program; delete ${prefix}sessions and the others, or set another prefix`)
  }
  database.exec(schemaSql(prefix))
}
