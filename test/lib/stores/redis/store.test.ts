import fastifyRedis from '@fastify/redis'
import Fastify from 'fastify'
import { Redis } from 'ioredis'
import { Redis as Valkey } from 'iovalkey'
import { randomUUID } from 'node:crypto'
import { createClient, createClientPool, createSentinel } from 'redis'
import t from 'tap'
import type { Test } from 'tap'
import { RedisStore } from '../../../../lib/index.ts'
import type { RedisClient } from '../../../../lib/index.ts'
import { rotationOf, session } from '../../../../lib/stores/contract-tests/contract-test.ts'
import { testStore } from '../../../../lib/stores/contract.ts'
import { noRedis, startRedis, startSentinel } from '../../../helpers/redis-server.ts'
import type { RedisServer } from '../../../helpers/redis-server.ts'

const hour = 3_600_000

function contract (t: Test, store: RedisStore): Promise<unknown> {
  return t.test('the store contract', t => {
    t.jobs = 50
    testStore((name, run) => t.test(name, { buffered: true }, run), () => store)
    t.end()
  })
}

t.test('on one Redis', { skip: noRedis }, async t => {
  const server = await startRedis(t)

  const clients: Record<string, (t: Test) => Promise<RedisClient>> = {
    async ioredis (t) {
      const client = new Redis(server.url)
      t.teardown(() => client.disconnect())
      return client
    },
    async iovalkey (t) {
      const client = new Valkey(server.url)
      t.teardown(() => client.disconnect())
      return client
    },
    async 'ioredis with a key prefix and string numbers' (t) {
      const client = new Redis(server.url, { keyPrefix: 'app:{a}:', stringNumbers: true })
      t.teardown(() => client.disconnect())
      return client
    },
    async '@fastify/redis' (t) {
      const app = Fastify()
      await app.register(fastifyRedis, { url: server.url })
      t.teardown(() => app.close())
      return app.redis
    },
    async '@fastify/redis with a namespace' (t) {
      const app = Fastify()
      await app.register(fastifyRedis, { url: server.url, namespace: 'sessions' })
      t.teardown(() => app.close())
      return app.redis.sessions as Redis
    },
    async 'node-redis' (t) {
      const client = createClient({ url: server.url })
      await client.connect()
      t.teardown(() => client.destroy())
      return client
    },
    async 'node-redis with RESP 2 and replies as buffers' (t) {
      const client = createClient({ url: server.url, RESP: 2, commandOptions: { typeMapping: { 36: Buffer, 58: String } } })
      await client.connect()
      t.teardown(() => client.destroy())
      return client
    },
    async 'a pool of node-redis' (t) {
      const pool = createClientPool({ url: server.url }, { minimum: 2 })
      await pool.connect()
      t.teardown(() => pool.destroy())
      return pool
    },
    async 'ioredis through a Sentinel' (t) {
      const sentinel = await startSentinel(t, server)
      const client = new Redis({ sentinels: [{ host: sentinel.host, port: sentinel.port }], name: 'primary' })
      t.teardown(() => client.disconnect())
      return client
    },
    async 'a Sentinel client of node-redis' (t) {
      const { host, port } = await startSentinel(t, server)
      const client = createSentinel({ name: 'primary', sentinelRootNodes: [{ host, port }] })
      await client.connect()
      t.teardown(() => client.destroy())
      return client
    }
  }

  t.jobs = 4
  for (const [name, create] of Object.entries(clients)) {
    t.test(`by ${name}`, { buffered: true }, async t => {
      // Several contracts on two cores at once: what is slow here is not Redis.
      const store = new RedisStore(await create(t), { prefix: `${name}:`, commandTimeout: 20_000 })
      await store.open()
      await contract(t, store)
    })
  }
})

async function connect (t: Test, server: RedisServer): Promise<Redis> {
  const client = new Redis(server.url)
  client.on('error', () => {})
  t.teardown(() => client.disconnect())
  await client.ping()
  return client
}

