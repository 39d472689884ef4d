import { ExpiringMap } from './expiring-map.ts'
import type { Rotation, RotationResult, SessionRecord, Store } from '../types/store.ts'

function laterOf (first: number | null, second: number | null): number | null {
  return first === null || second === null ? null : Math.max(first, second)
}

function orNever (expiresAt: number | null): number {
  return expiresAt ?? Infinity
}

/** A deep, frozen copy, of what JSON can hold: what a store in another process would give back. */
function frozenCopy<T> (value: T): T {
  return JSON.parse(JSON.stringify(value), (_key, part: unknown) =>
    typeof part === 'object' && part !== null ? Object.freeze(part) : part)
}

/**
 * Revocations and sessions in the memory of this process: the default store. Every method returns a
 * value rather than a promise, so that a request makes none.
 *
 * For one process. With several, a token revoked in one would pass in the others, and a restart forgets
 * everything: use {@link RedisStore} or a store of your own there.
 *
 * Nothing is evicted before its expiry, so memory is the number of live revocations and sessions: about
 * 200 bytes for a revocation, and its claims and metadata for a session. A token is found by its `jti`
 * alone, which is unique (RFC 7519 §4.1.7).
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
    // Newest first among those of the same millisecond too: a Set keeps the order of insertion.
    return sessions.reverse().sort((a, b) => b.createdAt - a.createdAt)
  }

  /** Forgets everything and stops the timers. */
  close (): void {
    this.#tokens.clear()
    this.#endedSessions.clear()
    this.#sessions.clear()
    this.#sessionsOf.clear()
  }

  /** A denial is never shortened: asked twice, the later time holds. */
  #deny (denials: ExpiringMap<null>, id: string, expiresAt: number | null): void {
    denials.set(id, null, Math.max(orNever(expiresAt), denials.expiry(id) ?? 0))
  }

  #unlist (session: SessionRecord): void {
    const ids = this.#sessionsOf.get(session.identity)
    if (ids?.delete(session.id) && ids.size === 0) this.#sessionsOf.delete(session.identity)
  }
}
