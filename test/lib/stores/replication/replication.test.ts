import { EventEmitter } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { openInTime } from '../../../../lib/stores/replication/feed.ts'
import type { FeedConnection, FeedListener } from '../../../../lib/stores/replication/feed.ts'
import type { Denial } from '../../../../lib/stores/replication/replica.ts'
import { Replication } from '../../../../lib/stores/replication/replication.ts'
import { nodeRedisSubscribe } from '../../../../lib/stores/redis/subscribe.ts'
import type { NodeRedisCopy } from '../../../../lib/stores/redis/subscribe.ts'
import { joinStores } from '../../../../lib/stores/split.ts'
import { MemoryStore } from '../../../../lib/index.ts'
import type { HeldToken } from '../../../../lib/index.ts'
import { movableTime } from '../../../helpers/clock.ts'
import { replicaWarnings, until } from '../../../helpers/replicas.ts'

const nameOf = (id: string): string => id

t.test('a connection that comes after the time-out is closed', async t => {
  let open = (_connection: string): void => {}
  const closed: string[] = []
  const opening = new Promise<string>(resolve => { open = resolve })
  const signals: AbortSignal[] = []
  const attempt = async (signal: AbortSignal): Promise<string> => { signals.push(signal); return opening }
  // The timer itself keeps no process alive.
  const alive = setInterval(() => {}, 1000)
  t.teardown(() => { clearInterval(alive) })
  const { signal } = new AbortController()
  await t.rejects(openInTime(attempt, connection => { closed.push(connection) }, 1, signal), /could not be opened within 1 ms/)
  open('late')
  await sleep(1)
  t.strictSame(closed, ['late'])
  t.equal(signals[0]?.aborted, true, 'an attempt that never ends would keep its socket')
})

t.test('a store that is closed gives up the connection that it is opening', async t => {
  const signals: AbortSignal[] = []
  const connect = async (_listener: FeedListener, signal: AbortSignal): Promise<FeedConnection> =>
    openInTime(async attempt => { signals.push(attempt); return new Promise<FeedConnection>(() => {}) }, () => {}, 60_000, signal)
  const replication = new Replication({ nameOf, connect }, { maxStaleness: 1000, maxEntries: 10 }, 0)
  replication.start()
  t.equal(signals[0]?.aborted, false)
  replication.close()
  t.equal(signals[0]?.aborted, true)
})

t.test('a connection that is opened after the store was closed is closed', async t => {
  let closed = 0
  const connection: FeedConnection = { mark: async () => {}, load: async () => {}, close () { closed++ } }
  const replication = new Replication({ nameOf, connect: async () => { await sleep(1); return connection } }, { maxStaleness: 1000, maxEntries: 10 }, 0)
  replication.start()
  replication.start()
  replication.close()
  await sleep(20)
  t.equal(closed, 1)
})

t.test('a feed that refuses every connection is tried less and less often', async t => {
  const attempts: number[] = []
  const replication = new Replication({ nameOf, connect: async () => { attempts.push(performance.now()); throw new Error('refused') } }, { maxStaleness: 100, maxEntries: 10 }, 0)
  t.teardown(() => { replication.close() })
  process.once('warning', () => {})
  // Its own timer keeps no process alive.
  const alive = setInterval(() => {}, 1000)
  t.teardown(() => { clearInterval(alive) })
  replication.start()
  while (attempts.length < 5) await sleep(10)
  const pauses = attempts.slice(1).map((time, index) => time - (attempts[index] as number))
  t.ok(pauses.every((pause, index) => pause >= 25 * (2 ** index - 1)), String(pauses))
})

t.test('what the store has answered to marks is what the warning says', async t => {
  const warnings = replicaWarnings(t)
  const connection: FeedConnection = { mark: async () => { throw new Error('the disk is full') }, load: async () => {}, close () {} }
  const replication = new Replication({ nameOf, connect: async () => connection }, { maxStaleness: 100, maxEntries: 10 }, 0)
  t.teardown(() => { replication.close() })
  replication.start()
  await until(() => warnings.length > 0, 'a warning')
  t.match(warnings, [/not in use: the disk is full\./])
})

