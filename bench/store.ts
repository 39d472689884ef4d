// What a protected request costs with each store: nothing, in memory, and on a Redis of its own. By hand:
//
//   node --import ./scripts/typescript.js bench/store.ts
import autocannon from 'autocannon'
import Fastify from 'fastify'
import { Redis } from 'ioredis'
import jwt, { jwtRequired, MemoryStore } from '../lib/index.ts'
import { RedisStore } from '../lib/stores/redis/store.ts'
import type { Store } from '../lib/index.ts'
import { noRedis, startRedis } from '../test/helpers/redis-server.ts'
import { median } from './measure.ts'

const rounds = 5
const seconds = 2
/** One request after the other shows the round trip; many at once what else it costs. */
const loads = [1, 50]

if (noRedis !== false) throw new Error(noRedis)
const ends: Array<() => unknown> = []
const redis = await startRedis({ teardown (run) { ends.push(run) } })
const client = new Redis(redis.url)
ends.unshift(() => { client.disconnect() })

async function start (store: Store | false): Promise<{ url: string, token: string }> {
  const app = Fastify()
  await app.register(jwt, { secretKey: 'a secret of the benchmark, of more than 32 bytes', store })
  app.get('/protected', { preHandler: jwtRequired }, async () => ({ ok: true }))
  const url = await app.listen({ host: '127.0.0.1', port: 0 })
  ends.unshift(async () => app.close())
  return { url, token: store === false ? app.jwt.createAccessToken('ada') : (await app.jwt.createSession('ada')).accessToken }
}

const memory = new MemoryStore()
ends.unshift(() => { memory.close() })
const servers = new Map([
  ['store: false', await start(false)], ['MemoryStore', await start(memory)], ['RedisStore', await start(new RedisStore(client))]
])

async function measure ({ url, token }: { url: string, token: string }, connections: number, duration: number): Promise<number> {
  const result = await autocannon({ url: `${url}/protected`, connections, duration, headers: { authorization: `Bearer ${token}` } })
  if (result.non2xx > 0 || result.errors > 0) throw new Error(`${result.non2xx} refused, ${result.errors} failed`)
  return result.requests.average
}

/** Requests a second in each round, by load and store. */
const results = new Map(loads.map(connections => [connections, new Map([...servers.keys()].map(name => [name, [] as number[]]))]))
for (const server of servers.values()) await measure(server, 50, 1)
for (let round = 0; round < rounds; round++) {
  // In turn, each round beginning with another, so that a machine that slows down slows them all.
  const names = [...servers.keys()]
  for (const name of [...names.slice(round % names.length), ...names.slice(0, round % names.length)]) {
    for (const connections of loads) {
      results.get(connections)?.get(name)?.push(await measure(servers.get(name) as { url: string, token: string }, connections, seconds))
    }
  }
  process.stderr.write(`round ${round + 1} of ${rounds}\n`)
}

console.log(`Protected requests a second, medians of ${rounds} rounds of ${seconds} s, load and server in one process, Node ${process.version}`)
for (const [connections, rates] of results) {
  const base = median(rates.get('MemoryStore') ?? [])
  console.log(`\n| ${connections === 1 ? 'one connection' : `${connections} connections`} | requests/s | of MemoryStore |\n| --- | ---: | ---: |`)
  for (const [name, perSecond] of rates) {
    const rate = median(perSecond)
    console.log(`| ${name} | ${Math.round(rate)} | ${Math.round(rate / base * 100)} % |`)
  }
}
for (const end of ends) await end()
