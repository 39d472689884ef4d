import { badOption } from '../../errors.ts'
import { checkOptionNames } from '../../options/unknown.ts'
import { resolveReplicate } from '../replication/options.ts'
import { Replication } from '../replication/replication.ts'
import { readIdentity, writeIdentity } from '../identity-text.ts'
import { pageEnd, pageStart, readSessionRow, readStateRow, writeTime } from '../sql-session.ts'
import { inTransaction } from './database.ts'
import { createSqliteFeed } from './feed.ts'
import { keyOf } from './key.ts'
import { grace } from './schema.ts'
import { prepareStatements } from './statements.ts'
import type { SqliteDatabase } from './database.ts'
import type { Statements } from './statements.ts'
import type { ReplicaStatus, ReplicateOptions } from '../replication/options.ts'
import type { Denial } from '../replication/replica.ts'
import type { SqlRow } from '../sql-session.ts'
import type {
  CreatedSession, EndedSessions, SessionChange, SessionLimit, SessionPage, SessionRecord, SessionState, Store, StoredSession, TokenState
} from '../../types/store.ts'

export type { ReplicaStatus, ReplicateOptions } from '../replication/options.ts'
export type { SqliteDatabase, SqliteStatement } from './database.ts'

/** Options of {@link SqliteStore}. */
export interface SqliteStoreOptions {
  /** The beginning of every table name: letters, digits and `_`. Default: `'jwt_'`. */
  prefix?: string
  /** Milliseconds to wait while another process writes; then the request is a 503. The wait blocks this process. Default: 1,000. */
  busyTimeout?: number
  /**
   * `'full'`: a finished write survives a power cut. `'normal'`: it survives a crash of the process, but the last writes before a power
   * cut may be lost; writes are faster. Default: `'full'`.
   */
  synchronous?: 'full' | 'normal'
  /**
   * Keep the denials in the memory of this process, too: most access tokens need no query, and a revocation by another process takes
   * effect here within `maxStaleness` milliseconds. Default: `false`.
   */
  replicate?: boolean | ReplicateOptions
}

/** Options without `replicate`, which the replication reads by itself. */
type ResolvedOptions = Required<Omit<SqliteStoreOptions, 'replicate'>>

/** Milliseconds by which the clock may have been set between the creation of a token and that of the feed. */
const clockSkew = 10_000

/** As `grace`, for an id that was used once. It is shorter, because every DPoP proof adds such a row. */
const usedGrace = 60_000

/** How often expired rows are deleted, in milliseconds, and how many at once: a step must not block the event loop for long. */
const sweepInterval = 60_000
const sweepLimit = 25
/** The pause after a step, and after its changes were copied into the file, in milliseconds. */
const sweepPause = 12
/** When it is tried again after a failure, in milliseconds: usually, another process was writing. */
const sweepRetry = 1000

const defaults: Readonly<ResolvedOptions> = { prefix: 'jwt_', busyTimeout: 1000, synchronous: 'full' }

function resolveOptions (given: Omit<SqliteStoreOptions, 'replicate'>): ResolvedOptions {
  checkOptionNames(given, [...Object.keys(defaults), 'replicate'], 'store.')
  const options = { ...defaults, ...Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) }
  if (typeof options.prefix !== 'string' || !/^\w{1,40}$/.test(options.prefix)) {
    throw badOption('store.prefix', 'takes 1 to 40 letters, digits and underscores')
  }
  if (!Number.isInteger(options.busyTimeout) || options.busyTimeout < 0 || options.busyTimeout > 60_000) {
    throw badOption('store.busyTimeout', `takes a whole number of milliseconds from 0 to 60000, got ${String(options.busyTimeout)}`)
  }
  if (options.synchronous !== 'full' && options.synchronous !== 'normal') throw badOption('store.synchronous', "takes 'full' or 'normal'")
  return options
}

