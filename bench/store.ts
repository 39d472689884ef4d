// What a protected request costs with each store, with 500 tokens of sessions: server and load on a core each. After a build, by hand:
//
//   node --import ./scripts/typescript.js bench/store.ts
//
// Two processes of the same program differ by up to a half for as long as they live. So each process has two servers, one with the
// store and one with MemoryStore, which are measured in turn.
import Fastify from 'fastify'
import jwt, { jwtRequired, MemoryStore } from 'fastify-jwt-extended'
import type { Store } from 'fastify-jwt-extended'
import { PostgresStore } from 'fastify-jwt-extended/postgres'
import { RedisStore } from 'fastify-jwt-extended/redis'
import { SqliteStore } from 'fastify-jwt-extended/sqlite'
import type { SqliteDatabase } from 'fastify-jwt-extended/sqlite'
import { Redis } from 'ioredis'
import type { ChildProcess } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { noPostgres, startPostgres } from '../test/helpers/postgres-server.ts'
import { noRedis, startRedis } from '../test/helpers/redis-server.ts'
import { databasePath, drivers } from '../test/helpers/sqlite.ts'
import { median, middleHalf, progress } from './measure.ts'
import { answer, measureServer, start, startLoad } from './processes.ts'
import type { Measured } from './processes.ts'

const starts = Number(process.env['BENCH_STARTS'] ?? 10)
const rounds = Number(process.env['BENCH_ROUNDS'] ?? 3)
const seconds = 0.5
const tokens = 500
/** One request after the other shows the round trip; many at once what else it costs. */
const loads = [1, 50, 500]
const replicate = { maxStaleness: 5000 }
/** A machine that is shared may be slow. */
const commandTimeout = 30_000

/** A server with the store, and one with MemoryStore in the same process: requests a second, and CPU time of a request in µs. */
interface Pair { readonly own: Measured, readonly base: Measured }

/** What the load generator needs of a server. */
interface Target { readonly port: number, readonly requests: readonly string[] }

const stores: Record<string, (place: string) => Store | false> = {
  'no store': () => false,
  MemoryStore: () => new MemoryStore(),
  SqliteStore: path => new SqliteStore(openSqlite(path)),
  'SqliteStore, replicate': path => new SqliteStore(openSqlite(path), { replicate }),
  RedisStore: url => new RedisStore(new Redis(url), { clockSkew: 0, commandTimeout }),
  'RedisStore, replicate': url => new RedisStore(new Redis(url), { clockSkew: 0, commandTimeout, replicate }),
  PostgresStore: url => new PostgresStore(new pg.Pool({ connectionString: url }), { commandTimeout }),
  'PostgresStore, replicate': url => new PostgresStore(new pg.Pool({ connectionString: url }), { commandTimeout, replicate })
}

function openSqlite (path: string): SqliteDatabase {
  const driver = drivers.find(({ missing }) => missing === false)
  if (driver === undefined) throw new Error('no driver of SQLite could be loaded')
  return driver.open(path)
}

/** Starts a server, and signs its users in. */
async function startServer (store: ReturnType<NonNullable<typeof stores[string]>>): Promise<Target> {
  const app = Fastify()
  await app.register(jwt, { secretKey: 'a secret of the benchmark, of more than 32 bytes', store })
  app.get('/protected', { preHandler: jwtRequired }, async () => ({ ok: true }))
  await app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.server.address() as { port: number }
  const replica = (): { readonly trusted: boolean } | null | undefined => (store as { readonly replica?: { readonly trusted: boolean } | null }).replica
  if (replica()) {
    while (replica()?.trusted === false) await sleep(10)
    // Tokens of the second in which the feed began, and of the clocks' difference before, are asked about.
    await sleep(12_000)
  }
  const requests: string[] = []
  for (let i = 0; i < tokens; i++) {
    const token = store === false ? app.jwt.createAccessToken(`user${i}`) : (await app.jwt.createSession(`user${i}`)).accessToken
    requests.push(`GET /protected HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nAuthorization: Bearer ${token}\r\n\r\n`)
  }
  return { port, requests }
}

