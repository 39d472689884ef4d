import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { Redis as Valkey } from 'iovalkey'
import { createClient, createClientPool, createSentinel } from 'redis'
import t from 'tap'
import type { Test } from 'tap'
import { RedisStore } from '../../../../lib/stores/redis/store.ts'
import type { RedisClient, RedisStoreOptions } from '../../../../lib/stores/redis/store.ts'
import { movableTime } from '../../../helpers/clock.ts'
import { claims, forge } from '../../../helpers/forge.ts'
import { noRedis, startRedis, startSentinel } from '../../../helpers/redis-server.ts'
import type { RedisServer } from '../../../helpers/redis-server.ts'
import { passage, patient, replicaWarnings, startServer, until, untilPassage, untilTrusted } from '../../../helpers/replicas.ts'
import type { Server } from '../../../helpers/replicas.ts'
import { endedElsewhere, fallenSilent, revokedElsewhere, staleElsewhere } from '../../../helpers/replication-tests.ts'
import { secretKey, send, sessionApp, verdict } from '../../../helpers/session-app.ts'
import { startSilentProxy } from '../../../helpers/silent-proxy.ts'

function connect (t: Test, { host, port }: { host: string, port: number }, options: object = {}): Redis {
  const client = new Redis({ host, port, retryStrategy: () => 20, maxRetriesPerRequest: 1, ...options })
  client.on('error', () => {})
  t.teardown(() => { client.disconnect() })
  return client
}

/** A server of many, on a client of its own. */
async function start (t: Test, client: RedisClient, options: RedisStoreOptions = {}): Promise<Server<RedisStore>> {
  return startServer(t, new RedisStore(client, { commandTimeout: 1000, clockSkew: 0, replicate: patient, ...options }))
}

/** A feed that was there before every token of these tests. */
async function oldFeed (server: RedisServer, prefix = 'fastify-jwt:'): Promise<void> {
  await server.command('HSET', `${prefix}feed`, 'id', randomUUID(), 'place', '0', 'born', '1', 'channel', 'fastify-jwt:feed')
}

