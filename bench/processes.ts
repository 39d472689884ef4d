// Processes of the benchmarks, each on a core of its own where `taskset` is there.
import { fork, spawnSync } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { cpus } from 'node:os'
import { fileURLToPath } from 'node:url'

export const pinnable = cpus().length > 1 && spawnSync('taskset', ['--version']).error === undefined

/** @param core The one it runs on, by its number. */
export function start (file: string, args: string[], core: number): ChildProcess {
  const execArgv = file.endsWith('.ts') ? ['--import', new URL('../scripts/typescript.js', import.meta.url).href] : []
  const child = fork(fileURLToPath(new URL(file, import.meta.url)), args, { execArgv })
  if (pinnable) spawnSync('taskset', ['-a', '-c', '-p', String(core), String(child.pid)])
  return child
}

/** Servers have the first core. */
export const startLoad = (): ChildProcess => start('./http-load.ts', [], 1)

/** The next message of a process. @throws What it reports as `error`. */
export async function answer<T> (child: ChildProcess): Promise<T> {
  const [message] = await once(child, 'message') as [T & { error?: string }]
  if (message.error !== undefined) throw new Error(message.error)
  return message
}

export interface Measured {
  readonly perSecond: number
  /** Microseconds of the server's CPU for each request. */
  readonly cpu: number
  readonly answers: number
}

async function cpuOf (server: ChildProcess): Promise<number> {
  server.send('CPU time')
  return (await answer<{ microseconds: number }>(server)).microseconds
}

/** Puts a server, which the load generator knows by its name, under load for so many seconds. */
export async function measureServer (load: ChildProcess, name: string, server: ChildProcess, connections: number, seconds: number): Promise<Measured> {
  const before = await cpuOf(server)
  load.send({ measure: name, connections, seconds })
  const { answers, seconds: took } = await answer<{ answers: number, seconds: number }>(load)
  return { perSecond: answers / took, cpu: (await cpuOf(server) - before) / answers, answers }
}
