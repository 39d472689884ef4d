/*
 * A million sessions in each store: bytes for each; and how long it takes until as many expired ones are gone from those stores that
 * delete rows, and how long the event loop stands still meanwhile. By hand:
 *
 *   node --expose-gc --import ./scripts/typescript.js bench/million.ts [sessions] [store, such as SqliteStore]
 */
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { documentOf, session } from '../lib/stores/contract-tests/contract-test.ts'
import { openStores } from './stores.ts'
import type { OpenStore } from './stores.ts'

const sessions = Number(process.argv[2] ?? 1_000_000)
const chosen = process.argv[3] ?? ''
const block = 10_000
const metadata = { device: 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36', address: '192.0.2.1' }

async function fill ({ store, inBulk }: OpenStore, expiresAt: number): Promise<void> {
  for (let made = 0; made < sessions; made += block) {
    await inBulk(async () => {
      for (let i = 0; i < block; i += 100) {
        await Promise.all(Array.from({ length: 100 }, async () => store.createSession(session({ expiresAt, document: documentOf({ metadata }) }), null)))
      }
    })
  }
}

const ends: Array<() => unknown> = []
console.log(`${sessions} sessions\n\n| store | bytes for each |\n| --- | ---: |`)
for (const store of (await openStores(ends, false)).filter(({ name }) => name.startsWith(chosen))) {
  await store.store.open?.()
  const before = await store.bytes()
  await fill(store, Date.now() + 30 * 86_400_000)
  console.log(`| ${store.name} | ${Math.round((await store.bytes() - before) / sessions)} |`)
}
for (const end of ends.splice(0).reverse()) await end()

console.log('\n| expired a day ago | gone after | longest pause of the event loop | all but 1 of 1,000 pauses at most |\n| --- | ---: | ---: | ---: |')
for (const store of (await openStores(ends, false)).filter(({ name }) => name.startsWith(chosen))) {
  await store.store.open?.()
  const { name, rows } = store
  if (rows === undefined) continue
  rows.keep()
  await fill(store, Date.now() - 2 * 86_400_000)
  await rows.sweep()
  // What the million writes have left to do is no pause of the clean-up, which begins later.
  await sleep(2000)
  const delay = monitorEventLoopDelay({ resolution: 1 })
  delay.enable()
  const started = performance.now()
  while (await rows.any()) await sleep(200)
  delay.disable()
  console.log(`| ${name} | ${((performance.now() - started) / 1000).toFixed(0)} s | ${(delay.max / 1e6).toFixed(0)} ms | ${(delay.percentile(99.9) / 1e6).toFixed(0)} ms |`)
}
for (const end of ends.splice(0).reverse()) await end()
