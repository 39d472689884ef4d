import { badOption } from '../../errors.ts'
import { checkOptionNames } from '../../options/unknown.ts'
import { pageEnd, pageStart, readSessionRow, readStateRow, writeTime } from '../sql-session.ts'
import { inTransaction } from './database.ts'
import { prepareStatements } from './statements.ts'
import type { SqliteDatabase } from './database.ts'
import type { Statements } from './statements.ts'
import type { SqlRow } from '../sql-session.ts'
import type {
  CreatedSession, EndedSessions, SessionChange, SessionLimit, SessionPage, SessionRecord, SessionState, Store, StoredSession, TokenState
} from '../../types/store.ts'

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
}

/**
 * Milliseconds for which an expired row is kept. If the clock jumps ahead by less, and back, no revoked token passes, and no user
 * is signed out for good.
 */
const grace = 86_400_000

/** The same for an id that was used once. It is shorter, because every DPoP proof adds such a row. */
const usedGrace = 60_000

/** How often expired rows are deleted, in milliseconds, and how many at once: a step must not block the event loop for long. */
const sweepInterval = 60_000
const sweepLimit = 50
/** The pause between two steps, in milliseconds. */
const sweepPause = 25

const defaults: Readonly<Required<SqliteStoreOptions>> = { prefix: 'jwt_', busyTimeout: 1000, synchronous: 'full' }

