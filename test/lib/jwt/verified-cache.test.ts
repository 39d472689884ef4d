import { randomBytes } from 'node:crypto'
import t from 'tap'
import { createVerifiedCache } from '../../../lib/jwt/verified-cache.ts'

const tokens = (count: number): string[] => Array.from({ length: count }, () => `header.claims.${randomBytes(32).toString('base64url')}`)

t.test('a token is remembered when it comes for the second time', async t => {
  const cache = createVerifiedCache<string>(10)
  for (const token of tokens(5)) {
    cache.set(token, 'first')
    t.equal(cache.get(token), undefined)
    cache.set(token, 'second')
    t.equal(cache.get(token), 'second')
  }
})

t.test('tokens that come in turn are all remembered, up to the size', async t => {
  for (const size of [1, 2, 10, 500, 1000, 1024]) {
    const cache = createVerifiedCache<string>(size)
    const inTurn = tokens(size)
    for (let round = 0; round < 60; round++) {
      for (const token of inTurn) if (cache.get(token) === undefined) cache.set(token, token)
    }
    t.equal(inTurn.filter(token => cache.get(token) === token).length, size, `${size} of ${size}`)
  }
})

t.test('past the size, one that was not used of late is forgotten', async t => {
  const cache = createVerifiedCache<string>(3)
  const [first, second, third, fourth] = tokens(4) as [string, string, string, string]
  for (const token of [first, first, second, second, third, third]) cache.set(token, token)
  cache.get(first)
  for (const token of [fourth, fourth]) cache.set(token, token)
  t.strictSame([first, second, third, fourth].map(token => cache.get(token)), [first, undefined, third, fourth])
})

t.test('where all were used of late, one of them is forgotten, and the size is kept', async t => {
  const cache = createVerifiedCache<string>(3)
  const known = tokens(3)
  const [another] = tokens(1) as [string]
  for (const token of known) {
    for (let times = 0; times < 2; times++) cache.set(token, token)
    cache.get(token)
  }
  for (let times = 0; times < 2; times++) cache.set(another, another)
  t.equal(cache.get(another), another)
  t.equal(known.filter(token => cache.get(token) === token).length, 2)
})

t.test('a token stored again keeps its place', async t => {
  const cache = createVerifiedCache<string>(2)
  const [first, second, third] = tokens(3) as [string, string, string]
  for (const token of [first, first, second, second, first, first]) cache.set(token, token)
  for (let times = 0; times < 2; times++) cache.set(third, third)
  t.equal([first, second, third].filter(token => cache.get(token) === token).length, 2)
  t.equal(cache.get(third), third)
})

t.test('a token that ends as another does is not that one', async t => {
  const cache = createVerifiedCache<string>(10)
  const [token] = tokens(1) as [string]
  for (let times = 0; times < 2; times++) cache.set(token, 'sound')
  for (const other of [token.replace('claims', 'others'), token.slice(1), `x${token}`, token.slice(-32)]) t.equal(cache.get(other), undefined, other)
  t.equal(cache.get(token), 'sound')
})

t.test('a size of 0 remembers nothing', async t => {
  const cache = createVerifiedCache<string>(0)
  for (let times = 0; times < 3; times++) cache.set('a.b.c', 'sound')
  t.equal(cache.get('a.b.c'), undefined)
  t.equal(cache.getPart('a.b.c', 'jwt=a.b.c', 'jwt'), undefined)
})

t.test('a token is known in the text and from the place it came in, and nothing else is', async t => {
  const cache = createVerifiedCache<string>(10)
  const [token] = tokens(1) as [string]
  for (let times = 0; times < 2; times++) cache.set(`Bearer ${token}`, 'sound', 7)
  t.equal(cache.get(`Bearer ${token}`, 7), 'sound')
  const others: Array<[text: string, start: number]> = [
    [`Bearer ${token}`, 0], [`Bearer ${token}`, 6], [`Bearer ${token}`, 8], [token, 0], [token, 7],
    [`Digest ${token}`, 7], [`bearer ${token}`, 7], [`Bearer x${token}`, 7], [`jwt=${token}`, 4], ['', 7], ['a', 0]
  ]
  for (const [text, start] of others) t.equal(cache.get(text, start), undefined, `${text} from ${start}`)
})

t.test('a token that comes from two places in turn is remembered from both', async t => {
  const cache = createVerifiedCache<string>(10)
  const [token] = tokens(1) as [string]
  for (let times = 0; times < 2; times++) {
    cache.set(`Bearer ${token}`, 'header', 7)
    cache.set(token, 'cookie')
  }
  t.strictSame([cache.get(`Bearer ${token}`, 7), cache.get(token)], ['header', 'cookie'])
})

t.test('a token that was cut out of a longer text is known by that text', async t => {
  const cache = createVerifiedCache<string>(10)
  const [token, another] = tokens(2) as [string, string]
  for (let times = 0; times < 2; times++) cache.set(token, 'sound')
  const sources = [token, `jwt=${token}`, `theme=dark; jwt=${token}; lang=en`, `jwt=${token}; other=${another}`, `jwt=${token}; lang=${'x'.repeat(2000)}`]
  for (const source of [...sources, ...sources]) {
    for (let times = 0; times < 3; times++) t.equal(cache.getPart(token, source, 'jwt'), 'sound')
    t.equal(cache.getPart(another, source, 'jwt'), undefined, 'another')
    t.equal(cache.get(token), 'sound', 'by itself, still')
  }
})

t.test('of a longer text that is known, another part is another token, even with the same end', async t => {
  const cache = createVerifiedCache<string>(10)
  const [token] = tokens(1) as [string]
  const other = token.replace('claims', 'others')
  const source = `access=${token}; refresh=${other}`
  for (let times = 0; times < 2; times++) cache.set(token, 'sound')
  for (let times = 0; times < 3; times++) {
    t.equal(cache.getPart(token, source, 'access'), 'sound')
    t.equal(cache.getPart(other, source, 'refresh'), undefined)
  }
})

t.test('a longer text is not known by a part that an app has put in its place', async t => {
  const cache = createVerifiedCache<string>(10)
  const [token] = tokens(1) as [string]
  const replaced = token.replace('claims', 'others')
  for (let times = 0; times < 2; times++) cache.set(token, 'sound')
  for (let times = 0; times < 3; times++) t.equal(cache.getPart(token, `jwt=${replaced}`, 'jwt'), 'sound')
  t.equal(cache.getPart(replaced, `jwt=${replaced}`, 'jwt'), undefined)

  const source = `jwt=${token}`
  for (let times = 0; times < 2; times++) t.equal(cache.getPart(token, source, 'jwt'), 'sound')
  for (const other of [`x${token}`, token.slice(1), token.slice(-32), `${token.slice(0, -6)}AAAAAA`]) t.equal(cache.getPart(other, source, 'jwt'), undefined, other)
})

t.test('a cut out token is used of late, and is not forgotten', async t => {
  const cache = createVerifiedCache<string>(2)
  const [first, second, third] = tokens(3) as [string, string, string]
  for (const token of [first, first, second, second]) cache.set(token, token)
  for (let times = 0; times < 2; times++) cache.getPart(first, `jwt=${first}`, 'jwt')
  for (let times = 0; times < 2; times++) cache.set(third, third)
  t.strictSame([first, second, third].map(token => cache.get(token)), [first, undefined, third])
})
