import { ExpiringMap } from './expiring-map.ts'
import type { Rotation, RotationResult, SessionRecord, Store } from '../types/store.ts'

function laterOf (first: number | null, second: number | null): number | null {
  return first === null || second === null ? null : Math.max(first, second)
}

function orNever (expiresAt: number | null): number {
  return expiresAt ?? Infinity
}

/** A deep, frozen copy by way of JSON, as a store in another process would return it. */
function frozenCopy<T> (value: T): T {
  return JSON.parse(JSON.stringify(value), (_key, part: unknown) =>
    typeof part === 'object' && part !== null ? Object.freeze(part) : part)
}

/**
 * Keeps revocations and sessions in the memory of this process: the default store. Every method is synchronous, so that a
 * request creates no promise.
 *
 * Use it in one process only. With several, a token revoked in one would be accepted by the others. A restart forgets
 * everything. Use {@link RedisStore} or a store of your own instead.
 *
 * Nothing is evicted before it expires. A revocation takes about 200 bytes; a session takes its claims and metadata too. A
 * token is denied by its `jti` alone, which is unique (RFC 7519 §4.1.7).
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
  readonly #endedSessions = new ExpiringMap<null>()
  readonly #sessions = new ExpiringMap<SessionRecord>((_id, session) => this.#unlist(session))
  readonly #sessionsOf = new Map<string, Set<string>>()

  denyToken (jti: string, _sid: string | null, expiresAt: number | null): void {
    this.#deny(this.#tokens, jti, expiresAt)
  }

  isDenied (jti: string | null, sid: string | null): boolean {
    return (jti !== null && this.#tokens.has(jti)) || (sid !== null && this.#endedSessions.has(sid))
  }

  createSession (session: SessionRecord): void {
    const copy = frozenCopy(session)
    const ids = this.#sessionsOf.get(copy.identity)
    if (ids === undefined) this.#sessionsOf.set(copy.identity, new Set([copy.id]))
    else ids.add(copy.id)
    this.#sessions.set(copy.id, copy, orNever(copy.expiresAt))
  }

  getSession (id: string): SessionRecord | null {
    return this.#sessions.get(id) ?? null
  }

  rotateSession (id: string, rotation: Rotation): RotationResult {
    const session = this.#sessions.get(id)
    if (session === undefined) return { outcome: 'unknown' }
    if (rotation.presented === session.current.tokenId) {
      const rotated = frozenCopy<SessionRecord>({
        ...session,
        lastUsedAt: rotation.now,
        expiresAt: rotation.expiresAt,
        accessExpiresAt: laterOf(session.accessExpiresAt, rotation.accessExpiresAt),
        current: rotation.next,
        previousTokenId: rotation.presented,
        rotatedAt: rotation.now,
        claims: rotation.claims ?? session.claims
      })
      this.#sessions.set(id, rotated, orNever(rotated.expiresAt))
      return { outcome: 'rotated', session: rotated }
    }
    const raced = rotation.presented === session.previousTokenId &&
      session.rotatedAt !== null && rotation.now - session.rotatedAt < rotation.reuseInterval
    return { outcome: raced ? 'repeated' : 'reused', session }
  }

  endSession (id: string, denyUntil: number | null): boolean {
    const session = this.#sessions.get(id)
    this.#deny(this.#endedSessions, id,
      session === undefined ? denyUntil : laterOf(denyUntil, session.accessExpiresAt))
    if (session === undefined) return false
    this.#sessions.delete(id)
    this.#unlist(session)
    return true
  }

  listSessions (identity: string): SessionRecord[] {
    const sessions: SessionRecord[] = []
    for (const id of this.#sessionsOf.get(identity) ?? []) {
      const session = this.#sessions.get(id)
      if (session !== undefined) sessions.push(session)
    }
    // `reverse`, so that of the same millisecond, too, the newest is first: a Set keeps the order of insertion.
    return sessions.reverse().sort((a, b) => b.createdAt - a.createdAt)
  }

  /** Forgets everything and stops the timers. */
  close (): void {
    this.#tokens.clear()
    this.#endedSessions.clear()
    this.#sessions.clear()
    this.#sessionsOf.clear()
  }

  /** Denies an id. If it is denied already, the later time holds. */
  #deny (denials: ExpiringMap<null>, id: string, expiresAt: number | null): void {
    denials.set(id, null, Math.max(orNever(expiresAt), denials.expiry(id) ?? 0))
  }

  #unlist (session: SessionRecord): void {
    const ids = this.#sessionsOf.get(session.identity)
    if (ids?.delete(session.id) && ids.size === 0) this.#sessionsOf.delete(session.identity)
  }
}
