import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { awkward, hour, sleep, start } from './contract-test.ts'
import type { StoreContractTest } from './contract-test.ts'
import type { Store } from '../../types/store.ts'

/** Queries the store until `time`. Every answer before that must be a denial. */
async function deniedUntil (store: Store, jti: string | null, sid: string | null, time: number): Promise<void> {
  for (;;) {
    const denied = await store.isDenied(jti, sid)
    if (Date.now() >= time) return
    assert.equal(denied, true, `forgotten ${time - Date.now()} ms early`)
    await sleep(50)
  }
}

/** The rules of a {@link Denylist}. */
export const denylistContract: readonly StoreContractTest[] = [
  {
    name: 'a denied token is denied, with a session and without, and others are not',
    lost: 'Logging out does nothing, or logs others out.',
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
    name: 'a denied session denies all of its tokens, whether or not there is a record of it',
    lost: 'A session of another issuer cannot be ended here.',
    async run (store) {
      const [sid, other] = [randomUUID(), randomUUID()]
      const record = await start(store)
      await store.denySession(sid, Date.now() + hour)
      await store.denySession(record.id, Date.now() + hour)
      assert.equal(await store.isDenied(randomUUID(), sid), true)
      assert.equal(await store.isDenied(null, sid), true)
      assert.equal(await store.isDenied(randomUUID(), record.id), true)
      assert.equal(await store.isDenied(null, other), false)
    }
  },
  {
    name: 'a denial may last until the last time that a Date can hold',
    lost: 'Tokens of other issuers that expire in hundreds of years, or by mistake, cannot be revoked.',
    async run (store) {
      const [jti, sid] = [randomUUID(), randomUUID()]
      await store.denyToken(jti, null, 8.64e15)
      await store.denySession(sid, 8.64e15)
      assert.equal(await store.isDenied(jti, null), true)
      assert.equal(await store.isDenied(null, sid), true)
    }
  },
  {
    name: 'a token with neither id nor session is not denied',
    lost: 'Tokens of libraries that write no jti are refused at random.',
    async run (store) {
      await store.denyToken(randomUUID(), null, Date.now() + hour)
      assert.equal(await store.isDenied(null, null), false)
    }
  },
  {
    name: 'a token and a session of the same id are told apart',
    lost: 'Revoking a token ends a session that has nothing to do with it.',
    async run (store) {
      const [token, sid] = [randomUUID(), randomUUID()]
      await store.denyToken(token, null, Date.now() + hour)
      await store.denySession(sid, Date.now() + hour)
      assert.equal(await store.isDenied(null, token), false)
      assert.equal(await store.isDenied(sid, null), false)
    }
  },
  {
    name: 'a denial holds until its time',
    lost: 'A revoked token passes again before it expires.',
    async run (store) {
      const [alone, ofSession, sid, denied] = [randomUUID(), randomUUID(), randomUUID(), randomUUID()]
      const until = Date.now() + 700
      await store.denyToken(alone, null, until)
      await store.denyToken(ofSession, sid, until)
      await store.denySession(denied, until)
      await Promise.all([
        deniedUntil(store, alone, null, until),
        deniedUntil(store, ofSession, sid, until),
        deniedUntil(store, null, denied, until)
      ])
    }
  },
  {
    name: 'a denial without end holds, and a later one of shorter life does not shorten it',
    lost: 'Whoever revokes a token twice lets it pass again.',
    async run (store) {
      const [forEver, long, sid, denied] = [randomUUID(), randomUUID(), randomUUID(), randomUUID()]
      await store.denyToken(forEver, null, null)
      await store.denyToken(long, sid, Date.now() + hour)
      await store.denySession(denied, null)
      await store.denyToken(forEver, null, Date.now() + 100)
      await store.denyToken(long, sid, Date.now() + 100)
      await store.denySession(denied, Date.now() + 100)
      await sleep(300)
      assert.equal(await store.isDenied(forEver, null), true)
      assert.equal(await store.isDenied(long, sid), true)
      assert.equal(await store.isDenied(null, denied), true)
    }
  },
  {
    name: 'a denial that is asked for again lasts for the longer life',
    lost: 'A token whose first revocation was too short passes again.',
    async run (store) {
      const [token, denied] = [randomUUID(), randomUUID()]
      const until = Date.now() + 700
      await store.denyToken(token, null, Date.now() + 50)
      await store.denySession(denied, Date.now() + 50)
      await store.denyToken(token, null, until)
      await store.denySession(denied, until)
      await Promise.all([deniedUntil(store, token, null, until), deniedUntil(store, null, denied, until)])
    }
  },
  {
    name: 'a denial is there as soon as it was promised, to whoever asks',
    lost: 'The request after a logout still passes.',
    async run (store) {
      await Promise.all(Array.from({ length: 100 }, async () => {
        const jti = randomUUID()
        await store.denyToken(jti, null, Date.now() + hour)
        assert.equal(await store.isDenied(jti, null), true)
      }))
    }
  },
  {
    name: 'any text may be an id',
    lost: 'Tokens of another issuer cannot be revoked, or revoke one another.',
    async run (store) {
      const suffix = randomUUID()
      const ids = awkward.map(id => id + suffix)
      for (const [index, id] of ids.entries()) {
        if (index % 2 === 0) await store.denyToken(id, null, Date.now() + hour)
        if (index % 3 === 0) await store.denySession(id, Date.now() + hour)
      }
      for (const [index, id] of ids.entries()) {
        assert.equal(await store.isDenied(id, null), index % 2 === 0, JSON.stringify(id))
        assert.equal(await store.isDenied(null, id), index % 3 === 0, JSON.stringify(id))
      }
    }
  },
  {
    name: 'an id is used once, whoever asks for it at the same time',
    lost: 'A proof that was recorded on its way opens a door a second time.',
    async run (store) {
      const ids = Array.from({ length: 20 }, () => randomUUID())
      const until = Date.now() + hour
      const uses = await Promise.all([...ids, ...ids, ...ids].map(async id => ({ id, first: await store.useOnce(id, until) })))
      for (const id of ids) assert.equal(uses.filter(use => use.id === id && use.first).length, 1, 'one of three uses is the first')
      for (const id of ids) assert.equal(await store.useOnce(id, until + hour), false)
    }
  },
  {
    name: 'an id that was used stays used until its time, also if it is asked for with a shorter one',
    lost: 'A recorded proof is good again while its time has not yet passed.',
    async run (store) {
      const id = randomUUID()
      const until = Date.now() + 700
      assert.equal(await store.useOnce(id, until), true)
      assert.equal(await store.useOnce(id, Date.now() + 50), false)
      for (;;) {
        const first = await store.useOnce(id, until)
        if (Date.now() >= until) return
        assert.equal(first, false, `forgotten ${until - Date.now()} ms early`)
        await sleep(50)
      }
    }
  },
  {
    name: 'an id that was used once denies no token and no session of the same id, and the other way round',
    lost: 'A proof logs somebody out, or a logout makes a proof look used.',
    async run (store) {
      const [used, denied] = [randomUUID(), randomUUID()]
      await store.denyToken(denied, null, Date.now() + hour)
      await store.denySession(denied, Date.now() + hour)
      assert.equal(await store.useOnce(used, Date.now() + hour), true)
      assert.equal(await store.isDenied(used, used), false)
      assert.equal(await store.useOnce(denied, Date.now() + hour), true)
    }
  },
  {
    name: 'any text may be an id that is used once',
    lost: 'Proofs with unusual ids are refused, or use up one another.',
    async run (store) {
      const suffix = randomUUID()
      for (const first of [true, false]) {
        const uses = await Promise.all(awkward.map(async id => store.useOnce(id + suffix, Date.now() + hour)))
        for (const [index, use] of uses.entries()) assert.equal(use, first, JSON.stringify(awkward[index]))
      }
    }
  },
  {
    name: 'a thousand denials at once are all kept',
    lost: 'A store that makes room by forgetting lets revoked tokens pass.',
    async run (store) {
      const ids = Array.from({ length: 1000 }, () => randomUUID())
      await Promise.all(ids.map(async id => store.denyToken(id, null, Date.now() + hour)))
      const denied = await Promise.all(ids.map(async id => store.isDenied(id, null)))
      assert.equal(denied.filter(Boolean).length, ids.length)
    }
  }
]
