import { gzipSync } from 'node:zlib'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import type { IncomingMessage, ServerResponse } from 'node:http'
import t from 'tap'
import type { Algorithm, PublicJWK, SigningKey, VerificationKey } from '../../../lib/types/keys.ts'
import { loadKeys } from '../../../lib/keys/local.ts'
import { createRemoteJwkSet, KeysUnavailableError } from '../../../lib/keys/remote/remote-jwk-set.ts'
import type { RemoteJwkSet, JwkSetLocation } from '../../../lib/keys/remote/remote-jwk-set.ts'
import { createTokenBucket } from '../../../lib/keys/remote/token-bucket.ts'
import { ecPair, ed25519Pair, rsaPair } from '../../helpers/keys/key-pairs.ts'
import { startIssuer } from '../../helpers/keys/issuer-server.ts'
import { stoppedTime } from '../../helpers/clock.ts'

const claims = { sub: 'user123', iat: 1_700_000_000, exp: 4_000_000_000 }
const first = loadKeys({ algorithm: 'ES256', privateKey: ecPair().privateKey, keyId: 'first' })
const second = loadKeys({ algorithm: 'ES256', privateKey: ecPair('P-256', 'second').privateKey, keyId: 'second' })
const rsa = loadKeys({ algorithm: 'RS256', privateKey: rsaPair().privateKey, keyId: 'rsa' })
const header = (kid?: string, alg: Algorithm = 'ES256') => kid === undefined ? { alg } : { alg, kid }

function tokenOf (signing: SigningKey | null): string {
  if (signing === null) throw new Error('there is no key to sign with')
  return signing.sign(claims)
}

/** A key that must be known already. */
function known (keys: RemoteJwkSet, kid?: string, alg?: Algorithm): VerificationKey | null {
  const found = keys.find(header(kid, alg))
  if (found instanceof Promise) throw new Error('the key is not known yet')
  return found
}

t.test('a key is fetched once, verifies its tokens, and is then found at once', async t => {
  const issuer = await startIssuer(t, first.jwks)
  const keys = createRemoteJwkSet({ jwksUri: `${issuer.url}/jwks` })
  const key = await keys.find(header('first'))
  t.match(key?.verify(tokenOf(first.signing)).payload, claims)
  t.match(key, { keyId: 'first', algorithms: ['ES256'] })
  t.equal(known(keys, 'first'), key)
  t.same(issuer.requests, ['/jwks'])
})

t.test('the keys of an issuer are found through its discovery document', async t => {
  const issuer = await startIssuer(t, null)
  const documentFor = (name: string) => ({ issuer: name, jwks_uri: `${issuer.url}/keys` })
  for (const path of ['', '/tenant', '/tenant/']) {
    const name = issuer.url + path
    issuer.requests.length = 0
    issuer.answer((request: IncomingMessage, response: ServerResponse) => {
      response.end(JSON.stringify(request.url === '/keys' ? first.jwks : documentFor(name)))
    })
    const key = await createRemoteJwkSet({ issuer: name }).find(header('first'))
    t.match(key?.verify(tokenOf(first.signing)).payload, claims)
    t.same(issuer.requests, [`${path.replace(/\/$/, '')}/.well-known/openid-configuration`, '/keys'])
  }
})

