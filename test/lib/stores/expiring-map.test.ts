import t from 'tap'
import type { Test } from 'tap'
import { ExpiringMap } from '../../../lib/stores/expiring-map.ts'

/** The clocks and the timers of this process, moved by hand: `now` is the wall clock, and `advance` moves the monotonic one, too. */
function fakeTime (t: Test, start = 1_700_000_000_500): { now: number, advance (ms: number): void, timers (): number } {
  const { now } = Date
  const original = { setTimeout: globalThis.setTimeout, clearTimeout: globalThis.clearTimeout }
  const monotonic = performance.now
  const pending = new Map<object, { at: number, run: () => void }>()
  let timerClock = 0
  const time = {
    now: start,
    advance (ms: number) {
      const end = timerClock + ms
      while (true) {
        const next = [...pending].filter(([, { at }]) => at <= end).toSorted(([, a], [, b]) => a.at - b.at)[0]
        if (next === undefined) break
        const [handle, { at, run }] = next
        pending.delete(handle)
        time.now += at - timerClock
        timerClock = at
        run()
      }
      time.now += end - timerClock
      timerClock = end
    },
    timers: () => pending.size
  }
  Date.now = () => time.now
  performance.now = () => timerClock
  Object.assign(globalThis, {
    setTimeout (run: () => void, delay: number) {
      const handle = { unref: () => handle }
      pending.set(handle, { at: timerClock + delay, run })
      return handle
    },
    clearTimeout: (handle: object) => pending.delete(handle)
  })
  t.teardown(() => {
    Date.now = now
    performance.now = monotonic
    Object.assign(globalThis, original)
  })
  return time
}

t.test('an entry is there until its time, to the millisecond', async t => {
  const time = fakeTime(t)
  const map = new ExpiringMap<string>()
  map.set('key', 'value', time.now + 1500)
  time.advance(1499)
  t.equal(map.get('key'), 'value')
  t.equal(map.has('key'), true)
  t.equal(map.expiry('key'), 1_700_000_002_000)
  time.advance(1)
  t.equal(map.get('key'), undefined)
  t.equal(map.has('key'), false)
  t.equal(map.expiry('key'), undefined)
})

t.test('what is due is removed and told of, what is not stays, and an empty map keeps no timer', async t => {
  const time = fakeTime(t)
  const expired: string[] = []
  const map = new ExpiringMap<number>((key, value) => expired.push(`${key}=${value}`))
  map.set('a', 1, time.now + 100)
  map.set('b', 2, time.now + 5000)
  map.set('c', 3, time.now + 5000)
  map.set('never', 4, Infinity)
  t.equal(time.timers(), 1)
  time.advance(2000)
  t.equal(map.size, 3)
  t.strictSame(expired, ['a=1'])
  time.advance(4000)
  t.equal(map.size, 1)
  t.strictSame(expired, ['a=1', 'b=2', 'c=3'])
  t.equal(time.timers(), 0)
  t.equal(map.get('never'), 4)
  map.set('d', 5, time.now + 10)
  time.advance(2000)
  t.equal(map.size, 1, 'and starts again')
})

t.test('an entry set again expires at its new time only', async t => {
  const time = fakeTime(t)
  const map = new ExpiringMap<string>()
  map.set('later', 'old', time.now + 1000)
  map.set('later', 'new', time.now + 10_000)
  map.set('sooner', 'old', time.now + 10_000)
  map.set('sooner', 'new', time.now + 1000)
  map.set('same', 'old', time.now + 1000)
  map.set('same', 'new', time.now + 1000)
  map.set('endless', 'old', time.now + 1000)
  map.set('endless', 'new', Infinity)
  t.equal(map.get('same'), 'new')
  time.advance(3000)
  t.strictSame(['later', 'sooner', 'same', 'endless'].map(key => map.get(key)), ['new', undefined, undefined, 'new'])
  t.equal(map.size, 2)
  time.advance(10_000)
  t.equal(map.size, 1)
})

t.test('a deleted entry is gone, and leaves nothing to expire', async t => {
  const time = fakeTime(t)
  const expired: string[] = []
  const map = new ExpiringMap<string>(key => expired.push(key))
  map.set('a', 'x', time.now + 1000)
  map.set('b', 'x', time.now + 1000)
  map.delete('a')
  map.delete('a')
  t.equal(map.get('a'), undefined)
  map.delete('b')
  t.equal(map.size, 0)
  time.advance(3000)
  t.strictSame(expired, [])
  t.equal(time.timers(), 0)
})

t.test('an entry already due is not found, and removed', async t => {
  const time = fakeTime(t)
  const map = new ExpiringMap<string>()
  map.set('current', 'x', time.now + 1000)
  time.advance(1500)
  map.set('due', 'x', time.now - 60_000)
  t.equal(map.get('due'), undefined)
  time.advance(1500)
  t.equal(map.size, 0)
})

t.test('many that are due together are removed in portions', async t => {
  const time = fakeTime(t)
  const map = new ExpiringMap<null>()
  const at = time.now + 100
  for (let index = 0; index < 25_000; index++) map.set(`key ${index}`, null, at)
  time.advance(1000)
  t.equal(map.size, 15_000)
  time.advance(1)
  t.equal(map.size, 5000)
  time.advance(1)
  t.equal(map.size, 0)
})

t.test('a wall clock that is an hour ahead for a second forgets nothing', async t => {
  const time = fakeTime(t)
  const expired: string[] = []
  const map = new ExpiringMap<string>(key => expired.push(key))
  map.set('before', 'x', time.now + 900_000)
  time.now += 3_600_000
  t.equal(map.get('before'), 'x', 'while it is ahead')
  map.set('meanwhile', 'x', time.now - 3_600_000 + 900_000)
  time.advance(1500)
  t.equal(map.size, 1, 'what was over by that clock when it was set')
  time.now -= 3_600_000
  time.advance(5000)
  t.equal(map.get('before'), 'x', 'and when it is back')
  t.equal(map.expiry('before'), 1_700_000_900_500)
  time.advance(900_000)
  t.equal(map.size, 0)
})

t.test('a wall clock set back keeps what is not over by it, and not for longer', async t => {
  const time = fakeTime(t)
  const map = new ExpiringMap<string>()
  map.set('first', 'x', time.now + 5000)
  time.advance(3000)
  time.now -= 3_600_000
  map.set('second', 'x', time.now + 2000)
  time.advance(3500)
  t.equal(map.has('second'), false)
  t.equal(map.get('first'), 'x', 'due by the monotonic clock, not by the wall clock')
  time.advance(3_595_000)
  t.equal(map.get('first'), 'x')
  time.advance(5000)
  t.equal(map.size, 0)
})

t.test('clear empties it and stops the timer', async t => {
  const time = fakeTime(t)
  const map = new ExpiringMap<string>()
  map.set('a', 'x', time.now + 1000)
  map.clear()
  t.equal(map.size, 0)
  t.equal(time.timers(), 0)
})
