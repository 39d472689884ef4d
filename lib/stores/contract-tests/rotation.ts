import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { plain, refreshToken, rotationOf, session, sleep } from './contract-test.ts'
import type { StoreContractTest } from './contract-test.ts'
import type { Rotation, RotationResult, SessionRecord, Store } from '../../types/store.ts'

const hour = 3_600_000

/** Rotates, and asserts the outcome. @returns The session after the rotation. */
async function rotate (
  store: Store, record: SessionRecord, outcome: 'rotated' | 'repeated' | 'reused', changes: Partial<Rotation> = {}
): Promise<SessionRecord> {
  const result = await store.rotateSession(record.id, rotationOf(record, changes))
  assert.ok(result.outcome !== 'unknown', `${outcome} expected, the session is unknown`)
  assert.equal(result.outcome, outcome)
  return result.session
}

async function start (store: Store, changes: Partial<SessionRecord> = {}): Promise<SessionRecord> {
  const record = session(changes)
  await store.createSession(record)
  return record
}

export const rotationContract: readonly StoreContractTest[] = [
  {
    name: 'the current refresh token is replaced by its successor',
    async run (store) {
      const record = await start(store, { claims: { tenant: 'a' }, metadata: { ip: '::1' } })
      const rotation = rotationOf(record, { now: record.createdAt + 5, next: refreshToken({ salt: 'c2FsdA' }) })
      const result = await store.rotateSession(record.id, rotation)
      assert.ok(result.outcome === 'rotated')
      const { rotatedAt, ...rest } = result.session
      assert.equal(typeof rotatedAt, 'number')
      const { rotatedAt: _, ...before } = record
      assert.deepEqual(plain(rest), plain({
        ...before,
        lastUsedAt: rotation.now,
        expiresAt: rotation.expiresAt,
        accessExpiresAt: rotation.accessExpiresAt,
        current: rotation.next,
        previousTokenId: record.current.tokenId
      }))
      assert.deepEqual(plain(await store.getSession(record.id)), plain(result.session))
      await rotate(store, result.session, 'rotated')
    }
  },
  {
    name: 'if hundreds of calls present one token at once, one rotates it and all get the same successor',
    async run (store) {
      const record = await start(store)
      const results = await Promise.all(Array.from({ length: 300 }, async () =>
        store.rotateSession(record.id, rotationOf(record, { reuseInterval: 60_000 }))))
      const outcomes = results.map(({ outcome }) => outcome)
      assert.equal(outcomes.filter(outcome => outcome === 'rotated').length, 1)
      assert.equal(outcomes.filter(outcome => outcome === 'repeated').length, results.length - 1)
      const successors = results.map(result => (result as Exclude<RotationResult, { outcome: 'unknown' }>).session.current)
      for (const successor of successors) assert.deepEqual(plain(successor), plain(successors[0]))
      assert.deepEqual(plain((await store.getSession(record.id))?.current), plain(successors[0]))
    }
  },
  {
    name: 'a replaced token gets its successor within the reuse interval, and counts as reused after it',
    async run (store) {
      const record = await start(store)
      const rotated = await rotate(store, record, 'rotated')
      const repeated = await rotate(store, record, 'repeated', { reuseInterval: 60_000 })
      assert.deepEqual(plain(repeated), plain(rotated), 'asking again changes nothing')
      await sleep(300)
      assert.deepEqual(plain((await rotate(store, record, 'repeated', { reuseInterval: 60_000 })).current), plain(rotated.current))
      const reused = await rotate(store, record, 'reused', { reuseInterval: 200 })
      assert.deepEqual(plain(reused), plain(rotated))
    }
  },
  {
    name: 'with a reuse interval of 0, a replaced token counts as reused at once',
    async run (store) {
      const record = await start(store)
      await rotate(store, record, 'rotated', { reuseInterval: 0 })
      await rotate(store, record, 'reused', { reuseInterval: 0 })
    }
  },
  {
    name: 'a token that was replaced twice, or never belonged to the session, counts as reused whatever the interval',
    async run (store) {
      const record = await start(store)
      await rotate(store, record, 'reused', { presented: randomUUID() })
      const second = await rotate(store, record, 'rotated')
      const third = await rotate(store, second, 'rotated')
      await rotate(store, record, 'reused', { reuseInterval: 60_000 })
      await rotate(store, record, 'reused', { presented: randomUUID(), reuseInterval: 60_000 })
      assert.deepEqual(plain(await store.getSession(record.id)), plain(third), 'and that alone ends no session')
      assert.equal(await store.isDenied(null, record.id), false)
    }
  },
  {
    name: 'claims are kept by a rotation that gives none, and replaced by one that does',
    async run (store) {
      const record = await start(store, { claims: { role: 'reader', list: [] } })
      const kept = await rotate(store, record, 'rotated')
      assert.deepEqual(plain(kept.claims), { role: 'reader', list: [] })
      const claims = JSON.parse('{"__proto__":{"x":1},"role":"editor","none":{}}')
      const replaced = await rotate(store, kept, 'rotated', { claims })
      assert.deepEqual(plain(replaced.claims), plain(claims))
      assert.deepEqual(plain((await rotate(store, replaced, 'rotated', { claims: {} })).claims), {})
    }
  },
  {
    name: 'accessExpiresAt becomes the later of the old and the new one, and null is later than any time',
    async run (store) {
      const now = Date.now()
      const cases: Array<[number | null, number | null, number | null]> = [
        [now + hour, now + 2 * hour, now + 2 * hour],
        [now + 2 * hour, now + hour, now + 2 * hour],
        [null, now + hour, null],
        [now + hour, null, null]
      ]
      for (const [before, given, after] of cases) {
        const record = await start(store, { accessExpiresAt: before })
        assert.equal((await rotate(store, record, 'rotated', { accessExpiresAt: given })).accessExpiresAt, after)
        assert.equal((await store.getSession(record.id))?.accessExpiresAt, after)
      }
    }
  },
  {
    name: 'a rotation sets when the session expires: later, never or sooner',
    async run (store) {
      const identity = randomUUID()
      // A slow machine may not finish the rotations before the session expires. Then try with a longer lifetime.
      for (let life = 1000; ; life *= 2) {
        const [from, later] = [Date.now() + life, Date.now() + hour]
        const [longer, endless, sooner] =
          [await start(store, { identity, expiresAt: from }), await start(store, { identity, expiresAt: from }), await start(store, { identity })]
        const results = [
          await store.rotateSession(longer.id, rotationOf(longer, { expiresAt: later })),
          await store.rotateSession(endless.id, rotationOf(endless, { expiresAt: null })),
          await store.rotateSession(sooner.id, rotationOf(sooner, { expiresAt: from }))
        ]
        if (Date.now() >= from) continue
        assert.deepEqual(results.map(result => result.outcome !== 'unknown' && result.session.expiresAt), [later, null, from])
        await sleep(from + 200 - Date.now())
        const listed = (await store.listSessions(identity)).map(({ id }) => id)
        assert.deepEqual([longer, endless, sooner].map(({ id }) => listed.includes(id)), [true, true, false])
        assert.equal((await store.rotateSession(sooner.id, rotationOf(sooner))).outcome, 'unknown')
        return
      }
    }
  },
  {
    name: 'the rotation of an unknown, ended or expired session has the outcome unknown',
    async run (store) {
      assert.equal((await store.rotateSession(randomUUID(), rotationOf(session()))).outcome, 'unknown')
      const [ended, expired] = [await start(store), await start(store, { expiresAt: Date.now() + 200 })]
      await store.endSession(ended.id, Date.now() + hour)
      assert.equal((await store.rotateSession(ended.id, rotationOf(ended))).outcome, 'unknown')
      await sleep(400)
      assert.equal((await store.rotateSession(expired.id, rotationOf(expired))).outcome, 'unknown')
    }
  },
  {
    name: 'a rotation that races an end does not bring the session back',
    async run (store) {
      for (let round = 0; round < 20; round++) {
        const record = await start(store)
        const [, ended] = await Promise.all([
          store.rotateSession(record.id, rotationOf(record)),
          store.endSession(record.id, Date.now() + hour),
          store.rotateSession(record.id, rotationOf(record))
        ])
        assert.equal(ended, true)
        assert.equal(await store.getSession(record.id), null)
        assert.equal(await store.isDenied(null, record.id), true)
        assert.deepEqual(await store.listSessions(record.identity), [])
      }
    }
  }
]