t.test('a discovery document of another issuer, or without an https: jwks_uri, is not believed', async t => {
  const issuer = await startIssuer(t, null)
  const documents: Record<string, unknown> = {
    'of another issuer': { issuer: 'https://other.example', jwks_uri: `${issuer.url}/keys` },
    'of the issuer with another ending': { issuer: `${issuer.url}/`, jwks_uri: `${issuer.url}/keys` },
    'of no issuer': { jwks_uri: `${issuer.url}/keys` },
    'without jwks_uri': { issuer: issuer.url },
    'with a jwks_uri that is no text': { issuer: issuer.url, jwks_uri: [`${issuer.url}/keys`] },
    'with a relative jwks_uri': { issuer: issuer.url, jwks_uri: '/keys' },
    'with a file as jwks_uri': { issuer: issuer.url, jwks_uri: 'file:///etc/passwd' },
    'with plain HTTP to another host': { issuer: issuer.url, jwks_uri: 'http://192.0.2.1/keys' },
    'with a host that only looks like loopback': { issuer: issuer.url, jwks_uri: 'http://127.0.0.1.example.com/keys' },
    'with a password': { issuer: issuer.url, jwks_uri: `${issuer.url.replace('//', '//user:password@')}/keys` }
  }
  for (const [what, document] of Object.entries(documents)) {
    issuer.answer(document)
    await t.rejects(async () => createRemoteJwkSet({ issuer: issuer.url }).find(header('first')), KeysUnavailableError, what)
  }
  t.notOk(issuer.requests.includes('/keys'))
})

t.test('an https: issuer cannot send us to plain HTTP on our own machine', async t => {
  const issuer = await startIssuer(t, first.jwks)
  t.intercept(globalThis, 'fetch', {
    value: async () => new Response(JSON.stringify({ issuer: 'https://issuer.example', jwks_uri: `${issuer.url}/keys` }))
  })
  await t.rejects(async () => createRemoteJwkSet({ issuer: 'https://issuer.example' }).find(header('first')), KeysUnavailableError)
  t.same(issuer.requests, [])
})

t.test('a URL keys cannot be fetched from stops start-up', async t => {
  const mistakes: Array<[JwkSetLocation, string, RegExp]> = [
    [{ jwksUri: 'http://issuer.example/jwks' }, 'jwksUri', /not an https: URL.*loopback/],
    [{ jwksUri: 'http://auth.localhost/jwks' }, 'jwksUri', /not an https: URL/],
    [{ jwksUri: 'ftp://127.0.0.1/jwks' }, 'jwksUri', /not an https: URL/],
    [{ jwksUri: '/jwks' }, 'jwksUri', /absolute URL/],
    [{ jwksUri: '' }, 'jwksUri', /absolute URL/],
    [{ jwksUri: 1 } as unknown as JwkSetLocation, 'jwksUri', /absolute URL/],
    [{ jwksUri: 'https://user:password@issuer.example/' }, 'jwksUri', /user name or password/],
    [{ jwksUri: 'https://user@issuer.example/' }, 'jwksUri', /user name or password/],
    [{ issuer: 'issuer.example' }, 'issuer', /absolute URL/],
    [{ issuer: 'http://issuer.example' }, 'issuer', /not an https: URL/],
    [{ issuer: 'https://issuer.example/?tenant=a' }, 'issuer', /query or a fragment/],
    [{ issuer: 'https://issuer.example/#a' }, 'issuer', /query or a fragment/]
  ]
  for (const [source, option, message] of mistakes) {
    t.throws(() => createRemoteJwkSet(source), { code: 'FST_JWT_BAD_OPTION', message })
    t.throws(() => createRemoteJwkSet(source, { path: 'issuers[2].' }), { message: new RegExp(`option 'issuers\\[2\\]\\.${option}' `) })
  }
  for (const host of ['127.0.0.1:3000', '127.1.2.3', 'localhost', '[::1]:3000']) {
    t.doesNotThrow(() => createRemoteJwkSet({ jwksUri: `http://${host}/jwks` }), host)
  }
  t.throws(() => createRemoteJwkSet({ jwksUri: 'https://issuer.example/' }, { algorithms: ['HS256'] }), {
    code: 'FST_JWT_BAD_OPTION', message: /'decodeAlgorithms' has only algorithms that take a secret/
  })
})

