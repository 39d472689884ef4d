import { spawn, spawnSync } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'

/** A real Redis or Valkey on the loopback interface, without persistence unless asked for. */
export interface RedisServer {
  readonly host: string
  readonly port: number
  readonly url: string
  /** Sends a command on a connection of its own. */
  command (command: string, ...args: string[]): Promise<unknown>
  /** Every key of the server. */
  keys (): Promise<string[]>
  /** SIGSTOP: connections stay open, nothing is answered. */
  freeze (): void
  /** SIGCONT: goes on where it stopped, with what came in meanwhile. */
  thaw (): void
  /** SIGKILL: no goodbye. */
  kill (): Promise<void>
  /** Starts again, on the same port, after `kill`. */
  restart (): Promise<void>
  stop (): Promise<void>
}

interface Teardown {
  teardown (run: () => Promise<void>): void
}

function findProgram (): string | null {
  for (const program of ['redis-server', 'valkey-server']) {
    if (spawnSync(program, ['--version']).status === 0) return program
  }
  return null
}

const program = findProgram()

if (program === null && process.env.CI !== undefined) throw new Error('redis-server must be installed in CI')

// A test that dies takes its servers along.
const running = new Set<ChildProcess>()
process.once('exit', () => { for (const child of running) child.kill('SIGKILL') })

/** For the `skip` option of a test: the reason, or `false` where a server is installed. */
export const noRedis: string | false = program === null ? 'redis-server is not installed' : false

async function isFree (port: number): Promise<boolean> {
  const server = createServer()
  return new Promise(resolve => {
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}

/** A port that is free, and the one of the cluster bus, 10,000 above it, too; below those the system gives out. */
async function freePort (): Promise<number> {
  for (let attempt = 0; attempt < 100; attempt++) {
    const port = 10_000 + Math.floor(Math.random() * 12_000)
    if (await isFree(port) && await isFree(port + 10_000)) return port
  }
  throw new Error('No free port found')
}

/**
 * Starts a server and waits until it answers; it stops, and its directory goes, with the test.
 *
 * @param t The test, or anything with `teardown`.
 * @param args Arguments of redis-server, such as `'--appendonly', 'yes', '--appendfsync', 'always'` to
 *   keep what is acknowledged through `kill` and `restart`.
 */
export async function startRedis (t: Teardown, ...args: string[]): Promise<RedisServer> {
  const port = await freePort()
  const directory = await mkdtemp(join(tmpdir(), 'redis-'))
  let child: ChildProcess | undefined
  let connection: Redis | undefined

  async function start (): Promise<void> {
    // In a file, which a Sentinel insists on and writes to.
    const file = join(directory, 'redis.conf')
    // A primary would wait five seconds for more replicas before it sends the first one its data.
    const defaults = args.includes('--sentinel') ? [] : ['--save', '', '--appendonly', 'no', '--repl-diskless-sync-delay', '0']
    await writeFile(file, '')
    const started = spawn(program as string, [
      file, '--port', String(port), '--bind', '127.0.0.1', '--dir', directory, '--loglevel', 'warning', ...defaults, ...args
    ], { stdio: ['ignore', 'pipe', 'inherit'] })
    child = started
    running.add(started)
    started.once('exit', () => running.delete(started))
    let output = ''
    started.stdout.on('data', data => { output += data })
    const client = new Redis({ host: '127.0.0.1', port, retryStrategy: () => 20, maxRetriesPerRequest: null, lazyConnect: true })
    client.on('error', () => {})
    connection = client
    const died = once(started, 'exit').then(([code]) => { throw new Error(`redis-server exited with ${code}: ${output}`) })
    try {
      await Promise.race([died, client.ping()])
    } catch (error) {
      client.disconnect()
      throw error
    } finally {
      died.catch(() => {})
    }
  }

  async function end (signal: NodeJS.Signals): Promise<void> {
    connection?.disconnect()
    connection = undefined
    if (child === undefined) return
    const exit = once(child, 'exit')
    child.kill(signal)
    // A stopped process takes its signals when it goes on.
    child.kill('SIGCONT')
    child = undefined
    await exit
  }

  function connected (): Redis {
    if (connection === undefined) throw new Error('The server is not running')
    return connection
  }

  const server: RedisServer = {
    host: '127.0.0.1',
    port,
    url: `redis://127.0.0.1:${port}`,
    command: (command, ...args) => connected().call(command, args),
    async keys () {
      const keys = new Set<string>()
      let cursor = '0'
      do {
        const [next, found] = await connected().scan(cursor, 'COUNT', 1000)
        for (const key of found) keys.add(key)
        cursor = next
      } while (cursor !== '0')
      return [...keys]
    },
    freeze () { child?.kill('SIGSTOP') },
    thaw () { child?.kill('SIGCONT') },
    kill: () => end('SIGKILL'),
    restart: start,
    async stop () {
      await end('SIGKILL')
      await rm(directory, { recursive: true, force: true })
    }
  }
  t.teardown(() => server.stop())
  await start()
  return server
}

/** Starts a Sentinel that watches a server under the name `primary`. */
export async function startSentinel (t: Teardown, watched: RedisServer): Promise<RedisServer> {
  const sentinel = await startRedis(t, '--sentinel')
  await sentinel.command('SENTINEL', 'MONITOR', 'primary', watched.host, String(watched.port), '1')
  return sentinel
}

/** Starts a Redis Cluster of three primaries, each with a third of the slots, and waits until all agree. */
export async function startRedisCluster (t: Teardown): Promise<RedisServer[]> {
  const size = 3
  const slots = 16_384
  const servers = await Promise.all(Array.from({ length: size }, () =>
    startRedis(t, '--cluster-enabled', 'yes', '--cluster-node-timeout', '2000')))
  const [first] = servers as [RedisServer]
  await Promise.all(servers.map(async (server, index) => {
    const [from, to] = [Math.ceil(slots * index / size), Math.ceil(slots * (index + 1) / size)]
    await server.command('CLUSTER', 'SET-CONFIG-EPOCH', String(index + 1))
    await server.command('CLUSTER', 'ADDSLOTS', ...Array.from({ length: to - from }, (_, offset) => String(from + offset)))
    if (server !== first) await server.command('CLUSTER', 'MEET', first.host, String(first.port))
  }))
  for (const server of servers) {
    for (let waited = 0; ; waited += 50) {
      const info = String(await server.command('CLUSTER', 'INFO'))
      if (info.includes('cluster_state:ok') && info.includes(`cluster_known_nodes:${size}`)) break
      if (waited > 20_000) throw new Error(`The cluster did not form: ${info}`)
      await sleep(50)
    }
  }
  return servers
}
