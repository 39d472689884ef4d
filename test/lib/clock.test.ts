import { mock } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import t from 'tap'
import { turnTime } from '../../lib/clock.ts'

/** Until the clock has moved on, without an end to this turn of the event loop. */
function waitInTurn (until = Date.now() + 1): void {
  while (Date.now() < until);
}

t.test('one turn of the event loop has one time, and the next another', async t => {
  await setImmediate()
  const before = Date.now()
  const first = turnTime()
  t.ok(first >= before && first <= Date.now(), 'that of the clock')
  waitInTurn()
  await Promise.resolve()
  t.equal(turnTime(), first, 'the same, though the clock has moved on')
  await setImmediate()
  t.ok(turnTime() > first, 'the turn after')
})

t.test('a clock that a test has set is read each time', async t => {
  t.teardown(() => { mock.timers.reset() })
  const real = turnTime()
  mock.timers.enable({ apis: ['Date'], now: 1_000_000 })
  t.equal(turnTime(), 1_000_000)
  mock.timers.tick(5000)
  t.equal(turnTime(), 1_005_000)
  mock.timers.reset()
  t.ok(turnTime() >= real, 'the real one again')
})
