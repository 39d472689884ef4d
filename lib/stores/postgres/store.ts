import { randomBytes } from 'node:crypto'
import { badOption, isJwtError } from '../../errors.ts'
import { resolveReplicate } from '../replication/options.ts'
import { Replication, warnOfNoReplica } from '../replication/replication.ts'
import { readIdentity, writeIdentity } from '../identity-text.ts'
import { pageEnd, pageStart, readNumber, readSessionRow, readStateRow, writeTime } from '../sql-session.ts'
import { connectionOf } from './client.ts'
import { channelOf, createPostgresFeed } from './feed.ts'
import { resolveOptions } from './options.ts'
import { schemaSql, tableNames } from './schema.ts'
import { clock, statementsFor } from './statements.ts'
import { Sweeper } from './sweeper.ts'
import { keyOf, textOf } from './text.ts'
import type { PostgresClient, PostgresConnection } from './client.ts'
import type { PostgresStoreOptions, ResolvedOptions } from './options.ts'
import type { Statements } from './statements.ts'
import type { SqlRow } from '../sql-session.ts'
import type {
  CreatedSession, EndedSessions, SessionChange, SessionLimit, SessionPage, SessionRecord, SessionState, Store, StoredSession, TokenState
} from '../../types/store.ts'
import type { ReplicaStatus } from '../replication/options.ts'
import type { Denial } from '../replication/replica.ts'

export type { ReplicaStatus, ReplicateOptions } from '../replication/options.ts'
export type { PostgresClient, PostgresJsClient, QueryClient } from './client.ts'
export type { PostgresStoreOptions } from './options.ts'

/** Milliseconds by which the clocks of the servers and of the database may differ, for a replica. */
const clockSkew = 10_000

/**
 * Keeps revocations and sessions on PostgreSQL (12 or later), for any number of servers. A token that one server revokes is refused by
 * all others at once. Takes a `Pool` of `pg`, `sql` of postgres.js, `app.pg` of `@fastify/postgres`, or a database of PGlite. The app
 * opens and closes it. A `Pool` needs an `error` listener: without one, a lost connection ends the process.
 *
 * Every method is one statement, so it is atomic and needs one round trip. Missing tables are created at registration;
 * `PostgresStore.schema()` returns the SQL for a migration of your own. The reuse interval is decided by the clock of the database, which
 * all servers share.
 *
 * If the database does not answer within `commandTimeout`, the request is a 503. A rotation that runs after that has no effect. Expired
 * rows are deleted in small steps, by one server at a time, a day after their expiry (ids of DPoP proofs: a minute).
 *
 * @example
 * ```ts
 * import { PostgresStore } from 'fastify-jwt-extended/postgres'
 *
 * const pool = new Pool({ connectionString: process.env.DATABASE_URL })
 * pool.on('error', error => { app.log.error(error) })
 * const store = new PostgresStore(pool)
 * await app.register(jwt, { secretKey, store })
 * app.addHook('onClose', () => store.close())
 * ```
 */
export class PostgresStore implements Store {
  readonly #connection: PostgresConnection
  readonly #options: ResolvedOptions
  readonly #sql: Statements
  readonly #sweeper: Sweeper
  /** The id of this server in the feed. It is part of a channel's name, so it has only letters and digits. */
  readonly #server = randomBytes(8).toString('hex')
  readonly #replication: Replication | null
  /** Judges an access token without a query; only with the `replicate` option. */
  readonly judge?: NonNullable<Store['judge']>
  #pending = 0
  /** How far the clock of the database is ahead of ours, in milliseconds; learnt from `open` and from its answers. */
  #clockOffset = 0

  /**
   * @param client A client, which the app opens and closes.
   * @throws `FST_JWT_BAD_OPTION` if it is no client, or an option is unknown or invalid.
   */
  constructor (client: PostgresClient, { replicate, ...options }: PostgresStoreOptions = {}) {
    this.#connection = connectionOf(client)
    this.#options = resolveOptions(options)
    const { schema, prefix } = this.#options
    this.#sql = statementsFor(tableNames(schema, prefix), channelOf(schema, prefix))
    this.#sweeper = new Sweeper(this.#sql, prefix, async (text, values) => this.#query(text, values))
    const replication = this.#createReplication(replicate)
    this.#replication = replication
    if (replication !== null) this.judge = token => replication.judge(token)
  }

  /** The state of the replica; `null` without the `replicate` option. */
  get replica (): ReplicaStatus | null {
    return this.#replication?.status ?? null
  }

  /**
   * The SQL that creates the tables if they do not exist, for a migration of your own.
   *
   * @throws `FST_JWT_BAD_OPTION` if a name is invalid.
   */
  static schema (options: Pick<PostgresStoreOptions, 'schema' | 'prefix'> = {}): string {
    const { schema, prefix } = resolveOptions(options)
    return `${schemaSql(schema, prefix)};\n`
  }