t.test('every key carries a TTL, no shorter than what it is for', { skip: noRedis }, async t => {
  const server = await startRedis(t)
  const store = new RedisStore(await connect(t, server), { clockSkew: 10_000 })
  const identities = ['user123', 'a {b} c', 'zoë@example.com']
  const records = Array.from({ length: 120 }, (_, index) => session({
    identity: identities[index % 3] as string,
    expiresAt: index % 4 === 0 ? null : Date.now() + index * 60_000,
    accessExpiresAt: index % 5 === 0 ? null : Date.now() + index * 90_000
  }))
  for (const record of records) await store.createSession(record)
  for (const [index, record] of records.entries()) {
    if (index % 2 === 0) {
      await store.rotateSession(record.id, rotationOf(record, { expiresAt: index % 3 === 0 ? null : Date.now() + 2 * hour }))
      await store.rotateSession(record.id, rotationOf(record, { reuseInterval: index % 4 === 0 ? 0 : 10_000 }))
    }
    if (index % 3 === 0) await store.endSession(record.id, index % 9 === 0 ? null : Date.now() + hour)
    await store.denyToken(randomUUID(), index % 2 === 0 ? record.id : null, index % 7 === 0 ? null : Date.now() + hour)
    await store.denyToken(randomUUID(), null, Date.now() - hour)
    await store.listSessions(record.identity)
  }
  await store.endSession(randomUUID(), null)
  const keys = await server.keys()
  t.ok(keys.length > 200, `${keys.length} keys`)
  t.strictSame(keys.filter(key => !key.startsWith('fastify-jwt:')), [])
  t.notOk(keys.some(key => key.includes('example.com')), 'an identity is no part of a key')
  const lives = new Map<string, number>()
  for (const key of keys) lives.set(key, Number(await server.command('PTTL', key)))
  for (const [key, life] of lives) if (life <= 0) t.fail(`${key} has no TTL`)

  const longest = Math.max(...[...lives].filter(([key]) => key.startsWith('fastify-jwt:sessions-of:')).map(([, life]) => life))
  for (const identity of identities) {
    const listed = await store.listSessions(identity)
    t.equal(listed.length, records.filter((record, index) => record.identity === identity && index % 3 !== 0).length)
    for (const { id, expiresAt } of listed) {
      const life = lives.get(`fastify-jwt:session:{${id}}`) as number
      t.ok(life > (expiresAt ?? Infinity) - Date.now() || (expiresAt === null && life > 99 * 365 * 24 * hour))
      t.ok(longest >= life)
    }
  }
})

t.test('keys are kept for the clock skew longer, and then go', { skip: noRedis }, async t => {
  const server = await startRedis(t)
  const client = await connect(t, server)
  const token = randomUUID()
  await new RedisStore(client, { clockSkew: 60_000 }).denyToken(token, null, Date.now() + 1000)
  const life = Number(await server.command('PTTL', `fastify-jwt:denied-token:{${token}}`))
  t.ok(life > 60_000 && life <= 61_000, String(life))

  const store = new RedisStore(client, { clockSkew: 0, prefix: 'exact:' })
  const record = session({ expiresAt: Date.now() + 300, accessExpiresAt: Date.now() + 200 })
  await store.createSession(record)
  await store.denyToken(token, null, Date.now() + 200)
  await store.endSession(randomUUID(), Date.now() + 200)
  t.ok((await server.keys()).filter(key => key.startsWith('exact:')).length === 4)
  await new Promise(resolve => { setTimeout(resolve, 500) })
  t.strictSame((await server.keys()).filter(key => key.startsWith('exact:')), [])
})

t.test('a request costs one command, and a token with neither id nor session none', { skip: noRedis }, async t => {
  const server = await startRedis(t)
  const store = new RedisStore(await connect(t, server))
  const processed = async (): Promise<number> =>
    Number(/total_commands_processed:(\d+)/.exec(String(await server.command('INFO', 'stats')))?.[1])
  const before = await processed()
  for (let index = 0; index < 100; index++) {
    await store.isDenied(randomUUID(), randomUUID())
    await store.isDenied(randomUUID(), null)
    await store.isDenied(null, randomUUID())
  }
  t.equal(store.isDenied(null, null), false)
  t.equal(await processed() - before, 301, 'and the INFO that asks')
})

