import t from 'tap'
import { runHonestClients } from '../../helpers/honest-clients.ts'
import { noRedis } from '../../helpers/redis-server.ts'

// `bench/lost-answers.ts` is the long run, with delays of up to 3 s.
t.test('on a network that delays, cuts and drops, with clocks a minute off, no honest client is told that its token was reused', { skip: noRedis, timeout: 110_000 }, async t => {
  const seed = Date.now() % 1_000_000
  t.comment(`seed ${seed}`)
  const figures = await runHonestClients(t, { rotations: 150, clients: 120, seed, longestDelay: 700, reuseInterval: 3 })
  t.strictSame(figures.reused, [])
  t.strictSame(Object.keys(figures.others).filter(name => name !== '503'), [], 'no honest client is signed out')
  t.ok(figures.rotated >= 150)
})
