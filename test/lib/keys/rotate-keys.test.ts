import { Agent, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'
import t from 'tap'
import type { NamedKey } from '../../../lib/index.ts'
import { ecPair } from '../../helpers/keys/key-pairs.ts'
import { appWith, badSignature, invalid, otherSecretKey, passed, secretKey, send } from '../../helpers/keys/found-keys-app.ts'

const ecKey = (keyId: string): NamedKey => ({ keyId, algorithm: 'ES256', privateKey: ecPair('P-256', keyId).privateKey })
const secret = (keyId: string): NamedKey => ({ keyId, secretKey: `${keyId} ${secretKey}` })

t.test('the first key signs, all verify, and a token of a removed key is refused from that moment', async t => {
  const app = await appWith(t, { keys: [ecKey('a')] })
  const a = app.jwt.createAccessToken('user123')
  for (let i = 0; i < 3; i++) t.strictSame(await send(app, a), passed)

  app.jwt.rotateKeys([ecKey('b'), ecKey('a')])
  const b = app.jwt.createAccessToken('user123')
  t.equal(app.jwt.getUnverifiedHeader(b)?.kid, 'b')
  for (let i = 0; i < 3; i++) {
    t.strictSame(await send(app, a), passed)
    t.strictSame(await send(app, b), passed)
  }
  t.strictSame(app.jwt.jwks().keys.map(({ kid }) => kid), ['b', 'a'])

  app.jwt.rotateKeys([ecKey('b')])
  t.strictSame(await send(app, a), invalid('kid'), 'though it had been seen before')
  t.throws(() => app.jwt.decodeToken(a), { message: 'Invalid token: kid' })
  t.strictSame(await send(app, b), passed)

  app.jwt.rotateKeys([{ ...ecKey('b'), privateKey: ecPair('P-256', 'c').privateKey }])
  t.strictSame(await send(app, b), badSignature, 'nor under another key of the same name')
})

t.test('keys that are bad leave the old ones in place', async t => {
  const app = await appWith(t, { keys: [ecKey('a')], jwksPath: '/jwks.json' })
  const token = app.jwt.createAccessToken('user123')
  const before = app.jwt.jwks()
  const bad: unknown[] = [
    [], 'keys', undefined, null, [null], [{ ...ecKey('b'), keyId: '' }], [ecKey('b'), ecKey('b')], [{ keyId: 'b', secretKey: 'short' }],
    [{ keyId: 'b', algorithm: 'RS256', privateKey: ecPair().privateKey }], [secret('b')]
  ]
  for (const keys of bad) {
    t.throws(() => app.jwt.rotateKeys(keys as NamedKey[]), { code: 'FST_JWT_BAD_OPTION' }, JSON.stringify(keys))
    t.equal(app.jwt.jwks(), before)
    t.strictSame(await send(app, token), passed)
    t.strictSame(await send(app, app.jwt.createAccessToken('user123')), passed)
  }
})

t.test('keys without an algorithm have that of the options, and the algorithms accepted stay', async t => {
  const app = await appWith(t, { secretKey, algorithm: 'HS512' })
  app.jwt.rotateKeys([{ keyId: 'b', secretKey: otherSecretKey }])
  t.match(app.jwt.getUnverifiedHeader(app.jwt.createAccessToken('user123')), { alg: 'HS512', kid: 'b' })

  const strict = await appWith(t, { keys: [ecKey('a'), secret('s')], decodeAlgorithms: ['ES256', 'HS256'] })
  strict.jwt.rotateKeys([ecKey('b')])
  t.strictSame(await send(strict, strict.jwt.createAccessToken('user123')), passed, 'one of them may be without a key meanwhile')
  t.throws(() => strict.jwt.rotateKeys([{ keyId: 'b', algorithm: 'HS512', secretKey }]), { message: /decodeAlgorithms/ })
})

t.test('secrets without a name may be replaced by keys that have one', async t => {
  const app = await appWith(t, { secretKey: [secretKey, otherSecretKey] })
  const token = app.jwt.createAccessToken('user123')
  t.strictSame(await send(app, token), passed)
  app.jwt.rotateKeys([{ keyId: 'new', secretKey: `new ${secretKey}` }, { keyId: 'old', secretKey }])
  t.strictSame(await send(app, token), passed)
  t.strictSame(await send(app, app.jwt.createAccessToken('user123')), passed)
  app.jwt.rotateKeys([{ keyId: 'new', secretKey: `new ${secretKey}` }])
  t.strictSame(await send(app, token), badSignature)
})

t.test('under load, with ten rotations, no valid token is refused and none of a removed key passes', async t => {
  const app = await appWith(t, { keys: [ecKey('0')] })
  await app.listen({ port: 0, host: '127.0.0.1' })
  const { port } = app.server.address() as AddressInfo
  const agent = new Agent({ keepAlive: true })
  t.teardown(() => { agent.destroy() })

  const get = (token: string) => new Promise<number>((resolve, reject) => {
    request({ port, host: '127.0.0.1', agent, headers: { authorization: `Bearer ${token}` } }, response => {
      response.resume().on('end', () => { resolve(response.statusCode ?? 0) })
    }).on('error', reject).end()
  })

  /** How many keys verify at a time. */
  const kept = 2
  let rotation = 0
  // Of each key one token that comes again and again, and one per request that is new.
  const issued = [app.jwt.createAccessToken('user123')]
  const verdicts = { valid: 0, removed: 0 }
  const wrong: string[] = []

  async function visit (i: number): Promise<void> {
    const key = i % 3 === 0 ? Math.max(0, rotation - kept) : i % 3 === 1 ? Math.max(0, rotation - 1) : rotation
    const token = i % 5 === 4 && key === rotation ? app.jwt.createAccessToken('user123') : issued[key] as string
    const sentAt = rotation
    const status = await get(token)
    // A key that went while the request was under way may have been there or not when it was looked at.
    if (key > rotation - kept) {
      verdicts.valid++
      if (status !== 200) wrong.push(`a token of key ${key} got ${status} with ${rotation} in use`)
    } else if (key <= sentAt - kept) {
      verdicts.removed++
      if (status !== 401) wrong.push(`a token of key ${key} got ${status} when ${sentAt} was in use`)
    }
  }

  const visits: Array<Promise<void>> = []
  const perRotation = 40
  for (let i = 0; i < 11 * perRotation; i++) {
    if (i > 0 && i % perRotation === 0) {
      rotation++
      app.jwt.rotateKeys(Array.from({ length: Math.min(kept, rotation + 1) }, (_, back) => ecKey(String(rotation - back))))
      issued.push(app.jwt.createAccessToken('user123'))
    }
    visits.push(visit(i))
    await wait(5)
  }
  await Promise.all(visits)
  t.equal(rotation, 10)
  t.strictSame(wrong, [])
  t.ok(verdicts.valid > 200 && verdicts.removed > 50, `${verdicts.valid} valid and ${verdicts.removed} removed`)
})

t.test('with several servers, a new key is known to all before one signs with it, or its tokens are refused', async t => {
  const [january, february] = ['2026-01', '2026-02'].map(keyId => ({ keyId, secretKey: `the secret of ${keyId}, at least thirty-two bytes` }))
  if (january === undefined || february === undefined) throw new Error('no keys')
  for (const steps of [[[january, february], [february, january], [february]], [[february, january], [february]]]) {
    const servers = await Promise.all([0, 1].map(async () => appWith(t, { keys: [january] })))
    let refused = 0
    // The tokens of before are not in question: they have expired when the last step is taken.
    for (const keys of steps) {
      for (const server of servers) {
        server.jwt.rotateKeys(keys)
        for (const from of servers) {
          for (const to of servers) {
            if ((await send(to, from.jwt.createAccessToken('ada'))).status !== 200) refused++
          }
        }
      }
    }
    t.equal(refused > 0, steps.length === 2, `${steps.length} steps: ${refused} refused`)
  }
})