t.test('a key verifies the algorithms allowed, of those its type and its JWK allow', async t => {
  const jwks = { keys: [...rsa.jwks.keys.map(({ alg, ...jwk }) => jwk), ...first.jwks.keys] }
  const issuer = await startIssuer(t, jwks)
  const keys = createRemoteJwkSet({ jwksUri: issuer.url }, { algorithms: ['HS256', 'RS256', 'ES256'] })
  t.same((await keys.find(header('rsa', 'RS256')))?.algorithms, ['RS256'])
  for (const alg of ['ES256', 'PS256', 'HS256', 'none', '__proto__', undefined, null, 1, ['RS256']]) {
    t.equal(await keys.find({ alg, kid: 'rsa' }), null, String(alg))
  }
  t.equal(await keys.find(header('first', 'RS256')), null)
})

t.test('secrets, encryption keys, weak keys and nonsense in a JWK Set are ignored', async t => {
  const [jwk] = first.jwks.keys
  const weak = rsaPair('weak', 1024).publicKey.export({ format: 'jwk' })
  const issuer = await startIssuer(t, {
    keys: [
      null, 'key', 1, [], {}, { kid: 'secret', kty: 'oct', k: 'A'.repeat(64), alg: 'HS256' }, { ...jwk, kid: 'enc', use: 'enc' },
      { ...weak, kid: 'weak' }, { kid: 'broken', kty: 'EC', crv: 'P-256', x: 1 }, { ...jwk, kid: 1 }, jwk
    ]
  })
  const keys = createRemoteJwkSet({ jwksUri: issuer.url }, { refetches: 0 })
  t.ok(await keys.find(header('first')))
  for (const [kid, alg] of [['secret', 'HS256'], ['enc', 'ES256'], ['weak', 'RS256'], ['broken', 'ES256'], ['1', 'ES256']] as const) {
    t.equal(known(keys, kid, alg), null, kid)
  }
})

t.test('kids with the names every object has, with paths and with SQL are just unknown', async t => {
  const issuer = await startIssuer(t, first.jwks)
  const keys = createRemoteJwkSet({ jwksUri: `${issuer.url}/jwks` })
  for (const kid of ['__proto__', 'constructor', 'toString', '../../etc/passwd', "' OR 1=1 --", '', 'http://127.0.0.1/x', 'undefined']) {
    t.equal(await keys.find({ alg: 'ES256', kid }), null, kid)
  }
  for (const kid of [null, 1, ['first'], { first: 1 }]) t.equal(await keys.find({ alg: 'ES256', kid }), null)
  t.ok(issuer.requests.every(path => path === '/jwks'))
})

t.test('a token without kid means the only key of its algorithm; of several, none', async t => {
  const issuer = await startIssuer(t, { keys: [...first.jwks.keys, ...rsa.jwks.keys] })
  const keys = createRemoteJwkSet({ jwksUri: issuer.url }, { refetches: 1 })
  t.equal((await keys.find(header()))?.keyId, 'first')
  t.equal(known(keys, undefined, 'RS256')?.keyId, 'rsa')
  issuer.answer({ keys: [...first.jwks.keys, ...second.jwks.keys] })
  t.equal((await keys.find(header('second')))?.keyId, 'second')
  t.equal(known(keys), null)
})

t.test('a token without kid finds no other key if its issuer has added a second one', async t => {
  const issuer = await startIssuer(t, first.jwks)
  const keys = createRemoteJwkSet({ jwksUri: issuer.url })
  t.equal((await keys.find(header()))?.keyId, 'first')
  issuer.answer({ keys: [...first.jwks.keys, ...second.jwks.keys] })
  t.equal(await keys.findAgain(header()), null)
})

