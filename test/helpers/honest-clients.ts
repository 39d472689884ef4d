import { Agent, request as httpRequest } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { decodeJwt } from 'jose'
import { createRandom } from './security/mutations.ts'
import { startRedis } from './redis-server.ts'
import { startRedisProxy } from './redis-proxy.ts'
import { startServer } from './server-processes.ts'

export interface HonestRun {
  /** Rotations to come about. */
  rotations: number
  clients: number
  seed: number
  /** Milliseconds of the longest delay. */
  longestDelay: number
  /** Seconds. */
  reuseInterval: number
}

export interface HonestFigures {
  rotated: number
  /** Answers that were no pair of tokens, by code or status, and those that never came. */
  others: Record<string, number>
  /** Of `FST_JWT_REUSED`: what the client knew. */
  reused: string[]
  cuts: { requests: number, answers: number }
  /** Answers that the network between client and server has lost. */
  lostAnswers: number
  seconds: number
}

interface Tokens { accessToken: string, refreshToken: string }
interface Answer { status: number, body: Partial<Tokens> & { code?: string } }

const generationOf = (token: string): number => Number(decodeJwt(token)['gen'])

/**
 * Honest clients that refresh their tokens through three servers, whose clocks are a minute ahead, right, and a minute behind, and
 * which reach their Redis through a network that delays, cuts and drops. Whoever gets no answer tries again with the token it has.
 */
export async function runHonestClients (t: { teardown (run: () => unknown): void }, { rotations, clients, seed, longestDelay, reuseInterval }: HonestRun): Promise<HonestFigures> {
  const random = createRandom(seed)
  const chance = (percent: number): boolean => random(1000) < percent * 10
  const redis = await startRedis(t)
  const agent = new Agent({ keepAlive: true, maxSockets: Infinity })
  t.teardown(() => { agent.destroy() })

  /** Mostly a quick network, that now and then holds everything up. */
  function stalling () {
    let stalledUntil = 0
    return () => {
      const now = performance.now()
      if (now > stalledUntil && chance(0.4)) stalledUntil = now + random(longestDelay)
      return now > stalledUntil ? random(20) : Math.min(stalledUntil - now, longestDelay)
    }
  }
  const proxies = await Promise.all([0, 1, 2].map(async () => startRedisProxy(t, redis, { delay: stalling(), lose: () => chance(0.15) })))
  const servers = await Promise.all([60_000, 0, -60_000].map(async (offset, index) => startServer(t, {
    REDIS_URL: String(proxies[index]?.url), CLOCK_OFFSET: String(offset), LEEWAY: '180', COMMAND_TIMEOUT: '2000', REUSE_INTERVAL: String(reuseInterval)
  })))

  const figures: HonestFigures = { rotated: 0, others: {}, reused: [], cuts: { requests: 0, answers: 0 }, lostAnswers: 0, seconds: 0 }
  const count = (name: string): void => { figures.others[name] = (figures.others[name] ?? 0) + 1 }

  async function send (method: string, path: string, token: string): Promise<Answer> {
    const url = `${servers[random(servers.length)]?.url}${path}`
    return new Promise((resolve, reject) => {
      const request = httpRequest(url, { method, agent, headers: { authorization: `Bearer ${token}` } }, response => {
        let text = ''
        response.setEncoding('utf8').on('data', chunk => { text += chunk }).on('error', reject)
        response.on('end', () => { resolve({ status: response.statusCode ?? 0, body: JSON.parse(text) as Answer['body'] }) })
      })
      request.on('error', reject).end()
    })
  }

  /** Asks until there is an answer that says something. */
  async function persist (method: string, path: string, tokenNow: () => string): Promise<Answer> {
    for (;;) {
      const answer = await send(method, path, tokenNow())
      if (chance(3)) {
        // The network between client and server, too, loses answers; some clients come back much later.
        figures.lostAnswers++
        await sleep(chance(10) ? (reuseInterval * 1000) + random(2000) : random(300))
        continue
      }
      if (answer.status !== 503) return answer
      count('503')
      await sleep(50 + random(300))
    }
  }

  async function client (name: number): Promise<void> {
    let jar = (await persist('POST', '/login', () => '')).body as Tokens
    let loggedIn = true

    async function refresh (): Promise<void> {
      const { status, body } = await persist('POST', '/refresh', () => jar.refreshToken)
      if (status === 200) {
        figures.rotated++
        if (generationOf(String(body.refreshToken)) >= generationOf(jar.refreshToken)) jar = body as Tokens
        return
      }
      count(body.code ?? String(status))
      if (body.code === 'FST_JWT_REUSED') figures.reused.push(`client ${name}, generation ${generationOf(jar.refreshToken)}`)
      loggedIn = false
    }

    while (figures.rotated < rotations) {
      // Two tabs that refresh at once share their cookies.
      await Promise.all(Array.from({ length: chance(20) ? 2 : 1 }, refresh))
      if (!loggedIn) {
        jar = (await persist('POST', '/login', () => '')).body as Tokens
        loggedIn = true
      }
      if (chance(50)) {
        const { status, body } = await persist('GET', '/me', () => jar.accessToken)
        if (status !== 200) count(`/me ${body.code ?? status}`)
      }
      await sleep(random(100))
    }
  }

  for (const proxy of proxies) proxy.begin()
  const started = performance.now()
  await Promise.all(Array.from({ length: clients }, (_, name) => client(name)))
  figures.seconds = (performance.now() - started) / 1000
  for (const proxy of proxies) {
    figures.cuts.requests += proxy.cuts().requests
    figures.cuts.answers += proxy.cuts().answers
  }
  return figures
}