t.test('scripts are sent again to a server that has forgotten them', { skip: noRedis }, async t => {
  const server = await startRedis(t)
  const store = new RedisStore(await connect(t, server))
  const record = session()
  await store.createSession(record)
  await server.command('SCRIPT', 'FLUSH')
  t.equal((await store.rotateSession(record.id, rotationOf(record))).outcome, 'rotated')
  await server.command('SCRIPT', 'FLUSH')
  t.equal(await store.endSession(record.id, null), true)
  await server.command('SCRIPT', 'FLUSH')
  await store.denyToken('a', null, null)
  t.equal(await store.isDenied('a', null), true)
})

t.test('what a crash leaves on the list is not listed, and goes with the next session', { skip: noRedis }, async t => {
  const server = await startRedis(t)
  const store = new RedisStore(await connect(t, server), { clockSkew: 0 })
  const identity = 'user123'
  const lost = session({ identity, expiresAt: Date.now() + 300 })
  await store.createSession(lost)
  await server.command('DEL', `fastify-jwt:session:{${lost.id}}`)
  t.strictSame(await store.listSessions(identity), [])
  await store.createSession(session({ identity }))
  const [key] = (await server.keys()).filter(key => key.startsWith('fastify-jwt:sessions-of:')) as [string]
  t.equal(await server.command('ZCARD', key), 2)
  await new Promise(resolve => { setTimeout(resolve, 400) })
  await store.createSession(session({ identity }))
  t.equal(await server.command('ZCARD', key), 2)
  t.equal((await store.listSessions(identity)).length, 2)
})

t.test('an ended session leaves the list of its identity', { skip: noRedis }, async t => {
  const server = await startRedis(t)
  const store = new RedisStore(await connect(t, server))
  const record = session()
  await store.createSession(record)
  await store.endSession(record.id, Date.now() + hour)
  await store.isDenied('a', null)
  t.strictSame(await server.keys(), [`fastify-jwt:denied-session:{${record.id}}`])
})

t.test('servers whose clocks differ agree on the reuse interval', { skip: noRedis }, async t => {
  const server = await startRedis(t)
  const store = new RedisStore(await connect(t, server))
  const record = session()
  await store.createSession(record)
  await store.rotateSession(record.id, rotationOf(record, { now: Date.now() + 60_000 }))
  const behind = await store.rotateSession(record.id, rotationOf(record, { now: Date.now() - 60_000 }))
  const ahead = await store.rotateSession(record.id, rotationOf(record, { now: Date.now() + 120_000 }))
  t.strictSame([behind.outcome, ahead.outcome], ['repeated', 'repeated'])
})

t.test('a clock that is set, here or there, refuses no rotation', { skip: noRedis }, async t => {
  const server = await startRedis(t)
  const store = new RedisStore(await connect(t, server))
  const { now } = Date
  t.teardown(() => { Date.now = now })
  let record = session({ expiresAt: null })
  await store.createSession(record)
  for (const ahead of [0, 7_200_000, -7_200_000, 0]) {
    Date.now = () => now() + ahead
    const result = await store.rotateSession(record.id, rotationOf(record, { expiresAt: null }))
    t.ok(result.outcome === 'rotated', `${ahead} ms ahead: ${result.outcome}`)
    if (result.outcome === 'rotated') record = result.session
  }
})

t.test('a clock that jumps with every answer is an error, not a wait', async t => {
  let time = Date.now()
  const call = async (): Promise<unknown> => ['late', String(time -= 3_600_000)]
  const store = new RedisStore({ status: 'ready', isCluster: false, call })
  const record = session()
  await t.rejects(async () => store.rotateSession(record.id, rotationOf(record)), { message: /clock of Redis/ })
})
