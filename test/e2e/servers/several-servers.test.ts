import { setTimeout as sleep } from 'node:timers/promises'
import { decodeJwt } from 'jose'
import t from 'tap'
import { noRedis, startRedis } from '../../helpers/redis-server.ts'
import { call, startServer } from '../../helpers/server-processes.ts'
import type { Answer, Server, Tokens } from '../../helpers/server-processes.ts'

t.test('four server processes on one Redis', { skip: noRedis, timeout: 110_000 }, async t => {
  const redis = await startRedis(t, '--appendonly', 'yes', '--appendfsync', 'always')
  const reuseInterval = 6
  const servers = await Promise.all(Array.from({ length: 4 }, async () =>
    startServer(t, { REDIS_URL: redis.url, REUSE_INTERVAL: String(reuseInterval) })))
  const urlOf = (index: number): string => (servers[index % servers.length] as Server).url
  const login = async (index = 0): Promise<Tokens> => (await call<Tokens & Record<string, unknown>>(`${urlOf(index)}/login`, 'POST')).body
  const everywhere = async (path: string, token: string, method: 'GET' | 'POST' = 'GET'): Promise<number[]> =>
    Promise.all(servers.map(async ({ url }) => (await call(url + path, method, token)).status))

  await t.test('1,000 rotations of one refresh token at once: one successor for all, and reuse after the interval ends the session everywhere', async t => {
    const session = await login()
    const answers = await Promise.all(Array.from({ length: 1000 }, async (_, index) =>
      call<Tokens & Record<string, unknown>>(`${urlOf(index)}/refresh`, 'POST', session.refreshToken)))
    t.strictSame([...new Set(answers.map(({ status }) => status))], [200])
    const successors = new Set(answers.map(({ body }) => decodeJwt(body.refreshToken).jti))
    t.equal(successors.size, 1)
    t.notOk(successors.has(decodeJwt(session.refreshToken).jti))
    const last = answers[0]?.body as Tokens
    t.strictSame(await everywhere('/me', last.accessToken), [200, 200, 200, 200])

    await sleep(Math.max(...answers.map(({ answeredAt }) => answeredAt)) + reuseInterval * 1000 + 50 - Date.now())
    const reuse = await call(`${urlOf(1)}/refresh`, 'POST', session.refreshToken)
    t.match(reuse, { status: 401, body: { code: 'FST_JWT_REUSED' } })
    for (const token of [session.accessToken, last.accessToken]) t.strictSame(await everywhere('/me', token), [401, 401, 401, 401])
    t.strictSame(await everywhere('/refresh', last.refreshToken, 'POST'), [401, 401, 401, 401])
  })

  await t.test('what one server revokes, every other refuses at once', async t => {
    for (const [index, path] of ['/logout', '/revoke', '/logout', '/revoke'].entries()) {
      const { accessToken, refreshToken } = await login(index + 1)
      t.strictSame(await everywhere('/me', accessToken), [200, 200, 200, 200])
      t.equal((await call(urlOf(index) + path, 'POST', accessToken)).status, 200)
      t.strictSame(await everywhere('/me', accessToken), [401, 401, 401, 401])
      if (path === '/logout') t.strictSame(await everywhere('/refresh', refreshToken, 'POST'), [401, 401, 401, 401])
    }
  })

  /** 200 requests a second over all servers, every second one with a revoked token. */
  function startLoad (good: string, revoked: string): { stop (): Promise<Array<Answer & { revoked: boolean }>> } {
    const requests: Array<Promise<Answer & { revoked: boolean }>> = []
    const startedAt = Date.now()
    const timer = setInterval(() => {
      // As many as are due: a timer that is late must not make it fewer.
      while (requests.length < (Date.now() - startedAt) / 5) {
        const index = requests.length
        const isRevoked = index % 2 === 1
        requests.push(call(`${urlOf(index >> 1)}/me`, 'GET', isRevoked ? revoked : good).then(answer => ({ ...answer, revoked: isRevoked })))
      }
    }, 5)
    return {
      async stop () {
        clearInterval(timer)
        return Promise.all(requests)
      }
    }
  }

  const outages: Record<string, [begin: () => Promise<void>, end: () => Promise<void>]> = {
    killed: [async () => redis.kill(), async () => redis.restart()],
    frozen: [async () => { redis.freeze() }, async () => { redis.thaw() }]
  }
  for (const [how, [begin, end]] of Object.entries(outages)) {
    await t.test(`Redis ${how} under load: 503 between, no revoked token passes, and back within a second`, async t => {
      const [good, revoked] = [await login(), await login()]
      t.equal((await call(`${urlOf(0)}/logout`, 'POST', revoked.accessToken)).status, 200)
      const load = startLoad(good.accessToken, revoked.accessToken)
      await sleep(500)
      await begin()
      const down = Date.now()
      await sleep(2000)
      const beforeUp = Date.now()
      await end()
      const up = Date.now()
      await sleep(2000)
      const answers = await load.stop()

      t.ok(answers.length > 600, `${answers.length} requests`)
      t.equal(answers.filter(({ revoked, status }) => revoked && status === 200).length, 0, 'no revoked token passes')
      const outcomes = (some: typeof answers): string[] => [...new Set(some.map(({ revoked, status }) => `${revoked ? 'revoked' : 'good'} ${status}`))].sort()
      const between = answers.filter(({ sentAt, answeredAt }) => sentAt > down && answeredAt < beforeUp)
      t.ok(between.length > 100, `${between.length} of them answered during the outage`)
      t.strictSame(outcomes(between), ['good 503', 'revoked 503'])
      const later = answers.filter(({ sentAt }) => sentAt > up + 1000)
      t.ok(later.length > 50, `${later.length} of them a second after it`)
      t.strictSame(outcomes(later), ['good 200', 'revoked 401'])
      t.strictSame(outcomes(answers.filter(({ answeredAt }) => answeredAt < down - 50)), ['good 200', 'revoked 401'])
      const back = Math.min(...answers.filter(({ sentAt, status }) => sentAt > beforeUp && status === 200).map(({ answeredAt }) => answeredAt))
      t.comment(`back ${back - up} ms after Redis`)
      t.equal((await call(`${urlOf(2)}/refresh`, 'POST', good.refreshToken)).status, 200)
    })
  }

  t.ok(servers.every(({ child }) => child.exitCode === null && child.signalCode === null), 'no server was restarted')
  for (const { url, output } of servers) t.equal(output(), `${url}\n`, 'nor complained of an unhandled rejection')
})

t.test('opaque refresh tokens raced through two processes have one successor, too', { skip: noRedis, timeout: 60_000 }, async t => {
  const redis = await startRedis(t)
  const servers = await Promise.all([1, 2].map(async () => startServer(t, { REDIS_URL: redis.url, FORMAT: 'opaque' })))
  const session = (await call<Tokens & Record<string, unknown>>(`${servers[0]?.url}/login`, 'POST')).body
  const answers = await Promise.all(Array.from({ length: 200 }, async (_, index) =>
    call<Tokens & Record<string, unknown>>(`${servers[index % 2]?.url}/refresh`, 'POST', session.refreshToken)))
  t.equal(new Set(answers.map(({ body }) => body.refreshToken)).size, 1)
  const [next] = answers
  t.equal((await call(`${servers[1]?.url}/refresh`, 'POST', next?.body.refreshToken)).status, 200)
  t.equal((await call(`${servers[0]?.url}/refresh`, 'POST', session.refreshToken)).body.code, 'FST_JWT_REUSED')
})