/** A feed whose connections say what a test has them say. */
function toldFeed () {
  const connections: Array<{ listener: FeedListener, marks: string[], take: (page: readonly Denial[]) => void, loaded: () => void, closed: boolean }> = []
  const connect = async (listener: FeedListener): Promise<FeedConnection> => {
    const told = { listener, marks: [] as string[], take: (_page: readonly Denial[]) => {}, loaded: () => {}, closed: false }
    connections.push(told)
    return {
      async mark (name) { told.marks.push(name) },
      async load (take) {
        told.take = take
        await new Promise<void>(resolve => { told.loaded = resolve })
      },
      close () { told.closed = true }
    }
  }
  return { nameOf, connections, connect }
}

t.test('a machine that was suspended, whose monotonic clock stood still, trusts nothing until the next mark', async t => {
  const feed = toldFeed()
  const replication = new Replication(feed, { maxStaleness: 60_000, maxEntries: 10 }, 0)
  t.teardown(() => { replication.close() })
  const clock = movableTime(t)
  replication.start()
  await sleep(1)
  const [told] = feed.connections
  if (told === undefined) throw new Error('No connection was opened.')
  const answer = (): void => { told.listener.marked(told.marks.shift() ?? '', '7', 0) }
  answer()
  told.loaded()
  // The load ends, and asks for a mark.
  await sleep(1)
  await sleep(5)
  answer()
  t.equal(replication.status.trusted, true)
  const token: HeldToken = { jti: 'jti', sid: null, generation: undefined, issuedAt: 1e10 }
  t.equal(replication.judge(token), 'passes')
  clock.advance(3600)
  t.equal(replication.judge(token), 'ask')
  t.equal(replication.status.trusted, false)
  clock.reset()
  t.equal(replication.judge(token), 'passes')
})

t.test('if the clock was set, ahead or back, nothing is trusted until the denials are loaded again', async t => {
  for (const hours of [2, -2]) {
    const feed = toldFeed()
    const replication = new Replication(feed, { maxStaleness: 100_000, maxEntries: 10 }, 0)
    t.teardown(() => { replication.close() })
    const clock = movableTime(t)
    replication.start()
    await sleep(1)
    const [told] = feed.connections
    if (told === undefined) throw new Error('No connection was opened.')
    const answer = async (): Promise<void> => {
      await until(() => told.marks.length > 0, 'a mark')
      told.listener.marked(told.marks.shift() ?? '', '7', 0)
    }
    const token: HeldToken = { jti: 'jti', sid: null, generation: undefined, issuedAt: 1e10 }
    await answer()
    told.loaded()
    await answer()
    t.equal(replication.judge(token), 'passes')
    t.equal(replication.epoch, 1)
    clock.advance(hours * 3600)
    t.equal(replication.judge(token), 'ask')
    await until(() => told.marks.length > 0, 'the mark after it')
    await answer()
    t.equal(replication.epoch, 2)
    t.equal(replication.judge(token), 'ask')
    told.loaded()
    await answer()
    t.equal(replication.judge(token), 'passes')
    clock.reset()
  }
})

