import t from 'tap'
import { manyServers, maxStaleness, percentile } from '../../helpers/many-servers.ts'
import { noRedis } from '../../helpers/redis-server.ts'

// Ten thousand revocations and 200 faults by hand: MANY_SERVERS=10000,200,500 npx tap --disable-coverage --timeout 3000 test/e2e/servers/many-servers.test.ts
const [revocations = 100, faults = 6, perSecond = 100] = (process.env['MANY_SERVERS'] ?? '').split(',').filter(Boolean).map(Number)

t.test('four servers on one Redis', { skip: noRedis }, async t => {
  for (const disturbed of [false, true]) {
    await t.test(disturbed ? 'while the network and Redis fail' : 'in peace', async t => {
      const { delays, recoveries, latestAccepted, valid, ...counts } = await manyServers(t, { revocations, faults: disturbed ? faults : 0, perSecond })
      t.comment(JSON.stringify({
        ...counts,
        delays: [0.5, 0.99, 1].map(part => Math.round(percentile(delays, part) * 10) / 10),
        latestAccepted: Math.round(latestAccepted),
        recoveries: [0.5, 0.99, 1].map(part => Math.round(percentile(recoveries, part))),
        valid: Object.fromEntries(valid)
      }))
      t.ok(latestAccepted <= maxStaleness, `the latest request that passed was sent ${Math.round(latestAccepted)} ms after the revocation`)
      t.strictSame([...valid.keys()].filter(got => got !== 200 && got !== 'FST_JWT_STORE_UNAVAILABLE'), [])
      t.ok((valid.get(200) ?? 0) > 0)
      if (!disturbed) t.equal(valid.size, 1, 'nobody valid is turned away')
    })
  }
})
