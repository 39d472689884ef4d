import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { Cluster, Redis } from 'ioredis'
import { createClient } from 'redis'
import t from 'tap'
import { RedisStore } from '../../../../lib/stores/redis/store.ts'
import type { RedisClient, RedisStoreOptions } from '../../../../lib/stores/redis/store.ts'
import { noRedis, startRedis } from '../../../helpers/redis-server.ts'

const badOption = { code: 'FST_JWT_BAD_OPTION' }

t.test('a value that is no client is refused', async t => {
  const offline = new Redis({ lazyConnect: true })
  const nothings: unknown[] = [
    undefined, null, 'redis://localhost', {}, () => {}, { sendCommand () {} }, { call () {} }, offline.pipeline(),
    createClient().legacy(), { sessions: offline }
  ]
  for (const value of nothings) {
    t.throws(() => new RedisStore(value as RedisClient), { ...badOption, message: /ioredis, iovalkey, node-redis or @fastify\/redis/ })
  }
  t.doesNotThrow(() => new RedisStore(offline))
  t.doesNotThrow(() => new RedisStore(new Cluster(['redis://127.0.0.1:1'], { lazyConnect: true })))
})

t.test('an option that is not understood is refused, by name', async t => {
  const client = new Redis({ lazyConnect: true })
  const mistakes: Array<[Record<string, unknown>, RegExp]> = [
    [{ prefixes: 'a' }, /'store\.prefixes'/],
    [{ prefix: 5 }, /'store\.prefix'/],
    [{ prefix: 'a{' }, /'store\.prefix'/],
    [{ prefix: '{}a' }, /'store\.prefix'/],
    [{ commandTimeout: 0 }, /'store\.commandTimeout'/],
    [{ commandTimeout: '2s' }, /'store\.commandTimeout'/],
    [{ commandTimeout: 2 ** 31 }, /'store\.commandTimeout'/],
    [{ clockSkew: -1 }, /'store\.clockSkew'/],
    [{ clockSkew: 1.5 }, /'store\.clockSkew'/],
    [{ allowEviction: 'yes' }, /'store\.allowEviction'/]
  ]
  for (const [options, message] of mistakes) {
    t.throws(() => new RedisStore(client, options as RedisStoreOptions), { ...badOption, message })
  }
  t.doesNotThrow(() => new RedisStore(client, { prefix: '', clockSkew: 0, allowEviction: false }))
  t.doesNotThrow(() => new RedisStore(client, { prefix: undefined } as unknown as RedisStoreOptions))
})

t.test('a server that is not there stops start-up', async t => {
  const client = new Redis({ host: '127.0.0.1', port: 1, retryStrategy: () => 50 })
  client.on('error', () => {})
  t.teardown(() => client.disconnect())
  await t.rejects(new RedisStore(client, { commandTimeout: 200 }).open(), { ...badOption, message: /no answer from Redis.*200 ms/ })
})

t.test('a client of node-redis that nobody has connected stops start-up', async t => {
  await t.rejects(new RedisStore(createClient()).open(), { ...badOption, message: /connected/ })
})

t.test('what a client throws that is no error is told too', async t => {
  const client = { status: 'ready', isCluster: false, call: async () => { throw 'broken' } } // eslint-disable-line no-throw-literal
  await t.rejects(new RedisStore(client).open(), { ...badOption, message: /broken/ })
})

t.test('a server that may evict revocations stops start-up, unless that is accepted', { skip: noRedis }, async t => {
  const server = await startRedis(t, '--maxmemory', '100mb', '--maxmemory-policy', 'allkeys-lru')
  const client = new Redis(server.url)
  t.teardown(() => client.disconnect())
  await t.rejects(new RedisStore(client).open(), { ...badOption, message: /allkeys-lru.*'noeviction'.*allowEviction/ })
  await server.command('CONFIG', 'SET', 'maxmemory-policy', 'volatile-ttl')
  await t.rejects(new RedisStore(client).open(), { ...badOption, message: /volatile-ttl/ }, 'every key of ours has a TTL')
  await t.resolves(new RedisStore(client, { allowEviction: true }).open())
  await server.command('CONFIG', 'SET', 'maxmemory-policy', 'noeviction')
  await t.resolves(new RedisStore(client).open())
  t.strictSame(await server.keys(), [], 'trying leaves nothing')
})

t.test('a replica stops start-up', { skip: noRedis }, async t => {
  const [primary, replica] = [await startRedis(t), await startRedis(t)]
  await replica.command('REPLICAOF', primary.host, String(primary.port))
  const client = new Redis(replica.url)
  t.teardown(() => client.disconnect())
  await t.rejects(new RedisStore(client).open(), { ...badOption, message: /replica/ })
})

t.test('an account without INFO or CONFIG will do; one without scripts, or for other keys, stops start-up', { skip: noRedis }, async t => {
  const server = await startRedis(t)
  const accounts: Array<[name: string, rules: string[], message: RegExp | null]> = [
    ['modest', ['~fastify-jwt:*', '+@all', '-info', '-config'], null],
    ['scriptless', ['~*', '+@all', '-eval'], /EVAL/],
    ['elsewhere', ['~other:*', '+@all'], /NOPERM|EVAL/]
  ]
  for (const [name, rules, message] of accounts) {
    await server.command('ACL', 'SETUSER', name, 'on', '>secret', ...rules)
    const client = new Redis({ host: server.host, port: server.port, username: name, password: 'secret', enableReadyCheck: false })
    client.on('error', () => {})
    t.teardown(() => client.disconnect())
    const opened = new RedisStore(client).open()
    if (message === null) await t.resolves(opened, name)
    else await t.rejects(opened, { ...badOption, message }, name)
  }
})

t.test('a server too old stops start-up', async t => {
  // No such server can be had, so one that only knows how to say it is: a `+OK` to all but INFO.
  for (const [version, passes] of [['5.0.14', false], ['6.0.20', false], ['6.2.0', true], ['8.0.1', true], ['', true]] as const) {
    // A proxy may keep its version to itself.
    const info = `${version === '' ? '' : `redis_version:${version}\r\n`}role:master\r\n`
    const server = createServer(socket => {
      socket.on('error', () => {})
      socket.on('data', data => {
        for (const command of data.toString().match(/\*\d+\r\n\$\d+\r\n\w+/g) ?? []) {
          socket.write(/info/i.test(command) ? `$${info.length}\r\n${info}\r\n` : '+OK\r\n')
        }
      })
    })
    await new Promise<void>(resolve => { server.listen(0, '127.0.0.1', resolve) })
    const client = new Redis((server.address() as AddressInfo).port, '127.0.0.1', { enableReadyCheck: false })
    const opened = new RedisStore(client).open()
    if (passes) await t.resolves(opened, version || 'unknown')
    else await t.rejects(opened, { ...badOption, message: new RegExp(`needs Redis 6\\.2.*${version}`) }, version)
    client.disconnect()
    server.close()
  }
})
