/*
 * `revokeAllSessions` for 100,000 sessions of one identity, on every store: how long it takes, how long the event loop stands
 * still, and how long others wait meanwhile. By hand:
 *
 *   node --import ./scripts/typescript.js bench/revoke-all.ts [sessions]
 */
import { randomUUID } from 'node:crypto'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import Fastify from 'fastify'
import jwt, { jwtRequired } from '../lib/index.ts'
import { session } from '../lib/stores/contract-tests/contract-test.ts'
import { openStores } from './stores.ts'
import type { OpenStore } from './stores.ts'

const sessions = Number(process.argv[2] ?? 100_000)
const ends: Array<() => unknown> = []

async function measure ({ name, store }: OpenStore): Promise<void> {
  const app = Fastify()
  ends.push(async () => app.close())
  await app.register(jwt, { secretKey: 'a secret of the benchmark, of more than 32 bytes', store })
  app.get('/me', { preHandler: jwtRequired }, async () => ({ ok: true }))
  for (let made = 0; made < sessions; made += 50) {
    await Promise.all(Array.from({ length: Math.min(50, sessions - made) }, async () => store.createSession(session({ id: randomUUID(), identity: 'ada' }), null)))
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
for (const store of await openStores(ends)) await measure(store)
for (const end of ends.reverse()) await end()
