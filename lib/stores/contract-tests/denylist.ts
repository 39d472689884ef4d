import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { awkward, sleep } from './contract-test.ts'
import type { StoreContractTest } from './contract-test.ts'
import type { Store } from '../../types/store.ts'

const hour = 3_600_000

/** Asserts a denial until a time. An answer that arrives after the time proves nothing. */
async function deniedUntil (store: Store, jti: string | null, sid: string | null, time: number): Promise<void> {
  while (true) {
    const denied = await store.isDenied(jti, sid)
    if (Date.now() >= time) return
    assert.equal(denied, true, `forgotten ${time - Date.now()} ms early`)
    await sleep(50)
  }
}

export const denylistContract: readonly StoreContractTest[] = [
  {
    name: 'a denied token is denied, with a session and without, and others are not',
    async run (store) {
      const [alone, ofSession, sid, other] = [randomUUID(), randomUUID(), randomUUID(), randomUUID()]
      assert.equal(await store.isDenied(alone, null), false)
      assert.equal(await store.isDenied(ofSession, sid), false)
      await store.denyToken(alone, null, Date.now() + hour)
      await store.denyToken(ofSession, sid, Date.now() + hour)
      assert.equal(await store.isDenied(alone, null), true)
      assert.equal(await store.isDenied(ofSession, sid), true)
      assert.equal(await store.isDenied(other, null), false)
      assert.equal(await store.isDenied(other, sid), false, 'the session lives on')
      assert.equal(await store.isDenied(null, sid), false, 'a token without id of that session')
    }
  },
  {
    name: 'a token with neither id nor session is not denied',
    async run (store) {
      await store.denyToken(randomUUID(), null, Date.now() + hour)
      assert.equal(await store.isDenied(null, null), false)
    }
  },
  {
    name: 'a token and a session of the same id are told apart',
    async run (store) {
      const [token, ended] = [randomUUID(), randomUUID()]
      await store.denyToken(token, null, Date.now() + hour)
      await store.endSession(ended, Date.now() + hour)
      assert.equal(await store.isDenied(null, token), false)
      assert.equal(await store.isDenied(ended, null), false)
    }
  },
  {
    name: 'a denial holds until its time',
    async run (store) {
      const [alone, ofSession, sid, ended] = [randomUUID(), randomUUID(), randomUUID(), randomUUID()]
      const until = Date.now() + 1200
      await store.denyToken(alone, null, until)
      await store.denyToken(ofSession, sid, until)
      await store.endSession(ended, until)
      await Promise.all([
        deniedUntil(store, alone, null, until),
        deniedUntil(store, ofSession, sid, until),
        deniedUntil(store, null, ended, until)
      ])
    }
  },
  {
    name: 'a later, shorter denial does not shorten an earlier one, and a denial without end holds',
    async run (store) {
      const [forEver, long, sid, ended] = [randomUUID(), randomUUID(), randomUUID(), randomUUID()]
      await store.denyToken(forEver, null, null)
      await store.denyToken(long, sid, Date.now() + hour)
      await store.endSession(ended, null)
      await store.denyToken(forEver, null, Date.now() + 100)
      await store.denyToken(long, sid, Date.now() + 100)
      await store.endSession(ended, Date.now() + 100)
      await sleep(300)
      assert.equal(await store.isDenied(forEver, null), true)
      assert.equal(await store.isDenied(long, sid), true)
      assert.equal(await store.isDenied(null, ended), true)
    }
  },
  {
    name: 'a later, longer denial lengthens an earlier one',
    async run (store) {
      const [token, ended] = [randomUUID(), randomUUID()]
      await store.denyToken(token, null, Date.now() + 200)
      await store.denyToken(token, null, Date.now() + hour)
      await store.endSession(ended, Date.now() + 200)
      await store.endSession(ended, null)
      await sleep(500)
      assert.equal(await store.isDenied(token, null), true)
      assert.equal(await store.isDenied(null, ended), true)
    }
  },
  {
    name: 'ids of any characters and any length are kept apart',
    async run (store) {
      const salt = randomUUID()
      const ids = new Set(awkward.flatMap(text => [text + salt, salt + text]))
      for (const id of ids) {
        assert.equal(await store.isDenied(id, null), false, JSON.stringify(id))
        await store.denyToken(id, null, Date.now() + hour)
        assert.equal(await store.isDenied(id, null), true, JSON.stringify(id))
        await store.denyToken(id, id, Date.now() + hour)
        assert.equal(await store.isDenied(id, id), true, JSON.stringify(id))
        assert.equal(await store.isDenied(null, id), false, JSON.stringify(id))
        await store.endSession(id, Date.now() + hour)
        assert.equal(await store.isDenied(null, id), true, JSON.stringify(id))
      }
    }
  }
]