t.test('a key that is listed twice is one key', async t => {
  const [jwk] = first.jwks.keys
  const [otherJwk] = second.jwks.keys
  const { kid, alg, ...bare } = jwk as PublicJWK
  const lists: Record<string, unknown[]> = {
    'the very same': [jwk, jwk],
    'three times': [jwk, jwk, { ...jwk }],
    'members in another order': [jwk, Object.fromEntries(Object.entries(jwk as PublicJWK).reverse())],
    'with a certificate, and without': [jwk, { ...jwk, x5t: 'AAAA', x5c: ['AAAA'] }],
    'with alg, and without': [jwk, { ...bare, kid }],
    'beside another': [otherJwk, jwk, jwk]
  }
  for (const [name, keys] of Object.entries(lists)) {
    const issuer = await startIssuer(t, { keys })
    const set = createRemoteJwkSet({ jwksUri: issuer.url })
    const key = await set.find(header('first'))
    t.match(key?.verify(tokenOf(first.signing)).payload, claims, name)
    t.equal(known(set, 'first'), key, 'the same object each time')
    if (name !== 'beside another') t.equal((await set.find(header()))?.publicKey, key?.publicKey, `${name}, without kid`)
  }
  const underTwoNames = createRemoteJwkSet({ jwksUri: (await startIssuer(t, { keys: [jwk, { ...bare, kid: 'another', alg }] })).url })
  t.match((await underTwoNames.find(header()))?.verify(tokenOf(first.signing)).payload, claims, 'under two names, for a token without one')
  const twoOfOneName = createRemoteJwkSet({ jwksUri: (await startIssuer(t, { keys: [jwk, { ...otherJwk, kid }] })).url })
  t.equal(await twoOfOneName.find(header('first')), null, 'two keys of one name are two')
})

t.test('one kid may stand for keys of different types', async t => {
  const ed = loadKeys({ algorithm: 'EdDSA', privateKey: ed25519Pair().privateKey, keyId: 'first' })
  const issuer = await startIssuer(t, { keys: [...first.jwks.keys, ...ed.jwks.keys] })
  const keys = createRemoteJwkSet({ jwksUri: issuer.url })
  t.match((await keys.find(header('first', 'EdDSA')))?.verify(tokenOf(ed.signing)).payload, claims)
  t.match(known(keys, 'first')?.verify(tokenOf(first.signing)).payload, claims)
})

t.test('a new key is fetched when the first token names it, and a removed one is gone', async t => {
  const issuer = await startIssuer(t, first.jwks)
  const keys = createRemoteJwkSet({ jwksUri: issuer.url })
  const old = await keys.find(header('first'))
  issuer.answer(second.jwks)
  t.equal(known(keys, 'first'), old)
  t.match((await keys.find(header('second')))?.verify(tokenOf(second.signing)).payload, claims)
  t.equal(await keys.find(header('first')), null)
})

t.test('concurrent tokens with unknown kids share one fetch', async t => {
  const issuer = await startIssuer(t, first.jwks)
  const keys = createRemoteJwkSet({ jwksUri: issuer.url })
  const found = await Promise.all(Array.from({ length: 100 }, () => keys.find(header('first'))))
  t.ok(found.every(key => key !== null && key === found[0]))
  t.equal(issuer.requests.length, 1)
  await Promise.all(Array.from({ length: 100 }, (_, index) => keys.find(header(`made-up ${index}`))))
  t.equal(issuer.requests.length, 2)
})

t.test('10,000 tokens with made-up kids cause no more fetches than the limit, and good tokens pass meanwhile', async t => {
  const clock = stoppedTime(t)
  const issuer = await startIssuer(t, first.jwks)
  const keys = createRemoteJwkSet({ jwksUri: issuer.url }, { refetches: 5, refetchInterval: 10_000 })
  let refused = 0
  for (let index = 0; index < 10_000; index++) {
    if (await keys.find(header(`made-up ${index}`)) === null) refused += 1
    if (index % 1_000 === 999) {
      const key = known(keys, 'first')
      t.match(key?.verify(tokenOf(first.signing)).payload, claims)
    }
  }
  t.equal(refused, 10_000)
  t.equal(issuer.requests.length, 1 + 5)

  issuer.answer(second.jwks)
  t.equal(known(keys, 'second'), null, 'a new key waits while the limit is used up')
  clock.advance(10)
  t.equal(await keys.find(header('made-up')), null)
  t.match(known(keys, 'second')?.verify(tokenOf(second.signing)).payload, claims, 'and comes with whatever fetch is next')
  t.equal(issuer.requests.length, 1 + 5 + 1)
})

