import { ExpiringMap } from './expiring-map.ts'
import type {
  CreatedSession, EndedSessions, SessionChange, SessionLimit, SessionPage, SessionRecord, Store, StoredSession, TokenState
} from '../types/store.ts'

function orNever (expiresAt: number | null): number {
  return expiresAt ?? Infinity
}

/** A deep, frozen copy through JSON: what a store in another process would return. */
function frozenCopy<T> (value: T): T {
  return JSON.parse(JSON.stringify(value), (_key, part: unknown) =>
    typeof part === 'object' && part !== null ? Object.freeze(part) : part)
}

/** The index where a page begins: after the last session of the previous page, or after its creation time if it has ended. */
function start (newestFirst: readonly SessionRecord[], after: string | null): number {
  if (after === null) return 0
  const [createdAt, id] = after.split(' ')
  const index = newestFirst.findIndex(session => session.id === id)
  if (index !== -1) return index + 1
  const older = newestFirst.findIndex(({ document }) => document.createdAt < Number(createdAt))
  return older === -1 ? newestFirst.length : older
}

/**
 * Keeps revocations and sessions in the memory of this process: the default store. Every method is synchronous, so that a request creates
 * no promise.
 *
 * It is for one process: a token that is revoked in one process is accepted by the others, and a restart loses everything. For more, use
 * SQLite, PostgreSQL, Redis, or a store of your own.
 *
 * Nothing is evicted before it expires, so memory grows with live revocations and sessions: about 200 bytes for a revocation; for a
 * session, also its claims and metadata. A token is found by its `jti` alone, which is unique (RFC 7519 §4.1.7).
 *
 * @example
 * ```ts
 * const store = new MemoryStore()
 * await app.register(jwt, { secretKey, store })
 * app.addHook('onClose', () => store.close())
 * ```
 */
export class MemoryStore implements Store {
  readonly #tokens = new ExpiringMap<null>()
  readonly #deniedSessions = new ExpiringMap<null>()
  readonly #used = new ExpiringMap<null>()
  readonly #sessions = new ExpiringMap<SessionRecord>((_id, session) => this.#unlist(session))
  /** The ids of an identity's sessions, in the order in which they were created. */
  readonly #sessionsOf = new Map<string, Set<string>>()

  denyToken (jti: string, _sid: string | null, expiresAt: number | null): void {
    this.#deny(this.#tokens, jti, expiresAt)
  }

  denySession (sid: string, expiresAt: number | null): void {
    this.#deny(this.#deniedSessions, sid, expiresAt)
  }

  isDenied (jti: string | null, sid: string | null): boolean {
    return (jti !== null && this.#tokens.has(jti)) || (sid !== null && this.#deniedSessions.has(sid))
  }

  useOnce (id: string, expiresAt: number): boolean {
    if (this.#used.has(id)) return false
    this.#used.set(id, null, expiresAt)
    return true
  }

  checkToken (jti: string | null, sid: string): TokenState {
    return this.isDenied(jti, sid) ? 'denied' : this.getSessionState(sid) ?? 'unknown'
  }

  createSession (session: SessionRecord, limit: SessionLimit | null): CreatedSession {
    const ended = limit === null ? [] : this.#surplus(session.identity, limit.max)
    if (limit?.whenFull === 'refuse' && ended.length > 0) return { created: false, ended: [] }
    for (const id of ended) this.endSession(id)
    const copy = frozenCopy(session)
    const ids = this.#sessionsOf.get(copy.identity)
    if (ids === undefined) this.#sessionsOf.set(copy.identity, new Set([copy.id]))
    else ids.add(copy.id)
    this.#sessions.set(copy.id, copy, orNever(copy.expiresAt))
    return { created: true, ended }
  }

  getSession (id: string): StoredSession | null {
    const session = this.#sessions.get(id)
    return session === undefined ? null : { session, now: Date.now() }
  }

  getSessionState (id: string): SessionRecord | null {
    return this.#sessions.get(id) ?? null
  }

  replaceSession (id: string, version: number, { rotated, ...values }: SessionChange): boolean {
    const session = this.#sessions.get(id)
    if (session === undefined || session.version !== version) return false
    const changed = frozenCopy<SessionRecord>({
      ...session,
      ...values,
      rotatedAt: rotated === true ? Date.now() : session.rotatedAt,
      version: version + 1
    })
    this.#sessions.set(id, changed, orNever(changed.expiresAt))
    return true
  }

  endSession (id: string): string | null {
    const session = this.#sessions.get(id)
    if (session === undefined) return null
    this.#sessions.delete(id)
    this.#unlist(session)
    return session.identity
  }

  endSessions (identity: string, except: string | null, limit: number): EndedSessions {
    const ended: string[] = []
    for (const id of this.#sessionsOf.get(identity) ?? []) {
      if (id === except) continue
      if (ended.length === limit) return { ended, more: true }
      this.endSession(id)
      ended.push(id)
    }
    return { ended, more: false }
  }

  listSessions (identity: string, after: string | null, limit: number): SessionPage {
    const sessions = [...this.#sessionsOf.get(identity) ?? []].reverse().flatMap(id => this.#sessions.get(id) ?? [])
    const first = start(sessions, after)
    const page = sessions.slice(first, first + limit)
    const last = page.at(-1)
    return { sessions: page, next: last === undefined || last === sessions.at(-1) ? null : `${last.document.createdAt} ${last.id}` }
  }

  /** Forgets everything and stops the timers. */
  close (): void {
    this.#tokens.clear()
    this.#deniedSessions.clear()
    this.#used.clear()
    this.#sessions.clear()
    this.#sessionsOf.clear()
  }

  /** Denies an id. If it is denied already, the later time holds. */
  #deny (denials: ExpiringMap<null>, id: string, expiresAt: number | null): void {
    denials.set(id, null, Math.max(orNever(expiresAt), denials.expiry(id) ?? 0))
  }

  /** The sessions that must end before one more fits: the oldest. */
  #surplus (identity: string, max: number): string[] {
    const ids = [...this.#sessionsOf.get(identity) ?? []]
    return ids.slice(0, Math.max(0, ids.length - max + 1))
  }

  #unlist (session: SessionRecord): void {
    const ids = this.#sessionsOf.get(session.identity)
    if (ids?.delete(session.id) && ids.size === 0) this.#sessionsOf.delete(session.identity)
  }
}
