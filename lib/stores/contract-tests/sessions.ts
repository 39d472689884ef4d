import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { awkward, plain, refreshToken, session, sleep } from './contract-test.ts'
import type { StoreContractTest } from './contract-test.ts'
import type { Store } from '../../types/store.ts'

const hour = 3_600_000

async function idsOf (store: Store, identity: string): Promise<string[]> {
  return (await store.listSessions(identity)).map(({ id }) => id)
}

export const sessionContract: readonly StoreContractTest[] = [
  {
    name: 'a session comes back as it was given, whatever JSON can hold',
    async run (store) {
      const claims = JSON.parse('{"__proto__":{"admin":true},"constructor":1,"tenant":"zoë ☃ 𝒳","empty":[],"none":{},"big":9007199254740991,"float":0.1}')
      const metadata = { userAgent: 'Mozilla/5.0 "quoted"\n', ip: '::1', nested: { list: [1, [null, false], { deep: '' }] } }
      const full = session({ claims, metadata, previousTokenId: randomUUID(), rotatedAt: Date.now(), current: refreshToken({ salt: 'c2FsdA' }) })
      const endless = session({ expiresAt: null, accessExpiresAt: null, current: refreshToken({ expiresAt: null }) })
      for (const record of [full, endless]) {
        await store.createSession(record)
        assert.deepEqual(plain(await store.getSession(record.id)), plain(record))
        assert.deepEqual(plain(await store.listSessions(record.identity)), [plain(record)])
      }
    }
  },
  {
    name: 'later changes to the objects of the caller do not change the store',
    async run (store) {
      const metadata = { device: 'laptop', seen: { at: 1 } }
      const record = session({ metadata, claims: { roles: ['reader'] } })
      const before = plain(record)
      await store.createSession(record)
      metadata.device = 'changed'
      metadata.seen.at = 2
      const roles = record.claims.roles as string[]
      roles.push('admin')
      assert.deepEqual(plain(await store.getSession(record.id)), before)
    }
  },
  {
    name: 'a session that was never created is not found',
    async run (store) {
      assert.equal(await store.getSession(randomUUID()), null)
      assert.deepEqual(await store.listSessions(randomUUID()), [])
    }
  },
  {
    name: 'a session is found until it expires, and not after',
    async run (store) {
      const expiresAt = Date.now() + 1000
      const record = session({ expiresAt })
      const stays = session({ identity: record.identity })
      await store.createSession(record)
      await store.createSession(stays)
      const [found, listed] = [await store.getSession(record.id), await idsOf(store, record.identity)]
      if (Date.now() < expiresAt) {
        assert.equal(found?.id, record.id)
        assert.deepEqual(listed.toSorted(), [record.id, stays.id].toSorted())
      }
      await sleep(expiresAt - Date.now() + 100)
      assert.equal(await store.getSession(record.id), null)
      assert.deepEqual(await idsOf(store, record.identity), [stays.id])
      assert.equal(await store.endSession(record.id, Date.now() + hour), false)
    }
  },
  {
    name: 'an ended session is gone and denied at once, and cannot be ended again',
    async run (store) {
      const record = session()
      await store.createSession(record)
      assert.equal(await store.isDenied(randomUUID(), record.id), false)
      assert.equal(await store.endSession(record.id, Date.now() + hour), true)
      assert.equal(await store.isDenied(randomUUID(), record.id), true, 'every token of it')
      assert.equal(await store.isDenied(null, record.id), true, 'one without id too')
      assert.equal(await store.getSession(record.id), null)
      assert.deepEqual(await store.listSessions(record.identity), [])
      assert.equal(await store.endSession(record.id, Date.now() + hour), false)
      assert.equal(await store.isDenied(null, record.id), true)
    }
  },
  {
    name: 'ending an unknown session denies it, and returns false',
    async run (store) {
      const id = randomUUID()
      assert.equal(await store.endSession(id, Date.now() + hour), false)
      assert.equal(await store.isDenied(null, id), true)
    }
  },
  {
    name: 'if many calls end a session at once, one of them gets true',
    async run (store) {
      const record = session()
      await store.createSession(record)
      const ended = await Promise.all(Array.from({ length: 50 }, async () => store.endSession(record.id, Date.now() + hour)))
      assert.equal(ended.filter(Boolean).length, 1)
    }
  },
  {
    name: 'an ended session is denied at least until its last access token has expired',
    async run (store) {
      const [known, endless] = [session({ accessExpiresAt: Date.now() + hour }), session({ accessExpiresAt: null })]
      for (const record of [known, endless]) {
        await store.createSession(record)
        assert.equal(await store.endSession(record.id, Date.now() + 100), true)
      }
      await sleep(300)
      assert.equal(await store.isDenied(null, known.id), true)
      assert.equal(await store.isDenied(null, endless.id), true)
    }
  },
  {
    name: 'the sessions of an identity, and no others, are listed, newest first',
    async run (store) {
      const identity = randomUUID()
      const now = Date.now()
      const records = [3000, 1000, 0, 2000].map(age => session({ identity, createdAt: now - age, lastUsedAt: now }))
      const other = session({ identity: `${identity} ` })
      for (const record of [...records, other]) await store.createSession(record)
      const expected = records.toSorted((a, b) => b.createdAt - a.createdAt).map(({ id }) => id)
      assert.deepEqual(await idsOf(store, identity), expected)
      const [ended] = expected.splice(1, 1) as [string]
      await store.endSession(ended, now + hour)
      assert.deepEqual(await idsOf(store, identity), expected)
      assert.deepEqual(await idsOf(store, other.identity), [other.id])
    }
  },
  {
    name: 'sessions created at the same time are all listed',
    async run (store) {
      const identity = randomUUID()
      const records = Array.from({ length: 50 }, () => session({ identity }))
      await Promise.all(records.map(async record => store.createSession(record)))
      assert.deepEqual((await idsOf(store, identity)).toSorted(), records.map(({ id }) => id).toSorted())
    }
  },
  {
    name: 'identities of any characters and any length are kept apart',
    async run (store) {
      const salt = randomUUID()
      const records = awkward.map(text => session({ identity: text + salt }))
      for (const record of records) {
        await store.createSession(record)
        assert.deepEqual(plain(await store.getSession(record.id)), plain(record))
      }
      for (const record of records) {
        assert.deepEqual(await idsOf(store, record.identity), [record.id], JSON.stringify(record.identity))
      }
    }
  },
  {
    name: 'session ids of any characters and any length are kept apart',
    async run (store) {
      const salt = randomUUID()
      const identity = randomUUID()
      const records = awkward.map(text => session({ id: text + salt, identity }))
      for (const record of records) await store.createSession(record)
      assert.equal((await idsOf(store, identity)).length, records.length)
      for (const record of records) {
        assert.deepEqual(plain(await store.getSession(record.id)), plain(record))
        assert.equal(await store.endSession(record.id, Date.now() + hour), true)
      }
      assert.deepEqual(await idsOf(store, identity), [])
    }
  }
]
