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
  /** What every key begins with. Apps that share a Redis but not their tokens need different ones. Default: `'fastify-jwt:'`. */
  prefix?: string
  /** Milliseconds that Redis may take to answer; then the request is a 503. Default: 2,000. */
  commandTimeout?: number
  /**
   * Milliseconds by which the clocks of the servers may differ. Every key is kept that much longer than its token lives, so
   * that no denial is lost early on a server whose clock is behind. Default: 10,000.
   */
  clockSkew?: number
  /**
   * Accept a Redis whose `maxmemory-policy` may evict keys. When memory is short, it could lose a revocation, and a revoked
   * token would be accepted again. Default: `false`.
   */
  allowEviction?: boolean
}

/** The TTL of a key that never expires: 100 years, in milliseconds. So every key has a TTL. */
const forEver = 100 * 365 * 86_400_000

/** One call of a method. It has one time-out for all of its commands. */
interface Call {
  /** `true` after the time-out. */
  over: boolean
  readonly startedAt: number
}

const defaults: Readonly<Required<RedisStoreOptions>> =
  { prefix: 'fastify-jwt:', commandTimeout: 2000, clockSkew: 10_000, allowEviction: false }

function resolveOptions (given: RedisStoreOptions): Required<RedisStoreOptions> {
  checkOptionNames(given, Object.keys(defaults), 'store.')
  const options = { ...defaults, ...Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) }
  if (typeof options.prefix !== 'string' || !/^[^{}]*(\{[^{}]+\}[^{}]*)?$/.test(options.prefix)) {
    throw badOption('store.prefix', 'takes a string without braces, or with one complete hash tag')
  }
  for (const [name, least] of [['commandTimeout', 1], ['clockSkew', 0]] as const) {
    const value = options[name]
    if (!Number.isInteger(value) || value < least || value > 2 ** 31 - 1) {
      throw badOption(`store.${name}`, `takes a whole number of milliseconds of at least ${least}, got ${String(value)}`)
    }
  }
  if (typeof options.allowEviction !== 'boolean') throw badOption('store.allowEviction', 'takes true or false')
  return options
}

/**
 * Keeps revocations and sessions on Redis (6.2 or later) or Valkey (7.2 or later), for any number of servers: what one
 * server revokes, all others refuse at once. Takes a client of `ioredis`, `iovalkey`, node-redis or `@fastify/redis`: single
 * node, Sentinel or Cluster. The app connects and closes the client. A client of node-redis needs an `error` listener:
 * without one, a lost connection ends the process.
 *
 * To check a token is one `EXISTS`. Every change is one script on keys in one hash slot, so that it is atomic on a Cluster
 * too. The list of an identity's sessions is in another slot. It is written before the session and before its tokens are
 * returned, so that it has every session that can be used.
 *
 * Every key has a TTL. It is sent as a duration, not as a date: a late command keeps a key longer, never shorter, whatever
 * the clock of Redis says. The reuse interval is measured by the clock of Redis, which all servers share.
 *
 * A Redis that does not answer within `commandTimeout` is a 503. A rotation that arrives at Redis after that does nothing:
 * the client would not get the successor, and the old token would look stolen when it comes again.
 *
 * Durability is that of Redis: revocations that are neither on disk (`appendonly yes`) nor on a replica are lost in a crash.
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
  /** Milliseconds by which the clock of Redis is ahead of ours. Each rotation measures it. */
  #clockOffset: number | undefined

  /**
   * @param client A client, connected or connecting.
   * @throws `FST_JWT_BAD_OPTION` if it is not a client, or an option is unknown or invalid.
   */
  constructor (client: RedisClient, options: RedisStoreOptions = {}) {
    this.#connection = connectionOf(client)
    this.#options = resolveOptions(options)
    this.#keys = redisKeys(this.#options.prefix)
  }

  /**
   * Checks that Redis answers, is recent enough, accepts writes and scripts, and evicts nothing.
   *
   * @throws `FST_JWT_BAD_OPTION` with the remedy.
   */
  async open (): Promise<void> {
    await checkRequirements(this.#connection, this.#keys, this.#options.allowEviction, step => this.#inTime(step))
  }

  async denyToken (jti: string, sid: string | null, expiresAt: number | null): Promise<void> {
    await this.#inTime(call =>
      this.#run(call, denyScript, [this.#keys.deniedToken(jti, sid)], [this.#ttl(expiresAt)]))
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
      await this.#run(call, createScript, [this.#keys.session(session.id)], [this.#ttl(session.expiresAt), ...fields])
    })
  }

  async getSession (id: string): Promise<SessionRecord | null> {
    return this.#inTime(async () => this.#read(id))
  }

  async rotateSession (id: string, rotation: Rotation): Promise<RotationResult> {
    return this.#inTime(async call => {
      let reply = await this.#rotate(call, id, rotation)
      // The call is still waiting, so it is not late: the clock of Redis was changed, and the reply has brought its time.
      if (reply.outcome === 'late') reply = await this.#rotate(call, id, rotation)
      const { outcome, session } = reply
      if (session === null) {
        if (outcome === 'unknown') return { outcome }
        throw new Error('The clock of Redis is not steady enough to rotate a session')
      }
      if (outcome === 'reused') return { outcome, session }
      // Before the successor is returned, so that every usable session is listed. `repeated` writes the list too, since the
      // rotation it repeats may have failed here.
      await this.#list(call, session)
      return { outcome: outcome === 'rotated' ? outcome : 'repeated', session }
    })
  }

  async endSession (id: string, denyUntil: number | null): Promise<boolean> {
    const keys: [string, string] = [this.#keys.session(id), this.#keys.deniedSession(id)]
    const [existed, identity] = await this.#inTime(call => this.#run(call, endScript, keys, [
      this.#ttl(denyUntil), String(forEver), String(Date.now()), String(this.#options.clockSkew)
    ])) as [existed: number | string, identity?: string]
    if (identity !== undefined) {
      const key = this.#keys.sessionsOf(identity)
      // If this fails, nothing is wrong: `listSessions` skips sessions that have ended.
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
      deadline, rotation.presented, String(rotation.now), String(rotation.reuseInterval), this.#ttl(rotation.expiresAt),
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
      [id, expiresAt === null ? '+inf' : String(expiresAt), this.#ttl(expiresAt), String(expired)])
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
  #inTime<T> (work: (call: Call) => Promise<T>): Promise<T> {
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
