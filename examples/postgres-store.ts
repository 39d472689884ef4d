// Revocations and sessions in PostgreSQL, for an app that has it and would rather not run Redis too.
// It passes the contract of fastify-jwt-extended/store-contract (test/e2e/examples/postgres-store.test.ts).
//
//   import pg from 'pg'
//   const pool = new pg.Pool({ connectionTimeoutMillis: 2000, query_timeout: 2000 })
//   await app.register(jwt, { secretKey, store: new PostgresStore(pool) })
//
// The time-outs matter: a database that hangs is then a 503 rather than a request that hangs.
import { createHash } from 'node:crypto'
import type { Rotation, RotationResult, SessionRecord, Store } from 'fastify-jwt-extended'

/** A `Pool` of `pg`, `app.pg` of `@fastify/postgres`, or PGlite. */
export interface Database {
  query (text: string, values?: unknown[]): Promise<{ rows: unknown[] }>
}

// Times are milliseconds since the epoch, 'infinity' for never, so that they compare without a special case.
const schema = [
  `CREATE TABLE IF NOT EXISTS jwt_denied (
    id text PRIMARY KEY,
    until double precision NOT NULL
  )`,
  'CREATE INDEX IF NOT EXISTS jwt_denied_until ON jwt_denied (until)',
  `CREATE TABLE IF NOT EXISTS jwt_sessions (
    id text PRIMARY KEY,
    identity text NOT NULL,
    created_at double precision NOT NULL,
    last_used_at double precision NOT NULL,
    expires_at double precision NOT NULL,
    access_expires_at double precision NOT NULL,
    token_id text NOT NULL,
    token json NOT NULL,
    previous_token_id text,
    rotated_at double precision,
    claims json NOT NULL,
    metadata json NOT NULL
  )`,
  // A hash index takes an identity of any length.
  'CREATE INDEX IF NOT EXISTS jwt_sessions_identity ON jwt_sessions USING hash (identity)',
  'CREATE INDEX IF NOT EXISTS jwt_sessions_expires_at ON jwt_sessions (expires_at)'
]

// The reuse interval is decided by the one clock that all servers share.
const clock = 'extract(epoch FROM clock_timestamp())::double precision * 1000'

interface SessionRow {
  id: string
  identity: string
  created_at: number
  last_used_at: number
  expires_at: number
  access_expires_at: number
  token: SessionRecord['current']
  previous_token_id: string | null
  rotated_at: number | null
  claims: Record<string, unknown>
  metadata: Record<string, unknown>
}

const orInfinity = (time: number | null): number => time ?? Infinity
const orNull = (time: number): number | null => time === Infinity ? null : time

function toSession (row: SessionRow): SessionRecord {
  return {
    id: row.id,
    identity: row.identity,
    createdAt: row.created_at,
    lastUsedAt: row.last_used_at,
    expiresAt: orNull(row.expires_at),
    accessExpiresAt: orNull(row.access_expires_at),
    current: row.token,
    previousTokenId: row.previous_token_id,
    rotatedAt: row.rotated_at,
    claims: row.claims,
    metadata: row.metadata
  }
}

/** Ids may come from tokens of other issuers: a hash takes any length and any character, and tells tokens from sessions. */
function deniedId (kind: 'token' | 'session', id: string): string {
  return createHash('sha256').update(`${kind} ${id}`).digest('base64url')
}

export class PostgresStore implements Store {
  readonly #database: Database
  #purging: NodeJS.Timeout | undefined

  constructor (database: Database) {
    this.#database = database
  }

  /** Creates the tables where they are missing, and removes what has expired, now and once an hour. */
  async open (): Promise<void> {
    for (const statement of schema) await this.#query(statement)
    await this.purge()
    this.#purging ??= setInterval(() => this.purge().catch(console.error), 3_600_000).unref()
  }

