import { randomBytes } from 'node:crypto'
import { readIdentity } from '../identity-text.ts'
import { resolveReplicate } from '../replication/options.ts'
import { Replication, warnOfNoReplica } from '../replication/replication.ts'
import { createCalls } from './calls.ts'
import { connectionOf } from './client.ts'
import { createRedisFeed, feedName } from './feed.ts'
import { redisKeys } from './keys.ts'
import { resolveOptions } from './options.ts'
import { checkRequirements, checkServers } from './requirements.ts'
import { createScript, denyScript, endScript, extendScript, listScript, readScript, replaceScript } from './scripts.ts'
import { readSession, readState, stateFields, writeFields } from './session.ts'
import { createServerWatch, limitPending } from './watch.ts'
import type { Call, Calls } from './calls.ts'
import type { RedisClient, RedisConnection } from './client.ts'
import type { RedisKeys } from './keys.ts'
import type { RedisStoreOptions, ResolvedOptions } from './options.ts'
import type { RedisScript } from './scripts.ts'
import type {
  CreatedSession, EndedSessions, SessionChange, SessionLimit, SessionPage, SessionRecord, SessionState, Store, StoredSession, TokenState
} from '../../types/store.ts'
import type { MaybePromise } from '../../types/claims.ts'
import type { ReplicaStatus } from '../replication/options.ts'
import type { Denial } from '../replication/replica.ts'

export type { ReplicaStatus, ReplicateOptions } from '../replication/options.ts'
export type { IoredisClient, IoredisCluster, NodeRedisClient, NodeRedisCluster, NodeRedisSentinel, RedisClient } from './client.ts'
export type { RedisStoreOptions } from './options.ts'

/** The TTL of a key that never expires: 100 years, in milliseconds. So every key has a TTL. */
const forEver = 100 * 365 * 86_400_000

/** TTL of the tombstone of a listed session that does not exist, in milliseconds. No command that creates it is delayed for longer. */
const tombstoneLife = 3_600_000

/**
 * Keeps revocations and sessions on Redis (6.2 or later) or Valkey (7.2 or later), for any number of servers. A token that one server
 * revokes is refused by all others at once. Takes a client of `ioredis`, `iovalkey`, node-redis or `@fastify/redis`: single node,
 * Sentinel or Cluster. The app connects and closes the client. A client of node-redis needs an `error` listener: without one, a lost
 * connection ends the process.
 *
 * A request with a token of a session needs two commands in one round trip. Every change is one script on keys that share a hash slot, so
 * it is also atomic on a Cluster. The list of an identity's sessions is in another slot; it is written before the session, so that no
 * usable session is missing in it. Every key has a TTL, which is relative and not a date: a late command keeps a key longer, never
 * shorter, whatever the clock of Redis says. The reuse interval is decided by the clock of Redis, which all servers share.
 *
 * If Redis does not answer within `commandTimeout`, the request is a 503. A rotation that arrives after that has no effect. If it was
 * done and only its response was lost, the old refresh token stays valid until the new one is used (`refreshUntilUsed`).
 *
 * If Redis is out of memory, logins fail. Revoking and rotating still work.
 *
 * Data that was not on disk (`appendonly yes`) or on a replica is lost after a crash. Access tokens of a session whose record is lost are
 * refused.
 *
 * @example
 * ```ts
 * import { RedisStore } from 'fastify-jwt-extended/redis'
 *
 * await app.register(redis, { host: '127.0.0.1' })
 * await app.register(jwt, { secretKey, store: new RedisStore(app.redis) })
 * ```
 */
export class RedisStore implements Store {
  readonly #connection: RedisConnection
  readonly #keys: RedisKeys
  readonly #options: ResolvedOptions
  readonly #tombstone = String(tombstoneLife)
  readonly #calls: Calls
  /** The id of this server in the feed. */
  readonly #server = randomBytes(9).toString('base64url')
  readonly #replication: Replication | null
  /** Judges an access token without a query; only with the `replicate` option. */
  readonly judge?: NonNullable<Store['judge']>
  /** How far the clock of Redis is ahead of ours, in milliseconds; learnt from `open` and from its answers. */
  #clockOffset = 0