t.test('on one Redis', { skip: noRedis }, async t => {
  const redis = await startRedis(t)
  await oldFeed(redis)

  const clients: Record<string, (t: Test) => Promise<RedisClient>> = {
    ioredis: async t => connect(t, redis),
    async iovalkey (t) {
      const client = new Valkey(redis.url)
      t.teardown(() => { client.disconnect() })
      return client
    },
    async 'node-redis' (t) {
      const client = createClient({ url: redis.url })
      client.on('error', () => {})
      await client.connect()
      t.teardown(() => { client.destroy() })
      return client
    },
    async 'node-redis with RESP2' (t) {
      const client = createClient({ url: redis.url, RESP: 2 })
      client.on('error', () => {})
      await client.connect()
      t.teardown(() => { client.destroy() })
      return client
    }
  }

  for (const [name, create] of Object.entries(clients)) {
    await t.test(`by ${name}, a token passes without a question until another server revokes it`, async t =>
      revokedElsewhere(t, async t => start(t, await create(t))))
  }

  await t.test('whatever ends a session ends it on every server', async t =>
    endedElsewhere(t, async t => start(t, connect(t, redis)), 2))

  await t.test('claims that change now make the tokens of before stale on every server', async t =>
    staleElsewhere(t, async t => start(t, connect(t, redis))))

  await t.test('the use of a pair of tokens is written once, whichever servers it comes to', async t => {
    const [here, there] = [await start(t, connect(t, redis)), await start(t, connect(t, redis))]
    await untilTrusted(here.store, there.store)
    const { refreshToken, sessionId } = await here.app.jwt.createSession('ada')
    const next = (await send(here.app, 'POST', '/refresh', refreshToken)).json<{ accessToken: string }>()
    for (const server of [here, there, here, there]) await untilPassage(server, next.accessToken, '200 from memory')
    const state = await here.store.getSessionState(sessionId)
    t.strictSame([state?.generation, state?.used, state?.version], [1, true, 2], 'one rotation and one mark')
  })

  await t.test('a refresh token is always asked about, and so is an access token that is about to be renewed', async t => {
    const { store } = await start(t, connect(t, redis))
    const app = await sessionApp(t, { store, tokenLocation: ['headers', 'cookies'], csrfProtection: false, accessExpires: 100, implicitRefresh: 99 })
    app.get('/cookie', { preHandler: app.jwtRequired }, async () => 'ok')
    await untilTrusted(store)
    const [token, valid] = [app.jwt.createAccessToken('ada'), app.jwt.createAccessToken('ada')]
    // Revoked behind the back of this server, by a command that publishes nothing.
    await redis.command('SET', `fastify-jwt:denied-token:{${app.jwt.getJti(token)}}`, '1', 'PX', '60000')
    const now = Date.now
    t.teardown(() => { Date.now = now })
    Date.now = () => now() + 3000
    const response = await app.inject({ url: '/cookie', cookies: { access_token_cookie: token } })
    t.equal(response.statusCode, 200, 'the promise was not broken by a server')
    t.equal(response.headers['set-cookie'], undefined)
    const renewed = await app.inject({ url: '/cookie', cookies: { access_token_cookie: valid } })
    t.match(renewed.headers['set-cookie'], /access_token_cookie=/)
    const refreshToken = app.jwt.createRefreshToken('ada')
    await redis.command('SET', `fastify-jwt:denied-token:{${app.jwt.getJti(refreshToken)}}`, '1', 'PX', '60000')
    t.equal(await verdict(app, 'GET', '/refresh-token', refreshToken), 'FST_JWT_REVOKED')
  })

  await t.test('apps that share a Redis hear nothing of each other: another prefix of the client, another database', async t => {
    const here = await start(t, connect(t, redis))
    for (const options of [{ keyPrefix: 'app:' }, { db: 1 }]) {
      const other = await start(t, connect(t, redis, options))
      const second = await start(t, connect(t, redis, options))
      await untilTrusted(here.store, other.store, second.store)
      const jti = randomUUID()
      await other.store.denyToken(jti, null, Date.now() + 60_000)
      const judged = ({ store }: Server<RedisStore>): string | undefined => store.judge?.({ jti, sid: null, generation: undefined, issuedAt: 1e10 })
      await until(() => judged(second) === 'denied', 'a denial for the servers of the app')
      t.equal(judged(here), 'passes')
      t.equal(here.store.replica?.trusted, true, 'what others publish is no gap')
    }
  })

  await t.test('everything that the feed keeps has a TTL, and what has expired is removed', async t => {
    const { store } = await start(t, connect(t, redis), { prefix: 'short:' })
    await untilTrusted(store)
    await store.denyToken(randomUUID(), null, Date.now() + 1000)
    await store.denySession(randomUUID(), null)
    for (const key of (await redis.keys()).filter(key => key.startsWith('short:'))) t.ok(Number(await redis.command('PTTL', key)) > 0, key)
    await until(async () => await redis.command('ZCARD', 'short:feed:live') === 1, 'one denial left')
    t.equal((store.replica?.denials ?? 0) > 0, true)
  })

  await t.test('a store without the option publishes, too, and costs nothing if nobody replicates', async t => {
    const plain = new RedisStore(connect(t, redis), { prefix: 'plain:' })
    await plain.denyToken(randomUUID(), null, Date.now() + 60_000)
    t.equal((await redis.keys()).some(key => key.startsWith('plain:feed')), false)
    t.equal(plain.replica, null)
    t.equal(plain.judge, undefined)
    plain.onSessionEnd(() => {})()
    plain.close()
    const { store } = await start(t, connect(t, redis), { prefix: 'plain:' })
    await untilTrusted(store)
    const jti = randomUUID()
    await plain.denyToken(jti, null, Date.now() + 60_000)
    await until(() => store.judge?.({ jti, sid: null, generation: undefined, issuedAt: 1e10 }) === 'denied', 'the denial')
  })

  await t.test('if a pool is given, or the feed may not be read, the store is asked, and that is said once', async t => {
    const warnings = replicaWarnings(t)
    const pool = createClientPool({ url: redis.url })
    pool.on('error', () => {})
    await pool.connect()
    t.teardown(() => { pool.destroy() })
    const pooled = await start(t, pool)
    t.equal(pooled.store.judge, undefined)
    const token = pooled.app.jwt.createAccessToken('ada')
    t.equal(await passage(pooled, token), '200 from the store')

    await redis.command('ACL', 'SETUSER', 'deaf', 'on', '>pw', '~*', '+@all', 'resetchannels')
    const deaf = await start(t, connect(t, redis, { username: 'deaf', password: 'pw' }))
    const hearing = await start(t, connect(t, redis))
    await untilTrusted(hearing.store)
    await until(() => warnings.length === 2, 'two warnings')
    t.match(warnings[0], /a pool has no second connection/)
    t.match(warnings[1], /not in use: .*(NOPERM|permissions)/)
    t.equal(await passage(deaf, token), '200 from the store')
    await deaf.app.jwt.revokeToken(token)
    await untilPassage(hearing, token, 'FST_JWT_REVOKED from memory')
    await sleep(600)
    t.equal(warnings.length, 2, 'it is tried again, and not said again')
  })

  await t.test('beyond maxEntries the store is asked, and that is said once', async t => {
    const warnings = replicaWarnings(t)
    const server = await start(t, connect(t, redis), { prefix: 'many:', replicate: { ...patient, maxEntries: 2 } })
    await untilTrusted(server.store)
    for (let i = 0; i < 3; i++) await server.store.denyToken(randomUUID(), null, Date.now() + 60_000)
    await until(() => warnings.length === 1, 'a warning')
    t.match(warnings[0], /more denials than replicate\.maxEntries/)
    t.equal(await passage(server, server.app.jwt.createAccessToken('ada')), '200 from the store')
    t.equal(server.store.replica?.trusted, false)
  })
})

