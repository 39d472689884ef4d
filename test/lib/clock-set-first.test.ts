import { mock } from 'node:test'
import t from 'tap'

t.test('a clock that was set before the module was loaded, as by a test runner for all, is read each time', async t => {
  t.teardown(() => { mock.timers.reset() })
  mock.timers.enable({ apis: ['Date'], now: 2_000_000 })
  const { turnTime } = await import('../../lib/clock.ts')
  t.equal(turnTime(), 2_000_000)
  mock.timers.setTime(3_000_000)
  t.equal(turnTime(), 3_000_000)
})