/**
 * Keeps revocations and sessions in an SQLite file, for any number of processes of one machine. A token that one process revokes is
 * refused by all others at once (with `replicate`, within `maxStaleness`), and sessions survive a restart. Takes a database of `node:sqlite` (Node 22.13 or later),
 * `better-sqlite3` or `libsql`. The app opens and closes it. Give the store its own connection: it must not be used inside a transaction.
 *
 * Every method is synchronous, so that a request creates no promise. A token is checked by one `SELECT` by primary key. Every change is
 * one transaction. The file is in WAL mode, so reads never wait for writes.
 *
 * With `replicate`, most requests are judged from memory, and other processes' revocations are read from the file a few times a second.
 *
 * While the file is locked or full, requests that write are a 503, and reads go on. If it is damaged, reads are a 503, too. Expired rows
 * are deleted in small steps, a day after they expire (ids of DPoP proofs: a minute). The file must be on a local disk: SQLite's locks do
 * not work on most network file systems.
 *
 * @example
 * ```ts
 * import { DatabaseSync } from 'node:sqlite'
 * import { SqliteStore } from 'fastify-jwt-extended/sqlite'
 *
 * const store = new SqliteStore(new DatabaseSync('sessions.db'))
 * await app.register(jwt, { secretKey, store })
 * app.addHook('onClose', () => store.close())
 * ```
 */
export class SqliteStore implements Store {
  readonly #database: SqliteDatabase
  readonly #options: ResolvedOptions
  readonly #replication: Replication | null
  /** The keys of sessions that this process has ended, until its feed has brought them. */
  readonly #ownEnds = new Set<string>()
  /** Judges an access token without a query; only with the `replicate` option. */
  readonly judge?: NonNullable<Store['judge']>
  #prepared: Statements | null = null
  #timer: NodeJS.Timeout | undefined

  /**
   * @param database An open database.
   * @throws `FST_JWT_BAD_OPTION` if it is none, or an option is unknown or invalid.
   */
  constructor (database: SqliteDatabase, { replicate, ...options }: SqliteStoreOptions = {}) {
    // A caller without types may pass anything.
    const given = database as Partial<SqliteDatabase> | null | undefined
    if (typeof given?.exec !== 'function' || typeof given.prepare !== 'function') {
      throw badOption('store', 'takes a database of node:sqlite, better-sqlite3 or libsql: new SqliteStore(new DatabaseSync(path))')
    }
    this.#database = database
    this.#options = resolveOptions(options)
    const replication = this.#createReplication(replicate)
    this.#replication = replication
    if (replication !== null) this.judge = token => replication.judge(token)
  }

  /** The state of the replica; `null` without the `replicate` option. */
  get replica (): ReplicaStatus | null {
    return this.#replication?.status ?? null
  }

  /**
   * Creates the tables if they do not exist, and switches the file to WAL mode.
   *
   * @throws `FST_JWT_BAD_OPTION` if the file cannot be in WAL mode or has tables of an earlier version, or the error of SQLite.
   */
  open (): void {
    const { busyTimeout, synchronous, prefix } = this.#options
    this.#database.exec(`PRAGMA busy_timeout = ${busyTimeout}`)
    const { journal_mode: mode } = this.#database.prepare('PRAGMA journal_mode = WAL').get() as { journal_mode: string }
    if (mode !== 'wal' && mode !== 'memory') {
      throw badOption('store', `needs a file in WAL mode, and SQLite has left this one in mode '${mode}': put it on a local disk that can be written`)
    }
    this.#database.exec(`PRAGMA synchronous = ${synchronous}`)
    this.#prepared = inTransaction(this.#database, () => prepareStatements(this.#database, prefix))
    this.#sweepAfter(sweepInterval)
    this.#replication?.start()
  }

