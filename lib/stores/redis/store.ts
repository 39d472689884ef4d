import { randomBytes } from 'node:crypto'
import { badOption } from '../../errors.ts'
import { checkOptionNames } from '../../options/unknown.ts'
import { resolveReplicate } from '../replication/options.ts'
import { Replication, warnOfNoReplica } from '../replication/replication.ts'
import { connectionOf } from './client.ts'
import { createRedisFeed, feedName } from './feed.ts'
import { redisKeys } from './keys.ts'
import { checkRequirements, checkServers, redisErrorCode } from './requirements.ts'
import { createScript, denyScript, endScript, listScript, readScript, replaceScript } from './scripts.ts'
import { readSession, readState, stateFields, writeFields } from './session.ts'
import { createServerWatch, limitPending } from './watch.ts'
import type { RedisClient, RedisConnection } from './client.ts'
import type { RedisKeys } from './keys.ts'
import type { RedisScript } from './scripts.ts'
import type { ServerWatch } from './watch.ts'
import type {
  CreatedSession, EndedSessions, SessionChange, SessionLimit, SessionPage, SessionRecord, SessionState, Store, StoredSession, TokenState
} from '../../types/store.ts'
import type { MaybePromise } from '../../types/claims.ts'
import type { ReplicaStatus, ReplicateOptions } from '../replication/options.ts'
import type { Denial } from '../replication/replica.ts'

export type { ReplicaStatus, ReplicateOptions } from '../replication/options.ts'
export type { IoredisClient, IoredisCluster, NodeRedisClient, NodeRedisCluster, NodeRedisSentinel, RedisClient } from './client.ts'

/** Options of {@link RedisStore}. */
export interface RedisStoreOptions {
  /** The beginning of every key. Apps that share a Redis but no tokens need different prefixes. Default: `'fastify-jwt:'`. */
  prefix?: string
  /** Milliseconds that Redis may take to answer; then the request is a 503. Default: 2,000. */
  commandTimeout?: number
  /**
   * Milliseconds by which the clocks of the servers may differ. Every key is kept for this time after its token has expired, so that no
   * denial is lost early on a server whose clock is behind. Default: 10,000.
   */
  clockSkew?: number
  /**
   * Accept a Redis whose `maxmemory-policy` may evict keys. When memory is short, it could lose a revocation, and a revoked
   * token would be accepted again. Default: `false`.
   */
  allowEviction?: boolean
  /**
   * Commands that may wait for an answer. Further requests are a 503 at once, so that an unresponsive Redis does not fill the memory of
   * this process. Default: 5,000.
   */
  maxPending?: number
  /**
   * Milliseconds between checks of the role and the eviction policy of Redis. If Redis has become a replica, or may evict revocations,
   * requests are a 503 until that is corrected. Default: 10,000.
   */
  checkInterval?: number
  /**
   * Keep the denials in the memory of this server, too: most access tokens need no query to Redis, and a revocation by another server
   * takes effect here within `maxStaleness` milliseconds. Not available with a Cluster. Default: `false`.
   */
  replicate?: boolean | ReplicateOptions
}

/** Options without `replicate`, which the replication reads by itself. */
type ResolvedOptions = Required<Omit<RedisStoreOptions, 'replicate'>>

/** The TTL of a key that never expires: 100 years, in milliseconds. So every key has a TTL. */
const forEver = 100 * 365 * 86_400_000

/** Life of the denial of a session that is listed and not there: no command that would create it is on its way for longer. */
const tombstoneLife = 3_600_000

/** One call of a method, which has one time-out however many commands it sends. */
interface Call {
  /** `true` after the time-out. */
  over: boolean
  readonly startedAt: number
}

const defaults: Readonly<ResolvedOptions> =
  { prefix: 'fastify-jwt:', commandTimeout: 2000, clockSkew: 10_000, allowEviction: false, maxPending: 5000, checkInterval: 10_000 }