t.test('a feed that falls silent', { skip: noRedis }, async t => {
  const redis = await startRedis(t)
  await oldFeed(redis)
  const proxy = await startSilentProxy(t, redis)
  const server = await start(t, connect(t, proxy), { replicate: { maxStaleness: 200 } })
  const { valid } = await fallenSilent(t, proxy, server, await start(t, connect(t, redis)), async sid => redis.command('DEL', `fastify-jwt:login:{${sid}}`))

  await t.test('a closed store asks, and holds no connection', async t => {
    server.store.close()
    await until(() => proxy.feeds() === 0, 'no feed')
    t.equal(await passage(server, valid), '200 from the store')
  })
})

t.test('what was revoked before the feed began is refused', { skip: noRedis }, async t => {
  const redis = await startRedis(t)
  const plain = new RedisStore(connect(t, redis))

  await t.test('also if the clock of Redis is behind that of the servers', async t => {
    const app = await sessionApp(t, { store: plain })
    movableTime(t).advance(60)
    const token = app.jwt.createAccessToken('ada')
    await app.jwt.revokeToken(token)
    const server = await start(t, connect(t, redis), { clockSkew: 10_000, replicate: patient })
    await untilTrusted(server.store)
    t.equal(await passage(server, token), 'FST_JWT_REVOKED from the store')
  })

  await t.test('also a session of another issuer, who makes tokens for it still', async t => {
    await oldFeed(redis)
    const [revoked, live] = ['a session of another issuer', 'another one']
    await plain.denySession(revoked, null)
    await redis.command('DEL', 'fastify-jwt:feed:live')
    const server = await start(t, connect(t, redis))
    await untilTrusted(server.store)
    const tokenOf = (sid: string): string => forge(claims({ sid }), {}, secretKey)
    for (let times = 0; times < 2; times++) t.equal(await passage(server, tokenOf(revoked)), 'FST_JWT_REVOKED from the store')
    t.equal(await passage(server, tokenOf(live)), '200 from the store', 'asked about once')
    t.equal(await passage(server, tokenOf(live)), '200 from memory')
    await plain.denySession(live, null)
    await untilPassage(server, tokenOf(live), 'FST_JWT_REVOKED from memory')
    const { sessionId } = await server.app.jwt.createSession('ada')
    t.equal(await passage(server, tokenOf(sessionId)), '200 from the store', 'one of ours, in a token without a generation')
    t.equal(await passage(server, tokenOf(sessionId)), '200 from memory')
  })
})

t.test('a Redis that freezes, dies, or forgets', { skip: noRedis }, async t => {
  const redis = await startRedis(t)
  await oldFeed(redis)
  const server = await start(t, connect(t, redis), { replicate: { maxStaleness: 500 } })
  await untilTrusted(server.store)
  const { accessToken } = await server.app.jwt.createSession('ada')
  const revoked = server.app.jwt.createAccessToken('bob')
  await server.app.jwt.revokeToken(revoked)
  await untilPassage(server, accessToken, '200 from memory')
  await untilPassage(server, revoked, 'FST_JWT_REVOKED from memory')

  await t.test('frozen: 503 after maxStaleness, but for what is known to be revoked; then it is back', async t => {
    redis.freeze()
    await until(() => server.store.replica?.trusted === false, 'no trust')
    t.equal(await passage(server, accessToken), 'FST_JWT_STORE_UNAVAILABLE from the store')
    t.equal(await passage(server, revoked), 'FST_JWT_REVOKED from memory')
    redis.thaw()
    await untilPassage(server, accessToken, '200 from memory')
  })

  await t.test('FLUSHALL: every token of before is asked about, and its session is gone', async t => {
    await redis.command('FLUSHALL')
    await untilPassage(server, accessToken, 'FST_JWT_REVOKED from the store')
    t.equal(await passage(server, revoked), 'FST_JWT_REVOKED from memory')
    await untilTrusted(server.store)
    t.equal(await passage(server, accessToken), 'FST_JWT_REVOKED from the store')
    await sleep(1100)
    const { accessToken: later } = await server.app.jwt.createSession('ada')
    await untilPassage(server, later, '200 from memory')
  })

  await t.test('killed, and back without data: the same', async t => {
    const { accessToken } = await server.app.jwt.createSession('ada')
    await redis.kill()
    await until(() => server.store.replica?.trusted === false, 'no trust')
    t.equal(await passage(server, accessToken), 'FST_JWT_STORE_UNAVAILABLE from the store')
    await redis.restart()
    await untilTrusted(server.store)
    t.equal(await passage(server, accessToken), 'FST_JWT_REVOKED from the store')
  })
})

