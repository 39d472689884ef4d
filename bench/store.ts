// What a protected request costs with each store, with 500 tokens of sessions: server and load on a core each. After a build, by hand:
//
//   node --import ./scripts/typescript.js bench/store.ts
//
// On a machine that does nothing else, requests a second say it; on one that is shared, CPU time does.
import Fastify from 'fastify'
import jwt, { jwtRequired, MemoryStore } from 'fastify-jwt-extended'
import type { Store } from 'fastify-jwt-extended'
import { PostgresStore } from 'fastify-jwt-extended/postgres'
import { RedisStore } from 'fastify-jwt-extended/redis'
import { SqliteStore } from 'fastify-jwt-extended/sqlite'
import { Redis } from 'ioredis'
import type { ChildProcess } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { noPostgres, startPostgres } from '../test/helpers/postgres-server.ts'
import { noRedis, startRedis } from '../test/helpers/redis-server.ts'
import { databasePath, drivers } from '../test/helpers/sqlite.ts'
import { median, progress } from './measure.ts'
import { answer, measureServer, start, startLoad } from './processes.ts'
import type { Measured } from './processes.ts'

/** Two processes of the same program differ by some percent for as long as they live. */
const starts = Number(process.env['BENCH_STARTS'] ?? 10)
const rounds = Number(process.env['BENCH_ROUNDS'] ?? 3)
const seconds = 0.5
const tokens = 500
/** One request after the other shows the round trip; many at once what else it costs. */
const loads = [1, 50, 500]
const replicate = { maxStaleness: 5000 }
/** A machine that is shared may be slow. */
const commandTimeout = 30_000

type Summary = Pick<Measured, 'perSecond' | 'cpu'>

const stores: Record<string, (place: string) => Store | false> = {
  'no store': () => false,
  MemoryStore: () => new MemoryStore(),
  SqliteStore: path => {
    const driver = drivers.find(({ missing }) => missing === false)
    if (driver === undefined) throw new Error('no driver of SQLite could be loaded')
    return new SqliteStore(driver.open(path))
  },
  RedisStore: url => new RedisStore(new Redis(url), { clockSkew: 0, commandTimeout }),
  'RedisStore, replicate': url => new RedisStore(new Redis(url), { clockSkew: 0, commandTimeout, replicate }),
  PostgresStore: url => new PostgresStore(new pg.Pool({ connectionString: url }), { commandTimeout }),
  'PostgresStore, replicate': url => new PostgresStore(new pg.Pool({ connectionString: url }), { commandTimeout, replicate })
}

/** The server's process: tells its parent the port and the requests, and its CPU time whenever it is asked. */
async function serve (name: string, place: string): Promise<void> {
  const store = stores[name]?.(place) as false | Store & { readonly replica?: { readonly trusted: boolean } | null }
  const app = Fastify()
  await app.register(jwt, { secretKey: 'a secret of the benchmark, of more than 32 bytes', store })
  app.get('/protected', { preHandler: jwtRequired }, async () => ({ ok: true }))
  await app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.server.address() as { port: number }
  const trusted = (): boolean => store === false || store.replica?.trusted !== false
  while (!trusted()) await sleep(10)
  // Tokens of the second in which the feed began, and of the clocks' difference before, are asked about.
  await sleep(name.includes('replicate') ? 12_000 : 0)
  const requests: string[] = []
  for (let i = 0; i < tokens; i++) {
    const token = store === false ? app.jwt.createAccessToken(`user${i}`) : (await app.jwt.createSession(`user${i}`)).accessToken
    requests.push(`GET /protected HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nAuthorization: Bearer ${token}\r\n\r\n`)
  }
  process.on('message', () => {
    const { user, system } = process.cpuUsage()
    process.send?.({ microseconds: user + system })
  })
  process.on('disconnect', () => process.exit())
  process.send?.({ port, requests })
}

async function run (): Promise<void> {
  for (const missing of [noRedis, noPostgres]) if (missing !== false) throw new Error(missing)
  const ends: Array<() => unknown> = []
  const t = { teardown (end: () => unknown) { ends.unshift(end) } }
  const places: Record<string, string> = { SqliteStore: await databasePath(t), RedisStore: (await startRedis(t)).url, PostgresStore: (await startPostgres(t)).url }
  const chosen = process.env['BENCH_STORES']?.split(';')
  const names = Object.keys(stores).filter(name => chosen === undefined || chosen.includes(name))
  /** By connections and store, for each start: the median of its rounds. */
  const results = new Map(loads.map(load => [load, new Map(names.map(name => [name, [] as Summary[]]))]))
  for (let index = 0; index < starts; index++) {
    const load = startLoad()
    const servers = names.map(name => start('./store.ts', [name, places[name.split(',')[0] as string] ?? 'none'], 0))
    try {
      const ready = await Promise.all(servers.map(server => answer<{ port: number, requests: string[] }>(server)))
      for (const [place, of] of ready.entries()) {
        load.send({ add: names[place], ...of })
        await answer(load)
      }
      const measure = (name: string, connections: number, duration: number): Promise<Measured> =>
        measureServer(load, name, servers[names.indexOf(name)] as ChildProcess, connections, duration)
      for (const name of names) await measure(name, 50, 2)
      const measured: Array<Measured & { readonly name: string, readonly connections: number }> = []
      for (let round = 0; round < rounds; round++) {
        for (const connections of loads) {
          // In turn, each round beginning with another, so that a machine that slows down slows them all.
          const first = (index * rounds + round) % names.length
          for (const name of [...names.slice(first), ...names.slice(0, first)]) {
            measured.push({ ...await measure(name, connections, seconds), name, connections })
          }
        }
      }
      for (const [connections, ofStores] of results) {
        for (const [name, ofStarts] of ofStores) {
          const own = measured.filter(one => one.name === name && one.connections === connections)
          ofStarts.push({ perSecond: median(own.map(({ perSecond }) => perSecond)), cpu: median(own.map(({ cpu }) => cpu)) })
        }
      }
    } finally {
      for (const child of [load, ...servers]) child.kill()
    }
    progress(`start ${index + 1} of ${starts}`)
  }
  console.log(`${starts} starts of each server, ${rounds} times ${seconds} s, ${tokens} tokens of sessions, Node ${process.version}.`)
  console.log('Half of all processes call process.nextTick many times slower than the others, so that the fastest start says what a store costs.')
  const columns: ReadonlyArray<readonly [string, (all: readonly Summary[]) => number]> = [
    ['requests/s, median', all => median(all.map(({ perSecond }) => perSecond))],
    ['fastest start', all => Math.max(...all.map(({ perSecond }) => perSecond))],
    ['CPU in µs, median', all => median(all.map(({ cpu }) => cpu))],
    ['least', all => Math.min(...all.map(({ cpu }) => cpu))]
  ]
  for (const [load, ofStores] of results) {
    console.log(`\n| ${load} connections | ${columns.map(([title]) => `${title} | of MemoryStore`).join(' | ')} |\n| --- | ${Array(2 * columns.length).fill('---:').join(' | ')} |`)
    const base = ofStores.get('MemoryStore') ?? []
    for (const [name, all] of ofStores) {
      const cells = columns.flatMap(([, of]) => [of(all).toFixed(of(all) > 1000 ? 0 : 1), (of(all) / of(base)).toFixed(2)])
      console.log(`| ${name} | ${cells.join(' | ')} |`)
    }
  }
  for (const end of ends) await end()
}

const [, , name, place] = process.argv
if (name === undefined || place === undefined) await run()
else await serve(name, place)