  /**
   * @param client A client, connected or connecting.
   * @throws `FST_JWT_BAD_OPTION` if it is not a client, or an option is unknown or invalid.
   */
  constructor (client: RedisClient, { replicate, ...options }: RedisStoreOptions = {}) {
    this.#options = resolveOptions(options)
    const { maxPending, allowEviction, checkInterval, commandTimeout } = this.#options
    this.#connection = limitPending(connectionOf(client), maxPending)
    const watch = createServerWatch(() => checkServers(this.#connection, allowEviction), checkInterval)
    this.#calls = createCalls(this.#connection, watch, commandTimeout)
    this.#keys = redisKeys(this.#options.prefix)
    const replication = this.#createReplication(replicate)
    this.#replication = replication
    if (replication !== null) this.judge = token => replication.judge(token)
  }

  /** The state of the replica; `null` without the `replicate` option. */
  get replica (): ReplicaStatus | null {
    return this.#replication?.status ?? null
  }

  /**
   * Checks that Redis answers, is recent enough, accepts writes and scripts, and evicts nothing.
   *
   * @throws `FST_JWT_BAD_OPTION` with the remedy.
   */
  async open (): Promise<void> {
    const time = await checkRequirements(this.#connection, this.#keys, this.#options.allowEviction, step => this.#calls.inTime(step, false))
    this.#clockOffset = time - Date.now()
    this.#replication?.start()
  }

  /** Ends the replication and its connection. The client stays open. */
  close (): void {
    this.#replication?.close()
  }

  /** Grows whenever the store may have lost data; only with the `replicate` option. */
  get epoch (): number {
    return this.#replication?.epoch ?? 0
  }

  /** Calls `listener` with the id of each session that another server has ended, if `replicate` is set. @returns Removes the listener. */
  onSessionEnd (listener: (sid: string) => void): () => void {
    return this.#replication?.onSessionEnd(listener) ?? (() => {})
  }

  async denyToken (jti: string, sid: string | null, expiresAt: number | null): Promise<void> {
    await this.#deny('token', jti, this.#keys.deniedToken(jti, sid), expiresAt)
  }

  async denySession (sid: string, expiresAt: number | null): Promise<void> {
    await this.#deny('session', sid, this.#keys.deniedSession(sid), expiresAt)
  }

  isDenied (jti: string | null, sid: string | null): MaybePromise<boolean> {
    const keys = this.#denialsOf(jti, sid)
    return keys.length === 0 ? false : this.#calls.inTime(() => this.#exists(keys))
  }

  async useOnce (id: string, expiresAt: number): Promise<boolean> {
    const key = this.#keys.usedOnce(id)
    return this.#calls.inTime(async call => await this.#calls.change(call, key, 'SET', [key, '1', 'PX', this.#ttl(expiresAt), 'NX']) !== null)
  }

  async checkToken (jti: string | null, sid: string): Promise<TokenState> {
    return this.#calls.inTime(async () => {
      const [denied, state] = await Promise.all([this.#exists(this.#denialsOf(jti, sid)), this.#readState(sid)])
      return denied ? 'denied' : state ?? 'unknown'
    })
  }

  async createSession (session: SessionRecord, limit: SessionLimit | null): Promise<CreatedSession> {
    return this.#calls.inTime(async call => {
      const [listed, ...ended] = await this.#takePlace(call, session, limit)
      if (!listed) return { created: false, ended: [] }
      await this.#endAll(call, ended)
      if (ended.length > 0) await this.#unlist(call, session.identity, ended)
      const keys: [string, string] = [this.#keys.session(session.id), this.#keys.deniedSession(session.id)]
      const created = await this.#calls.run(call, createScript, keys, [this.#ttl(session.expiresAt), ...writeFields(session)])
      return { created: Number(created) === 1, ended }
    })
  }

  async getSession (id: string): Promise<StoredSession | null> {
    return this.#calls.inTime(call => this.#read(call, id))
  }

  async getSessionState (id: string): Promise<SessionState | null> {
    return this.#calls.inTime(() => this.#readState(id))
  }

  async replaceSession (id: string, version: number, { rotated, ...values }: SessionChange): Promise<boolean> {
    const change = async (): Promise<boolean> => this.#replace(id, version, rotated === true, values)
    return values.staleBefore === undefined ? change() : this.#holding('stale', id, change)
  }

  async #replace (id: string, version: number, rotated: boolean, values: Omit<SessionChange, 'rotated'>): Promise<boolean> {
    return this.#calls.inTime(async call => {
      const { expiresAt } = values
      if (expiresAt !== undefined && !await this.#listAgain(call, id, expiresAt)) return false
      const deadline = String(call.startedAt + this.#clockOffset + this.#options.commandTimeout)
      const [outcome, time] = await this.#calls.run(call, replaceScript, [this.#keys.session(id), ...this.#feedKeys()], [
        deadline, String(version), expiresAt === undefined ? '' : this.#ttl(expiresAt), rotated ? '1' : '0',
        String(values.staleBefore ?? ''), this.#keys.tag(id), ...writeFields(values)
      ]) as [outcome: string, time: string]
      this.#clockOffset = Number(time) - Date.now()
      return String(outcome) === 'replaced'
    })
  }

  async endSession (id: string): Promise<string | null> {
    const identity = await this.#holding('session', id, async () => this.#calls.inTime(call => this.#end(call, id, '')))
    // The session has ended even if this fails: sessions that are gone are skipped when the list is read.
    if (identity !== null) this.#calls.inTime(call => this.#unlist(call, identity, [id])).catch(() => {})
    return identity
  }

  async endSessions (identity: string, except: string | null, limit: number): Promise<EndedSessions> {
    return this.#calls.inTime(async call => {
      const key = this.#keys.sessionsOf(identity)
      // One more than the limit, and one for the exception.
      const ids = await this.#connection.send(key, 'ZRANGE', [key, '0', String(limit + 1)]) as string[]
      const others = ids.map(String).filter(id => id !== except)
      const ended = others.slice(0, limit)
      // A session that is listed but does not exist yet is being created. Its tombstone prevents that.
      await this.#endAll(call, ended)
      if (ended.length > 0) await this.#unlist(call, identity, ended)
      return { ended, more: others.length > limit }
    })
  }

  async listSessions (identity: string, after: string | null, limit: number): Promise<SessionPage> {
    return this.#calls.inTime(async call => {
      const key = this.#keys.sessionsOf(identity)
      const first = after === null ? 0 : await this.#rankAfter(key, after)
      const reply = await this.#connection.send(key, 'ZREVRANGE', [key, String(first), String(first + limit), 'WITHSCORES']) as unknown[]
      // RESP3 returns pairs, RESP2 a flat list of ids and scores.
      const listed = reply.flat()
      const page = listed.slice(0, 2 * limit)
      const sessions = await Promise.all(page.filter((_, index) => index % 2 === 0).map(async id => this.#read(call, String(id))))
      const [id, createdAt] = page.slice(-2)
      return {
        sessions: sessions.flatMap(stored => stored?.session ?? []),
        next: listed.length > page.length ? `${String(createdAt)} ${String(id)}` : null
      }
    })
  }

  /** The rank where a page begins, newest first: after the last session of the previous page, or after its time if it has ended. */
  async #rankAfter (key: string, after: string): Promise<number> {
    const [createdAt = '', id = ''] = after.split(' ')
    const rank = await this.#connection.send(key, 'ZREVRANK', [key, id]) as number | null
    return rank === null ? Number(await this.#connection.send(key, 'ZCOUNT', [key, createdAt, '+inf'])) : Number(rank) + 1
  }

  #denialsOf (jti: string | null, sid: string | null): string[] {
    const keys: string[] = []
    if (jti !== null) keys.push(this.#keys.deniedToken(jti, sid))
    if (sid !== null) keys.push(this.#keys.deniedSession(sid))
    return keys
  }

  async #exists (keys: readonly string[]): Promise<boolean> {
    return Number(await this.#connection.send(keys[0] as string, 'EXISTS', [...keys])) > 0
  }

  async #readState (id: string): Promise<SessionState | null> {
    const key = this.#keys.session(id)
    return readState(await this.#connection.send(key, 'HMGET', [key, ...stateFields]) as unknown[])
  }

  async #read (call: Call, id: string): Promise<StoredSession | null> {
    const [time, values] = await this.#calls.run(call, readScript, [this.#keys.session(id)], []) as [time: string, values: unknown[]]
    this.#clockOffset = Number(time) - Date.now()
    const session = readSession(id, values)
    return session === null || (session.expiresAt !== null && session.expiresAt <= Date.now()) ? null : { session, now: Number(time) }
  }

  /** Lists a session for at least as long as it lives. @returns Whether it is listed, and the sessions that must end for it. */
  async #list (call: Call, { id, identity, expiresAt, document }: SessionRecord, limit: SessionLimit | null): Promise<[listed: boolean, ...ended: string[]]> {
    const expired = Date.now() - this.#options.clockSkew
    const [listed, ...ended] = await this.#calls.run(call, listScript, this.#listsOf(identity), [
      id, String(document.createdAt), scoreOf(expiresAt), this.#ttl(expiresAt), String(expired),
      limit === null ? '' : String(limit.max), limit?.whenFull ?? ''
    ]) as [listed: number, ...ended: string[]]
    return [Number(listed) === 1, ...ended.map(String)]
  }

  /** Lists a new session. If the limit is reached, it unlists sessions that are gone and tries again. */
  async #takePlace (call: Call, session: SessionRecord, limit: SessionLimit | null): Promise<[listed: boolean, ...ended: string[]]> {
    const answer = await this.#list(call, session, limit)
    return answer[0] || !await this.#freePlaces(call, session.identity) ? answer : this.#list(call, session, limit)
  }

  /** Unlists sessions that are gone: the command that should have unlisted them may have failed. @returns Whether there were any. */
  async #freePlaces (call: Call, identity: string): Promise<boolean> {
    const { commandTimeout, clockSkew } = this.#options
    const key = this.#keys.sessionsOf(identity)
    // A younger session may be listed, but not created yet.
    const oldEnough = String(Date.now() - commandTimeout - clockSkew)
    const ids = (await this.#connection.send(key, 'ZRANGEBYSCORE', [key, '-inf', oldEnough, 'LIMIT', '0', '1000']) as unknown[]).map(String)
    const gone: string[] = []
    // A few at once: others need their share of `maxPending`.
    while (ids.length > 0) {
      await Promise.all(ids.splice(0, 50).map(async id => { if (!await this.#exists([this.#keys.session(id)])) gone.push(id) }))
    }
    if (gone.length === 0) return false
    await this.#endAll(call, gone)
    await this.#unlist(call, identity, gone)
    return true
  }

  /** Lists a session with its new expiry before the record is changed. @returns Whether there is such a session. */
  async #listAgain (call: Call, id: string, expiresAt: number | null): Promise<boolean> {
    const stored = await this.#read(call, id)
    if (stored === null) return false
    const { identity, document: { createdAt } } = stored.session
    await this.#calls.run(call, extendScript, this.#listsOf(identity), [id, String(createdAt), scoreOf(expiresAt), this.#ttl(expiresAt)])
    return true
  }

  /** The sessions of an identity by creation, and by expiry. */
  #listsOf (identity: string): [byCreation: string, byExpiry: string] {
    return [this.#keys.sessionsOf(identity), this.#keys.expiryOf(identity)]
  }

  async #unlist (call: Call, identity: string, ids: readonly string[]): Promise<void> {
    await Promise.all(this.#listsOf(identity).map(async key => this.#calls.change(call, key, 'ZREM', [key, ...ids])))
  }

  /** Sends a denial. */
  async #deny (kind: 'token' | 'session', id: string, key: string, expiresAt: number | null): Promise<void> {
    const end = expiresAt === null ? '0' : String(expiresAt + this.#options.clockSkew)
    const args = [this.#ttl(expiresAt), feedName(kind, this.#keys.tag(id)), this.#server, end]
    await this.#holding(kind, id, async () => this.#calls.inTime(call => this.#calls.run(call, denyScript, [key, ...this.#feedKeys()], args)))
  }

  /** Runs a revocation, which takes effect on this server at once. */
  async #holding<T> (kind: Denial['kind'], id: string, work: () => Promise<T>): Promise<T> {
    return this.#replication === null ? work() : this.#replication.hold(kind, id, work)
  }

  /** Empty on a Cluster: the feed would be in another slot than the denial, so no server replicates there. */
  #feedKeys (): string[] {
    return this.#connection.isCluster ? [] : [this.#keys.feed, this.#keys.live]
  }

  #createReplication (given: RedisStoreOptions['replicate']): Replication | null {
    const options = resolveReplicate(given)
    if (options === null) return null
    const { subscribe, send } = this.#connection
    if (subscribe === null) {
      warnOfNoReplica(this.#connection.isCluster ? 'a Redis Cluster has no order among its nodes' : 'a pool has no second connection to listen on; give RedisStore a client')
      return null
    }
    const { commandTimeout, clockSkew } = this.#options
    const run = async (script: RedisScript, keys: [string, ...string[]], args: string[]): Promise<unknown> =>
      this.#calls.inTime(call => this.#calls.run(call, script, keys, args))
    const feed = createRedisFeed({ subscribe, send, keys: this.#keys, server: this.#server, run, timeout: commandTimeout })
    return new Replication(feed, options, clockSkew)
  }

  /** Ends several sessions, including listed ones that do not exist yet. */
  async #endAll (call: Call, ids: readonly string[]): Promise<void> {
    await Promise.all(ids.map(async id => this.#holding('session', id, async () => this.#end(call, id, this.#tombstone))))
  }

  /** @param withoutRecord The TTL of a tombstone if there is no record; '' for none. */
  async #end (call: Call, id: string, withoutRecord: string): Promise<string | null> {
    const keys: [string, ...string[]] = [this.#keys.session(id), this.#keys.deniedSession(id), ...this.#feedKeys()]
    const [existed, identity] = await this.#calls.run(call, endScript, keys, [
      String(Date.now()), String(this.#options.clockSkew), String(forEver), withoutRecord, feedName('session', this.#keys.tag(id)), this.#server
    ]) as [existed: number | string, identity?: string]
    return Number(existed) === 1 ? readIdentity(identity) : null
  }

  /** The TTL of a key, in milliseconds. */
  #ttl (expiresAt: number | null): string {
    return String(expiresAt === null ? forEver : Math.max(1, Math.ceil(expiresAt - Date.now() + this.#options.clockSkew)))
  }
}

/** The score of a session in the list by expiry. */
function scoreOf (expiresAt: number | null): string {
  return expiresAt === null ? '+inf' : String(expiresAt)
}
