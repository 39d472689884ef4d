/** Where the tables are. */
export interface TableNames {
  readonly denials: string
  readonly usedIds: string
  readonly sessions: string
  readonly owners: string
}

/** The names of the tables, quoted. Schema and prefix have been checked. */
export function tableNames (schema: string, prefix: string): TableNames {
  const name = (table: string): string => `"${schema}"."${prefix}${table}"`
  return { denials: name('denials'), usedIds: name('used_ids'), sessions: name('sessions'), owners: name('session_owners') }
}

/**
 * Creates the tables if they do not exist. Times are milliseconds since the epoch. `owner` is the key of an identity: the identity
 * itself may be too long for an index.
 */
export function schemaSql (schema: string, prefix: string): string {
  const { denials, usedIds, sessions, owners } = tableNames(schema, prefix)
  return `CREATE TABLE IF NOT EXISTS ${denials} (
  kind text NOT NULL,
  id text NOT NULL,
  expires_at bigint NOT NULL,
  PRIMARY KEY (kind, id)
);
CREATE INDEX IF NOT EXISTS "${prefix}denials_expiry" ON ${denials} (expires_at);
CREATE TABLE IF NOT EXISTS ${usedIds} (
  id text PRIMARY KEY,
  expires_at bigint NOT NULL
);
CREATE INDEX IF NOT EXISTS "${prefix}used_ids_expiry" ON ${usedIds} (expires_at);
CREATE TABLE IF NOT EXISTS ${owners} (
  owner text PRIMARY KEY,
  logins bigint NOT NULL,
  ends bigint NOT NULL,
  touched_at bigint NOT NULL
);
CREATE TABLE IF NOT EXISTS ${sessions} (
  id text PRIMARY KEY,
  owner text NOT NULL,
  identity text NOT NULL,
  version bigint NOT NULL,
  generation bigint NOT NULL,
  used smallint NOT NULL,
  stale_before bigint NOT NULL,
  token_id text NOT NULL,
  previous_token_id text,
  rotated_at bigint,
  created_at bigint NOT NULL,
  expires_at bigint NOT NULL,
  document text NOT NULL
);
CREATE INDEX IF NOT EXISTS "${prefix}sessions_owner" ON ${sessions} (owner, created_at, id);
CREATE INDEX IF NOT EXISTS "${prefix}sessions_expiry" ON ${sessions} (expires_at)`
}
