import fastifyRedis from '@fastify/redis'
import Fastify from 'fastify'
import { Redis } from 'ioredis'
import { Redis as Valkey } from 'iovalkey'
import { randomUUID } from 'node:crypto'
import { createClient, createClientPool, createSentinel } from 'redis'
import t from 'tap'
import type { Test } from 'tap'
import { RedisStore } from '../../../../lib/stores/redis/store.ts'
import type { RedisClient } from '../../../../lib/stores/redis/store.ts'
import type { SessionRecord } from '../../../../lib/types/store.ts'
import { documentOf, listed, session } from '../../../../lib/stores/contract-tests/contract-test.ts'
import { testStore } from '../../../../lib/stores/contract.ts'
import { noRedis, startRedis, startSentinel } from '../../../helpers/redis-server.ts'
import type { RedisServer } from '../../../helpers/redis-server.ts'
import { movableTime } from '../../../helpers/clock.ts'
import { sessionApp, verdict } from '../../../helpers/session-app.ts'

const hour = 3_600_000

/** @param part Of three, for another way to set up a client that has passed the whole. */
function contract (t: Test, store: RedisStore, part: number | null): Promise<unknown> {
  return t.test(`the store contract${part === null ? '' : `, part ${part + 1} of 3`}`, t => {
    t.jobs = 10
    let index = 0
    testStore((name, run) => {
      if (part === null || index++ % 3 === part) t.test(name, { buffered: true }, run)
    }, () => store)
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
      const pool = createClientPool({ url: server.url }, { minimum: 2, acquireTimeout: 20_000 })
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

  t.jobs = 5
  for (const [index, [name, create]] of Object.entries(clients).entries()) {
    t.test(`by ${name}`, { buffered: true }, async t => {
      // Several contracts on two cores at once: what is slow here is not Redis.
      const store = new RedisStore(await create(t), { prefix: `${name}:`, commandTimeout: 20_000 })
      await store.open()
      await contract(t, store, ['ioredis', 'iovalkey', 'node-redis'].includes(name) ? null : index % 3)
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
    expiresAt: index % 4 === 0 ? null : Date.now() + (index + 1) * 60_000
  }))
  for (const record of records) await store.createSession(record, null)
  for (const [index, record] of records.entries()) {
    if (index % 2 === 0) {
      await store.replaceSession(record.id, 0, { rotated: true, tokenId: 'next', expiresAt: index % 5 === 0 ? null : Date.now() + 3 * hour })
      await store.replaceSession(record.id, 1, { used: true })
    }
    if (index % 3 === 0) await store.endSession(record.id)
    await store.denyToken(randomUUID(), index % 2 === 0 ? record.id : null, index % 7 === 0 ? null : Date.now() + hour)
    await store.denySession(randomUUID(), index % 7 === 0 ? null : Date.now() + hour)
    await store.denyToken(randomUUID(), null, Date.now() - hour)
  }
  const keys = await server.keys()
  t.ok(keys.length > 200, `${keys.length} keys`)
  t.strictSame(keys.filter(key => !key.startsWith('fastify-jwt:')), [])
  t.notOk(keys.some(key => key.includes('example.com')), 'an identity is no part of a key')
  const lives = new Map(await Promise.all(keys.map(async key => [key, Number(await server.command('PTTL', key))] as const)))
  for (const [key, life] of lives) if (life === -1) t.fail(`${key} has no TTL`)

  const longest = Math.max(...[...lives].filter(([key]) => key.startsWith('fastify-jwt:sessions-of:')).map(([, life]) => life))
  for (const identity of identities) {
    const sessions = await listed(store, identity)
    t.equal(sessions.length, records.filter((record, index) => record.identity === identity && index % 3 !== 0).length)
    for (const { id, expiresAt } of sessions) {
      const life = lives.get(`fastify-jwt:login:{${id}}`) as number
      t.ok(life > (expiresAt ?? Infinity) - Date.now() || (expiresAt === null && life > 99 * 365 * 24 * hour))
      // Asked one after the other: a minute covers the time between.
      t.ok(longest + 60_000 >= life)
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
  await store.createSession(session({ expiresAt: Date.now() + 300 }), null)
  await store.denyToken(token, null, Date.now() + 200)
  await store.denySession(randomUUID(), Date.now() + 200)
  t.equal((await server.keys()).filter(key => key.startsWith('exact:')).length, 5)
  await new Promise(resolve => { setTimeout(resolve, 600) })
  t.strictSame((await server.keys()).filter(key => key.startsWith('exact:')), [])
})

t.test('a request costs one round trip: two commands for a token of a session, one for any other, none for one without ids', { skip: noRedis }, async t => {
  const server = await startRedis(t)
  const store = new RedisStore(await connect(t, server))
  const processed = async (): Promise<number> =>
    Number(/total_commands_processed:(\d+)/.exec(String(await server.command('INFO', 'stats')))?.[1])
  const before = await processed()
  for (let index = 0; index < 100; index++) {
    await store.checkToken(randomUUID(), randomUUID())
    await store.isDenied(randomUUID(), null)
    await store.isDenied(null, randomUUID())
  }
  t.equal(store.isDenied(null, null), false)
  t.equal(await processed() - before, 401, 'and the INFO that asks')
})

t.test('scripts are sent again to a server that has forgotten them', { skip: noRedis }, async t => {
  const server = await startRedis(t)
  const store = new RedisStore(await connect(t, server))
  const record = session()
  await store.createSession(record, null)
  await server.command('SCRIPT', 'FLUSH')
  t.equal(await store.replaceSession(record.id, 0, { used: false }), true)
  await server.command('SCRIPT', 'FLUSH')
  t.equal(await store.endSession(record.id), record.identity)
  await server.command('SCRIPT', 'FLUSH')
  await store.denyToken('a', null, null)
  t.equal(await store.isDenied('a', null), true)
})

t.test('what a crash leaves on the list is not listed, does not count, and goes when its time is over', { skip: noRedis }, async t => {
  const server = await startRedis(t)
  const store = new RedisStore(await connect(t, server), { clockSkew: 0 })
  const identity = 'user123'
  const lost = session({ identity, expiresAt: Date.now() + 300 })
  await store.createSession(lost, null)
  await server.command('DEL', `fastify-jwt:login:{${lost.id}}`)
  t.strictSame(await listed(store, identity), [])
  await store.createSession(session({ identity }), null)
  const [key] = (await server.keys()).filter(key => key.startsWith('fastify-jwt:sessions-of:')) as [string]
  t.equal(await server.command('ZCARD', key), 2)
  await new Promise(resolve => { setTimeout(resolve, 400) })
  t.strictSame(await store.createSession(session({ identity }), { max: 2, whenFull: 'refuse' }), { created: true, ended: [] })
  t.equal(await server.command('ZCARD', key), 2)
  t.equal((await listed(store, identity)).length, 2)
})

t.test('a session that is gone takes no place, though it is listed still', { skip: noRedis }, async t => {
  const server = await startRedis(t)
  const store = new RedisStore(await connect(t, server))
  const identity = 'user123'
  const limit = { max: 1, whenFull: 'refuse' } as const
  const old = session({ identity, document: documentOf({ createdAt: Date.now() - 60_000 }) })
  await store.createSession(old, null)
  t.strictSame(await store.createSession(session({ identity }), limit), { created: false, ended: [] })
  await server.command('DEL', `fastify-jwt:login:{${old.id}}`)
  const young = session({ identity })
  t.strictSame(await store.createSession(young, limit), { created: true, ended: [] })
  t.strictSame((await store.listSessions(identity, null, 10)).sessions.map(({ id }) => id), [young.id])
  await server.command('DEL', `fastify-jwt:login:{${young.id}}`)
  t.strictSame(await store.createSession(session({ identity }), limit), { created: false, ended: [] }, 'it may be about to be created')
})

t.test('an ended session leaves the lists of its identity, and its denial stays', { skip: noRedis }, async t => {
  const server = await startRedis(t)
  const store = new RedisStore(await connect(t, server))
  const record = session()
  await store.createSession(record, null)
  await store.endSession(record.id)
  await store.isDenied('a', null)
  t.strictSame(await server.keys(), [`fastify-jwt:denied-session:{${record.id}}`])
})

t.test('a session that ends while it is being created is not created', { skip: noRedis }, async t => {
  const server = await startRedis(t)
  const client = await connect(t, server)
  const store = new RedisStore(client)
  const record = session()
  const call = client.call.bind(client) as (command: string, args: string[]) => Promise<unknown>
  let ended = false
  // Between the list and the record: the point at which a logout everywhere comes in.
  const slow = new RedisStore({
    status: 'ready',
    isCluster: false,
    async call (command, args) {
      if (args.includes(`fastify-jwt:login:{${record.id}}`) && !ended) {
        ended = true
        t.strictSame(await store.endSessions(record.identity, null, 10), { ended: [record.id], more: false })
      }
      return call(command, args)
    }
  })
  t.strictSame(await slow.createSession(record, null), { created: false, ended: [] })
  t.equal(await store.getSession(record.id), null)
})

t.test('a login that ends the oldest sessions, and whose answer is lost, leaves none that nobody can see or end', { skip: noRedis }, async t => {
  const server = await startRedis(t)
  const client = await connect(t, server)
  const store = new RedisStore(client)
  const call = client.call.bind(client) as (command: string, args: string[]) => Promise<unknown>
  const limit = { max: 2, whenFull: 'endOldest' } as const
  for (const next of ['login', 'logout everywhere'] as const) {
    const identity = randomUUID()
    const [first, second, lost] = [0, 1, 2].map(age => session({ identity, document: documentOf({ createdAt: Date.now() + age }) })) as [SessionRecord, SessionRecord, SessionRecord]
    for (const record of [first, second]) await store.createSession(record, limit)
    const losing = new RedisStore({
      status: 'ready',
      isCluster: false,
      async call (command, args) {
        const answer = await call(command, args)
        if (args.some(arg => arg.includes(':sessions-of:'))) throw new Error('the answer is lost')
        return answer
      }
    })
    await t.rejects(async () => losing.createSession(lost, limit), /lost/)
    t.strictSame((await listed(store, identity)).map(({ id }) => id), [second.id, first.id], next)
    if (next === 'login') {
      const last = session({ identity, document: documentOf({ createdAt: Date.now() + 3 }) })
      const { created, ended } = await store.createSession(last, limit)
      t.equal(created, true)
      t.ok(ended.includes(first.id))
      t.strictSame((await listed(store, identity)).map(({ id }) => id), [last.id])
    } else {
      t.equal((await store.endSessions(identity, null, 10)).more, false)
    }
    t.equal(await store.checkToken(null, first.id), 'denied')
  }
})

t.test('a limit that is new to an identity with thousands of sessions ends them in parts', { skip: noRedis }, async t => {
  const server = await startRedis(t)
  const store = new RedisStore(await connect(t, server))
  const [one, next] = [session(), session()]
  const identity = one.identity
  await store.createSession(one, null)
  const [key] = (await server.keys()).filter(key => key.startsWith('fastify-jwt:sessions-of:')) as [string]
  await server.command('EVAL', "for i = 1, 9000 do redis.call('ZADD', KEYS[1], i, 'old' .. i) end", '1', key)
  const { created, ended } = await store.createSession({ ...next, identity }, { max: 1, whenFull: 'endOldest' })
  t.strictSame([created, ended.length], [true, 1000])
  t.equal(await server.command('ZCARD', key), 8002)
})

t.test('a denial by a server whose clock is ahead is not forgotten early', { skip: noRedis }, async t => {
  const server = await startRedis(t)
  const store = new RedisStore(await connect(t, server))
  const expiresAt = Date.now() + 15 * 60_000
  movableTime(t).advance(3600)
  await store.denyToken('token', null, expiresAt)
  await store.denySession('session', expiresAt)
  const keys = await server.keys()
  t.equal(keys.length, 2)
  for (const key of keys) t.ok(Number(await server.command('PTTL', key)) > 14 * 60_000, key)
})

t.test('out of memory, Redis refuses logins; revoking, and rotating what is there, still works', { skip: noRedis }, async t => {
  const server = await startRedis(t)
  const store = new RedisStore(await connect(t, server))
  const records = [session(), session(), session()] as const
  for (const record of records) await store.createSession(record, null)
  await store.open()
  const app = await sessionApp(t, { store })
  const { refreshToken } = await app.jwt.createSession('ada')
  await server.command('CONFIG', 'SET', 'maxmemory', '1')
  t.equal(await verdict(app, 'POST', '/refresh', refreshToken), 200)
  t.equal((await app.jwt.listSessions('ada')).length, 1)
  await t.rejects(store.createSession(session(), null), /OOM/)
  const [rotated, ended, kept] = records
  t.equal(await store.replaceSession(rotated.id, 0, { tokenId: 'next', rotated: true }), true)
  t.equal(await store.endSession(ended.id), ended.identity)
  t.equal(await store.checkToken(null, ended.id), 'denied')
  await store.denyToken('a token', null, Date.now() + hour)
  t.equal(await store.isDenied('a token', null), true)
  await store.denySession('a session', null)
  t.equal(await store.isDenied(null, 'a session'), true)
  t.strictSame([...(await store.endSessions(kept.identity, null, 10)).ended], [kept.id])
  // Longer than the lists were kept, and after somebody has lost them.
  t.equal(await store.replaceSession(rotated.id, 1, { tokenId: 'third', rotated: true, expiresAt: Date.now() + 100 * hour }), true)
  const lists = (await server.keys()).filter(key => /:(sessions-of|expiry-of)/.test(key))
  for (const list of lists) await server.command('DEL', list)
  t.equal(await store.replaceSession(rotated.id, 2, { tokenId: 'fourth', rotated: true, expiresAt: Date.now() + 200 * hour }), true)
  t.strictSame((await listed(store, rotated.identity)).map(({ id }) => id), [rotated.id])
  for (const key of await server.keys()) t.ok(Number(await server.command('PTTL', key)) > 0, key)
})

t.test('a clock that is set, here or there, refuses no rotation', { skip: noRedis }, async t => {
  const server = await startRedis(t)
  const store = new RedisStore(await connect(t, server))
  await store.open()
  const time = movableTime(t)
  const record = session({ expiresAt: null })
  await store.createSession(record, null)
  for (const [version, ahead] of [0, 7200, -7200, 0].entries()) {
    time.reset()
    time.advance(ahead)
    t.equal(await store.replaceSession(record.id, version, { rotated: true, expiresAt: null }), true, `${ahead} seconds ahead`)
    const stored = await store.getSession(record.id)
    t.ok(Math.abs((stored?.now ?? 0) - time.real()) < 5000, 'the time is that of Redis')
    t.ok(Math.abs((stored?.session.rotatedAt ?? 0) - time.real()) < 5000)
  }
})

t.test('a page begins where the one before ended, also if its last session has ended meanwhile', { skip: noRedis }, async t => {
  const server = await startRedis(t)
  const store = new RedisStore(await connect(t, server))
  const now = Date.now()
  for (const [index, id] of ['a', 'b', 'c', 'd'].entries()) {
    await store.createSession(session({ id, identity: 'ada', document: documentOf({ createdAt: now + index }) }), null)
  }
  const { next } = await store.listSessions('ada', null, 2)
  t.strictSame((await store.listSessions('ada', next, 2)).sessions.map(({ id }) => id), ['b', 'a'])
  await store.endSession('c')
  await store.isDenied('a', null)
  t.strictSame((await store.listSessions('ada', next, 2)).sessions.map(({ id }) => id), ['b', 'a'])
})
