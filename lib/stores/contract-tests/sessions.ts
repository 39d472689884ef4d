import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import { awkward, documentOf, hour, listed, plain, read, session, sleep, start } from './contract-test.ts'
import type { SessionState } from '../../types/store.ts'
import type { StoreContractTest } from './contract-test.ts'

/** The rules of a {@link SessionStore}: a record is created, read and ended. */
export const sessionContract: readonly StoreContractTest[] = [
  {
    name: 'a session is read as it was created, with the time on the clock of the store',
    lost: 'Claims, metadata or the life of a login change by themselves.',
    async run (store) {
      const record = session({
        generation: 3,
        used: false,
        staleBefore: 2,
        previousTokenId: randomUUID(),
        rotatedAt: Date.now() - 5000,
        version: 7,
        document: documentOf({ claims: { roles: ['reader'], empty: [], nothing: {}, nested: { a: null } }, metadata: { ip: '::1' }, unknownToStores: [1, { b: true }] })
      })
      assert.deepEqual(plain(await store.createSession(record, null)), { created: true, ended: [] })
      const stored = await read(store, record.id)
      assert.deepEqual(plain(stored.session), plain(record))
      assert.ok(Math.abs(stored.now - Date.now()) < 60_000, 'the clock of the store is about right')
    }
  },
  {
    name: 'a session without end, and one without a predecessor, are read as such',
    lost: 'A login that was to last for ever ends, or never could be rotated.',
    async run (store) {
      const record = await start(store, { expiresAt: null })
      const stored = await store.getSession(record.id)
      assert.equal(stored?.session.expiresAt, null)
      assert.equal(stored?.session.previousTokenId, null)
      assert.equal(stored?.session.rotatedAt, null)
    }
  },
  {
    name: 'the state of a session is what decides about its access tokens',
    lost: 'Roles that were taken away stay until the access token expires.',
    async run (store) {
      const record = await start(store, { generation: 4, used: false, staleBefore: 3 })
      const state = await store.getSessionState(record.id)
      assert.deepEqual([state?.generation, state?.used, state?.staleBefore, state?.version], [4, false, 3, 0])
      assert.equal(await store.getSessionState(randomUUID()), null)
    }
  },
  {
    name: 'a token is checked by its own denial, that of its session, and the record of its session, in one call',
    lost: 'After a loss of data, the tokens of sessions that nobody can end any more pass.',
    async run (store) {
      const [denied, free] = [randomUUID(), randomUUID()]
      const [record, other, refused] = [await start(store), await start(store), await start(store)]
      await store.denyToken(denied, record.id, Date.now() + hour)
      await store.denySession(refused.id, Date.now() + hour)
      assert.equal(await store.checkToken(denied, record.id), 'denied')
      assert.equal((await store.checkToken(free, record.id) as SessionState).generation, 0)
      assert.equal((await store.checkToken(null, other.id) as SessionState).generation, 0)
      assert.equal(await store.checkToken(free, refused.id), 'denied')
      assert.equal(await store.checkToken(free, randomUUID()), 'unknown')
    }
  },
  {
    name: 'a session that was ended is gone, and its tokens with it',
    lost: 'Logging out does nothing.',
    async run (store) {
      const [record, other] = [await start(store), await start(store)]
      assert.equal(await store.endSession(record.id), record.identity)
      assert.equal(await store.endSession(record.id), null, 'there is none any more')
      assert.equal(await store.endSession(randomUUID()), null)
      assert.equal(await store.getSession(record.id), null)
      assert.equal(await store.getSessionState(record.id), null)
      assert.ok(['denied', 'unknown'].includes(await store.checkToken(randomUUID(), record.id) as string))
      assert.deepEqual(await listed(store, record.identity), [])
      assert.notEqual(await store.getSession(other.id), null, 'others live on')
    }
  },
  {
    name: 'a session is there until its time, and gone after it',
    lost: 'Honest users are signed out early, or records pile up.',
    async run (store) {
      const expiresAt = Date.now() + 700
      const record = await start(store, { expiresAt })
      for (;;) {
        const stored = await store.getSession(record.id)
        if (Date.now() >= expiresAt) break
        assert.notEqual(stored, null, `gone ${expiresAt - Date.now()} ms early`)
        await sleep(50)
      }
      await sleep(300)
      assert.equal(await store.getSession(record.id), null)
      assert.deepEqual(await listed(store, record.identity), [])
    }
  },
  {
    name: 'what was given may be changed afterwards, and what was answered, too',
    lost: 'A handler that touches the claims it was given changes every token made after it.',
    async run (store) {
      const metadata: Record<string, unknown> = { device: 'phone' }
      const record = session({ document: documentOf({ metadata }) })
      await store.createSession(record, null)
      metadata['device'] = 'changed'
      const stored = await read(store, record.id)
      assert.equal(stored.session.document.metadata['device'], 'phone')
      try {
        Object.assign(stored.session.document.metadata, { device: 'changed' })
      } catch {
        // A frozen result is fine, too.
      }
      assert.equal((await store.getSession(record.id))?.session.document.metadata['device'], 'phone')
    }
  },
  {
    name: 'any text may be an identity, and a member of the document',
    lost: 'Two people share their sessions, or one is taken for the other.',
    async run (store) {
      const suffix = randomUUID()
      // NUL comes before the suffix in some, and after it in others.
      for (const identity of awkward.flatMap(text => [text + suffix, suffix + text])) {
        const record = await start(store, { identity, document: documentOf({ metadata: { identity } }) })
        const sessions = await listed(store, identity)
        assert.deepEqual(sessions.map(({ id, identity, document }) => [id, identity, document.metadata['identity']]), [[record.id, identity, identity]], JSON.stringify(identity))
        assert.equal((await read(store, record.id)).session.identity, identity)
        assert.equal(await store.endSession(record.id), identity)
      }
    }
  },
  {
    name: 'the sessions of an identity are listed newest first, page by page, and those of no other',
    lost: 'A user cannot see, and so not end, a session of theirs.',
    async run (store) {
      const identity = randomUUID()
      const createdAt = Date.now()
      const records = await Promise.all(Array.from({ length: 25 }, async (_, index) =>
        start(store, { identity, document: documentOf({ createdAt: createdAt + index }) })))
      await start(store)
      const newestFirst = records.map(({ id }) => id).reverse()
      for (const limit of [1, 7, 25, 100]) {
        const sessions = await listed(store, identity, limit)
        const byAge = [...sessions].sort((a, b) => b.document.createdAt - a.document.createdAt)
        assert.deepEqual(byAge.map(({ id }) => id), newestFirst, `in pages of ${limit}`)
      }
      assert.deepEqual(await listed(store, randomUUID()), [])
    }
  },
  {
    name: 'all sessions of an identity end, in steps, but for the one that is excepted',
    lost: 'Logging out everywhere leaves a thief signed in.',
    async run (store) {
      const identity = randomUUID()
      const records = await Promise.all(Array.from({ length: 30 }, async () => start(store, { identity })))
      const other = await start(store)
      const [kept] = records
      assert.ok(kept !== undefined)
      const ended: string[] = []
      let steps = 0
      for (let more = true; more; steps++) {
        const page = await store.endSessions(identity, kept.id, 10)
        assert.ok(page.ended.length <= 10)
        ended.push(...page.ended)
        more = page.more
      }
      assert.ok(steps >= 3, 'no more than was asked for ends in one step')
      assert.deepEqual(ended.sort(), records.slice(1).map(({ id }) => id).sort())
      assert.deepEqual((await listed(store, identity)).map(({ id }) => id), [kept.id])
      for (const { id } of records.slice(1)) assert.equal(await store.getSession(id), null)
      assert.notEqual(await store.getSession(other.id), null)
      assert.equal((await store.endSessions(identity, null, 10)).ended.length, 1)
      assert.equal(await store.getSession(kept.id), null)
    }
  },
  {
    name: 'no session that was begun before all sessions of its identity ended lives on',
    lost: 'A thief who logs in again and again survives a logout from everywhere.',
    async run (store) {
      for (let round = 0; round < 5; round++) {
        const identity = randomUUID()
        const begun = Array.from({ length: 20 }, () => session({ identity }))
        const creating = Promise.all(begun.map(async record => ({ record, ...await store.createSession(record, null) })))
        const ending = (async () => { for (let more = true; more;) more = (await store.endSessions(identity, null, 5)).more })()
        const created = await creating
        await ending
        // In any order, a listed session can be ended, and a session that was not created does not exist.
        const live = new Set((await listed(store, identity)).map(({ id }) => id))
        for (const { record, created: there } of created) {
          const stored = await store.getSession(record.id) !== null
          // Which of these states occurs depends on timing.
          const states = [[true, true, true], [true, false, false], [false, false, false]]
          assert.ok(states.some(state => isDeepStrictEqual(state, [there, stored, live.has(record.id)])),
            `created: ${there}, stored: ${stored}, listed: ${live.has(record.id)}`)
        }
        for (let more = true; more;) more = (await store.endSessions(identity, null, 5)).more
        for (const { id } of begun) assert.equal(await store.getSession(id), null)
      }
    }
  },
  {
    name: 'the sessions of an identity can be limited: the oldest ends, or the new one is refused',
    lost: 'Whoever knows a password fills the store, and the owner cannot see their own device among thousands.',
    async run (store) {
      const identity = randomUUID()
      const now = Date.now()
      const oldest = await start(store, { identity, document: documentOf({ createdAt: now - 2000 }) })
      const old = await start(store, { identity, document: documentOf({ createdAt: now - 1000 }) })
      const refused = session({ identity })
      assert.deepEqual(plain(await store.createSession(refused, { max: 2, whenFull: 'refuse' })), { created: false, ended: [] })
      assert.equal(await store.getSession(refused.id), null)
      const next = session({ identity })
      assert.deepEqual(plain(await store.createSession(next, { max: 2, whenFull: 'endOldest' })), { created: true, ended: [oldest.id] })
      assert.equal(await store.getSession(oldest.id), null)
      assert.deepEqual((await listed(store, identity)).map(({ id }) => id).sort(), [old.id, next.id].sort())
    }
  },
  {
    name: 'logins at the same moment do not exceed the limit',
    lost: 'The limit does not hold against a script.',
    async run (store) {
      const identity = randomUUID()
      const results = await Promise.all(Array.from({ length: 20 }, async () => store.createSession(session({ identity }), { max: 3, whenFull: 'refuse' })))
      assert.equal(results.filter(({ created }) => created).length, 3)
      assert.equal((await listed(store, identity)).length, 3)
      await Promise.all(Array.from({ length: 20 }, async () => store.createSession(session({ identity }), { max: 3, whenFull: 'endOldest' })))
      assert.equal((await listed(store, identity)).length, 3)
    }
  }
]
