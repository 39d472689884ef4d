import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { MemoryStore } from '../../lib/index.ts'
import { heapUsed } from '../helpers/heap-used.ts'

t.test('a million revocations with short lives give their memory back, and none is forgotten early', { timeout: 60_000 }, async t => {
  const store = new MemoryStore()
  t.teardown(() => store.close())
  store.denyToken('stays', null, Date.now() + 3_600_000)
  const before = heapUsed()
  const count = 1_000_000
  const sample: Array<[id: string, until: number]> = []
  for (let index = 0; index < count; index++) {
    const id = `${index.toString().padStart(8, '0')}-0000-4000-8000-000000000000`
    const until = Date.now() + 2000
    store.denyToken(id, null, until)
    if (index % 1000 === 0) sample.push([id, until])
    // Their lives overlap the revoking, as they would in a server.
    if (index % 50_000 === 0) await sleep(1)
  }
  const full = heapUsed()
  t.comment(`${Math.round((full - before) / count)} bytes a revocation, its id included`)
  let early = 0
  for (const [id, until] of sample) {
    const denied = store.isDenied(id, null)
    if (!denied && Date.now() < until) early++
  }
  t.equal(early, 0)
  let bytes = full - before
  for (let waited = 0; waited < 20_000 && bytes > 8_000_000; waited += 500) {
    await sleep(500)
    bytes = heapUsed() - before
  }
  t.ok(bytes < 8_000_000, `${bytes} bytes are left of a million revocations`)
  t.notOk(sample.some(([id]) => store.isDenied(id, null)))
  t.equal(store.isDenied('stays', null), true)
})
