import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { MemoryStore } from '../../../lib/index.ts'
import { documentOf, session } from '../../../lib/stores/contract-tests/contract-test.ts'
import { testStore } from '../../../lib/stores/contract.ts'
import { joinStores } from '../../../lib/stores/split.ts'
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
  t.strictSame(store.createSession(record, null), { created: true, ended: [] })
  t.equal(store.getSession(record.id)?.session.id, record.id)
  t.equal(store.getSessionState(record.id)?.generation, 0)
  t.equal(store.replaceSession(record.id, 0, { used: true }), true)
  t.equal(store.listSessions(record.identity, null, 10).sessions.length, 1)
  t.strictSame(store.endSessions(record.identity, null, 10), { ended: [record.id], more: false })
  t.equal(store.endSession(record.id), null)
  t.equal(store.denyToken('a', null, null), undefined)
  t.equal(store.denySession('a', null), undefined)
  t.equal(store.isDenied('a', null), true)
  t.equal(store.checkToken(null, 'a'), 'denied')
  t.equal(store.useOnce('a', Date.now() + 1000), true)
})

t.test('what it hands out is frozen to the bottom', async t => {
  const store = new MemoryStore()
  t.teardown(() => store.close())
  const document = documentOf({ metadata: { nested: { list: [{}] } } })
  const record = session({ document })
  store.createSession(record, null)
  const found = store.getSession(record.id)?.session.document
  t.throws(() => { Object.assign(found?.metadata['nested'] as object, { list: [] }) }, TypeError)
  store.replaceSession(record.id, 0, { document: documentOf({ claims: { roles: ['reader'] } }) })
  t.ok(Object.isFrozen(store.getSession(record.id)?.session.document.claims['roles']))
  t.notOk(Object.isFrozen(document.metadata), 'what the caller gave is not')
})

t.test('a session whose time is over is in no list, though no timer has removed it yet', async t => {
  const store = new MemoryStore()
  t.teardown(() => store.close())
  const expiresAt = Date.now() + 5
  const monotonic = performance.now() + 10
  store.createSession(session({ id: 'short', identity: 'ada', expiresAt }), null)
  store.createSession(session({ id: 'long', identity: 'ada', expiresAt: expiresAt + 60_000 }), null)
  // No timer runs while this waits.
  while (Date.now() <= expiresAt || performance.now() <= monotonic);
  t.strictSame(store.listSessions('ada', null, 10).sessions.map(({ id }) => id), ['long'])
})

t.test('a page begins where the one before ended, also if its last session has ended meanwhile', async t => {
  const store = new MemoryStore()
  t.teardown(() => store.close())
  const now = Date.now()
  const ids = ['a', 'b', 'c', 'd'].map((id, index) => {
    store.createSession(session({ id, identity: 'ada', document: documentOf({ createdAt: now + index }) }), null)
    return id
  })
  const { next } = store.listSessions('ada', null, 2)
  store.endSession('c')
  t.strictSame(store.listSessions('ada', next, 2).sessions.map(({ id }) => id), ['b', 'a'])
  for (const id of ids) store.endSession(id)
  t.strictSame(store.listSessions('ada', next, 2), { sessions: [], next: null })
})

t.test('expired sessions give their memory back, their place in the list included', { timeout: 60_000 }, async t => {
  const store = new MemoryStore()
  t.teardown(() => store.close())
  const before = heapUsed()
  for (let index = 0; index < 50_000; index++) store.createSession(session({ expiresAt: Date.now() + 1000 }), null)
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
  store.createSession(record, null)
  store.denyToken('a', null, null)
  store.close()
  t.equal(store.getSession(record.id), null)
  t.strictSame(store.listSessions(record.identity, null, 10).sessions, [])
  t.equal(store.isDenied('a', null), false)
})

t.test('the contract says what users of a store lose that breaks a rule', async t => {
  const forgetful = new class extends MemoryStore {
    override denyToken (): void {}
  }()
  t.teardown(() => forgetful.close())
  const failures: string[] = []
  const running: Promise<void>[] = []
  testStore((name, run) => {
    if (name.startsWith('a denied token is denied')) running.push(run().catch((error: unknown) => { failures.push(String(error)) }))
  }, () => forgetful)
  await Promise.all(running)
  t.match(failures, [/Without this rule: Logging out does nothing/])
})

t.test('two halves make one store, which answers for both', async t => {
  const [denylist, sessions] = [new MemoryStore(), new MemoryStore()]
  t.teardown(() => { denylist.close(); sessions.close() })
  const store = joinStores({ denylist, sessions })
  t.jobs = 10
  testStore((name, run) => t.test(name, { buffered: true }, run), () => store)
})
