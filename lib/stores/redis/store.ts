import { badOption } from '../../errors.ts'
import { checkOptionNames } from '../../options/unknown.ts'
import { connectionOf } from './client.ts'
import { redisKeys } from './keys.ts'
import { checkRequirements, redisErrorCode } from './requirements.ts'
import { createScript, denyScript, endScript, listScript, rotateScript, sessionFields } from './scripts.ts'
import { readSession, writeSession, written } from './session.ts'
import type { RedisClient, RedisConnection } from './client.ts'
import type { RedisKeys } from './keys.ts'
import type { RedisScript } from './scripts.ts'
import type { Rotation, RotationResult, SessionRecord, Store } from '../../types/store.ts'
import type { MaybePromise } from '../../types/claims.ts'

/** Options of {@link RedisStore}. */
export interface RedisStoreOptions {
  /**
   * What every key begins with; default `'fastify-jwt:'`. Apps that share a Redis, and not their
   * tokens, each take their own.
   */
  prefix?: string
  /** How long Redis may take to answer, in milliseconds, before a request is refused; default 2000. */
  commandTimeout?: number
  /**
   * How far the clocks of the servers may be apart, in milliseconds; default 10,000. Every key is kept
   * that much longer than its token lives, so that a server whose clock is behind forgets nothing early.
   */
  clockSkew?: number
  /**
   * Accept a Redis whose `maxmemory-policy` may evict keys, and with them revocations: a revoked token
   * could pass once memory is short. Default `false`.
   */
  allowEviction?: boolean
}

/** A life for what has no end: 100 years, in milliseconds, so that every key carries a TTL. */
const forEver = 100 * 365 * 86_400_000

/** One call of a method, which has one time-out however many commands it sends. */
interface Call {
  over: boolean
  readonly startedAt: number
}

const defaults: Readonly<Required<RedisStoreOptions>> =
  { prefix: 'fastify-jwt:', commandTimeout: 2000, clockSkew: 10_000, allowEviction: false }

function resolveOptions (given: RedisStoreOptions): Required<RedisStoreOptions> {
  checkOptionNames(given, Object.keys(defaults), 'store.')
  const options = { ...defaults, ...Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) }
  if (typeof options.prefix !== 'string' || !/^[^{}]*(\{[^{}]+\}[^{}]*)?$/.test(options.prefix)) {
    throw badOption('store.prefix', 'takes a string, with no braces but those of one whole hash tag')
  }
  for (const [name, least] of [['commandTimeout', 1], ['clockSkew', 0]] as const) {
    const value = options[name]
    if (!Number.isInteger(value) || value < least || value > 2 ** 31 - 1) {
      throw badOption(`store.${name}`, `takes a whole number of milliseconds from ${least}, not ${String(value)}`)
    }
  }
  if (typeof options.allowEviction !== 'boolean') throw badOption('store.allowEviction', 'takes true or false')
  return options
}

/**
 * Revocations and sessions on Redis (6.2 or later) or Valkey, for any number of servers: what one
 * revokes, every other refuses at once. Single node, Sentinel or Cluster, by a client of `ioredis`,
 * `iovalkey`, node-redis or `@fastify/redis`, which stays yours to connect and to close. A client of
 * node-redis needs an `error` listener, or a lost connection ends the process.
 *
 * Asking whether a token is denied is one `EXISTS`. Every change is one script on keys that share a
 * hash slot, so atomic on a Cluster too; the list of an identity's sessions is apart, written before a
 * session is and before its tokens are handed out, so that no session anyone can use is missing there.
 * Every key carries a TTL, counted from the life that is left rather than as a date: a command that is
 * late keeps a key longer, never shorter, whatever time it is on Redis. The reuse interval is decided
 * by the clock of Redis, the one clock that all servers share.
 *
 * A Redis that does not answer in `commandTimeout` is an error, and so a 503. A rotation that was still
 * on its way then does nothing if it arrives later: nobody would learn of the successor, and the old
 * token, shown again, would look stolen.
 *
 * Redis as durable as it is configured: revocations not on disk (`appendonly yes`) or on a replica are
 * gone after a crash.
 *
 * @example
 * ```ts
 * await app.register(redis, { host: '127.0.0.1' })
 * await app.register(jwt, { secretKey, store: new RedisStore(app.redis) })
 * ```
 */