function resolveOptions (given: SqliteStoreOptions): Required<SqliteStoreOptions> {
  checkOptionNames(given, Object.keys(defaults), 'store.')
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
 * refused by all others at once, and sessions survive a restart. Takes a database of `node:sqlite` (Node 22.13 or later),
 * `better-sqlite3` or `libsql`. The app opens and closes it. Give the store its own connection: it must not be used inside a transaction.
 *
 * Every method is synchronous, so that a request creates no promise. A token is checked by one `SELECT` by primary key. Every change is
 * one statement or one transaction. The file is in WAL mode, so reads never wait for writes.
 *
 * With a locked, full or damaged file, requests are a 503. Expired rows are deleted in small steps, a day after they expire (ids of
 * DPoP proofs: a minute). The file must be on a local disk: SQLite's locks do not work on most network file systems.
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
  readonly #options: Required<SqliteStoreOptions>
  #prepared: Statements | null = null
  #timer: NodeJS.Timeout | undefined

  /**
   * @param database An open database.
   * @throws `FST_JWT_BAD_OPTION` if it is none, or an option is unknown or invalid.
   */
  constructor (database: SqliteDatabase, options: SqliteStoreOptions = {}) {
    // A caller without types may pass anything.
    const given = database as Partial<SqliteDatabase> | null | undefined
    if (typeof given?.exec !== 'function' || typeof given.prepare !== 'function') {
      throw badOption('store', 'takes a database of node:sqlite, better-sqlite3 or libsql: new SqliteStore(new DatabaseSync(path))')
    }
    this.#database = database
    this.#options = resolveOptions(options)
  }

  /**
   * Creates the tables if they do not exist, and switches the file to WAL mode.
   *
   * @throws `FST_JWT_BAD_OPTION` if the file cannot be in WAL mode, or the error of SQLite.
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
  }

  /** Stops the deletion of expired rows. The database stays open. */
  close (): void {
    clearTimeout(this.#timer)
  }

  denyToken (jti: string, _sid: string | null, expiresAt: number | null): void {
    this.#statements.deny.run('token', jti, writeTime(expiresAt))
  }

  denySession (sid: string, expiresAt: number | null): void {
    this.#statements.deny.run('session', sid, writeTime(expiresAt))
  }

  isDenied (jti: string | null, sid: string | null): boolean {
    return Number((this.#statements.isDenied.get(jti, sid) as SqlRow)['denied']) === 1
  }

  useOnce (id: string, expiresAt: number): boolean {
    return Number(this.#statements.useOnce.run(id, writeTime(expiresAt)).changes) === 1
  }

  checkToken (jti: string | null, sid: string): TokenState {
    const { state } = this.#statements.checkToken.get(jti, sid, sid, Date.now()) as { readonly state: string | null }
    if (state === null) return 'unknown'
    if (state === 'denied') return state
    const [version, generation, used, stale] = state.split(' ')
    return readStateRow({ version, generation, used, stale_before: stale })
  }

  createSession (session: SessionRecord, limit: SessionLimit | null): CreatedSession {
    if (limit === null) {
      this.#insert(session)
      return { created: true, ended: [] }
    }
    return inTransaction(this.#database, () => {
      const { count, oldest } = this.#statements
      const now = Date.now()
      const surplus = Number((count.get(session.identity, now) as SqlRow)['count']) - limit.max + 1
      if (surplus > 0 && limit.whenFull === 'refuse') return { created: false, ended: [] }
      const ended = surplus > 0 ? idsOf(oldest.all(session.identity, now, surplus)) : []
      this.#insert(session)
      return { created: true, ended }
    })
  }

  getSession (id: string): StoredSession | null {
    const now = Date.now()
    const row = this.#statements.find.get(id, now)
    return row === undefined ? null : { session: readSessionRow(row as SqlRow), now }
  }

  getSessionState (id: string): SessionState | null {
    const row = this.#statements.state.get(id, Date.now())
    return row === undefined ? null : readStateRow(row as SqlRow)
  }

  replaceSession (id: string, version: number, change: SessionChange): boolean {
    const now = Date.now()
    const { changes } = this.#statements.replace.run(
      change.generation ?? null,
      change.used === undefined ? null : Number(change.used),
      change.staleBefore ?? null,
      change.tokenId ?? null,
      change.previousTokenId ?? null,
      change.rotated === true ? now : null,
      change.expiresAt === undefined ? null : writeTime(change.expiresAt),
      change.document === undefined ? null : JSON.stringify(change.document),
      id, version, now
    )
    return Number(changes) === 1
  }

  endSession (id: string): string | null {
    const row = this.#statements.end.all(id)[0] as SqlRow | undefined
    return row === undefined || Number(row['expires_at']) <= Date.now() ? null : row['identity'] as string
  }

  endSessions (identity: string, except: string | null, limit: number): EndedSessions {
    const ended = idsOf(this.#statements.endAll.all(identity, except, limit))
    return { ended, more: ended.length === limit }
  }

  listSessions (identity: string, after: string | null, limit: number): SessionPage {
    const rows = this.#statements.list.all(identity, ...pageStart(after), Date.now(), limit + 1) as SqlRow[]
    const page = rows.slice(0, limit)
    const last = page.at(-1)
    return { sessions: page.map(readSessionRow), next: rows.length > limit && last !== undefined ? pageEnd(last) : null }
  }

  get #statements (): Statements {
    if (this.#prepared === null) this.open()
    return this.#prepared as Statements
  }

  #insert (session: SessionRecord): void {
    const { id, identity, version, generation, used, staleBefore, tokenId, previousTokenId, rotatedAt, expiresAt, document } = session
    this.#statements.insert.run(
      id, identity, version, generation, Number(used), staleBefore, tokenId, previousTokenId, rotatedAt, document.createdAt,
      writeTime(expiresAt), JSON.stringify(document)
    )
  }

  #sweepAfter (milliseconds: number): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => this.#sweepAfter(this.#sweep() ? sweepPause : sweepInterval), milliseconds).unref()
  }

  /** Deletes some rows that expired a day ago, and some used ids that expired a minute ago. @returns Whether there may be more. */
  #sweep (): boolean {
    try {
      const { forgetUsedIds, forgetDenials, forgetSessions } = this.#statements
      const now = Date.now()
      const changes = ([[forgetUsedIds, usedGrace], [forgetDenials, grace], [forgetSessions, grace]] as const)
        .map(([statement, kept]) => Number(statement.run(now - kept, sweepLimit).changes))
      return changes.includes(sweepLimit)
    } catch {
      // Another process is writing, or the app has closed the database. Expired rows can wait.
      return false
    }
  }
}

function idsOf (rows: readonly unknown[]): string[] {
  return (rows as SqlRow[]).map(row => row['id'] as string)
}
