// Requests per second over keep-alive HTTP: servers and load generator in processes of their own, pinned to different
// cores, and every round measures all servers, so that a machine that drifts drifts for all.
import { fork, spawnSync } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { cpus } from 'node:os'
import { fileURLToPath } from 'node:url'
import { median, progress } from './measure.ts'
import { scenarioNames } from './http-scenarios.ts'
import type { ScenarioName } from './http-scenarios.ts'

export interface HttpResults {
  requestsPerSecond: Record<string, number>
  ratios: Record<string, number>
}

const pinnable = cpus().length > 1 && spawnSync('taskset', ['--version']).error === undefined

function start (file: string, args: string[], core: number): ChildProcess {
  const child = fork(fileURLToPath(new URL(file, import.meta.url)), args, { execArgv: ['--import', 'tsx'] })
  if (pinnable) spawnSync('taskset', ['-a', '-c', '-p', String(core), String(child.pid)])
  return child
}

async function answer<T> (child: ChildProcess): Promise<T> {
  const [message] = await once(child, 'message') as [T & { error?: string }]
  if (message.error !== undefined) throw new Error(message.error)
  return message
}

/**
 * @param rounds How often each server is measured.
 * @param seconds How long each time.
 */
export async function http (rounds: number, seconds: number): Promise<HttpResults> {
  progress(`http: starting ${scenarioNames.length} servers${pinnable ? ' on core 0, load from core 1' : ', not pinned for want of taskset'}`)
  const load = start('./http-load.ts', [], 1)
  const servers: ChildProcess[] = []
  try {
    for (const name of scenarioNames) {
      const server = start('./http-server.ts', [name], 0)
      servers.push(server)
      const { port, requests } = await answer<{ port: number, requests: string[] }>(server)
      load.send({ add: name, port, requests })
    }
    const perSecond = new Map<string, number[]>(scenarioNames.map(name => [name, []]))
    for (let round = -1; round < rounds; round++) {
      progress(round < 0 ? 'http: warming up' : `http: round ${round + 1} of ${rounds}`)
      for (let i = 0; i < scenarioNames.length; i++) {
        const name = scenarioNames[(i + round + 1) % scenarioNames.length] as ScenarioName
        load.send({ measure: name, seconds })
        const { perSecond: value } = await answer<{ perSecond: number }>(load)
        if (round >= 0) perSecond.get(name)?.push(value)
      }
    }
    const ratio = (a: ScenarioName, b: ScenarioName): number =>
      median((perSecond.get(a) as number[]).map((value, round) => value / ((perSecond.get(b) as number[])[round] as number)))
    return {
      requestsPerSecond: Object.fromEntries([...perSecond].map(([name, values]) => [name, Math.round(median(values))])),
      ratios: {
        'ours / bare': ratio('ours', 'bare'),
        'ours with cookies / bare with cookies': ratio('ours with cookies', 'bare with cookies'),
        'ours / @fastify/jwt with cache': ratio('ours', '@fastify/jwt with cache'),
        'ours / @fastify/jwt': ratio('ours', '@fastify/jwt'),
        'ours / hook by hand on fast-jwt': ratio('ours', 'hook by hand on fast-jwt'),
        'ours / @fastify/jwt, every token new': ratio('ours, 20,000 tokens', '@fastify/jwt, 20,000 tokens'),
        'ours with memory store / ours': ratio('ours with memory store', 'ours')
      }
    }
  } finally {
    for (const child of [load, ...servers]) child.kill()
  }
}

if (process.argv[1]?.endsWith('http.ts') === true) console.log(await http(Number(process.argv[2] ?? 7), Number(process.argv[3] ?? 1)))
