import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import t from 'tap'
import type { Test } from 'tap'
import { RedisStore } from '../../../lib/stores/redis/store.ts'
import { refresh, sessionApp, verdict } from '../../helpers/session-app.ts'
import { noRedis, startRedis } from '../../helpers/redis-server.ts'
import type { FastifyInstance } from 'fastify'
import type { JwtExtendedOptions } from '../../../lib/index.ts'
import type { Tokens } from '../../helpers/session-app.ts'
import type { RedisServer } from '../../helpers/redis-server.ts'

async function redisApp (t: Test, server: RedisServer, options: JwtExtendedOptions = {}): Promise<FastifyInstance> {
  const client = new Redis(server.url)
  t.teardown(() => client.disconnect())
  return sessionApp(t, { store: new RedisStore(client), ...options })
}

t.test('sessions on Redis, in real time', { skip: noRedis }, async t => {
  const server = await startRedis(t)
  t.jobs = 4

  for (const refreshTokenFormat of ['jwt', 'opaque'] as const) {
    t.test(`sessionMaxAge ends a session however often it is refreshed (${refreshTokenFormat})`, { buffered: true }, async t => {
      const app = await redisApp(t, server, { refreshTokenFormat, sessionMaxAge: 3 })
      let tokens: Tokens = await app.jwt.createSession('max-age')
      const end = (app.jwt.decodeToken(tokens.accessToken).auth_time ?? 0) + 3
      while (Date.now() / 1000 < end - 0.8) {
        tokens = await refresh(app, tokens.refreshToken)
        t.equal(app.jwt.decodeToken(tokens.accessToken).exp, end)
        await sleep(200)
      }
      await sleep(end * 1000 - Date.now() + 20)
      t.match(await verdict(app, 'POST', '/refresh', tokens.refreshToken), /FST_JWT_(EXPIRED|REVOKED)/)
      t.equal(await verdict(app, 'GET', '/me', tokens.accessToken), 'FST_JWT_EXPIRED')
    })

    t.test(`a refresh after refreshExpires of idleness is refused (${refreshTokenFormat})`, { buffered: true }, async t => {
      const app = await redisApp(t, server, { refreshTokenFormat, refreshExpires: 4 })
      const identity = `idle-${refreshTokenFormat}`
      let tokens: Tokens = await app.jwt.createSession(identity)
      for (let times = 0; times < 3; times++) {
        await sleep(1500)
        tokens = await refresh(app, tokens.refreshToken)
      }
      t.equal((await app.jwt.listSessions(identity)).length, 1)
      await sleep(4010)
      t.match(await verdict(app, 'POST', '/refresh', tokens.refreshToken), /FST_JWT_(EXPIRED|REVOKED)/)
      t.strictSame(await app.jwt.listSessions(identity), [])
    })
  }
})

t.test('after a long mixed run, every key of Redis carries a TTL', { skip: noRedis }, async t => {
  const server = await startRedis(t)
  const apps = await Promise.all([
    redisApp(t, server),
    redisApp(t, server, { refreshTokenFormat: 'opaque', refreshReuseInterval: 0 }),
    redisApp(t, server, { accessExpires: false, refreshExpires: false }),
    redisApp(t, server, { accessExpires: false, refreshExpires: false, refreshTokenFormat: 'opaque' })
  ])
  await Promise.all(apps.map(async (app, of) => {
    for (let round = 0; round < 30; round++) {
      // Each app has people of its own, lest one ends the sessions that another is about to refresh.
      const first = await app.jwt.createSession(`user-${of}-${round % 7}`, { metadata: { round }, claims: { role: 'x' } })
      const second = await refresh(app, first.refreshToken)
      await app.inject({ method: 'POST', url: '/refresh', headers: { authorization: `Bearer ${first.refreshToken}` } })
      if (round % 2 === 0) await app.jwt.revokeToken(second.accessToken)
      if (round % 3 === 0) await app.jwt.revokeToken(second.refreshToken)
      if (round % 5 === 0) await app.jwt.revokeSession(first.sessionId)
      if (round % 10 === 9) await app.jwt.revokeAllSessions(`user-${of}-1`, { except: first.sessionId })
      await app.jwt.revokeToken(app.jwt.createRefreshToken('ada'))
      await app.jwt.revokeSession(`unknown-${round}`)
    }
  }))
  const keys = await server.keys()
  t.ok(keys.length > 200, `${keys.length} keys`)
  const lives = await Promise.all(keys.map(async key => Number(await server.command('PTTL', key))))
  t.strictSame(keys.filter((_, index) => (lives[index] as number) <= 0), [])
})

t.test('a protected request of a session is two commands that are sent together, and a refresh token two', { skip: noRedis }, async t => {
  const server = await startRedis(t)
  const client = new Redis(server.url)
  t.teardown(() => client.disconnect())
  const calls = async (): Promise<Record<string, number>> => Object.fromEntries(
    [...String(await server.command('INFO', 'commandstats')).matchAll(/cmdstat_(\S+?):calls=(\d+)/g)].map(([, name, count]) => [name, Number(count)]))
  for (const refreshTokenFormat of ['jwt', 'opaque'] as const) {
    const app = await sessionApp(t, { store: new RedisStore(client), refreshTokenFormat })
    const { accessToken, refreshToken } = await app.jwt.createSession('ada')
    for (const [url, token, commands] of [['/me', accessToken, { exists: 50, hmget: 50 }], ['/refresh-token', refreshToken, { exists: 50, evalsha: 50, time: 50, hmget: 50 }]] as const) {
      // Redis has to be sent a script once.
      await verdict(app, 'GET', url, token)
      await server.command('CONFIG', 'RESETSTAT')
      for (let times = 0; times < 50; times++) t.equal(await verdict(app, 'GET', url, token), 200)
      const { info, 'config|resetstat': reset, ...sent } = await calls()
      t.strictSame(sent, commands)
    }
  }
})