function resolveOptions (given: Omit<RedisStoreOptions, 'replicate'>): ResolvedOptions {
  checkOptionNames(given, [...Object.keys(defaults), 'replicate'], 'store.')
  const options = { ...defaults, ...Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) }
  if (typeof options.prefix !== 'string' || !/^[^{}]*(\{[^{}]+\}[^{}]*)?$/.test(options.prefix)) {
    throw badOption('store.prefix', 'takes a string without braces, or with one complete hash tag')
  }
  for (const [name, least, unit] of [['commandTimeout', 1, ' of milliseconds'], ['clockSkew', 0, ' of milliseconds'], ['maxPending', 1, ''], ['checkInterval', 1, ' of milliseconds']] as const) {
    const value = options[name]
    if (!Number.isInteger(value) || value < least || value > 2 ** 31 - 1) {
      throw badOption(`store.${name}`, `takes a whole number${unit} of at least ${least}, got ${String(value)}`)
    }
  }
  if (typeof options.allowEviction !== 'boolean') throw badOption('store.allowEviction', 'takes true or false')
  return options
}

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
  readonly #watch: ServerWatch
  /** Who has made a publication, among all servers. */
  readonly #server = randomBytes(9).toString('base64url')
  readonly #replication: Replication | null
  /** Judges an access token without a question; only with the `replicate` option. */
  readonly judge?: NonNullable<Store['judge']>
  /** How far the clock of Redis is ahead of ours, in milliseconds; learnt from `open` and from its answers. */
  #clockOffset = 0

  /**
   * @param client A client, connected or connecting.
   * @throws `FST_JWT_BAD_OPTION` if it is not a client, or an option is unknown or invalid.
   */
  constructor (client: RedisClient, { replicate, ...options }: RedisStoreOptions = {}) {
    this.#options = resolveOptions(options)
    const { maxPending, allowEviction, checkInterval } = this.#options
    this.#connection = limitPending(connectionOf(client), maxPending)
    this.#watch = createServerWatch(() => checkServers(this.#connection, allowEviction), checkInterval)
    this.#keys = redisKeys(this.#options.prefix)
    const replication = this.#createReplication(replicate)
    this.#replication = replication
    if (replication === null) return
    const { tag } = this.#keys
    this.judge = ({ jti, sid, ...token }) => replication.judge({ jti: jti === null ? null : tag(jti), sid: sid === null ? null : tag(sid), ...token })
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
    const time = await checkRequirements(this.#connection, this.#keys, this.#options.allowEviction, step => this.#inTime(step, false))
    this.#clockOffset = time - Date.now()
    this.#replication?.start()
  }

  /** Ends the replication and its connection. The client stays open. */
  close (): void {
    this.#replication?.close()
  }

  /** Calls back with the id of each session that another server has ended, with the `replicate` option. @returns Ends it. */
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
    return keys.length === 0 ? false : this.#inTime(() => this.#exists(keys))
  }

  async useOnce (id: string, expiresAt: number): Promise<boolean> {
    const key = this.#keys.usedOnce(id)
    return this.#inTime(async call => await this.#change(call, key, 'SET', [key, '1', 'PX', this.#ttl(expiresAt), 'NX']) !== null)
  }

  async checkToken (jti: string | null, sid: string): Promise<TokenState> {
    return this.#inTime(async () => {
      const [denied, state] = await Promise.all([this.#exists(this.#denialsOf(jti, sid)), this.#readState(sid)])
      return denied ? 'denied' : state ?? 'unknown'
    })
  }

  async createSession (session: SessionRecord, limit: SessionLimit | null): Promise<CreatedSession> {
    return this.#inTime(async call => {
      const [listed, ...ended] = await this.#list(call, session, limit)
      if (!listed) return { created: false, ended: [] }
      await this.#endAll(call, ended)
      if (ended.length > 0) await this.#unlist(call, session.identity, ended)
      const keys: [string, string] = [this.#keys.session(session.id), this.#keys.deniedSession(session.id)]
      const created = await this.#run(call, createScript, keys, [this.#ttl(session.expiresAt), ...writeFields(session)])
      return { created: Number(created) === 1, ended }
    })
  }

  async getSession (id: string): Promise<StoredSession | null> {
    return this.#inTime(call => this.#read(call, id))
  }

  async getSessionState (id: string): Promise<SessionState | null> {
    return this.#inTime(() => this.#readState(id))
  }

  async replaceSession (id: string, version: number, { rotated, ...values }: SessionChange): Promise<boolean> {
    const change = async (): Promise<boolean> => this.#replace(id, version, rotated === true, values)
    return values.staleBefore === undefined ? change() : this.#holding('stale', id, change)
  }

  async #replace (id: string, version: number, rotated: boolean, values: Omit<SessionChange, 'rotated'>): Promise<boolean> {
    return this.#inTime(async call => {
      const { expiresAt } = values
      if (expiresAt !== undefined && !await this.#listAgain(call, id, expiresAt)) return false
      const deadline = String(call.startedAt + this.#clockOffset + this.#options.commandTimeout)
      const [outcome, time] = await this.#run(call, replaceScript, [this.#keys.session(id), ...this.#feedKeys()], [
        deadline, String(version), expiresAt === undefined ? '' : this.#ttl(expiresAt), rotated ? '1' : '0',
        String(values.staleBefore ?? ''), this.#keys.tag(id), ...writeFields(values)
      ]) as [outcome: string, time: string]
      this.#clockOffset = Number(time) - Date.now()
      return String(outcome) === 'replaced'
    })
  }

  async endSession (id: string): Promise<string | null> {
    const identity = await this.#holding('session', id, async () => this.#inTime(call => this.#end(call, id, '')))
    // The session has ended, whatever becomes of this: the list is read with an eye to what is gone.
    if (identity !== null) this.#inTime(call => this.#unlist(call, identity, [id])).catch(() => {})
    return identity
  }

  async endSessions (identity: string, except: string | null, limit: number): Promise<EndedSessions> {
    return this.#inTime(async call => {
      const key = this.#keys.sessionsOf(identity)
      // One more than asked for, and one for the exception.
      const ids = await this.#connection.send(key, 'ZRANGE', [key, '0', String(limit + 1)]) as string[]
      const others = ids.map(String).filter(id => id !== except)
      const ended = others.slice(0, limit)
      // A session that is listed and not there yet is being created: its denial keeps it from being.
      await this.#endAll(call, ended)
      if (ended.length > 0) await this.#unlist(call, identity, ended)
      return { ended, more: others.length > limit }
    })
  }

  async listSessions (identity: string, after: string | null, limit: number): Promise<SessionPage> {
    return this.#inTime(async call => {
      const key = this.#keys.sessionsOf(identity)
      const first = after === null ? 0 : await this.#rankAfter(key, after)
      const reply = await this.#connection.send(key, 'ZREVRANGE', [key, String(first), String(first + limit), 'WITHSCORES']) as unknown[]
      // RESP3 answers pairs, RESP2 id and score in turn.
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

  /** Where a page of sessions begins, newest first: behind the last one of the page before, or behind its time if it has ended. */
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
    const [time, values] = await this.#run(call, readScript, [this.#keys.session(id)], []) as [time: string, values: unknown[]]
    this.#clockOffset = Number(time) - Date.now()
    const session = readSession(id, values)
    return session === null || (session.expiresAt !== null && session.expiresAt <= Date.now()) ? null : { session, now: Number(time) }
  }

  /** Puts a session on the lists of its identity, for at least as long as it lives. Answers 1 or 0, and what has to end for it. */
  async #list (call: Call, { id, identity, expiresAt, document }: SessionRecord, limit: SessionLimit | null): Promise<[listed: boolean, ...ended: string[]]> {
    const expired = Date.now() - this.#options.clockSkew
    const keys: [string, string] = [this.#keys.sessionsOf(identity), this.#keys.expiryOf(identity)]
    const [listed, ...ended] = await this.#run(call, listScript, keys, [
      id, String(document.createdAt), expiresAt === null ? '+inf' : String(expiresAt), this.#ttl(expiresAt), String(expired),
      limit === null ? '' : String(limit.max), limit?.whenFull ?? ''
    ]) as [listed: number, ...ended: string[]]
    return [Number(listed) === 1, ...ended.map(String)]
  }

  /** Lists a session for its new life, before it has it. @returns Whether there is such a session. */
  async #listAgain (call: Call, id: string, expiresAt: number | null): Promise<boolean> {
    const stored = await this.#read(call, id)
    if (stored === null) return false
    await this.#list(call, { ...stored.session, expiresAt }, null)
    return true
  }

  async #unlist (call: Call, identity: string, ids: readonly string[]): Promise<void> {
    await Promise.all([this.#keys.sessionsOf(identity), this.#keys.expiryOf(identity)].map(async key => this.#change(call, key, 'ZREM', [key, ...ids])))
  }

  /** Sends a denial. */
  async #deny (kind: 'token' | 'session', id: string, key: string, expiresAt: number | null): Promise<void> {
    const end = expiresAt === null ? '0' : String(expiresAt + this.#options.clockSkew)
    const args = [this.#ttl(expiresAt), feedName(kind, this.#keys.tag(id)), this.#server, end]
    await this.#holding(kind, id, async () => this.#inTime(call => this.#run(call, denyScript, [key, ...this.#feedKeys()], args)))
  }

  /** What this server revokes holds here from the beginning. */
  async #holding<T> (kind: Denial['kind'], id: string, work: () => Promise<T>): Promise<T> {
    return this.#replication === null ? work() : this.#replication.hold(kind, this.#keys.tag(id), work)
  }

  /** On a Cluster the feed is in another slot than what is denied: nobody replicates there. */
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
      this.#inTime(call => this.#run(call, script, keys, args))
    const feed = createRedisFeed({ subscribe, send, keys: this.#keys, server: this.#server, run, timeout: commandTimeout })
    return new Replication(feed, options, clockSkew)
  }

  /** Ends several sessions, those that are listed and not there yet included. */
  async #endAll (call: Call, ids: readonly string[]): Promise<void> {
    await Promise.all(ids.map(async id => this.#holding('session', id, async () => this.#end(call, id, this.#tombstone))))
  }

  /** @param withoutRecord The life of a denial if there is no record; '' for none. */
  async #end (call: Call, id: string, withoutRecord: string): Promise<string | null> {
    const keys: [string, ...string[]] = [this.#keys.session(id), this.#keys.deniedSession(id), ...this.#feedKeys()]
    const [existed, identity] = await this.#run(call, endScript, keys, [
      String(Date.now()), String(this.#options.clockSkew), String(forEver), withoutRecord, feedName('session', this.#keys.tag(id)), this.#server
    ]) as [existed: number | string, identity?: string]
    return Number(existed) === 1 ? String(identity) : null
  }

  /** The TTL of a key, in milliseconds. */
  #ttl (expiresAt: number | null): string {
    return String(expiresAt === null ? forEver : Math.max(1, Math.ceil(expiresAt - Date.now() + this.#options.clockSkew)))
  }

  async #run (call: Call, { sha, source }: RedisScript, keys: [string, ...string[]], args: string[]): Promise<unknown> {
    const rest = [String(keys.length), ...keys, ...args]
    try {
      return await this.#change(call, keys[0], 'EVALSHA', [sha, ...rest])
    } catch (error) {
      // The server does not have the script: it is new, or was restarted, or has taken over.
      if (redisErrorCode(error) !== 'NOSCRIPT') throw error
      return this.#change(call, keys[0], 'EVAL', [source, ...rest])
    }
  }

  /** Sends a change, unless the call has timed out: then its caller has been told that it failed. */
  async #change (call: Call, key: string, command: string, args: string[]): Promise<unknown> {
    if (call.over) throw new Error('The call has timed out')
    return this.#connection.send(key, command, args)
  }

  /** Runs a call with a time-out. A later result is dropped. */
  async #inTime<T> (work: (call: Call) => Promise<T>, watched = true): Promise<T> {
    if (watched) this.#watch.require()
    const call: Call = { over: false, startedAt: Date.now() }
    const { commandTimeout } = this.#options
    return new Promise<T>((resolve, reject) => {
      const timer = setTimeout(() => {
        // If this process was busy, the reply has arrived already, and is read before the callback runs.
        setImmediate(() => {
          call.over = true
          reject(new Error(`Redis did not answer within ${commandTimeout} ms`))
        })
      }, commandTimeout).unref()
      work(call).finally(() => clearTimeout(timer)).then(resolve, reject)
    })
  }
}
