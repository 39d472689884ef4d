import { Redis } from 'ioredis'
import t from 'tap'
import { MemoryStore } from '../../../lib/index.ts'
import { RedisStore } from '../../../lib/stores/redis/store.ts'
import { noRedis, startRedis } from '../../helpers/redis-server.ts'
import { revokedStaysRevoked } from '../../helpers/ways-to-make-a-token.ts'

t.test('what was revoked once is refused until it expires, however it was made: in memory', async t => {
  const store = new MemoryStore()
  t.teardown(() => { store.close() })
  await revokedStaysRevoked(t, store)
})

t.test('on Redis', { skip: noRedis }, async t => {
  const server = await startRedis(t)
  const client = new Redis(server.url)
  t.teardown(() => client.disconnect())
  await revokedStaysRevoked(t, new RedisStore(client))
})