  /** Stops the deletion of expired rows, and the replication. The database stays open. */
  close (): void {
    this.#replication?.close()
    clearTimeout(this.#timer)
  }

  denyToken (jti: string, _sid: string | null, expiresAt: number | null): void {
    this.#deny('token', jti, expiresAt)
  }

  denySession (sid: string, expiresAt: number | null): void {
    this.#deny('session', sid, expiresAt)
    this.#rememberEnds([keyOf(sid)])
  }

  isDenied (jti: string | null, sid: string | null): boolean {
    return Number((this.#statements.isDenied.get(keyOrNull(jti), keyOrNull(sid)) as SqlRow)['denied']) === 1
  }

  useOnce (id: string, expiresAt: number): boolean {
    return this.#write(({ useOnce }) => Number(useOnce.run(keyOf(id), writeTime(expiresAt)).changes)) === 1
  }

  checkToken (jti: string | null, sid: string): TokenState {
    const key = keyOf(sid)
    const { state } = this.#statements.checkToken.get(keyOrNull(jti), key, key, Date.now()) as { readonly state: string | null }
    if (state === null) return 'unknown'
    if (state === 'denied') return state
    const [version, generation, used, stale] = state.split(' ')
    return readStateRow({ version, generation, used, stale_before: stale })
  }

  createSession (session: SessionRecord, limit: SessionLimit | null): CreatedSession {
    const result = this.#write(({ count, oldest }) => {
      if (limit === null) {
        this.#insert(session)
        return { created: true, ended: [] }
      }
      const identity = writeIdentity(session.identity)
      const now = Date.now()
      const surplus = Number((count.get(identity, now) as SqlRow)['count']) - limit.max + 1
      if (surplus > 0 && limit.whenFull === 'refuse') return { created: false, ended: [] }
      const ended = surplus > 0 ? idsOf(oldest.all(identity, now, surplus)) : []
      this.#insert(session)
      return { created: true, ended }
    })
    this.#rememberEnds(result.ended)
    this.#replication?.ended(result.ended)
    return result
  }

  getSession (id: string): StoredSession | null {
    const now = Date.now()
    const row = this.#statements.find.get(keyOf(id), now)
    return row === undefined ? null : { session: readSessionRow(row as SqlRow), now }
  }

  getSessionState (id: string): SessionState | null {
    const row = this.#statements.state.get(keyOf(id), Date.now())
    return row === undefined ? null : readStateRow(row as SqlRow)
  }

  replaceSession (id: string, version: number, change: SessionChange): boolean {
    const now = Date.now()
    const work = (): number => this.#write(({ replace }) => Number(replace.run(
      change.generation ?? null,
      change.used === undefined ? null : Number(change.used),
      change.staleBefore ?? null,
      change.tokenId ?? null,
      change.previousTokenId ?? null,
      change.rotated === true ? now : null,
      change.expiresAt === undefined ? null : writeTime(change.expiresAt),
      change.document === undefined ? null : JSON.stringify(change.document),
      keyOf(id), version, now
    ).changes))
    return (change.staleBefore === undefined ? work() : this.#holding('stale', id, work)) === 1
  }

  endSession (id: string): string | null {
    const key = keyOf(id)
    const row = this.#holding('session', id, () => this.#write(({ end }) => end.all(key)[0] as SqlRow | undefined))
    if (row === undefined) return null
    this.#rememberEnds([key])
    return Number(row['expires_at']) <= Date.now() ? null : readIdentity(row['identity_json'])
  }

  endSessions (identity: string, except: string | null, limit: number): EndedSessions {
    const ended = this.#write(({ endAll }) => idsOf(endAll.all(writeIdentity(identity), keyOrNull(except), limit)))
    this.#rememberEnds(ended)
    this.#replication?.ended(ended)
    return { ended, more: ended.length === limit }
  }

  listSessions (identity: string, after: string | null, limit: number): SessionPage {
    const rows = this.#statements.list.all(writeIdentity(identity), ...pageStart(after), Date.now(), limit + 1) as SqlRow[]
    const page = rows.slice(0, limit)
    const last = page.at(-1)
    return { sessions: page.map(readSessionRow), next: rows.length > limit && last !== undefined ? pageEnd(last) : null }
  }

  /** Grows whenever the store may have lost data; only with the `replicate` option. */
  get epoch (): number {
    return this.#replication?.epoch ?? 0
  }

  /** Calls `listener` with the id of each session that another process has ended, if `replicate` is set. @returns Removes the listener. */
  onSessionEnd (listener: (sid: string) => void): () => void {
    return this.#replication?.onSessionEnd(listener) ?? (() => {})
  }

  get #statements (): Statements {
    if (this.#prepared === null) this.open()
    return this.#prepared as Statements
  }

  #write<T> (work: (statements: Statements) => T): T {
    const statements = this.#statements
    return inTransaction(this.#database, () => work(statements))
  }

  #deny (kind: 'token' | 'session', id: string, expiresAt: number | null): void {
    this.#holding(kind, id, () => this.#write(({ deny }) => deny.run(kind, keyOf(id), writeTime(expiresAt))))
  }

  #insert (session: SessionRecord): void {
    const { id, identity, version, generation, used, staleBefore, tokenId, previousTokenId, rotatedAt, expiresAt, document } = session
    this.#statements.insert.run(
      keyOf(id), writeIdentity(identity), version, generation, Number(used), staleBefore, tokenId, previousTokenId, rotatedAt, document.createdAt,
      writeTime(expiresAt), JSON.stringify(document)
    )
  }

  #createReplication (given: SqliteStoreOptions['replicate']): Replication | null {
    const options = resolveReplicate(given)
    if (options === null) return null
    const feed = createSqliteFeed({
      statements: () => this.#statements, aside: write => { this.#aside(write) }, ownEnds: this.#ownEnds, clockSkew
    })
    return new Replication(feed, options, clockSkew)
  }

  /** Runs a revocation. Until the next mark, requests with this id query the file, even if the write has failed. */
  #holding<T> (kind: Denial['kind'], id: string, work: () => T): T {
    try {
      return work()
    } finally {
      this.#replication?.settled(kind, id)
    }
  }

  /** The feed must not report sessions to this process that it has ended itself. */
  #rememberEnds (keys: readonly string[]): void {
    if (this.#replication === null) return
    for (const key of keys) this.#ownEnds.add(key)
  }

  /**
   * Runs a write that fails if another process is writing, and that a power cut may undo: nobody is waiting for it, and the wait would
   * block this process.
   */
  #aside (write: (statements: Statements) => void): void {
    const { busyTimeout, synchronous } = this.#options
    try {
      this.#database.exec('PRAGMA busy_timeout = 0; PRAGMA synchronous = normal')
      this.#write(write)
    } finally {
      this.#database.exec(`PRAGMA busy_timeout = ${busyTimeout}; PRAGMA synchronous = ${synchronous}`)
    }
  }

  #sweepAfter (milliseconds: number): void {
    this.#after(milliseconds, () => {
      const more = this.#sweep()
      if (more !== true) {
        this.#sweepAfter(more === null ? sweepRetry : sweepInterval)
        return
      }
      this.#after(sweepPause, () => {
        this.#copyBack()
        this.#sweepAfter(sweepPause)
      })
    })
  }

  #after (milliseconds: number, work: () => void): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(work, milliseconds).unref()
  }

  /**
   * Copies what a step has changed from the WAL into the file. SQLite would do that by itself after a thousand pages. Many small copies
   * block the event loop longer in all, but each of them only for a short time.
   */
  #copyBack (): void {
    try {
      this.#database.exec('PRAGMA wal_checkpoint(PASSIVE)')
    } catch {
      // The disk has failed, or the app has closed the database.
    }
  }

  /**
   * Deletes some rows that expired a day ago, and some used ids that expired a minute ago.
   *
   * @returns Whether there may be more; `null` if it has failed.
   */
  #sweep (): boolean | null {
    try {
      const now = Date.now()
      let more = false
      this.#aside(({ forgetUsedIds, forgetDenials, forgetSessions, forgetFeed }) => {
        for (const [statement, kept] of [[forgetUsedIds, usedGrace], [forgetDenials, grace], [forgetSessions, grace], [forgetFeed, grace]] as const) {
          more = Number(statement.run(now - kept, sweepLimit).changes) === sweepLimit || more
        }
      })
      return more
    } catch {
      // Another process is writing, or the app has closed the database. Expired rows can wait.
      return null
    }
  }
}

function keyOrNull (id: string | null): string | null {
  return id === null ? null : keyOf(id)
}

function idsOf (rows: readonly unknown[]): string[] {
  return (rows as SqlRow[]).map(row => row['id'] as string)
}
