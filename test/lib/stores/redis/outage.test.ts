import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { createClient } from 'redis'
import t from 'tap'
import type { Test } from 'tap'
import { RedisStore } from '../../../../lib/stores/redis/store.ts'
import type { RedisClient } from '../../../../lib/stores/redis/store.ts'
import { session } from '../../../../lib/stores/contract-tests/contract-test.ts'
import type { Store } from '../../../../lib/index.ts'
import { noRedis, startRedis } from '../../../helpers/redis-server.ts'
import type { RedisServer } from '../../../helpers/redis-server.ts'

const hour = 3_600_000
const commandTimeout = 1000
const durable = ['--appendonly', 'yes', '--appendfsync', 'always']

const unhandled: unknown[] = []
process.on('unhandledRejection', reason => { unhandled.push(reason) })

const clients: Record<string, (t: Test, server: RedisServer) => Promise<RedisClient>> = {
  async ioredis (t, server) {
    const client = new Redis(server.url)
    client.on('error', () => {})
    t.teardown(() => client.disconnect())
    return client
  },
  async 'node-redis' (t, server) {
    const client = createClient({ url: server.url })
    client.on('error', () => {})
    await client.connect()
    t.teardown(() => client.destroy())
    return client
  }
}

/** Every method fails, and none takes much longer than the time-out. */
async function everythingFails (t: Test, store: Store): Promise<void> {
  const record = session()
  const started = Date.now()
  const results = await Promise.allSettled([
    store.isDenied(randomUUID(), null),
    store.denyToken(randomUUID(), null, null),
    store.denySession(randomUUID(), null),
    store.checkToken(randomUUID(), record.id),
    store.createSession(record, null),
    store.getSession(record.id),
    store.getSessionState(record.id),
    store.replaceSession(record.id, 0, { used: true }),
    store.endSession(record.id),
    store.endSessions(record.identity, null, 10),
    store.listSessions(record.identity, null, 10)
  ])
  t.strictSame(results.map(({ status }) => status), Array.from(results, () => 'rejected'))
  // Generous, for a slow machine; what it must not do is wait for Redis.
  t.ok(Date.now() - started < commandTimeout + 5000)
}

async function untilItAnswers (store: Store): Promise<void> {
  const end = Date.now() + 15_000
  while (true) {
    try {
      await store.isDenied('probe', null)
      return
    } catch (error) {
      if (Date.now() > end) throw error
      await sleep(20)
    }
  }
}

t.test('an outage', { skip: noRedis }, async t => {
  t.jobs = 6
  for (const [name, create] of Object.entries(clients)) {
    t.test(`a frozen Redis, by ${name}, is an error within the time-out, and back once it answers`, { buffered: true }, async t => {
      const server = await startRedis(t)
      const store = new RedisStore(await create(t, server), { commandTimeout })
      await store.open()
      await store.denyToken('revoked', null, Date.now() + hour)
      server.freeze()
      await everythingFails(t, store)
      server.thaw()
      await untilItAnswers(store)
      t.equal(await store.isDenied('revoked', null), true)
    })

    t.test(`a killed Redis, by ${name}, is an error within the time-out, and back once it is`, { buffered: true }, async t => {
      const server = await startRedis(t, ...durable)
      // What comes right after the restart may take longer on a machine with much else to do.
      const store = new RedisStore(await create(t, server), { commandTimeout })
      await store.open()
      await store.denyToken('revoked', null, Date.now() + hour)
      const record = session()
      await store.createSession(record, null)
      await server.kill()
      await everythingFails(t, store)
      await server.restart()
      await untilItAnswers(store)
      t.equal(await store.isDenied('revoked', null), true)
      t.equal(await store.replaceSession(record.id, 0, { used: false }), true, 'its scripts are gone with it')
    })

    t.test(`a rotation that reaches Redis after its time, by ${name}, does nothing`, { buffered: true }, async t => {
      const server = await startRedis(t)
      const store = new RedisStore(await create(t, server), { commandTimeout })
      await store.open()
      const record = session()
      await store.createSession(record, null)
      server.freeze()
      await t.rejects(store.replaceSession(record.id, 0, { tokenId: 'late', rotated: true }), { message: /did not answer within 1000 ms/ })
      await sleep(200)
      server.thaw()
      await untilItAnswers(store)
      t.equal((await store.getSession(record.id))?.session.tokenId, record.tokenId)
      t.equal(await store.replaceSession(record.id, 0, { tokenId: 'next' }), true, 'so the token that was shown is still good')
    })
  }
  t.end()
})

t.test('a session whose list could not be written in time is not written either', { skip: noRedis }, async t => {
  const server = await startRedis(t)
  const store = new RedisStore(await clients.ioredis?.(t, server) as RedisClient, { commandTimeout })
  const record = session()
  await store.createSession(session(), null)
  server.freeze()
  await t.rejects(async () => store.createSession(record, null))
  server.thaw()
  await untilItAnswers(store)
  t.equal(await store.getSession(record.id), null)
})

