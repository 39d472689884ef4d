import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { MemoryStore } from '../../../lib/index.ts'
import { session, rotationOf } from '../../../lib/stores/contract-tests/contract-test.ts'
import { testStore } from '../../../lib/stores/contract.ts'
import { heapUsed } from '../../helpers/heap-used.ts'

t.test('the store contract', t => {
  t.jobs = 50
  const store = new MemoryStore()
  t.teardown(() => store.close())
  testStore((name, run) => t.test(name, { buffered: true }, run), () => store)
  t.end()
})

t.test('every method answers with a value, not a promise', async t => {
  const store = new MemoryStore()
  t.teardown(() => store.close())
  const record = session()
  t.equal(store.createSession(record), undefined)
  t.equal(store.getSession(record.id)?.id, record.id)
  t.equal(store.rotateSession(record.id, rotationOf(record)).outcome, 'rotated')
  t.equal(store.listSessions(record.identity).length, 1)
  t.equal(store.endSession(record.id, null), true)
  t.equal(store.denyToken('a', null, null), undefined)
  t.equal(store.isDenied('a', null), true)
})

t.test('what it hands out is frozen to the bottom', async t => {
  const store = new MemoryStore()
  t.teardown(() => store.close())
  const record = session({ metadata: { nested: { list: [{}] } } })
  store.createSession(record)
  const found = store.getSession(record.id)
  t.throws(() => { Object.assign(found?.metadata.nested as object, { list: [] }) }, TypeError)
  const rotation = rotationOf(record, { claims: { roles: ['reader'] } })
  const rotated = store.rotateSession(record.id, rotation)
  t.ok(rotated.outcome === 'rotated' && Object.isFrozen(rotated.session.claims.roles))
  t.notOk(Object.isFrozen(rotation.claims), 'what the caller gave is not')
})

t.test('expired sessions give their memory back, their place in the list included', { timeout: 60_000 }, async t => {
  const store = new MemoryStore()
  t.teardown(() => store.close())
  const before = heapUsed()
  for (let index = 0; index < 50_000; index++) store.createSession(session({ expiresAt: Date.now() + 1000 }))
  let bytes = heapUsed() - before
  for (let waited = 0; waited < 20_000 && bytes > 4_000_000; waited += 500) {
    await sleep(500)
    bytes = heapUsed() - before
  }
  t.ok(bytes < 4_000_000, `${bytes} bytes are left of 50,000 sessions`)
})

t.test('a store in use does not keep the process alive', async t => {
  const timers = (): number => process.getActiveResourcesInfo().filter(resource => resource === 'Timeout').length
  const before = timers()
  const store = new MemoryStore()
  t.teardown(() => store.close())
  store.denyToken('a', null, Date.now() + 3_600_000)
  t.equal(timers(), before)
  const control = setTimeout(() => {}, 1000)
  t.equal(timers(), before + 1, 'as a timer that is referenced would')
  clearTimeout(control)
})

t.test('close forgets everything', async t => {
  const store = new MemoryStore()
  const record = session()
  store.createSession(record)
  store.denyToken('a', null, null)
  store.close()
  t.equal(store.getSession(record.id), null)
  t.strictSame(store.listSessions(record.identity), [])
  t.equal(store.isDenied('a', null), false)
})
