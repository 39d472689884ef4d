import { randomUUID } from 'node:crypto'
import t from 'tap'
import { ExpiringShards } from '../../../../lib/stores/replication/expiring-shards.ts'
import { Replica } from '../../../../lib/stores/replication/replica.ts'
import type { Denial } from '../../../../lib/stores/replication/replica.ts'
import type { HeldToken } from '../../../../lib/index.ts'

const options = { nameOf: (id: string) => id, maxStaleness: 1000, maxEntries: 100, clockSkew: 0 }
const token: HeldToken = { jti: 'jti', sid: 'sid', generation: 0, issuedAt: 1000 }

/** A replica that has loaded all there is, at the moment 0. */
function trustedReplica (given: Partial<typeof options> = {}): Replica {
  const replica = new Replica({ ...options, ...given })
  load(replica, 0)
  return replica
}

/** The first mark, all pages, and the mark after them. */
function load (replica: Replica, now: number, born = 0): void {
  replica.loaded(replica.marked({ position: 'start', askedAt: now - 2, born }) ?? NaN, now - 1)
  replica.marked({ position: 'start', askedAt: now, born })
}

t.test('a token passes from the end of the load until maxStaleness after the last proven moment', async t => {
  const replica = new Replica(options)
  t.equal(replica.judge(token, 0), 'ask')
  const number = replica.marked({ position: 'start', askedAt: 0, born: 0 })
  replica.marked({ position: 'start', askedAt: 0, born: 0 })
  t.equal(replica.judge(token, 0), 'ask', 'not yet loaded')
  replica.loaded(number ?? NaN, -1)
  t.equal(replica.judge(token, 1000), 'passes')
  t.equal(replica.judge(token, 1001), 'ask')
  t.equal(replica.marked({ position: 'start', askedAt: 900, born: 0 }), null, 'nothing is missing')
  t.equal(replica.judge(token, 1900), 'passes')
  replica.lost()
  t.equal(replica.judge(token, 1900), 'ask')
})

t.test('an id is looked up by its name in the feed', async t => {
  const replica = new Replica({ ...options, nameOf: id => `=${id}` })
  load(replica, 0)
  t.equal(replica.judge(token, 1), 'passes')
  replica.add({ kind: 'stale', id: '=sid', staleBefore: 1, life: 5000 }, 0)
  t.equal(replica.judge(token, 1), 'ask')
  replica.add({ kind: 'token', id: '=jti', life: 5000 }, 0)
  t.equal(replica.judge(token, 1), 'denied')
  replica.add({ kind: 'session', id: '=other', life: 5000 }, 0)
  t.equal(replica.judge({ ...token, jti: null, sid: 'other' }, 1), 'denied')
  replica.hold('session', 'third')
  t.equal(replica.judge({ ...token, jti: null, sid: 'third' }, 1), 'denied', 'a session that this server revokes is known by its id')
})

t.test('what is denied is refused, also if the feed is gone', async t => {
  for (const denial of [{ kind: 'token', id: 'jti', life: 5000 }, { kind: 'session', id: 'sid', life: Infinity }] as const) {
    const replica = trustedReplica()
    t.equal(replica.add(denial, 0), true)
    t.equal(replica.add({ ...denial, life: 1 }, 0), false, 'known')
    t.equal(replica.judge(token, 0), 'denied')
    t.equal(replica.judge({ ...token, jti: null, sid: null }, 0), 'passes')
    replica.lost()
    t.equal(replica.judge(token, 60_000), 'denied')
  }
})

t.test('a denial lasts as long as the longest that came in, and is forgotten then', async t => {
  const replica = trustedReplica()
  replica.add({ kind: 'token', id: 'jti', life: 2000 }, 0)
  replica.add({ kind: 'token', id: 'jti', life: 8000 }, 0)
  replica.add({ kind: 'token', id: 'jti', life: 1000 }, 0)
  replica.add({ kind: 'session', id: 'other', life: Infinity }, 0)
  const sweepAll = (now: number): void => { for (let round = 0; round < 64; round++) replica.sweep(now) }
  sweepAll(7999)
  t.equal(replica.size, 2)
  sweepAll(8000)
  t.equal(replica.size, 1)
  sweepAll(Number.MAX_SAFE_INTEGER)
  t.equal(replica.size, 1, 'for ever')
})