t.test('nothing that came too late was left unhandled', async t => {
  await sleep(100)
  t.strictSame(unhandled, [])
})

t.test('an answer that came in time counts, though this process was too busy to read it', { skip: noRedis }, async t => {
  const server = await startRedis(t)
  const client = new Redis(server.url)
  t.teardown(() => client.disconnect())
  await client.ping()
  const store = new RedisStore(client, { commandTimeout: 1000 })
  for (let times = 0; times < 3; times++) {
    const answer = store.isDenied(randomUUID(), null)
    // Long enough for the command to be written, and for Redis to answer it.
    await new Promise(resolve => { setImmediate(resolve) })
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1200)
    t.equal(await answer, false)
  }
})

/** A client whose commands wait until they are let go. */
function waitingClient () {
  const waiting: Array<() => void> = []
  let sent = 0
  const client = {
    status: 'ready',
    isCluster: false,
    call: async () => {
      sent++
      await new Promise<void>(resolve => { waiting.push(resolve) })
      return 0
    }
  } as unknown as RedisClient
  return { client, sent: () => sent, letGo () { for (const resolve of waiting.splice(0)) resolve() } }
}

t.test('a Redis that does not answer gets no more commands than may wait, and requests go on once it answers', async t => {
  const { client, sent, letGo } = waitingClient()
  const store = new RedisStore(client, { commandTimeout: 20, maxPending: 50 })
  // The timers of the store keep no process alive.
  const alive = setInterval(() => {}, 1000)
  t.teardown(() => { clearInterval(alive) })
  for (let round = 0; round < 4; round++) {
    const results = await Promise.allSettled(Array.from({ length: 200 }, async () => store.isDenied(randomUUID(), null)))
    t.ok(results.every(({ status }) => status === 'rejected'))
    t.equal(sent(), 50, 'commands whose time is over are waiting, too')
  }
  await t.rejects(async () => store.isDenied('x', null), { message: '50 commands are waiting for Redis' })
  letGo()
  await new Promise(resolve => { setImmediate(resolve) })
  const answer = store.isDenied('x', null)
  // Commands of one turn go out at its end.
  await new Promise(resolve => { setImmediate(resolve) })
  letGo()
  t.equal(await answer, false)
  t.equal(sent(), 51)
})

t.test('a flood of requests against a frozen Redis leaves no more commands than may wait', { skip: noRedis }, async t => {
  const server = await startRedis(t)
  const client = new Redis(server.url)
  client.on('error', () => {})
  t.teardown(() => client.disconnect())
  const store = new RedisStore(client, { commandTimeout, maxPending: 100 })
  await store.open()
  server.freeze()
  for (let round = 0; round < 3; round++) {
    const results = await Promise.allSettled(Array.from({ length: 1000 }, async () => store.checkToken(randomUUID(), randomUUID())))
    t.ok(results.every(({ status }) => status === 'rejected'))
    t.ok(client.commandQueue.length <= 101, 'one of the client itself may be among them')
  }
  server.thaw()
  await untilItAnswers(store)
})

t.test('a Redis that may evict revocations from now on, or has become a replica, is an error until that is mended', { skip: noRedis }, async t => {
  const [server, other] = [await startRedis(t, '--maxmemory', '100mb'), await startRedis(t)]
  const client = new Redis(server.url)
  client.on('error', () => {})
  t.teardown(() => client.disconnect())
  const store = new RedisStore(client, { checkInterval: 20 })
  const careless = new RedisStore(client, { checkInterval: 20, allowEviction: true })
  for (const one of [store, careless]) await one.open()

  async function untilRefused (watched: Store, refused: boolean): Promise<unknown> {
    for (;;) {
      const error = await Promise.resolve(watched.isDenied('x', null)).then(() => null, (error: unknown) => error)
      if ((error !== null) === refused) return error
      await sleep(10)
    }
  }
  await server.command('CONFIG', 'SET', 'maxmemory-policy', 'allkeys-lru')
  t.match(await untilRefused(store, true), { message: /maxmemory-policy is allkeys-lru/ })
  for (const call of [() => store.denyToken('x', null, null), () => store.getSession('x'), () => store.createSession(session(), null)]) await t.rejects(async () => call(), /allkeys-lru/)
  for (let i = 0; i < 5; i++, await sleep(10)) t.equal(await careless.isDenied('x', null), false)
  await server.command('CONFIG', 'SET', 'maxmemory-policy', 'noeviction')
  await untilRefused(store, false)

  await server.command('REPLICAOF', other.host, String(other.port))
  for (const one of [store, careless]) t.match(await untilRefused(one, true), { message: /is a replica/ })
  await server.command('REPLICAOF', 'NO', 'ONE')
  for (const one of [store, careless]) await untilRefused(one, false)
})
