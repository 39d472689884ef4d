/*
 * `revokeAllSessions` for 100,000 sessions of one identity, in memory and on Redis: how long it takes, how long the event loop stands
 * still, and how long others wait meanwhile. By hand:
 *
 *   node --import ./scripts/typescript.js bench/revoke-all.ts [sessions]
 */
import { randomUUID } from 'node:crypto'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import Fastify from 'fastify'
import { Redis } from 'ioredis'
import jwt, { jwtRequired, MemoryStore } from '../lib/index.ts'
import type { Store } from '../lib/index.ts'
import { RedisStore } from '../lib/stores/redis/store.ts'
import { session } from '../lib/stores/contract-tests/contract-test.ts'
import { noRedis, startRedis } from '../test/helpers/redis-server.ts'

const sessions = Number(process.argv[2] ?? 100_000)
const ends: Array<() => unknown> = []

async function measure (name: string, store: Store): Promise<void> {
  const app = Fastify()
  ends.push(async () => app.close())
  await app.register(jwt, { secretKey: 'a secret of the benchmark, of more than 32 bytes', store })
  app.get('/me', { preHandler: jwtRequired }, async () => ({ ok: true }))
  for (let made = 0; made < sessions; made += 500) {
    await Promise.all(Array.from({ length: Math.min(500, sessions - made) }, async () => store.createSession(session({ id: randomUUID(), identity: 'ada' }), null)))
  }
  const { accessToken } = await app.jwt.createSession('other')
  const headers = { authorization: `Bearer ${accessToken}` }
  await app.inject({ url: '/me', headers })

  const state = { done: false }
  const waits: number[] = []
  const others = (async () => {
    while (!state.done) {
      const started = performance.now()
      const { statusCode } = await app.inject({ url: '/me', headers })
      if (statusCode !== 200) throw new Error(`${statusCode}`)
      waits.push(performance.now() - started)
      await sleep(5)
    }
  })()
  globalThis.gc?.()
  const delay = monitorEventLoopDelay({ resolution: 1 })
  delay.enable()
  const started = performance.now()
  const ended = await app.jwt.revokeAllSessions('ada')
  const seconds = (performance.now() - started) / 1000
  delay.disable()
  state.done = true
  await others
  const left = (await app.jwt.listSessions('ada')).length
  console.log(`| ${name} | ${ended} ended, ${left} left | ${seconds.toFixed(1)} s | ${(delay.max / 1e6).toFixed(0)} ms | ${Math.max(...waits).toFixed(0)} ms |`)
}

console.log('| store | sessions | time | longest pause | longest wait of others |\n| --- | --- | ---: | ---: | ---: |')
const memory = new MemoryStore()
ends.push(() => { memory.close() })
await measure('MemoryStore', memory)
if (noRedis === false) {
  const redis = await startRedis({ teardown (run) { ends.push(run) } })
  const client = new Redis(redis.url)
  ends.push(() => { client.disconnect() })
  await measure('RedisStore', new RedisStore(client))
}
for (const end of ends.reverse()) await end()