export class RedisStore implements Store {
  readonly #connection: RedisConnection
  readonly #keys: RedisKeys
  readonly #options: Required<RedisStoreOptions>
  /** How far the clock of Redis is ahead of ours, in milliseconds; learnt from its answers. */
  #clockOffset: number | undefined

  /**
   * @param client A client, connected or connecting.
   * @throws `FST_JWT_BAD_OPTION` when it is none, or an option is not understood.
   */
  constructor (client: RedisClient, options: RedisStoreOptions = {}) {
    this.#connection = connectionOf(client)
    this.#options = resolveOptions(options)
    this.#keys = redisKeys(this.#options.prefix)
  }

  /**
   * Whether Redis answers, is recent enough, takes writes and scripts, and evicts nothing.
   *
   * @throws `FST_JWT_BAD_OPTION` with the remedy.
   */
  async open (): Promise<void> {
    await checkRequirements(this.#connection, this.#keys, this.#options.allowEviction, step => this.#inTime(step))
  }

  async denyToken (jti: string, sid: string | null, expiresAt: number | null): Promise<void> {
    await this.#inTime(call =>
      this.#run(call, denyScript, [this.#keys.deniedToken(jti, sid)], [this.#life(expiresAt)]))
  }

  isDenied (jti: string | null, sid: string | null): MaybePromise<boolean> {
    const keys: string[] = []
    if (jti !== null) keys.push(this.#keys.deniedToken(jti, sid))
    if (sid !== null) keys.push(this.#keys.deniedSession(sid))
    const [key] = keys
    if (key === undefined) return false
    return this.#inTime(async () => Number(await this.#connection.send(key, 'EXISTS', keys)) > 0)
  }

  async createSession (session: SessionRecord): Promise<void> {
    const fields = writeSession(session)
    await this.#inTime(async call => {
      await this.#list(call, session)
      await this.#run(call, createScript, [this.#keys.session(session.id)], [this.#life(session.expiresAt), ...fields])
    })
  }

  async getSession (id: string): Promise<SessionRecord | null> {
    return this.#inTime(async () => this.#read(id))
  }

  async rotateSession (id: string, rotation: Rotation): Promise<RotationResult> {
    return this.#inTime(async call => {
      let reply = await this.#rotate(call, id, rotation)
      // Not late, since we are still here: the clock of Redis has changed. The answer told us how.
      if (reply.outcome === 'late') reply = await this.#rotate(call, id, rotation)
      const { outcome, session } = reply
      if (session === null) {
        if (outcome === 'unknown') return { outcome }
        throw new Error('The clock of Redis is not steady enough to rotate a session')
      }
      if (outcome === 'reused') return { outcome, session }
      // Before anybody has the successor, so that what can be used is listed. `repeated` does it
      // again, since it answers for a rotation that may not have come so far.
      await this.#list(call, session)
      return { outcome: outcome === 'rotated' ? outcome : 'repeated', session }
    })
  }

  async endSession (id: string, denyUntil: number | null): Promise<boolean> {
    const keys = [this.#keys.session(id), this.#keys.deniedSession(id)]
    const [existed, identity] = await this.#inTime(call => this.#run(call, endScript, keys, [
      this.#life(denyUntil), String(forEver), String(Date.now()), String(this.#options.clockSkew)
    ])) as [existed: number | string, identity?: string]
    if (identity !== undefined) {
      const key = this.#keys.sessionsOf(identity)
      // The session has ended, whatever becomes of this: the list is read with an eye to what is gone.
      this.#inTime(() => this.#connection.send(key, 'ZREM', [key, id])).catch(() => {})
    }
    return Number(existed) === 1
  }

  async listSessions (identity: string): Promise<SessionRecord[]> {
    return this.#inTime(async () => {
      const key = this.#keys.sessionsOf(identity)
      const ids = await this.#connection.send(key, 'ZRANGE', [key, '0', '-1']) as string[]
      const sessions = await Promise.all(ids.map(async id => this.#read(id)))
      return sessions.filter(session => session !== null).sort((a, b) => b.createdAt - a.createdAt)
    })
  }

  async #read (id: string): Promise<SessionRecord | null> {
    const key = this.#keys.session(id)
    const session = readSession(id, await this.#connection.send(key, 'HMGET', [key, ...sessionFields]) as unknown[])
    return session === null || (session.expiresAt !== null && session.expiresAt <= Date.now()) ? null : session
  }

  async #rotate (call: Call, id: string, rotation: Rotation): Promise<{ outcome: string, session: SessionRecord | null }> {
    const { next } = rotation
    const deadline = this.#clockOffset === undefined
      ? ''
      : String(call.startedAt + this.#clockOffset + this.#options.commandTimeout)
    const [outcome, time, values] = await this.#run(call, rotateScript, [this.#keys.session(id)], [
      deadline, rotation.presented, String(rotation.now), String(rotation.reuseInterval), this.#life(rotation.expiresAt),
      written(rotation.expiresAt), written(rotation.accessExpiresAt),
      next.tokenId, String(next.issuedAt), written(next.expiresAt), next.salt,
      rotation.claims === null ? '' : JSON.stringify(rotation.claims)
    ]) as [outcome: string, time: string, values?: unknown[]]
    this.#clockOffset = Number(time) - Date.now()
    return { outcome, session: values === undefined ? null : readSession(id, values) }
  }

  /** Puts a session on the list of its identity, for at least as long as it lives. */
  async #list (call: Call, { id, identity, expiresAt }: SessionRecord): Promise<void> {
    const expired = Date.now() - this.#options.clockSkew
    await this.#run(call, listScript, [this.#keys.sessionsOf(identity)],
      [id, expiresAt === null ? '+inf' : String(expiresAt), this.#life(expiresAt), String(expired)])
  }

  /** The life of a key, in milliseconds. */
  #life (expiresAt: number | null): string {
    return String(expiresAt === null ? forEver : Math.max(1, Math.ceil(expiresAt - Date.now() + this.#options.clockSkew)))
  }

  async #run (call: Call, { sha, source }: RedisScript, keys: string[], args: string[]): Promise<unknown> {
    const rest = [String(keys.length), ...keys, ...args]
    try {
      return await this.#change(call, keys, 'EVALSHA', [sha, ...rest])
    } catch (error) {
      // A server that has not seen the script yet, or has been restarted, or has taken over.
      if (redisErrorCode(error) !== 'NOSCRIPT') throw error
      return this.#change(call, keys, 'EVAL', [source, ...rest])
    }
  }

  /** A change, unless its caller has been told already that it failed. */
  async #change (call: Call, keys: string[], command: string, args: string[]): Promise<unknown> {
    if (call.over) throw new Error('The time is over')
    return this.#connection.send(keys[0] as string, command, args)
  }

  /** The answer, or a rejection once the time is over; what comes later is dropped. */
  #inTime<T> (work: (call: Call) => Promise<T>): Promise<T> {
    const call: Call = { over: false, startedAt: Date.now() }
    const { commandTimeout } = this.#options
    return new Promise<T>((resolve, reject) => {
      const timer = setTimeout(() => {
        // Where this process was the one that was busy, the answer is there already, and is read before this runs.
        setImmediate(() => {
          call.over = true
          reject(new Error(`Redis did not answer within ${commandTimeout} ms`))
        })
      }, commandTimeout).unref()
      work(call).finally(() => clearTimeout(timer)).then(resolve, reject)
    })
  }
}
