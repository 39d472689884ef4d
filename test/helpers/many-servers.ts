import type { FastifyInstance } from 'fastify'
import { Redis } from 'ioredis'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Test } from 'tap'
import { RedisStore } from '../../lib/stores/redis/store.ts'
import { startRedis } from './redis-server.ts'
import type { RedisServer } from './redis-server.ts'
import { untilTrusted } from './replicas.ts'
import { sessionApp, verdict } from './session-app.ts'
import { startSilentProxy } from './silent-proxy.ts'
import type { SilentProxy } from './silent-proxy.ts'

export const maxStaleness = 1000

interface Server { readonly app: FastifyInstance, readonly store: RedisStore, readonly proxy: SilentProxy }

/** A token that was revoked, and when the promise was made. */
interface Revoked { readonly token: string, readonly by: Server, readonly at: number, readonly refusedBy: Set<Server> }

export interface Result {
  /** Milliseconds from a promise to the first refusal on another server, in order. */
  readonly delays: number[]
  /** Milliseconds after the promise at which the latest request was sent that was accepted. */
  latestAccepted: number
  requests: number
  revocations: number
  faults: number
  /** What valid tokens got, by verdict. */
  readonly valid: Map<number | string, number>
  /** Milliseconds from the end of a fault until every server let a valid token in. */
  readonly recoveries: number[]
}

/**
 * Four servers on one Redis, each behind a network of its own: revokes tokens, sends requests to all servers all the while, and disturbs
 * them.
 *
 * @param revocations How many, about fifty a second.
 * @param faults How many, one after the other.
 * @param perSecond Requests to each server.
 */
export async function manyServers (t: Test, { revocations, faults, perSecond }: { revocations: number, faults: number, perSecond: number }): Promise<Result> {
  // What was promised is on disk: a crash forgets no revocation.
  const redis = await startRedis(t, '--appendonly', 'yes', '--appendfsync', 'always')
  await redis.command('HSET', 'fastify-jwt:feed', 'id', 'first', 'place', '0', 'born', '1', 'channel', 'fastify-jwt:feed')
  const servers: Server[] = []
  for (let i = 0; i < 4; i++) servers.push(await startOne(t, redis))
  await untilTrusted(...servers.map(({ store }) => store))

  const result: Result = { delays: [], latestAccepted: 0, requests: 0, revocations: 0, faults: 0, valid: new Map(), recoveries: [] }
  const valid = Array.from({ length: 100 }, (_, index) => pick(servers, index).app.jwt.createAccessToken(`user ${index}`))
  const revoked: Revoked[] = []
  const state = { running: true }

  async function sendValid (server: Server): Promise<void> {
    result.requests++
    const got = await verdict(server.app, 'GET', '/me', pick(valid))
    result.valid.set(got, (result.valid.get(got) ?? 0) + 1)
  }

  async function sendRevoked (server: Server, one: Revoked): Promise<void> {
    result.requests++
    const sentAt = performance.now()
    const got = await verdict(server.app, 'GET', '/me', one.token)
    if (got === 200) result.latestAccepted = Math.max(result.latestAccepted, sentAt - one.at)
    if (got !== 'FST_JWT_REVOKED' || one.refusedBy.has(server)) return
    one.refusedBy.add(server)
    if (server !== one.by) result.delays.push(performance.now() - one.at)
  }

  /** Asks about what the server has not refused yet, then about anything. */
  async function load (server: Server): Promise<void> {
    const pause = 10
    const atOnce = Math.max(1, Math.round(perSecond * pause / 1000))
    while (state.running) {
      const open = revoked.filter(one => !one.refusedBy.has(server)).slice(-atOnce)
      const rest = atOnce - open.length
      const requests = [...open.map(async one => sendRevoked(server, one))]
      for (let i = 0; i < rest; i++) requests.push(revoked.length > 0 && Math.random() < 0.3 ? sendRevoked(server, pick(revoked)) : sendValid(server))
      await Promise.all(requests)
      await sleep(pause)
    }
  }

  async function revokeAll (): Promise<void> {
    while (result.revocations < revocations || result.faults < faults) {
      const by = pick(servers)
      const token = by.app.jwt.createAccessToken('mallory')
      // A revocation that fails has promised nothing.
      await by.app.jwt.revokeToken(token).then(() => {
        result.revocations++
        revoked.push({ token, by, at: performance.now(), refusedBy: new Set() })
        if (revoked.length > 500) revoked.shift()
      }, () => {})
      await sleep(20)
    }
  }

  async function disturb (): Promise<void> {
    while (result.faults < faults) {
      await sleep(Math.random() * 500)
      await fault(redis, servers)
      result.faults++
      const healed = performance.now()
      for (const server of servers) {
        while (await verdict(server.app, 'GET', '/me', pick(valid)) !== 200) await sleep(5)
      }
      result.recoveries.push(performance.now() - healed)
    }
  }

  const loads = servers.map(load)
  await Promise.all([revokeAll(), disturb()])
  // Whoever was revoked last is refused, too.
  while (revoked.some(({ refusedBy }) => refusedBy.size < servers.length)) await sleep(20)
  state.running = false
  await Promise.all(loads)
  for (const list of [result.delays, result.recoveries]) list.sort((one, other) => one - other)
  return result
}

async function startOne (t: Test, redis: RedisServer): Promise<Server> {
  const proxy = await startSilentProxy(t, redis)
  const client = new Redis({ host: proxy.host, port: proxy.port, retryStrategy: () => 50, maxLoadingRetryTime: 50, maxRetriesPerRequest: 1 })
  client.on('error', () => {})
  t.teardown(() => { client.disconnect() })
  const store = new RedisStore(client, { commandTimeout: 2000, clockSkew: 0, replicate: { maxStaleness } })
  t.teardown(() => { store.close() })
  return { app: await sessionApp(t, { store }), store, proxy }
}

/** One fault at a random place, until it has passed. */
async function fault (redis: RedisServer, servers: readonly Server[]): Promise<void> {
  const { proxy } = pick(servers)
  const duration = Math.random() * 2000
  switch (Math.floor(Math.random() * 5)) {
    case 0:
      proxy.cut('all')
      break
    case 1:
      proxy.silence('feeds')
      await sleep(duration)
      proxy.speak()
      break
    case 2:
      proxy.silence('all')
      await sleep(duration)
      proxy.speak()
      proxy.cut('all')
      break
    case 3:
      redis.freeze()
      await sleep(duration)
      redis.thaw()
      break
    default:
      await redis.kill()
      await sleep(duration / 4)
      await redis.restart()
  }
}

function pick<T> (values: readonly T[], index = Math.floor(Math.random() * values.length)): T {
  return values[index % values.length] as T
}

/** A value of a sorted list, by its part of the whole. */
export function percentile (sorted: readonly number[], part: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? NaN
}