t.test('the store is asked about a session that has a stale mark, unless the token was made after it', async t => {
  const replica = trustedReplica()
  replica.add({ kind: 'stale', id: 'sid', staleBefore: 2, life: 5000 }, 0)
  replica.add({ kind: 'stale', id: 'sid', staleBefore: 1, life: 9000 }, 0)
  t.equal(replica.judge({ ...token, generation: 1 }, 0), 'ask')
  t.equal(replica.judge({ ...token, generation: undefined }, 0), 'ask')
  t.equal(replica.judge({ ...token, generation: 2 }, 0), 'passes')
  t.equal(replica.judge({ ...token, sid: 'other' }, 0), 'passes')
  t.equal(replica.judge({ ...token, sid: null }, 0), 'passes')
})

t.test('a token that may be older than the feed is asked about, and so is one that does not say when it was made', async t => {
  const replica = new Replica({ ...options, clockSkew: 10_000 })
  load(replica, 0, 1_000_000)
  t.equal(replica.judge({ ...token, issuedAt: 1010 }, 0), 'ask')
  t.equal(replica.judge({ ...token, issuedAt: 1011 }, 0), 'passes')
  t.equal(replica.judge({ ...token, issuedAt: undefined }, 0), 'ask')
})

t.test('a missing publication ends the trust until everything has been loaded again', async t => {
  const replica = trustedReplica()
  replica.published('start', 'one')
  t.equal(replica.judge(token, 0), 'passes')
  replica.published('two', 'three')
  t.equal(replica.judge(token, 0), 'ask')
  const first = replica.marked({ position: 'three', askedAt: 0, born: 0 })
  const second = replica.marked({ position: 'gone back', askedAt: 0, born: 0 })
  replica.loaded(first ?? NaN, 0)
  t.equal(replica.judge(token, 0), 'ask', 'a load that was overtaken means nothing')
  replica.loaded(second ?? NaN, 9)
  t.equal(replica.judge(token, 10), 'ask', 'the store may have lost its data while it was read')
  replica.marked({ position: 'gone back', askedAt: 10, born: 0 })
  t.equal(replica.judge(token, 10), 'passes')
  replica.lost()
  replica.loaded(second ?? NaN, 10)
  t.equal(replica.judge(token, 0), 'ask', 'nor does one whose connection has gone')
})

t.test('what this server revokes is refused at once, and asked about until the feed has brought it', async t => {
  for (const [kind, id, atOnce] of [['token', 'jti', 'denied'], ['session', 'sid', 'denied'], ['stale', 'sid', 'ask']] as const) {
    const replica = trustedReplica()
    const first = replica.hold(kind, id)
    const second = replica.hold(kind, id)
    t.equal(replica.judge(token, 0), atOnce)
    t.equal(replica.judge({ ...token, jti: null, sid: null }, 0), 'passes', 'not what has neither id')
    first(100)
    t.equal(replica.judge(token, 100), atOnce, 'one is still under way')
    replica.marked({ position: 'start', askedAt: 200, born: 0 })
    second(300)
    t.equal(replica.judge(token, 300), 'ask')
    replica.marked({ position: 'start', askedAt: 300, born: 0 })
    t.equal(replica.judge(token, 300), 'ask')
    replica.marked({ position: 'start', askedAt: 301, born: 0 })
    t.equal(replica.judge(token, 301), 'passes', 'it has failed')
    t.equal(replica.judge({ ...token, jti: null, sid: null }, 301), 'passes')
  }
})

t.test('what this server revokes without a feed keeps tokens from passing until a mark that was asked for later', async t => {
  for (const lostFirst of [true, false]) {
    const replica = trustedReplica()
    const settle = replica.hold('token', 'jti')
    const underWay = replica.hold('session', 'another')
    if (lostFirst) replica.lost()
    settle(500)
    if (!lostFirst) replica.lost()
    load(replica, 400)
    t.equal(replica.judge(token, 500), 'ask')
    replica.marked({ position: 'start', askedAt: 501, born: 0 })
    t.equal(replica.judge(token, 501), 'passes')
    t.equal(replica.judge({ ...token, sid: 'another' }, 501), 'denied')
    underWay(502)
  }
})