  async close (): Promise<void> {
    clearInterval(this.#purging)
  }

  /** Removes what has expired. It is not found any more in any case; this gives the space back. */
  async purge (): Promise<void> {
    await this.#query('DELETE FROM jwt_denied WHERE until <= $1', Date.now())
    await this.#query('DELETE FROM jwt_sessions WHERE expires_at <= $1', Date.now())
  }

  async denyToken (jti: string, _sid: string | null, expiresAt: number | null): Promise<void> {
    await this.#query(`
      INSERT INTO jwt_denied (id, until) VALUES ($1, $2)
      ON CONFLICT (id) DO UPDATE SET until = greatest(jwt_denied.until, excluded.until)`,
    deniedId('token', jti), orInfinity(expiresAt))
  }

  async isDenied (jti: string | null, sid: string | null): Promise<boolean> {
    const rows = await this.#query('SELECT 1 FROM jwt_denied WHERE id IN ($1, $2) AND until > $3 LIMIT 1',
      jti === null ? null : deniedId('token', jti), sid === null ? null : deniedId('session', sid), Date.now())
    return rows.length > 0
  }

  async createSession (session: SessionRecord): Promise<void> {
    await this.#query(`
      INSERT INTO jwt_sessions (id, identity, created_at, last_used_at, expires_at, access_expires_at,
        token_id, token, previous_token_id, rotated_at, claims, metadata)
      VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`,
    session.id, session.identity, session.createdAt, session.lastUsedAt, orInfinity(session.expiresAt),
    orInfinity(session.accessExpiresAt), session.current.tokenId, JSON.stringify(session.current),
    session.previousTokenId, session.rotatedAt, JSON.stringify(session.claims), JSON.stringify(session.metadata))
  }

  async getSession (id: string): Promise<SessionRecord | null> {
    const [row] = await this.#query('SELECT * FROM jwt_sessions WHERE id = $1 AND expires_at > $2', id, Date.now())
    return row === undefined ? null : toSession(row as SessionRow)
  }

  /**
   * Compare and set: of several that update the row at once, the database lets one through, and the
   * others find that `token_id` is another by then.
   */
  async rotateSession (id: string, rotation: Rotation): Promise<RotationResult> {
    const { presented, next, now, reuseInterval, expiresAt, accessExpiresAt, claims } = rotation
    const [rotated] = await this.#query(`
      UPDATE jwt_sessions SET
        token_id = $4, token = $5, previous_token_id = token_id, rotated_at = ${clock}, last_used_at = $3,
        expires_at = $6, access_expires_at = greatest(access_expires_at, $7), claims = coalesce($8, claims)
      WHERE id = $1 AND token_id = $2 AND expires_at > $3
      RETURNING *`,
    id, presented, now, next.tokenId, JSON.stringify(next), orInfinity(expiresAt), orInfinity(accessExpiresAt),
    claims === null ? null : JSON.stringify(claims))
    if (rotated !== undefined) return { outcome: 'rotated', session: toSession(rotated as SessionRow) }

    const [found] = await this.#query(
      `SELECT *, ${clock} AS clock FROM jwt_sessions WHERE id = $1 AND expires_at > $2`, id, now)
    if (found === undefined) return { outcome: 'unknown' }
    const row = found as SessionRow & { clock: number }
    const raced = presented === row.previous_token_id && row.rotated_at !== null && row.clock - row.rotated_at < reuseInterval
    return { outcome: raced ? 'repeated' : 'reused', session: toSession(row) }
  }

  /** One statement, so that no moment is between the end of the session and the denial of its tokens. */
  async endSession (id: string, denyUntil: number | null): Promise<boolean> {
    const [row] = await this.#query(`
      WITH ended AS (DELETE FROM jwt_sessions WHERE id = $1 RETURNING expires_at, access_expires_at)
      INSERT INTO jwt_denied (id, until)
      VALUES ($2, greatest($3::double precision, (SELECT access_expires_at FROM ended)))
      ON CONFLICT (id) DO UPDATE SET until = greatest(jwt_denied.until, excluded.until)
      RETURNING coalesce((SELECT expires_at > $4 FROM ended), false) AS existed`,
    id, deniedId('session', id), orInfinity(denyUntil), Date.now())
    return (row as { existed: boolean }).existed
  }

  async listSessions (identity: string): Promise<SessionRecord[]> {
    const rows = await this.#query(
      'SELECT * FROM jwt_sessions WHERE identity = $1 AND expires_at > $2 ORDER BY created_at DESC', identity, Date.now())
    return rows.map(row => toSession(row as SessionRow))
  }

  async #query (text: string, ...values: unknown[]): Promise<unknown[]> {
    return (await this.#database.query(text, values)).rows
  }
}