  /**
   * Checks that the database answers and can be written, and creates the tables if they do not exist.
   *
   * @throws `FST_JWT_BAD_OPTION` with what is missing and the remedy.
   */
  async open (): Promise<void> {
    const { schema, prefix } = this.#options
    const tables = Object.values(tableNames(schema, prefix))
    try {
      const row = await this.#one(`SELECT ${clock} AS now, (pg_is_in_recovery() OR current_setting('transaction_read_only')::boolean)::int AS read_only,
        (${tables.map((_, index) => `to_regclass($${index + 1}) IS NULL`).join(' OR ')})::int AS missing`, tables)
      this.#learnTime(row)
      if (readNumber(row, 'read_only') === 1) throw badOption('store', 'is a PostgreSQL that cannot be written, such as a replica; connect PostgresStore to the primary')
      if (readNumber(row, 'missing') > 0) await this.#createTables()
    } catch (cause) {
      if (isJwtError(cause)) throw cause
      throw Object.assign(badOption('store', `got no answer from PostgreSQL; check that it is reachable: ${reasonOf(cause)}`), { cause })
    }
    this.#sweeper.start()
    this.#replication?.start()
  }

  /** Stops the deletion of expired rows, and the replication with its connection. The other connections stay open. */
  close (): void {
    this.#replication?.close()
    this.#sweeper.stop()
  }

  async denyToken (jti: string, _sid: string | null, expiresAt: number | null): Promise<void> {
    await this.#deny('token', jti, expiresAt)
  }

  async denySession (sid: string, expiresAt: number | null): Promise<void> {
    await this.#deny('session', sid, expiresAt)
  }

  async isDenied (jti: string | null, sid: string | null): Promise<boolean> {
    const row = await this.#one(this.#sql.isDenied, [keyOrNull(jti), keyOrNull(sid)])
    return readNumber(row, 'denied') === 1
  }

  async useOnce (id: string, expiresAt: number): Promise<boolean> {
    return (await this.#query(this.#sql.useOnce, [keyOf(id), writeTime(expiresAt)])).length === 1
  }

  async checkToken (jti: string | null, sid: string): Promise<TokenState> {
    const id = keyOf(sid)
    const row = await this.#one(this.#sql.checkToken, [keyOrNull(jti), id, id, Date.now()])
    if (readNumber(row, 'denied') === 1) return 'denied'
    return row['version'] === null ? 'unknown' : readStateRow(row)
  }

  async createSession (session: SessionRecord, limit: SessionLimit | null): Promise<CreatedSession> {
    const { id, identity, version, generation, used, staleBefore, tokenId, previousTokenId, rotatedAt, expiresAt, document } = session
    const values = [
      keyOf(id), keyOf(identity), writeIdentity(identity), version, generation, Number(used), staleBefore, tokenId, previousTokenId,
      rotatedAt, document.createdAt, writeTime(expiresAt), JSON.stringify(document), limit?.max ?? null, limit?.whenFull === 'endOldest'
    ]
    const attempt = async (ends: number | null): Promise<SqlRow> => this.#one(this.#sql.create, [...values, Date.now(), ends, this.#server])
    let row = await attempt(null)
    // Of several logins at once, at least one is not overtaken, because the logins of an identity wait for each other.
    while (readNumber(row, 'overtaken') === 1) row = await attempt(readNumber(row, 'ends'))
    const ended = idsOf(row)
    this.#replication?.ended(ended)
    return { created: readNumber(row, 'created') === 1, ended }
  }

  async getSession (id: string): Promise<StoredSession | null> {
    const [row] = await this.#query(this.#sql.find, [keyOf(id), Date.now()])
    return row === undefined ? null : { session: readRow(row), now: this.#learnTime(row) }
  }

  async getSessionState (id: string): Promise<SessionState | null> {
    const [row] = await this.#query(this.#sql.state, [keyOf(id), Date.now()])
    return row === undefined ? null : readStateRow(row)
  }

  async replaceSession (id: string, version: number, change: SessionChange): Promise<boolean> {
    const now = Date.now()
    const work = async (): Promise<readonly SqlRow[]> => this.#query(this.#sql.replace, [
      keyOf(id), version, now,
      change.generation ?? null,
      change.used === undefined ? null : Number(change.used),
      change.staleBefore ?? null,
      change.tokenId ?? null,
      change.previousTokenId ?? null,
      change.rotated === true,
      change.expiresAt === undefined ? null : writeTime(change.expiresAt),
      change.document === undefined ? null : JSON.stringify(change.document),
      now + this.#clockOffset + this.#options.commandTimeout
    ])
    const rows = await (change.staleBefore === undefined ? work() : this.#holding('stale', id, work))
    return rows.length === 1
  }

  async endSession (id: string): Promise<string | null> {
    const [row] = await this.#holding('session', id, async () => this.#query(this.#sql.end, [keyOf(id), this.#server]))
    return row === undefined || readNumber(row, 'expires_at') <= Date.now() ? null : readIdentity(row['identity'])
  }

  async endSessions (identity: string, except: string | null, limit: number): Promise<EndedSessions> {
    const row = await this.#one(this.#sql.endAll, [keyOf(identity), keyOrNull(except), limit, this.#server])
    const ended = idsOf(row)
    this.#replication?.ended(ended)
    // The statement does not see a login that was stored while it waited. The next step ends that session.
    return { ended, more: ended.length === limit || readNumber(row, 'overtaken') === 1 }
  }

  async listSessions (identity: string, after: string | null, limit: number): Promise<SessionPage> {
    const rows = await this.#query(this.#sql.list, [keyOf(identity), ...pageStart(after), Date.now(), limit + 1])
    const page = rows.slice(0, limit)
    const last = page.at(-1)
    return { sessions: page.map(readRow), next: rows.length > limit && last !== undefined ? pageEnd(last) : null }
  }

  /** Grows whenever the store may have lost data; only with the `replicate` option. */
  get epoch (): number {
    return this.#replication?.epoch ?? 0
  }

  /** Calls `listener` with the id of each session that another server has ended, if `replicate` is set. @returns Removes the listener. */
  onSessionEnd (listener: (sid: string) => void): () => void {
    return this.#replication?.onSessionEnd(key => { listener(textOf(key)) }) ?? (() => {})
  }

  async #deny (kind: 'token' | 'session', id: string, expiresAt: number | null): Promise<void> {
    await this.#holding(kind, id, async () => this.#query(this.#sql.deny, [kind, keyOf(id), writeTime(expiresAt), this.#server]))
  }

  /** Runs a revocation, which takes effect on this server at once. */
  async #holding<T> (kind: Denial['kind'], id: string, work: () => Promise<T>): Promise<T> {
    return this.#replication === null ? work() : this.#replication.hold(kind, id, work)
  }

  #createReplication (given: PostgresStoreOptions['replicate']): Replication | null {
    const options = resolveReplicate(given)
    if (options === null) return null
    const { listen } = this.#connection
    if (listen === null) {
      warnOfNoReplica('PostgresStore listens on a connection that a Pool of pg makes; this client is another one')
      return null
    }
    const { schema, prefix, commandTimeout } = this.#options
    const query = async (text: string, values: readonly unknown[]): Promise<readonly SqlRow[]> => this.#query(text, values)
    const feed = createPostgresFeed({ listen, sql: this.#sql, channel: channelOf(schema, prefix), server: this.#server, query, timeout: commandTimeout, clockSkew })
    return new Replication(feed, options, clockSkew)
  }

  async #createTables (): Promise<void> {
    const { schema, prefix } = this.#options
    try {
      // The lock serializes servers that start at the same time.
      await this.#inTime(() => this.#connection.script(`SELECT pg_advisory_xact_lock(hashtext('${prefix}fastify-jwt-extended'));${schemaSql(schema, prefix)}`))
    } catch (cause) {
      throw Object.assign(badOption('store', `cannot create its tables in schema '${schema}': ${reasonOf(cause)}. Create the schema, or run ` +
        `PostgresStore.schema({ schema: '${schema}', prefix: '${prefix}' }) as a migration, and grant SELECT, INSERT, UPDATE and DELETE`), { cause })
    }
  }

  #learnTime (row: SqlRow): number {
    const time = readNumber(row, 'now')
    this.#clockOffset = time - Date.now()
    return time
  }

  async #query (text: string, values: readonly unknown[]): Promise<readonly SqlRow[]> {
    return this.#inTime(() => this.#connection.query(text, values))
  }

  /** Runs a statement that answers one row. */
  async #one (text: string, values: readonly unknown[]): Promise<SqlRow> {
    const [row] = await this.#query(text, values)
    if (row === undefined) throw new Error('PostgreSQL answered no row')
    return row
  }

  /** Runs a step with a time-out. A late result is dropped. */
  async #inTime<T> (work: () => Promise<T>): Promise<T> {
    const { commandTimeout, maxPending } = this.#options
    if (this.#pending >= maxPending) throw new Error(`${maxPending} statements wait for PostgreSQL`)
    this.#pending++
    const result = work().finally(() => { this.#pending-- })
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => {
        // If this process was busy, the answer may have arrived already. It is read before this callback runs.
        setImmediate(() => reject(new Error(`PostgreSQL did not answer within ${commandTimeout} ms`)))
      }, commandTimeout).unref()
    })
    return Promise.race([result, late]).finally(() => clearTimeout(timer))
  }
}

function keyOrNull (text: string | null): string | null {
  return text === null ? null : keyOf(text)
}

function readRow (row: SqlRow): SessionRecord {
  return readSessionRow({ ...row, id: textOf(row['id'] as string) })
}

function idsOf (row: SqlRow): string[] {
  return (JSON.parse(row['ended'] as string) as string[]).map(textOf)
}

function reasonOf (error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
