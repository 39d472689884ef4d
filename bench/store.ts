// What a protected request costs with each store, with 500 tokens of sessions: server and load in a process each. By hand:
//
//   node --import ./scripts/typescript.js bench/store.ts
//
// On a machine that does nothing else, requests a second say it; on one that is shared, CPU time does.
import autocannon from 'autocannon'
import Fastify from 'fastify'
import { Redis } from 'ioredis'
import { fork } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import jwt, { jwtRequired, MemoryStore } from '../lib/index.ts'
import type { Store } from '../lib/index.ts'
import { PostgresStore } from '../lib/stores/postgres/store.ts'
import { RedisStore } from '../lib/stores/redis/store.ts'
import { noPostgres, startPostgres } from '../test/helpers/postgres-server.ts'
import { noRedis, startRedis } from '../test/helpers/redis-server.ts'
import { median, progress } from './measure.ts'

const rounds = 3
const seconds = 2
const tokens = 500
/** One request after the other shows the round trip; many at once what else it costs. */
const loads = [1, 50, 500]
const replicate = { maxStaleness: 5000 }
/** A machine that is shared may be slow. */
const commandTimeout = 30_000

const stores: Record<string, (url: string) => Store> = {
  MemoryStore: () => new MemoryStore(),
  RedisStore: url => new RedisStore(new Redis(url), { clockSkew: 0, commandTimeout }),
  'RedisStore, replicate': url => new RedisStore(new Redis(url), { clockSkew: 0, commandTimeout, replicate }),
  PostgresStore: url => new PostgresStore(new pg.Pool({ connectionString: url }), { commandTimeout }),
  'PostgresStore, replicate': url => new PostgresStore(new pg.Pool({ connectionString: url }), { commandTimeout, replicate })
}

interface Ready { readonly url: string, readonly tokens: string[] }

/** The server's process: tells its parent the address and the tokens, and its CPU time whenever it is asked. */
async function serve (name: string, storeUrl: string): Promise<void> {
  const store = stores[name]?.(storeUrl) as Store & { readonly replica?: { readonly trusted: boolean } | null }
  const app = Fastify()
  await app.register(jwt, { secretKey: 'a secret of the benchmark, of more than 32 bytes', store })
  app.get('/protected', { preHandler: jwtRequired }, async () => ({ ok: true }))
  const url = await app.listen({ host: '127.0.0.1', port: 0 })
  while (store.replica?.trusted === false) await sleep(10)
  // Tokens of the second in which the feed began, and of the clocks' difference before, are asked about.
  await sleep(name.includes('replicate') ? 12_000 : 0)
  const accessTokens: string[] = []
  for (let i = 0; i < tokens; i++) accessTokens.push((await app.jwt.createSession(`user${i}`)).accessToken)
  process.on('message', () => {
    const { user, system } = process.cpuUsage()
    process.send?.(user + system)
  })
  process.send?.({ url, tokens: accessTokens })
}

async function cpuOf (child: ChildProcess): Promise<number> {
  const [answer] = await Promise.all([once(child, 'message'), child.send('cpu')])
  return Number(answer[0])
}

/** @returns Requests a second, and microseconds of the server's CPU for each. */
async function measure (child: ChildProcess, { url, tokens }: Ready, connections: number, duration: number): Promise<[rate: number, cpu: number]> {
  const before = await cpuOf(child)
  const result = await autocannon({
    url, connections, duration, requests: tokens.map(token => ({ path: '/protected', headers: { authorization: `Bearer ${token}` } }))
  })
  if (result.non2xx > 0 || result.errors > 0) throw new Error(`${result.non2xx} refused, ${result.errors} failed`)
  return [result.requests.average, (await cpuOf(child) - before) / result.requests.total]
}

async function run (): Promise<void> {
  for (const missing of [noRedis, noPostgres]) if (missing !== false) throw new Error(missing)
  const ends: Array<() => unknown> = []
  const t = { teardown (end: () => unknown) { ends.push(end) } }
  const [redis, postgres] = [await startRedis(t), await startPostgres(t)]
  const servers = new Map<string, [ChildProcess, Ready]>()
  for (const name of Object.keys(stores)) {
    const child = fork(fileURLToPath(import.meta.url), [name, name.startsWith('Postgres') ? postgres.url : redis.url])
    ends.unshift(() => child.kill())
    servers.set(name, [child, (await once(child, 'message'))[0] as Ready])
  }
  const results = new Map(loads.map(load => [load, new Map([...servers.keys()].map(name => [name, [] as Array<[number, number]>]))]))
  for (const [child, ready] of servers.values()) await measure(child, ready, 50, 2)
  for (let round = 0; round < rounds; round++) {
    // In turn, each round beginning with another, so that a machine that slows down slows them all.
    const names = [...servers.keys()]
    for (const name of [...names.slice(round % names.length), ...names.slice(0, round % names.length)]) {
      const [child, ready] = servers.get(name) as [ChildProcess, Ready]
      for (const load of loads) results.get(load)?.get(name)?.push(await measure(child, ready, load, seconds))
    }
    progress(`round ${round + 1} of ${rounds}`)
  }
  console.log(`Medians of ${rounds} rounds of ${seconds} s, ${tokens} tokens of sessions, Node ${process.version}`)
  for (const [load, measured] of results) {
    console.log(`\n| ${load} connections | requests/s | of MemoryStore | CPU, µs | of MemoryStore |\n| --- | ---: | ---: | ---: | ---: |`)
    const middle = (name: string): [number, number] => [0, 1].map(index => median((measured.get(name) ?? []).map(one => one[index] as number))) as [number, number]
    const [baseRate, baseCpu] = middle('MemoryStore')
    for (const name of measured.keys()) {
      const [rate, cpu] = middle(name)
      console.log(`| ${name} | ${Math.round(rate)} | ${(rate / baseRate).toFixed(2)} | ${cpu.toFixed(1)} | ${(cpu / baseCpu).toFixed(2)} |`)
    }
  }
  for (const end of ends) await end()
}

const [, , name, storeUrl] = process.argv
if (name === undefined || storeUrl === undefined) await run()
else await serve(name, storeUrl)
