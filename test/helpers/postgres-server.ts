import { execFileSync, spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { accessSync, chownSync, constants, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { tmpdir } from 'node:os'
import pg from 'pg'
import { freePort } from './example-process.ts'

/** A real PostgreSQL on the loopback interface. */
export interface PostgresServer {
  readonly url: string
  /** Runs SQL on a connection of its own. */
  run (sql: string): Promise<Array<Record<string, unknown>>>
  /** SIGSTOP to all of its processes: connections stay open, nothing is answered. */
  freeze (): void
  thaw (): void
  /** SIGKILL to all of its processes: no goodbye. */
  kill (): Promise<void>
  /** Starts again, on the same port and data. */
  restart (): Promise<void>
}

interface Teardown {
  teardown (run: () => Promise<void>): void
}

/** The folder of `initdb` and `postgres`: on PATH, or where Debian has them. */
function findPrograms (): string | null {
  const debian = '/usr/lib/postgresql'
  let versions: string[] = []
  try {
    versions = readdirSync(debian).sort((one, other) => Number(other) - Number(one))
  } catch { /* Not a Debian with PostgreSQL. */ }
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), ...versions.map(version => join(debian, version, 'bin'))]
  return folders.find(folder => {
    try {
      for (const program of ['initdb', 'postgres']) accessSync(join(folder, program), constants.X_OK)
      return true
    } catch {
      return false
    }
  }) ?? null
}

const programs = findPrograms()

if (programs === null && process.env['CI'] !== undefined) throw new Error('PostgreSQL must be installed in CI')

/** For the `skip` option of a test: the reason, or `false` if a server is installed. */
export const noPostgres: string | false = programs === null ? 'PostgreSQL (initdb, postgres) is not installed' : false

/** PostgreSQL refuses to run as root: then it runs as `nobody`. */
function userOptions (): { uid?: number, gid?: number } {
  if (process.getuid?.() !== 0) return {}
  const id = (option: string): number => Number(execFileSync('id', [option, 'nobody'], { encoding: 'utf8' }))
  return { uid: id('-u'), gid: id('-g') }
}

const running = new Set<ChildProcess>()

/** A folder of data as `initdb` makes it, which takes a second. Every server of this process begins with a copy. */
let template: string | null = null

function prepareData (programs: string, user: { uid?: number, gid?: number }): string {
  if (template !== null) return template
  template = mkdtempSync(join(tmpdir(), 'fastify-jwt-extended-initdb-'))
  if (user.uid !== undefined && user.gid !== undefined) chownSync(template, user.uid, user.gid)
  execFileSync(join(programs, 'initdb'), ['-D', join(template, 'data'), '-U', 'tester', '--auth=trust', '--no-sync', '--encoding=UTF8', '--locale=C'], { ...user, cwd: template, stdio: 'pipe' })
  return template
}

process.once('exit', () => {
  for (const { pid } of running) signalAll(pid, 'SIGKILL')
  if (template !== null) rmSync(template, { recursive: true, force: true })
})

/** The postmaster leads a process group of its own, which its backends leave: they are found as its children. */
function signalAll (pid: number | undefined, signal: NodeJS.Signals): void {
  if (pid === undefined) return
  const children = execFileSync('ps', ['-A', '-o', 'pid=,ppid='], { encoding: 'utf8' }).trim().split('\n')
    .map(line => line.trim().split(/\s+/).map(Number)).filter(([, parent]) => parent === pid).map(([child]) => Number(child))
  for (const process_ of [pid, ...children]) {
    try {
      process.kill(process_, signal)
    } catch { /* It is gone. */ }
  }
}

/** Starts a server that writes to disk, and stops it when the test ends. */
export async function startPostgres (t: Teardown, ...settings: string[]): Promise<PostgresServer> {
  if (programs === null) throw new Error(String(noPostgres))
  const user = userOptions()
  const folder = mkdtempSync(join(tmpdir(), 'fastify-jwt-extended-postgres-'))
  if (user.uid !== undefined && user.gid !== undefined) chownSync(folder, user.uid, user.gid)
  const data = join(folder, 'data')
  execFileSync('cp', ['-R', join(prepareData(programs, user), 'data'), data], { ...user, cwd: folder })
  const port = await freePort()
  const url = `postgres://tester@127.0.0.1:${port}/postgres`
  let child: ChildProcess

  async function run (sql: string): Promise<Array<Record<string, unknown>>> {
    const client = new pg.Client({ connectionString: url })
    client.on('error', () => {})
    await client.connect()
    try {
      return (await client.query(sql)).rows as Array<Record<string, unknown>>
    } finally {
      await client.end()
    }
  }

  async function start (): Promise<void> {
    const options = ['listen_addresses=127.0.0.1', `unix_socket_directories=${folder}`, ...settings].flatMap(setting => ['-c', setting])
    child = spawn(join(programs as string, 'postgres'), ['-D', data, '-p', String(port), ...options], { ...user, cwd: folder, stdio: 'ignore' })
    running.add(child)
    for (let attempt = 0; ; attempt++) {
      try {
        await run('SELECT 1')
        return
      } catch (error) {
        if (attempt === 300) throw error
        await sleep(100)
      }
    }
  }

  async function end (signal: NodeJS.Signals): Promise<void> {
    if (child.exitCode !== null || child.signalCode !== null) return
    const exit = once(child, 'exit')
    if (signal === 'SIGKILL') signalAll(child.pid, signal)
    else child.kill(signal)
    await exit
    running.delete(child)
  }

  t.teardown(async () => {
    signalAll(child.pid, 'SIGCONT')
    await end('SIGQUIT')
    rmSync(folder, { recursive: true, force: true })
  })
  await start()
  return {
    url,
    run,
    freeze () { signalAll(child.pid, 'SIGSTOP') },
    thaw () { signalAll(child.pid, 'SIGCONT') },
    async kill () { await end('SIGKILL') },
    restart: start
  }
}
