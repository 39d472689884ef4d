// A replica of a million denials: bytes each, the time to load them from a Redis, and the longest pause meanwhile. By hand:
//
//   node --expose-gc --import ./scripts/typescript.js bench/replica.ts [denials]
import { randomUUID } from 'node:crypto'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { RedisStore } from '../lib/stores/redis/store.ts'
import { noRedis, startRedis } from '../test/helpers/redis-server.ts'
import { progress } from './measure.ts'

const count = Number(process.argv[2] ?? 1_000_000)
if (noRedis !== false) throw new Error(noRedis)
if (globalThis.gc === undefined) throw new Error('Start it with --expose-gc')
const ends: Array<() => unknown> = []
const redis = await startRedis({ teardown (run) { ends.push(run) } })
const client = new Redis(redis.url)
ends.unshift(() => { client.disconnect() })

progress(`writing ${count} denials`)
await redis.command('HSET', 'fastify-jwt:feed', 'id', randomUUID(), 'place', '0', 'born', '1', 'channel', 'fastify-jwt:feed')
const expiresAt = String(Date.now() + 3_600_000)
for (let written = 0; written < count; written += 1000) {
  await client.zadd('fastify-jwt:feed:live', ...Array.from({ length: 1000 }, () => [expiresAt, `token:${randomUUID()}`]).flat())
}

/** Bytes of the heap that are in use. */
function heapUsed (): number {
  globalThis.gc?.()
  return process.memoryUsage().heapUsed
}

const store = new RedisStore(client, { replicate: { maxEntries: 2 * count } })
const before = heapUsed()
const delays = monitorEventLoopDelay({ resolution: 1 })
delays.enable()
const started = performance.now()
await store.open()
while (store.replica?.trusted !== true) await sleep(5)
const loaded = performance.now() - started
delays.disable()
const longest = delays.max / 1e6
const bytes = (heapUsed() - before) / (store.replica?.denials ?? 0)

// The sweep passes all of them in 64 steps.
const sweeping = monitorEventLoopDelay({ resolution: 1 })
sweeping.enable()
await sleep(20_000)
sweeping.disable()
store.close()
console.log(`${store.replica?.denials ?? 0} denials: ${Math.round(bytes)} bytes each, loaded in ${Math.round(loaded)} ms, longest pause ` +
  `${Math.round(longest)} ms while loading and ${Math.round(sweeping.max / 1e6)} ms in the 20 s after it`)
for (const end of ends) await end()