/** A process of two servers: tells its parent of them, and its CPU time whenever it is asked. */
async function serve (name: string, place: string): Promise<void> {
  const own = await startServer(stores[name]?.(place) as Store | false)
  const base = await startServer(new MemoryStore())
  process.on('message', () => {
    const { user, system } = process.cpuUsage()
    process.send?.({ microseconds: user + system })
  })
  process.on('disconnect', () => process.exit())
  process.send?.({ own, base })
}

async function run (): Promise<void> {
  for (const missing of [noRedis, noPostgres]) if (missing !== false) throw new Error(missing)
  const ends: Array<() => unknown> = []
  const t = { teardown (end: () => unknown) { ends.unshift(end) } }
  const places: Record<string, string> = {
    SqliteStore: await databasePath(t),
    // A file of its own: where one process replicates, all publish.
    'SqliteStore, replicate': await databasePath(t),
    RedisStore: (await startRedis(t)).url,
    PostgresStore: (await startPostgres(t)).url
  }
  const chosen = process.env['BENCH_STORES']?.split(';')
  const names = Object.keys(stores).filter(name => chosen === undefined || chosen.includes(name))
  /** By connections and store: the rounds of each start. */
  const results = new Map(loads.map(load => [load, new Map(names.map(name => [name, [] as Pair[][]]))]))
  for (let index = 0; index < starts; index++) {
    const load = startLoad()
    const servers = names.map(name => start('./store.ts', [name, places[name] ?? places[name.split(',')[0] as string] ?? 'none'], 0))
    try {
      const ready = await Promise.all(servers.map(server => answer<{ own: Target, base: Target }>(server)))
      for (const [place, { own, base }] of ready.entries()) {
        for (const [which, target] of [['own', own], ['base', base]] as const) {
          load.send({ add: `${names[place]} ${which}`, ...target })
          await answer(load)
        }
      }
      const measure = (name: string, which: 'own' | 'base', connections: number, duration: number): Promise<Measured> =>
        measureServer(load, `${name} ${which}`, servers[names.indexOf(name)] as ChildProcess, connections, duration)
      for (const name of names) for (const which of ['own', 'base'] as const) await measure(name, which, 50, 2)
      for (const [connections, ofStores] of results) {
        for (const [name, ofStarts] of ofStores) {
          const pairs: Pair[] = []
          for (let round = 0; round < rounds; round++) {
            // The other one first in every second round.
            const first = (index + round) % 2 === 0 ? 'own' : 'base'
            const one = await measure(name, first, connections, seconds)
            const other = await measure(name, first === 'own' ? 'base' : 'own', connections, seconds)
            pairs.push(first === 'own' ? { own: one, base: other } : { own: other, base: one })
          }
          ofStarts.push(pairs)
        }
      }
    } finally {
      for (const child of [load, ...servers]) child.kill()
    }
    progress(`start ${index + 1} of ${starts}`)
  }
  console.log(`${starts} starts of each server, ${rounds} times ${seconds} s, ${tokens} tokens of sessions, Node ${process.version}.`)
  console.log('Ratios are those of two servers in one process, measured in turn; their median, and half of the starts. MemoryStore itself shows what is chance.')
  for (const [connections, ofStores] of results) {
    console.log(`\n| ${connections} connections | requests/s | of MemoryStore | half of the starts | CPU | of MemoryStore | half of the starts |\n| --- |${' ---: |'.repeat(6)}`)
    for (const [name, ofStarts] of ofStores) {
      const cells = (['perSecond', 'cpu'] as const).flatMap(what => {
        const ratios = ofStarts.map(pairs => median(pairs.map(({ own, base }) => own[what] / base[what])))
        const value = median(ofStarts.flatMap(pairs => pairs.map(({ own }) => own[what])))
        return [what === 'cpu' ? `${value.toFixed(1)} µs` : value.toFixed(0), median(ratios).toFixed(2), middleHalf(ratios).map(ratio => ratio.toFixed(2)).join(' to ')]
      })
      console.log(`| ${name} | ${cells.join(' | ')} |`)
    }
  }
  for (const end of ends) await end()
}

const [, , name, place] = process.argv
if (name === undefined || place === undefined) await run()
else await serve(name, place)