t.test('keys are fetched again before they are too old, without a request waiting for it', async t => {
  const clock = stoppedTime(t)
  const issuer = await startIssuer(t, first.jwks)
  const keys = createRemoteJwkSet({ jwksUri: issuer.url }, { maxAge: 1_000 })
  const key = await keys.find(header('first'))
  clock.advance(0.8)
  known(keys, 'first')
  t.equal(issuer.requests.length, 1)
  clock.advance(0.05)
  t.equal(known(keys, 'first'), key)
  t.equal(known(keys, 'first'), key, 'and only one fetch is begun')
  // An unknown kid waits for the fetch that is under way.
  await keys.find(header('made-up'))
  t.equal(issuer.requests.length, 2)
  t.not(known(keys, 'first'), key)
})

t.test('keys that are too old are fetched before a token passes', async t => {
  const clock = stoppedTime(t)
  const issuer = await startIssuer(t, first.jwks)
  const keys = createRemoteJwkSet({ jwksUri: issuer.url }, { maxAge: 1_000 })
  await keys.find(header('first'))
  issuer.answer(second.jwks)
  clock.advance(1)
  t.equal(await keys.find(header('first')), null)
})

t.test('while the issuer is down its keys serve on, for a bounded time, and it is asked again', async t => {
  const clock = stoppedTime(t)
  const issuer = await startIssuer(t, first.jwks)
  const keys = createRemoteJwkSet({ jwksUri: issuer.url }, { maxAge: 1_000, maxStale: 10_000, retryDelay: 100 })
  const key = await keys.find(header('first'))
  issuer.answer((_request: IncomingMessage, response: ServerResponse) => { response.writeHead(500).end('{}') })
  clock.advance(1)
  t.equal(await keys.find(header('first')), key, 'too old, but the issuer cannot be asked')
  t.equal(issuer.requests.length, 2)
  t.equal(known(keys, 'first'), key, 'found at once while the issuer is left alone')
  await t.rejects(async () => keys.find(header('second')), KeysUnavailableError, 'whether there is another key is not known')
  t.equal(issuer.requests.length, 2)

  clock.advance(0.1)
  await t.rejects(async () => keys.find(header('second')), KeysUnavailableError)
  t.equal(issuer.requests.length, 3)

  clock.advance(8.9)
  await t.rejects(async () => keys.find(header('first')), KeysUnavailableError, 'after maxStale nothing is known any more')
  await t.rejects(async () => keys.find(header('first')), KeysUnavailableError)
  t.equal(issuer.requests.length, 4)

  issuer.answer(first.jwks)
  clock.advance(0.1)
  t.ok(await keys.find(header('first')), 'and it recovers by itself')
})

t.test('a fetch refused by the limit says so while the issuer is down', async t => {
  const clock = stoppedTime(t)
  const issuer = await startIssuer(t, first.jwks)
  const keys = createRemoteJwkSet({ jwksUri: issuer.url }, { refetches: 1, refetchInterval: 1e9, retryDelay: 10 })
  await keys.find(header('first'))
  issuer.answer((request: IncomingMessage) => request.socket.destroy())
  await t.rejects(async () => keys.find(header('second')), KeysUnavailableError)
  clock.advance(0.02)
  await t.rejects(async () => keys.find(header('second')), KeysUnavailableError)
  t.equal(issuer.requests.length, 2)
})

t.test('a clock set back stops nothing', async t => {
  const clock = stoppedTime(t)
  const issuer = await startIssuer(t, first.jwks)
  const keys = createRemoteJwkSet({ jwksUri: issuer.url }, { refetches: 1 })
  await keys.find(header('first'))
  await keys.find(header('made-up'))
  clock.advance(-3600)
  issuer.answer(second.jwks)
  t.equal(await keys.find(header('first')), null)
  t.ok(known(keys, 'second'))
  const bucket = createTokenBucket(1, 1_000)
  t.same([bucket.take(), bucket.take()], [true, false])
  clock.advance(-3600)
  t.same([bucket.take(), bucket.take()], [true, false])
})

