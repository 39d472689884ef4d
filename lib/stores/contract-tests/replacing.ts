import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { documentOf, hour, listed, plain, read, sleep, start } from './contract-test.ts'
import type { SessionChange } from '../../types/store.ts'
import type { StoreContractTest } from './contract-test.ts'

/** The rules by which a session changes: compare and set. */
export const replacingContract: readonly StoreContractTest[] = [
  {
    name: 'a session that is as it was read is replaced, and what was not given stays',
    lost: 'A rotation loses the claims, or the life, of its session.',
    async run (store) {
      const record = await start(store, { used: false, document: documentOf({ metadata: { ip: '::1' } }) })
      const change: SessionChange = {
        generation: 1,
        tokenId: randomUUID(),
        previousTokenId: record.tokenId,
        rotated: true,
        expiresAt: Date.now() + 2 * hour,
        document: documentOf({ claims: { roles: [] }, metadata: { ip: '::1' } })
      }
      const { now: before } = await read(store, record.id)
      assert.equal(await store.replaceSession(record.id, 0, change), true)
      const { session: replaced, now } = await read(store, record.id)
      const { rotated, ...values } = change
      assert.deepEqual(plain({ ...replaced, rotatedAt: null }), plain({ ...record, ...values, rotatedAt: null, version: 1 }))
      assert.ok(Number(replaced.rotatedAt) >= before && Number(replaced.rotatedAt) <= now, 'the time of the rotation is on the clock of the store')
    }
  },
  {
    name: 'each member can be changed alone',
    lost: 'Marking a token as used undoes a change of roles.',
    async run (store) {
      const record = await start(store, { used: false, generation: 2 })
      const changes: SessionChange[] = [{ used: true }, { staleBefore: 2 }, { expiresAt: null }, { document: documentOf({ claims: { a: 1 } }) }, { expiresAt: Date.now() + hour }]
      let expected = record
      for (const [version, change] of changes.entries()) {
        assert.equal(await store.replaceSession(record.id, version, change), true)
        expected = { ...expected, ...change, version: version + 1 }
        assert.deepEqual(plain((await read(store, record.id)).session), plain(expected))
      }
    }
  },
  {
    name: 'a session that has changed since it was read is not replaced',
    lost: 'Two rotations at once make two successors: an honest user is called a thief.',
    async run (store) {
      const record = await start(store)
      assert.equal(await store.replaceSession(record.id, 0, { tokenId: 'first' }), true)
      assert.equal(await store.replaceSession(record.id, 0, { tokenId: 'second' }), false)
      assert.equal((await read(store, record.id)).session.tokenId, 'first')
    }
  },
  {
    name: 'of hundreds who replace a session at once, one does',
    lost: 'Two rotations at once make two successors: an honest user is called a thief.',
    async run (store) {
      const record = await start(store)
      const results = await Promise.all(Array.from({ length: 300 }, async (_, index) => store.replaceSession(record.id, 0, { tokenId: `token ${index}` })))
      assert.equal(results.filter(Boolean).length, 1)
      assert.equal((await read(store, record.id)).session.tokenId, `token ${results.indexOf(true)}`)
      assert.equal((await read(store, record.id)).session.version, 1)
    }
  },
  {
    name: 'a session that is not there, or has ended, is not replaced, and does not come back',
    lost: 'A refresh that was under way brings a session back that was just revoked.',
    async run (store) {
      const record = await start(store)
      await store.endSession(record.id)
      assert.equal(await store.replaceSession(record.id, 0, { used: true }), false)
      assert.equal(await store.replaceSession(randomUUID(), 0, { used: true }), false)
      assert.equal(await store.getSession(record.id), null)
    }
  },
  {
    name: 'ending and replacing a session at once ends it',
    lost: 'A refresh that was under way brings a session back that was just revoked.',
    async run (store) {
      await Promise.all(Array.from({ length: 20 }, async () => {
        const record = await start(store)
        await Promise.all([store.replaceSession(record.id, 0, { tokenId: 'next', expiresAt: Date.now() + hour }), store.endSession(record.id)])
        assert.equal(await store.getSession(record.id), null)
        assert.deepEqual(await listed(store, record.identity), [])
      }))
    }
  },
  {
    name: 'a session that lives longer than at first is listed, and ends with the others, until its new time',
    lost: 'A session that was refreshed for weeks cannot be seen or ended.',
    async run (store) {
      const record = await start(store, { expiresAt: Date.now() + 2000 })
      assert.equal(await store.replaceSession(record.id, 0, { expiresAt: Date.now() + hour }), true)
      await sleep(Number(record.expiresAt) - Date.now() + 300)
      assert.deepEqual((await listed(store, record.identity)).map(({ id }) => id), [record.id])
      assert.deepEqual([...(await store.endSessions(record.identity, null, 10)).ended], [record.id])
    }
  }
]
