import t from 'tap'
import { KnownPairs } from '../../../lib/sessions/known-pairs.ts'

t.test('of each session the last pair is known, and no other', async t => {
  const pairs = new KnownPairs()
  t.equal(pairs.has('sid', 0, 0), false)
  pairs.add('sid', 0, 0)
  t.equal(pairs.has('sid', 0, 0), true)
  pairs.add('sid', 1, 0)
  t.equal(pairs.has('sid', 0, 0), false)
  t.equal(pairs.has('sid', 1, 0), true)
})

t.test('a pair in use stays known, however many others come; the rest are forgotten', async t => {
  const pairs = new KnownPairs()
  pairs.add('in use', 3, 0)
  pairs.add('not in use', 3, 0)
  let known = true
  for (let i = 0; i < 150_000; i++) {
    pairs.add(`session ${i}`, 0, 0)
    if (i % 1000 === 0) known &&= pairs.has('in use', 3, 0)
  }
  t.equal(known, true)
  t.equal(pairs.has('not in use', 3, 0), false)
})

t.test('what was learnt before the store may have lost data is not known', async t => {
  const pairs = new KnownPairs()
  pairs.add('before', 0, 0)
  t.equal(pairs.has('before', 0, 1), false)
  pairs.add('after', 0, 1)
  t.equal(pairs.has('after', 0, 1), true)
  t.equal(pairs.has('before', 0, 1), false)
  pairs.add('late', 0, 0)
  t.equal(pairs.has('late', 0, 1), false, 'an answer of before that has waited')
  t.equal(pairs.has('after', 0, 1), true)
})