const big = JSON.stringify({ keys: [], padding: 'x'.repeat(300 * 1024) })
const json = (body: string) => (_request: IncomingMessage, response: ServerResponse) => { response.end(body) }
const nonsense: Record<string, unknown> = {
  'an HTML page': json('<!doctype html>'),
  nothing: json(''),
  'JSON that is no object': json('"keys"'),
  'JSON null': json('null'),
  'a JSON array': json('[]'),
  'no JWK Set': json('{"keys":{}}'),
  'a list': json('[]'),
  'what is no UTF-8': (_request: IncomingMessage, response: ServerResponse) => { response.end(Buffer.from('{"keys":[],"a":"\xff"}', 'latin1')) },
  'a status that is not 200': (_request: IncomingMessage, response: ServerResponse) => { response.writeHead(203).end(JSON.stringify(first.jwks)) },
  'nothing, with the status for it': (_request: IncomingMessage, response: ServerResponse) => { response.writeHead(204).end() },
  'an error page': (_request: IncomingMessage, response: ServerResponse) => { response.writeHead(503).end('down') },
  'more than it may': json(big),
  'more than it may, compressed': (_request: IncomingMessage, response: ServerResponse) => {
    response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync(big))
  },
  'a redirect to itself': (_request: IncomingMessage, response: ServerResponse) => { response.writeHead(302, { location: '/' }).end() },
  'a broken connection': (request: IncomingMessage) => { request.socket.destroy() },
  'half an answer': (request: IncomingMessage, response: ServerResponse) => {
    response.writeHead(200, { 'content-length': '1000' })
    response.write('{"keys":[', () => request.socket.destroy())
  },
  'no answer': () => {},
  'an answer without end': (_request: IncomingMessage, response: ServerResponse) => { response.write('{"keys":[') }
}

for (const [what, answer] of Object.entries(nonsense)) {
  t.test(`an issuer that answers ${what} makes its keys unavailable, and recovers by itself`, async t => {
    const issuer = await startIssuer(t, answer)
    const keys = createRemoteJwkSet({ jwksUri: issuer.url }, { timeout: 2_000, retryDelay: 0 })
    await t.rejects(async () => keys.find(header('first')), { name: 'KeysUnavailableError', message: 'the keys of the issuer could not be fetched' })
    t.equal(issuer.requests.length, 1, 'it is asked once')
    issuer.answer(first.jwks)
    t.match((await keys.find(header('first')))?.verify(tokenOf(first.signing)).payload, claims)
  })
}

t.test('a redirect is never followed, not even to a good JWK Set', async t => {
  const target = await startIssuer(t, first.jwks)
  const issuer = await startIssuer(t, (_request: IncomingMessage, response: ServerResponse) => {
    response.writeHead(307, { location: target.url }).end()
  })
  await t.rejects(async () => createRemoteJwkSet({ jwksUri: issuer.url }).find(header('first')), KeysUnavailableError)
  t.same(target.requests, [])
})

t.test('an issuer that is not there makes its keys unavailable, and is not asked for each token', async t => {
  const clock = stoppedTime(t)
  const server = createServer()
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise(resolve => server.close(resolve))
  let fetches = 0
  const { fetch } = globalThis
  t.intercept(globalThis, 'fetch', {
    value: (...parameters: Parameters<typeof fetch>) => {
      fetches += 1
      return fetch(...parameters)
    }
  })
  const keys = createRemoteJwkSet({ jwksUri: `http://127.0.0.1:${port}/` }, { retryDelay: 1_000 })
  for (let index = 0; index < 100; index++) await t.rejects(async () => keys.find(header(`made-up ${index}`)), KeysUnavailableError)
  t.equal(fetches, 1)
  clock.advance(1)
  await t.rejects(async () => keys.find(header('first')), KeysUnavailableError)
  t.equal(fetches, 2)
})