t.test('beyond maxEntries the store is asked, and what is held stays refused; when there is room again, everything is loaded', async t => {
  const replica = trustedReplica({ maxEntries: 2 })
  replica.add({ kind: 'token', id: 'one', life: 1000 }, 0)
  replica.add({ kind: 'stale', id: 'two', staleBefore: 1, life: 60_000 }, 0)
  t.equal(replica.judge(token, 0), 'passes')
  t.equal(replica.add({ kind: 'session', id: 'three', life: 60_000 }, 0), true, 'new, although there is no room for it')
  t.equal(replica.add({ kind: 'stale', id: 'four', staleBefore: 1, life: 60_000 }, 0), true)
  t.equal(replica.size, 2)
  t.equal(replica.overflowed, true)
  t.equal(replica.judge(token, 0), 'ask')
  t.equal(replica.judge({ ...token, jti: 'one' }, 0), 'denied')
  replica.marked({ position: 'start', askedAt: 900, born: 0 })
  t.equal(replica.judge(token, 900), 'ask')
  for (let round = 0; round < 64; round++) replica.sweep(1000)
  t.equal(replica.overflowed, false)
  t.equal(replica.judge(token, 1000), 'ask')
  load(replica, 1000)
  t.equal(replica.judge(token, 1000), 'passes')
})

t.test('ids of any length are found, and swept from whatever map they are in', async t => {
  const shards = new ExpiringShards<number>(end => end)
  const ids = ['', 'a', 'ab', 'abc', 'Ünicode ✓', ...Array.from({ length: 2000 }, () => randomUUID())]
  t.notOk(ids.some(id => shards.has(id)))
  for (const end of [10, 20]) ids.forEach(id => { shards.set(id, end) })
  t.equal(shards.size, ids.length)
  t.ok(ids.every(id => shards.get(id) === 20 && shards.has(id)))
  for (let round = 0; round < 64; round++) shards.sweep(19)
  t.equal(shards.size, ids.length)
  for (let round = 0; round < 64; round++) shards.sweep(20)
  t.equal(shards.size, 0)
})

/*
 * The model: a store, a connection on which messages wait, and a replica at its end. Every order of the steps is tried, up to a number
 * of them, from a replica that knows nothing and from one that is up to date.
 */

const steps = ['deny', 'markStale', 'ask', 'arrive', 'cut', 'connect', 'page', 'wait', 'drop', 'wipe', 'failOver', 'repeat'] as const
type StepName = typeof steps[number]

/** Steps of one kind in one order, beyond which it says nothing new. */
const most: Partial<Record<StepName, number>> = { deny: 2, markStale: 1, wait: 2, cut: 1, connect: 1, drop: 1, wipe: 1, failOver: 1, repeat: 1 }

/** A life that ends within the steps. */
const life = 3000

interface StoredDenial { readonly denial: Denial, readonly at: number, readonly position: string }

class Model {
  now = 5_000_000
  readonly replica = new Replica(options)
  /** What the store holds, oldest first, and what it has promised. */
  store: StoredDenial[] = []
  promised: StoredDenial[] = []
  position = 'empty'
  born = 0
  count = 0
  /** Messages under way; `null` without a connection. */
  queue: Array<() => void> | null = null
  load: { readonly number: number, next: number } | null = null

  /** Carries out a step. @returns Whether there was anything to do. */
  take (step: StepName): boolean {
    // No two steps at the same time.
    this.now++
    return this[step]()
  }

  deny (): boolean {
    return this.#publish({ kind: this.count % 2 === 0 ? 'token' : 'session', id: `id ${this.count}`, life })
  }

  markStale (): boolean {
    return this.#publish({ kind: 'stale', id: `id ${this.count}`, staleBefore: 1, life })
  }

