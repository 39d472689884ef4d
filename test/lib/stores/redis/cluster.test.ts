import { Cluster, Redis } from 'ioredis'
import { Cluster as ValkeyCluster } from 'iovalkey'
import { createCluster } from 'redis'
import t from 'tap'
import type { Test } from 'tap'
import { RedisStore } from '../../../../lib/stores/redis/store.ts'
import type { RedisClient } from '../../../../lib/stores/redis/store.ts'
import { session } from '../../../../lib/stores/contract-tests/contract-test.ts'
import { testStore } from '../../../../lib/stores/contract.ts'
import { noRedis, startRedisCluster } from '../../../helpers/redis-server.ts'
import { passage, replicaWarnings, startServer, until } from '../../../helpers/replicas.ts'

t.test('on a Redis Cluster of three nodes', { skip: noRedis }, async t => {
  const servers = await startRedisCluster(t)
  const nodes = servers.map(({ host, port }) => ({ host, port }))

  const clients: Record<string, (t: Test) => Promise<RedisClient>> = {
    async ioredis (t) {
      const cluster = new Cluster(nodes)
      t.teardown(() => cluster.disconnect())
      return cluster
    },
    async iovalkey (t) {
      const cluster = new ValkeyCluster(nodes)
      t.teardown(() => cluster.disconnect())
      return cluster
    },
    async 'node-redis' (t) {
      const cluster = createCluster({ rootNodes: nodes.map(({ host, port }) => ({ url: `redis://${host}:${port}` })), useReplicas: true })
      cluster.on('error', () => {})
      await cluster.connect()
      t.teardown(() => cluster.destroy())
      return cluster
    }
  }

  async function byClient (t: Test, name: string, client: RedisClient): Promise<void> {
    const store = new RedisStore(client, { prefix: `${name}:`, commandTimeout: 20_000 })
    await store.open()
    await t.test('the store contract', t => {
      t.jobs = 10
      testStore((name, run) => t.test(name, { buffered: true }, run), () => store)
      t.end()
    })
    await t.test('sessions are spread over the nodes, each key with a TTL', async t => {
      for (const server of servers) {
        const keys = (await server.keys()).filter(key => key.startsWith(`${name}:`))
        t.ok(keys.some(key => key.startsWith(`${name}:denied-session:`)))
        const lives = await Promise.all(keys.map(async key => server.command('PTTL', key)))
        t.strictSame(keys.filter((_, index) => Number(lives[index]) === -1), [])
      }
    })
  }

  await t.test('the store contract, by every client', async t => {
    t.jobs = 3
    for (const [name, create] of Object.entries(clients)) t.test(`by ${name}`, { buffered: true }, async t => byClient(t, name, await create(t)))
    t.end()
  })

  await t.test('there is no replica, and that is said', async t => {
    const warnings = replicaWarnings(t)
    const cluster = new Cluster(nodes)
    t.teardown(() => cluster.disconnect())
    const server = await startServer(t, new RedisStore(cluster, { replicate: true }))
    t.equal(await passage(server, server.app.jwt.createAccessToken('ada')), '200 from the store')
    await until(() => warnings.length === 1, 'a warning')
    t.match(warnings[0], /a Redis Cluster has no order among its nodes/)
  })

  await t.test('a prefix that is a hash tag keeps everything on one node', async t => {
    const cluster = new Cluster(nodes)
    t.teardown(() => cluster.disconnect())
    const store = new RedisStore(cluster, { prefix: '{app}:' })
    const record = session()
    await store.createSession(record, { max: 3, whenFull: 'refuse' })
    t.equal(await store.replaceSession(record.id, 0, { tokenId: 'next', expiresAt: null }), true)
    t.equal(await store.endSession(record.id), record.identity)
    await store.denyToken('a', record.id, null)
    await store.denyToken('b', null, null)
    const holders = await Promise.all(servers.map(async server => (await server.keys()).some(key => key.startsWith('{app}:'))))
    t.equal(holders.filter(Boolean).length, 1)
  })

  await t.test('a client of one node alone stops start-up', async t => {
    const client = new Redis(nodes[0] as { host: string, port: number })
    t.teardown(() => client.disconnect())
    await t.rejects(new RedisStore(client).open(), { code: 'FST_JWT_BAD_OPTION', message: /Cluster client/ })
  })

  await t.test('a Cluster client that reads from replicas is refused', async t => {
    for (const scaleReads of ['slave', 'all'] as const) {
      const cluster = new Cluster(nodes, { scaleReads, lazyConnect: true })
      t.teardown(() => cluster.disconnect())
      t.throws(() => new RedisStore(cluster), { code: 'FST_JWT_BAD_OPTION', message: /scaleReads/ })
    }
  })
})