t.test('at maxmemory a revocation is carried out and published', { skip: noRedis }, async t => {
  const redis = await startRedis(t)
  await oldFeed(redis)
  const [here, there] = [await start(t, connect(t, redis)), await start(t, connect(t, redis))]
  await untilTrusted(here.store, there.store)
  const { accessToken, sessionId } = await here.app.jwt.createSession('ada')
  const stateless = here.app.jwt.createAccessToken('ada')
  await untilPassage(there, accessToken, '200 from memory')
  await redis.command('CONFIG', 'SET', 'maxmemory', '1')
  await here.app.jwt.revokeSession(sessionId)
  await here.app.jwt.revokeToken(stateless)
  await untilPassage(there, accessToken, 'FST_JWT_REVOKED from memory')
  await untilPassage(there, stateless, 'FST_JWT_REVOKED from memory')
})

t.test('behind a Sentinel, the feed follows a failover', { skip: noRedis }, async t => {
  const primary = await startRedis(t)
  const replica = await startRedis(t, '--replicaof', primary.host, String(primary.port))
  await oldFeed(primary)
  const sentinel = await startSentinel(t, primary)
  await until(async () => String(await primary.command('INFO', 'replication')).includes('state=online'), 'a replica')
  await until(async () => String(await sentinel.command('SENTINEL', 'REPLICAS', 'primary')).includes(String(replica.port)), 'a known replica')
  const byIoredis = new Redis({ sentinels: [{ host: sentinel.host, port: sentinel.port }], name: 'primary', retryStrategy: () => 50, maxRetriesPerRequest: 1 })
  byIoredis.on('error', () => {})
  t.teardown(() => { byIoredis.disconnect() })
  const byNodeRedis = createSentinel({ name: 'primary', sentinelRootNodes: [{ host: sentinel.host, port: sentinel.port }] })
  byNodeRedis.on('error', () => {})
  await byNodeRedis.connect()
  t.teardown(() => { byNodeRedis.destroy() })
  const servers = [await start(t, byIoredis, { replicate: true }), await start(t, byNodeRedis, { replicate: true })]
  await untilTrusted(...servers.map(({ store }) => store))
  const [first, second] = servers as [Server<RedisStore>, Server<RedisStore>]
  const { accessToken, sessionId } = await first.app.jwt.createSession('ada')
  for (const server of servers) await untilPassage(server, accessToken, '200 from memory')
  await until(async () => (await replica.keys()).length === (await primary.keys()).length, 'what is written, on the replica')
  await sentinel.command('SENTINEL', 'FAILOVER', 'primary')
  await until(async () => String(await replica.command('INFO', 'replication')).includes('role:master'), 'a new primary')
  await until(async () => first.app.jwt.revokeSession(sessionId).then(() => true, () => false), 'a revocation')
  for (const server of [first, second]) {
    await untilPassage(server, accessToken, 'FST_JWT_REVOKED from memory')
    await untilTrusted(server.store)
  }
  t.match(String(await replica.command('INFO', 'replication')), /role:master/)
})

t.test('options of the replica that are none are refused', async t => {
  const client: RedisClient = { status: 'ready', isCluster: false, call: async () => null }
  for (const [replicate, message] of [
    ['yes', /'store\.replicate' takes true, false, or an object/],
    [null, /'store\.replicate' takes true, false, or an object/],
    [{ maxStalenes: 1 }, /'store\.replicate\.maxStalenes' is unknown; did you mean 'maxStaleness'/],
    [{ maxStaleness: 99 }, /'store\.replicate\.maxStaleness' takes a whole number of milliseconds of at least 100, got 99/],
    [{ maxEntries: 0.5 }, /'store\.replicate\.maxEntries' takes a whole number of at least 1, got 0\.5/]
  ] as const) {
    t.throws(() => new RedisStore(client, { replicate: replicate as never }), { code: 'FST_JWT_BAD_OPTION', message })
  }
  t.equal(new RedisStore(client, { replicate: false }).replica, null)
  t.strictSame(new RedisStore(client, { replicate: { maxEntries: undefined as never } }).replica, { trusted: false, denials: 0 })
})
