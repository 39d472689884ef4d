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

/**
 * Two processes of the same program can differ by a third for as long as they live, by two decisions of V8 that are taken out
 * of its hands here: the size of its nursery, and that it collects garbage when a process has nothing to do, as a server
 * between its turns. With that garbage go the shapes of objects that nobody holds at the time, and code that was compiled for
 * them (that of `process.nextTick`, for one) is from then on the slow kind. A program on disk that a loader has to turn into
 * JavaScript first does the same to itself, so that the lightest one is taken.
 */
const steady = ['--min-semi-space-size=16', '--max-semi-space-size=16', '--no-memory-reducer', '--retain-maps-for-n-gc=1000']
const loader = new URL('../scripts/typescript.js', import.meta.url).href

function start (file: string, args: string[], core: number): ChildProcess {
  const child = fork(fileURLToPath(new URL(file, import.meta.url)), args, { execArgv: ['--import', loader, ...steady] })
  if (pinnable) spawnSync('taskset', ['-a', '-c', '-p', String(core), String(child.pid)])
  return child
}

async function answer<T> (child: ChildProcess): Promise<T> {
  const [message] = await once(child, 'message') as [T & { error?: string }]
  if (message.error !== undefined) throw new Error(message.error)
  return message
}

/** What is compared with what. */
const pairs: ReadonlyArray<readonly [name: string, one: ScenarioName, other: ScenarioName]> = [
  ['ours / bare', 'ours', 'bare'],
  ['ours, 1 token / bare', 'ours, 1 token', 'bare'],
  ['ours, 20,000 tokens / bare', 'ours, 20,000 tokens', 'bare'],
  ['ours with memory store / bare', 'ours with memory store', 'bare'],
  ['hook by hand on fast-jwt / bare', 'hook by hand on fast-jwt', 'bare'],
  ['@fastify/jwt with cache / bare', '@fastify/jwt with cache', 'bare'],
  ['@fastify/jwt / bare', '@fastify/jwt', 'bare'],
  ['ours with cookies / bare with cookies', 'ours with cookies', 'bare with cookies'],
  ['ours with memory store / ours', 'ours with memory store', 'ours'],
  ['ours / @fastify/jwt with cache', 'ours', '@fastify/jwt with cache'],
  ['ours / @fastify/jwt', 'ours', '@fastify/jwt'],
  ['ours / hook by hand on fast-jwt', 'ours', 'hook by hand on fast-jwt'],
  ['ours / @fastify/jwt, every token new', 'ours, every token new', '@fastify/jwt, every token new']
]

function shuffled<T> (values: readonly T[]): T[] {
  return values.map(value => ({ value, place: Math.random() })).sort((a, b) => a.place - b.place).map(({ value }) => value)
}

/** How long each server is under load before anything counts, until all code is compiled and the caches are full. Seconds. */
const warmUp = 1.5

type Values = Map<string, number[]>

/** Starts all servers, measures each pair so many times, and ends them. */
async function generation (rounds: number, seconds: number, perSecond: Values, quotients: Values): Promise<void> {
  const load = start('./http-load.ts', [], 1)
  const servers: ChildProcess[] = []

  async function measure (name: ScenarioName, seconds: number): Promise<number> {
    load.send({ measure: name, seconds })
    return (await answer<{ perSecond: number }>(load)).perSecond
  }

  try {
    for (const name of scenarioNames) {
      const server = start('./http-server.ts', [name], 0)
      servers.push(server)
      const { port, requests } = await answer<{ port: number, requests: string[] }>(server)
      load.send({ add: name, port, requests })
      await answer(load)
    }
    for (const name of shuffled(scenarioNames)) await measure(name, warmUp)
    for (let round = 0; round < rounds; round++) {
      for (const [name, one, other] of shuffled(pairs)) {
        const values = new Map<ScenarioName, number>()
        for (const scenario of shuffled([one, other])) values.set(scenario, await measure(scenario, seconds))
        for (const [scenario, value] of values) perSecond.get(scenario)?.push(value)
        quotients.get(name)?.push((values.get(one) as number) / (values.get(other) as number))
      }
    }
  } finally {
    for (const child of [load, ...servers]) child.kill()
  }
}

/**
 * Many short turns rather than few long ones: a machine that others share changes its pace about every second, between two
 * that differ by half. What is compared is measured one right after the other, at one pace in most rounds, in an order
 * that chance decides, since what a server leaves behind, such as a garbage collection, falls on whoever comes next. Two
 * processes of the same program differ by 3 to 5 % for as long as they live, by where chance has put them in memory: so
 * the servers are started anew many times.
 *
 * @param generations How often the servers are started.
 * @param rounds How often each pair is measured in each.
 * @param seconds How long each of the two.
 */
export async function http (generations: number, rounds: number, seconds: number): Promise<HttpResults> {
  progress(`http: ${scenarioNames.length} servers${pinnable ? ' on core 0, load from core 1' : ', not pinned for want of taskset'}`)
  const perSecond: Values = new Map(scenarioNames.map(name => [name, []]))
  const quotients: Values = new Map(pairs.map(([name]) => [name, []]))
  for (let i = 1; i <= generations; i++) {
    progress(`http: start ${i} of ${generations}`)
    await generation(rounds, seconds, perSecond, quotients)
  }
  return {
    requestsPerSecond: Object.fromEntries([...perSecond].map(([name, values]) => [name, Math.round(median(values))])),
    ratios: Object.fromEntries([...quotients].map(([name, values]) => [name, median(values)]))
  }
}

if (process.argv[1]?.endsWith('http.ts') === true) console.log(await http(Number(process.argv[2] ?? 20), Number(process.argv[3] ?? 4), Number(process.argv[4] ?? 0.1)))