  #publish (denial: Denial): boolean {
    const before = this.position
    this.position = `denial ${this.count++}`
    const { position } = this
    const stored = { denial, at: this.now, position }
    this.store.push(stored)
    this.promised.push(stored)
    this.queue?.push(() => {
      this.replica.add(denial, this.now)
      this.replica.published(before, position)
    })
    return true
  }

  ask (): boolean {
    if (this.queue === null) return false
    const mark = { position: this.position, askedAt: this.now, born: this.born }
    this.queue.push(() => {
      const number = this.replica.marked(mark)
      if (number !== null) this.load = { number, next: 0 }
    })
    return true
  }

  arrive (): boolean {
    const message = this.queue?.shift()
    message?.()
    return message !== undefined
  }

  cut (): boolean {
    if (this.queue === null) return false
    this.queue = null
    this.load = null
    this.replica.lost()
    return true
  }

  connect (): boolean {
    if (this.queue !== null) return false
    this.queue = []
    return true
  }

  /** One denial for each page, read when it is asked for; the step after the last one is the end of the load. */
  page (): boolean {
    if (this.load === null) return false
    const stored = this.store[this.load.next++]
    if (stored === undefined) {
      this.replica.loaded(this.load.number, this.now)
      this.load = null
    } else {
      this.replica.add({ ...stored.denial, life: stored.at + life - this.now }, this.now)
    }
    return true
  }

  wait (): boolean {
    this.now += 1100
    for (let round = 0; round < 64; round++) this.replica.sweep(this.now)
    this.store = this.store.filter(({ at }) => at + life > this.now)
    return true
  }

  /** A message is lost, and the connection is not. */
  drop (): boolean {
    return this.queue?.shift() !== undefined
  }

  /** FLUSHALL, or a restart without data: the next one who asks begins a new feed. */
  wipe (): boolean {
    this.store = []
    this.position = `new ${this.count++}`
    this.born = this.now
    return true
  }

  /** To a copy that lacks the last write: nobody can keep that one's promise. */
  failOver (): boolean {
    const lacking = this.store.pop()
    if (lacking === undefined) return false
    this.promised = this.promised.filter(stored => stored !== lacking)
    this.position = this.store.at(-1)?.position ?? 'empty'
    return true
  }

  /** The same id is denied once more. */
  repeat (): boolean {
    const last = this.store.at(-1)
    return last !== undefined && this.#publish(last.denial)
  }

  /** A promise that is broken now. */
  broken (): StoredDenial | undefined {
    return this.promised.find(({ denial: { kind, id }, at }) => {
      if (this.now >= at + life || this.now - at <= options.maxStaleness) return false
      const asked = { jti: kind === 'token' ? id : null, sid: kind === 'token' ? null : id, generation: 0, issuedAt: 4_999_999 / 1000 }
      return this.replica.judge(asked, this.now) === 'passes'
    })
  }

  passes (): boolean {
    return this.replica.judge({ jti: 'another', sid: null, generation: 0, issuedAt: this.now + 1 }, this.now) === 'passes'
  }
}

function play (order: readonly StepName[]): Model | null {
  const model = new Model()
  for (const step of order) {
    if (!model.take(step)) return null
  }
  return model
}

interface Tried { orders: number, passing: number, broken: readonly StepName[] | null }

/** Tries every order that begins in a certain way. */
function tryAll (order: StepName[], left: number, counts: Map<StepName, number>, tried: Tried): void {
  if (left === 0 || tried.broken !== null) return
  for (const step of steps) {
    const count = counts.get(step) ?? 0
    if (count === (most[step] ?? Infinity)) continue
    order.push(step)
    const model = play(order)
    if (model !== null) {
      tried.orders++
      if (model.passes()) tried.passing++
      if (model.broken() !== undefined) tried.broken = [...order]
      counts.set(step, count + 1)
      tryAll(order, left - 1, counts, tried)
      counts.set(step, count)
    }
    order.pop()
  }
}

// Eight by hand.
const depth = Number(process.env['REPLICA_MODEL_STEPS'] ?? 6)

t.test(`in every order of up to ${depth} steps, what was denied more than maxStaleness ago does not pass`, async t => {
  for (const beginning of [[], ['connect', 'ask', 'arrive', 'page', 'ask', 'arrive']] as const) {
    const tried: Tried = { orders: 0, passing: 0, broken: null }
    tryAll([...beginning], depth, new Map(), tried)
    t.equal(tried.broken, null, JSON.stringify(tried))
    t.ok(tried.passing > 0, `${tried.orders} orders, ${tried.passing} of which let a token pass`)
  }
})
