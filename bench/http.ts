// Requests per second over keep-alive HTTP, and the server's CPU time for each: every server and the load generator are processes of
// their own. The servers share one core and are measured one at a time; the load comes from another core.
import type { ChildProcess } from 'node:child_process'
import { median, middleHalf, progress } from './measure.ts'
import { answer, measureServer, pinnable, start, startLoad } from './processes.ts'
import type { Measured } from './processes.ts'

export interface HttpResults {
  requestsPerSecond: Record<string, number>
  /** The server's CPU time for one request. */
  microsecondsOfCpu: Record<string, number>
  /** Requests per second of one, of those of the other. */
  ratios: Record<string, number>
  /** Between which two values half of the starts lie. */
  spreads: Record<string, readonly [number, number]>
  starts: number
}

/** How many connections send one request at a time each. */
const connections = 50

/** What is compared with what, on servers that are started together. */
const pairs = [
  ['a hook that does nothing', 'bare'],
  ['ours', 'bare'],
  ['ours, 1 token', 'bare'],
  ['ours with cookies', 'bare with cookies'],
  ['hook by hand on fast-jwt', 'bare'],
  ['@fastify/jwt with cache', 'bare'],
  ['@fastify/jwt', 'bare'],
  ['ours', 'ours without a store'],
  ['ours', '@fastify/jwt with cache'],
  ['ours', '@fastify/jwt'],
  ['ours', 'hook by hand on fast-jwt'],
] as const

/** The same, where many tokens have to be made and sent before anything counts. */
const pairsOfManyTokens = [
  ['ours, 20,000 tokens', 'hook by hand on fast-jwt, 20,000 tokens'],
  ['ours, 100,000 tokens', 'hook by hand on fast-jwt, 100,000 tokens'],
  ['ours, every token new', '@fastify/jwt, every token new']
] as const

type Pair = typeof pairs[number] | typeof pairsOfManyTokens[number]
type Scenario = Pair[number]

/** How often each token has come before anything counts, at least, and for how many seconds. */
const warmUp = { rounds: 1.1, seconds: 1 }

function shuffled<T> (values: readonly T[]): T[] {
  return values.map(value => ({ value, place: Math.random() })).sort((a, b) => a.place - b.place).map(({ value }) => value)
}

type Take = (one: Scenario, other: Scenario, measured: readonly [Measured, Measured]) => void

/** Starts all servers, measures each pair so many times, and ends them. */
async function generation (pairs: readonly Pair[], rounds: number, seconds: number, take: Take): Promise<void> {
  const scenarios = [...new Set<Scenario>(pairs.flat())]
  const load = startLoad()
  const servers = new Map<Scenario, ChildProcess>()

  const measure = async (name: Scenario, seconds: number): Promise<Measured> =>
    measureServer(load, name, servers.get(name) as ChildProcess, connections, seconds)

  try {
    const tokens = new Map<Scenario, number>()
    for (const name of scenarios) {
      const server = start('./http-server.js', [name], 0)
      servers.set(name, server)
      const { port, requests } = await answer<{ port: number, requests: string[] }>(server)
      tokens.set(name, requests.length)
      load.send({ add: name, port, requests })
      await answer(load)
    }
    for (const name of shuffled(scenarios)) {
      const wanted = name.endsWith('new') ? 0 : (tokens.get(name) as number) * warmUp.rounds
      for (let sent = 0, first = true; first || sent < wanted; first = false) sent += (await measure(name, warmUp.seconds)).answers
    }
    for (let round = 0; round < rounds; round++) {
      for (const [one, other] of shuffled(pairs)) {
        const values = new Map<Scenario, Measured>()
        for (const name of shuffled([one, other])) values.set(name, await measure(name, seconds))
        take(one, other, [values.get(one) as Measured, values.get(other) as Measured])
      }
    }
  } finally {
    for (const child of [load, ...servers.values()]) child.kill()
  }
}

/**
 * Many short turns rather than few long ones: a machine that others share changes its pace about every second. What is compared is
 * measured one right after the other, in an order that chance decides. Two processes of the same program differ by some percent for as
 * long as they live, so the servers are started anew many times; each start counts by the median of its rounds.
 *
 * @param starts How often the servers are started.
 * @param rounds How often each pair is measured in each.
 * @param seconds How long each of the two.
 */
export async function http (starts: number, rounds: number, seconds: number): Promise<HttpResults> {
  progress(`http: servers${pinnable ? ' on core 0, load from core 1' : ' and load not pinned, for want of taskset'}`)
  const all = new Map<Scenario, Measured[]>()
  const ratiosOfStarts = new Map<string, number[]>()
  const add = <K, V>(map: Map<K, V[]>, key: K, value: V): void => { map.set(key, [...map.get(key) ?? [], value]) }
  for (const group of [pairs, pairsOfManyTokens]) {
    for (let i = 1; i <= starts; i++) {
      const ratios = new Map<string, number[]>()
      await generation(group, rounds, seconds, (one, other, [left, right]) => {
        add(all, one, left)
        add(all, other, right)
        add(ratios, `${one} / ${other}`, left.perSecond / right.perSecond)
      })
      for (const [name, values] of ratios) add(ratiosOfStarts, name, median(values))
      progress(`http: start ${i} of ${starts}: ${[...ratios].slice(0, 2).map(([name, values]) => `${name} ${median(values).toFixed(3)}`).join(', ')}`)
    }
  }
  const each = <T>(from: Map<string, T>, value: (of: T) => number): Record<string, number> =>
    Object.fromEntries([...from].map(([name, of]) => [name, value(of)]))
  return {
    requestsPerSecond: each(all, measured => Math.round(median(measured.map(({ perSecond }) => perSecond)))),
    microsecondsOfCpu: each(all, measured => Math.round(median(measured.map(({ cpu }) => cpu)) * 10) / 10),
    ratios: each(ratiosOfStarts, median),
    spreads: Object.fromEntries([...ratiosOfStarts].map(([name, values]) => [name, middleHalf(values)])),
    starts
  }
}

if (process.argv[1]?.endsWith('http.ts') === true) console.log(await http(Number(process.argv[2] ?? 10), Number(process.argv[3] ?? 3), Number(process.argv[4] ?? 0.25)))