t.test('what an old connection still says means nothing', async t => {
  const feed = toldFeed()
  // The first beat asks for a mark at once; the next one is far away.
  const replication = new Replication(feed, { maxStaleness: 60_000, maxEntries: 10 }, 0)
  t.teardown(() => { replication.close() })
  const warnings: Error[] = []
  const onWarning = (warning: Error): void => { warnings.push(warning) }
  process.on('warning', onWarning)
  t.teardown(() => { process.removeListener('warning', onWarning) })
  const denial = (id: string): Denial => ({ kind: 'session', id, life: 1_000_000 })
  const ended: string[] = []
  replication.onSessionEnd(sid => { ended.push(sid) })

  replication.start()
  await sleep(1)
  const [old] = feed.connections
  if (old === undefined) throw new Error('No connection was opened.')
  old.listener.marked(old.marks[0] ?? '', '7', 0)
  old.listener.lost(new Error('gone'))
  t.equal(old.closed, true)

  old.take([denial('loaded')])
  old.listener.denied([denial('published')], '7', '8', false)
  old.listener.marked(old.marks[0] ?? '', '8', 0)
  old.listener.lost(new Error('gone again'))
  old.loaded()
  await sleep(1)
  t.strictSame(replication.status, { trusted: false, denials: 0 })
  t.strictSame(ended, [])
  t.strictSame(warnings.map(({ message }) => /: (.+)\. Requests ask/.exec(message)?.[1]), ['gone'])
  t.equal(feed.connections.length, 1)
})

t.test('a client of node-redis that cannot connect is destroyed, and the error is told', async t => {
  for (const isOpen of [true, false]) {
    let destroyed = 0
    const failed = new Error('no way')
    const copy = Object.assign(new EventEmitter(), {
      isOpen,
      // It tries again, for ever.
      async connect () { copy.emit('error', failed); return new Promise(() => {}) },
      async subscribe () {},
      destroy () { destroyed++ }
    })
    const lost: unknown[] = []
    const subscribe = nodeRedisSubscribe(() => copy as unknown as NodeRedisCopy)
    await t.rejects(subscribe(['channel'], () => {}, reason => { lost.push(reason) }, new AbortController().signal), failed)
    t.strictSame(lost, [failed])
    t.equal(destroyed, isOpen ? 1 : 0)
  }
})

t.test('a denylist and sessions that are kept apart judge from memory if both do', async t => {
  const token: HeldToken = { jti: 'jti', sid: 'sid', generation: 0, issuedAt: 1 }
  const judging = (verdict: 'passes' | 'denied' | 'ask'): MemoryStore => Object.assign(new MemoryStore(), { judge: () => verdict })
  for (const [one, other, both] of [
    ['passes', 'passes', 'passes'], ['passes', 'ask', 'ask'], ['ask', 'denied', 'denied'], ['denied', 'passes', 'denied']
  ] as const) {
    t.equal(joinStores({ denylist: judging(one), sessions: judging(other) }).judge?.(token), both)
  }
  t.equal(joinStores({ denylist: judging('passes'), sessions: new MemoryStore() }).judge, undefined)
  t.equal(joinStores({ denylist: new MemoryStore(), sessions: judging('passes') }).judge, undefined)
})

t.test('a denylist and sessions that are kept apart begin a new epoch when one of them does', async t => {
  const denylist = Object.assign(new MemoryStore(), { epoch: 1 })
  const sessions = Object.assign(new MemoryStore(), { epoch: 1 })
  const store = joinStores({ denylist, sessions })
  const epochs = [store.epoch]
  denylist.epoch++
  epochs.push(store.epoch)
  sessions.epoch++
  epochs.push(store.epoch)
  t.equal(new Set(epochs).size, 3)
  t.equal(joinStores({ denylist: new MemoryStore(), sessions: new MemoryStore() }).epoch, 0)
})

t.test('a denylist and sessions that are kept apart both tell of sessions that end elsewhere', async t => {
  const listeners = new Set<(sid: string) => void>()
  const telling = Object.assign(new MemoryStore(), {
    onSessionEnd (listener: (sid: string) => void) {
      listeners.add(listener)
      return () => { listeners.delete(listener) }
    }
  })
  const ended: string[] = []
  const end = joinStores({ denylist: new MemoryStore(), sessions: telling }).onSessionEnd?.(sid => { ended.push(sid) })
  for (const listener of listeners) listener('sid')
  t.strictSame(ended, ['sid'])
  end?.()
  t.equal(listeners.size, 0)
})
