import { randomBytes } from 'node:crypto'
import t from 'tap'
import { VerifiedCache } from '../../../lib/jwt/verified-cache.ts'
import { stoppedTime } from '../../helpers/clock.ts'

const tokens = (count: number): string[] => Array.from({ length: count }, () => `header.claims.${randomBytes(32).toString('base64url')}`)

/** Asks for each token, and stores those that are not found, as a verifier does. Returns how many were found. */
function ask (cache: VerifiedCache<string>, wanted: readonly string[]): number {
  let found = 0
  for (const token of wanted) {
    if (cache.get(token) === token) found++
    else cache.set(token, token, Infinity)
  }
  return found
}

t.test('a token is found from the second time on', async t => {
  const cache = new VerifiedCache<string>(10)
  const known = tokens(10)
  t.equal(ask(cache, known), 0)
  t.equal(ask(cache, known), 10)
})

t.test('tokens in turn are all found, up to the size', async t => {
  for (const size of [1, 2, 10, 500, 1000, 1024]) {
    const cache = new VerifiedCache<string>(size)
    const inTurn = tokens(size)
    ask(cache, inTurn)
    for (let round = 0; round < 10; round++) t.equal(ask(cache, inTurn), size, `${size} of ${size}`)
  }
})

t.test('of more tokens in turn than fit, most of those that fit are found each time', async t => {
  const size = 1000
  for (const factor of [1.5, 2, 3, 10]) {
    const cache = new VerifiedCache<string>(size)
    const inTurn = tokens(size * factor)
    for (let round = 0; round < 3; round++) ask(cache, inTurn)
    // A cache that takes every token would find none.
    t.ok(ask(cache, inTurn) > size * 0.9, `${inTurn.length} tokens in turn`)
  }
})

t.test('tokens that have gone out of use make room for those in use', async t => {
  const cache = new VerifiedCache<string>(100)
  const before = tokens(100)
  for (let round = 0; round < 5; round++) ask(cache, before)
  const after = tokens(100)
  for (let round = 0; round < 100; round++) ask(cache, after)
  t.equal(ask(cache, after), 100)
})

t.test('a token that has expired makes room at once, and tokens that fit are found however often they are renewed', async t => {
  const clock = stoppedTime(t)
  const inUse = 200
  const expiry = (): number => Date.now() / 1000 + 900
  for (const size of [250, 10_000]) {
    const cache = new VerifiedCache<object>(size)
    const users = tokens(inUse).map((token, i) => ({ token, expiry: Date.now() / 1000 + (i + 1) * 900 / inUse }))
    let [found, asked] = [0, 0]
    // Each user asks once a minute, and has a new token every fifteen.
    for (let minute = 0; minute < 15 * 20; minute++) {
      clock.advance(60)
      for (const user of users) {
        if (user.expiry <= Date.now() / 1000) Object.assign(user, { token: tokens(1)[0], expiry: expiry() })
        asked++
        if (cache.get(user.token) !== undefined) found++
        else cache.set(user.token, {}, user.expiry)
      }
    }
    t.ok(found > asked * 0.9, `${found} of ${asked} found with room for ${size}`)
  }
})

t.test('a token in use stays, whatever comes once', async t => {
  const cache = new VerifiedCache<string>(10)
  const [inUse] = tokens(1) as [string]
  ask(cache, [inUse])
  for (const once of tokens(1000)) {
    ask(cache, [once])
    t.equal(cache.get(inUse), inUse)
  }
})

t.test('what ends like a token that is known is not that token', async t => {
  const cache = new VerifiedCache<string>(10)
  const [token] = tokens(1) as [string]
  cache.set(token, 'sound', Infinity)
  const others = [
    token.replace('claims', 'others'), token.slice(1), `x${token}`, token.slice(-12), token.slice(-32), token.slice(-11), '', '.', 'a.b.c'
  ]
  for (const other of others) t.equal(cache.get(other), undefined, other)
  t.equal(cache.get(token), 'sound')
})

t.test('of two tokens with the same end, the one stored last is known, and never one for the other', async t => {
  const cache = new VerifiedCache<string>(2)
  const [token, another] = tokens(2) as [string, string]
  const twin = token.replace('claims', 'others')
  cache.set(token, 'first', Infinity)
  cache.set(twin, 'second', Infinity)
  t.strictSame([cache.get(token), cache.get(twin)], [undefined, 'second'])
  cache.set(another, 'third', Infinity)
  t.strictSame([cache.get(twin), cache.get(another)], ['second', 'third'], 'and they took one place together')
})

t.test('a cache with room for many holds not many more tokens than are valid', async t => {
  const clock = stoppedTime(t)
  const cache = new VerifiedCache<string>(100_000)
  const all: string[] = []
  for (let i = 0; i < 5000; i++) {
    clock.advance(1)
    const [token] = tokens(1) as [string]
    all.push(token)
    cache.set(token, token, Date.now() / 1000 + 100)
  }
  const kept = all.filter(token => cache.get(token) !== undefined)
  t.ok(kept.length < 250, `${kept.length} of 5000, of which 100 are valid`)
  t.strictSame(kept.slice(-100), all.slice(-100), 'and the valid ones are among them')
})

t.test('a size of 0 stores nothing', async t => {
  const cache = new VerifiedCache<string>(0)
  const [token] = tokens(1) as [string]
  for (let times = 0; times < 100; times++) cache.set(token, 'sound', Infinity)
  t.equal(cache.get(token), undefined)
})
