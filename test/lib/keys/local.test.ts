import { createHmac, createSecretKey, generateKeyPairSync, randomBytes } from 'node:crypto'
import type { JsonWebKey } from 'node:crypto'
import t from 'tap'
import { calculateJwkThumbprint, createLocalJWKSet, decodeProtectedHeader, jwtVerify } from 'jose'
import { verificationKeyFromJwk } from '../../../lib/keys/jwk-set.ts'
import { loadKeys, noKeys } from '../../../lib/keys/local.ts'
import type { LocalKeyOptions } from '../../../lib/keys/local.ts'
import { ecPair, ed25519Pair, pemOf, rsaPair } from '../../helpers/keys/key-pairs.ts'
import { selfSignedCertificate } from '../../helpers/keys/self-signed-certificate.ts'

const claims = { sub: 'user123', iat: 1_700_000_000, exp: 4_000_000_000 }
const secretKey = randomBytes(64)
const rsa = rsaPair()
const otherRsa = rsaPair('second')
const weakRsa = rsaPair('weak', 1024)
const rsaPss = generateKeyPairSync('rsa-pss', { modulusLength: 2048 })
const ec = ecPair()
const ed25519 = ed25519Pair()
const rsaPem = pemOf(rsa)
const ecPem = pemOf(ec)
const weakPem = pemOf(weakRsa)
const rsaJwk = rsa.privateKey.export({ format: 'jwk' })
const rsaPublicJwk = rsa.publicKey.export({ format: 'jwk' })
const certificate = selfSignedCertificate(ec.privateKey, ec.publicKey)
const encrypted = rsa.privateKey.export({ format: 'pem', type: 'pkcs8', cipher: 'aes-256-cbc', passphrase: 'right' }) as string

function segment (value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}

function hmacToken (header: object, secret: string | Buffer, hash = 'sha256'): string {
  const input = `${segment(header)}.${segment(claims)}`
  return `${input}.${createHmac(hash, secret).update(input).digest('base64url')}`
}

function signed (options: LocalKeyOptions, headers?: Record<string, unknown>): string {
  const { signing } = loadKeys(options)
  if (signing === null) throw new Error('there is no key to sign with')
  return signing.sign(claims, headers)
}

function onlyKey (options: LocalKeyOptions) {
  const [key] = loadKeys(options).verification
  if (key === undefined) throw new Error('there is no key to verify with')
  return key
}

// Options as JavaScript would give them.
const untyped = (options: object) => options as LocalKeyOptions

const named = (...keys: object[]) => untyped({ keys })

/** Of each mistake: the options, the option that must be named, and what the message must say. */
const mistakes: Record<string, [LocalKeyOptions, string, RegExp]> = {
  'no key at all': [{}, 'secretKey', /is missing.*node -p "crypto\.randomBytes\(48\)/],
  'no key at all, with an algorithm': [{ algorithm: 'RS256' }, 'secretKey', /is missing.*'privateKey'/],

  'an HS256 secret of 31 bytes': [{ secretKey: 'x'.repeat(31) }, 'secretKey', /31 bytes, HS256 needs at least 32.*node -p "crypto\.randomBytes\(48\)/],
  'an HS384 secret of 47 bytes': [{ secretKey: Buffer.alloc(47), algorithm: 'HS384' }, 'secretKey', /47 bytes, HS384 needs at least 48/],
  'an HS512 secret of 63 bytes': [{ secretKey: Buffer.alloc(63), algorithm: 'HS512' }, 'secretKey', /63 bytes, HS512 needs at least 64/],
  'a secret too short for one of decodeAlgorithms':
    [{ secretKey: 'x'.repeat(40), decodeAlgorithms: ['HS512', 'HS256'] }, 'secretKey', /40 bytes, HS512 needs at least 64/],
  'an empty secret': [{ secretKey: '' }, 'secretKey', /0 bytes/],
  'an empty array of secrets': [{ secretKey: [] }, 'secretKey', /empty array/],
  'a short secret among several': [{ secretKey: [secretKey, 'short'] }, 'secretKey[1]', /5 bytes/],
  'a secret that is a number': [untyped({ secretKey: 12345 }), 'secretKey', /takes a string or a Buffer, got number/],
  'a secret that is null': [untyped({ secretKey: null }), 'secretKey', /got null/],
  'a short JWK secret': [{ secretKey: { kty: 'oct', k: 'AAAA' } }, 'secretKey', /3 bytes/],
  'a JWK secret without its value': [{ secretKey: { kty: 'oct' } }, 'secretKey', /JWK that is not a secret/],
  'keyId with several secrets': [{ secretKey: [secretKey, randomBytes(32)], keyId: 'a' }, 'keyId', /name each of them in 'keys'/],

  'a public key in PEM as secret': [untyped({ secretKey: rsaPem.publicKey }), 'secretKey', /not a secret.*anyone could sign/],
  'a public key in PEM after other text as secret': [{ secretKey: `\u200b key:\n${ecPem.publicKey.toString()}` }, 'secretKey', /not a secret/],
  'a public key in PEM in a Buffer as secret': [{ secretKey: Buffer.from(rsaPem.publicKey) }, 'secretKey', /not a secret/],
  'a public key in PEM in base64 as secret':
    [{ secretKey: Buffer.from(rsaPem.publicKey).toString('base64') }, 'secretKey', /not a secret/],
  'a private key in PEM as secret': [{ secretKey: rsaPem.privateKey.toString() }, 'secretKey', /not a secret/],
  'a certificate as secret': [{ secretKey: certificate }, 'secretKey', /not a secret/],
  'an OpenSSH public key as secret': [{ secretKey: `ssh-ed25519 ${'A'.repeat(60)} me@host` }, 'secretKey', /not a secret/],
  'a JWK as JSON as secret': [{ secretKey: JSON.stringify(rsaPublicJwk) }, 'secretKey', /not a secret/],
  'a JWK Set as JSON as secret': [{ secretKey: JSON.stringify({ keys: [rsaPublicJwk] }) }, 'secretKey', /not a secret/],
  'a list of JWKs as JSON as secret': [{ secretKey: JSON.stringify([rsaPublicJwk]) }, 'secretKey', /not a secret/],
  'a public key in DER as secret': [{ secretKey: rsa.publicKey.export({ format: 'der', type: 'spki' }) }, 'secretKey', /not a secret/],
  'a PKCS#1 public key in DER as secret':
    [{ secretKey: rsa.publicKey.export({ format: 'der', type: 'pkcs1' }) }, 'secretKey', /not a secret/],
  'a private key in DER as secret':
    [{ secretKey: ec.privateKey.export({ format: 'der', type: 'pkcs8' }) }, 'secretKey', /not a secret/],
  'a public KeyObject as secret': [{ secretKey: rsa.publicKey }, 'secretKey', /is a public key; give it as 'publicKey'/],
  'a JWK as secret': [{ secretKey: rsaPublicJwk }, 'secretKey', /JWK that is not a secret/],

  'secretKey with RS256': [{ secretKey, algorithm: 'RS256' }, 'secretKey', /does not fit the algorithm 'RS256'/],
  'secretKey beside privateKey': [{ secretKey, privateKey: rsa.privateKey }, 'secretKey', /cannot be combined with 'privateKey'/],
  'secretKey beside publicKey':
    [{ secretKey, publicKey: rsa.publicKey, algorithm: 'RS256' }, 'secretKey', /cannot be combined with 'publicKey'/],
  'several secrets beside publicKey': [{ secretKey: [secretKey], publicKey: rsa.publicKey }, 'secretKey', /cannot be combined/],
  'privateKey with HS256': [{ privateKey: rsa.privateKey, algorithm: 'HS256' }, 'algorithm', /takes a 'secretKey'.*'RS256'/],
  'privateKey with no algorithm': [{ privateKey: rsa.privateKey }, 'algorithm', /is 'HS256', which takes a 'secretKey'/],
  'publicKey with no algorithm': [{ publicKey: rsa.publicKey }, 'algorithm', /is 'HS256', which takes a 'secretKey'/],

  'an unknown algorithm': [untyped({ secretKey, algorithm: 'HS1024' }), 'algorithm', /takes one of HS256, HS384.*got "HS1024"/],
  'a name every object has as algorithm': [untyped({ secretKey, algorithm: 'constructor' }), 'algorithm', /got "constructor"/],
  'an algorithm that is no string': [untyped({ secretKey, algorithm: ['HS256'] }), 'algorithm', /got object/],
  'the algorithm none': [untyped({ secretKey, algorithm: 'none' }), 'algorithm', /anyone could create tokens/],
  'the algorithm NoNe': [untyped({ secretKey, algorithm: 'NoNe' }), 'algorithm', /anyone could create tokens/],
  'none in decodeAlgorithms':
    [untyped({ secretKey, decodeAlgorithms: ['HS256', 'NONE'] }), 'decodeAlgorithms', /anyone could create tokens/],
  'empty decodeAlgorithms': [{ secretKey, decodeAlgorithms: [] }, 'decodeAlgorithms', /at least one algorithm/],
  'decodeAlgorithms that are no array': [untyped({ secretKey, decodeAlgorithms: 'HS256' }), 'decodeAlgorithms', /takes an array/],
  'decodeAlgorithms without the algorithm': [{ secretKey, decodeAlgorithms: ['HS512'] }, 'decodeAlgorithms', /lacks 'HS256'/],
  'decodeAlgorithms of another family than the secret':
    [{ secretKey, decodeAlgorithms: ['HS256', 'RS256'] }, 'decodeAlgorithms', /'RS256', which none of the keys can verify/],
  'decodeAlgorithms of another family than the key':
    [{ privateKey: rsa.privateKey, algorithm: 'RS256', decodeAlgorithms: ['RS256', 'HS256'] }, 'decodeAlgorithms', /'HS256', which none/],
  'decodeAlgorithms of another curve':
    [{ privateKey: ec.privateKey, algorithm: 'ES256', decodeAlgorithms: ['ES256', 'ES384'] }, 'decodeAlgorithms', /'ES384', which none/],

  'a 1,024 bit RSA private key': [{ privateKey: weakRsa.privateKey, algorithm: 'RS256' }, 'privateKey', /1024 bits, too weak.*2,048.*openssl genpkey/],
  'a 1,024 bit RSA public key': [{ publicKey: weakPem.publicKey, algorithm: 'PS512' }, 'publicKey', /1024 bits, too weak/],
  'an RSA key whose public exponent is 1':
    [{ publicKey: { ...rsaPublicJwk, e: 'AQ' }, algorithm: 'RS256' }, 'publicKey', /too weak.*public exponent/],
  'an RSASSA-PSS key with RS256': [{ privateKey: rsaPss.privateKey, algorithm: 'RS256' }, 'privateKey', /type rsa-pss, which does not fit.*openssl genpkey/],
  'an RSASSA-PSS key with PS256': [{ publicKey: rsaPss.publicKey, algorithm: 'PS256' }, 'publicKey', /type rsa-pss/],
  'an RSA key with ES256': [{ privateKey: rsaPem.privateKey, algorithm: 'ES256' }, 'privateKey', /RSA key of 2048 bits, which does not fit.*'RS256'/],
  'an EC key with RS256': [{ privateKey: ecPem.privateKey, algorithm: 'RS256' }, 'privateKey', /curve P-256.*set 'algorithm' to 'ES256'/],
  'a P-256 key with ES384': [{ publicKey: ec.publicKey, algorithm: 'ES384' }, 'publicKey', /curve P-256, which does not fit/],
  'a secp256k1 key with ES256':
    [{ privateKey: ecPair('secp256k1').privateKey, algorithm: 'ES256' }, 'privateKey', /curve secp256k1, which does not fit/],
  'an Ed25519 key with ES256': [{ privateKey: ed25519.privateKey, algorithm: 'ES256' }, 'privateKey', /ed25519.*set 'algorithm' to 'EdDSA'/],
  'an X25519 key with EdDSA': [{ privateKey: generateKeyPairSync('x25519').privateKey, algorithm: 'EdDSA' }, 'privateKey', /x25519/],

  'a public key in PEM as privateKey': [{ privateKey: rsaPem.publicKey, algorithm: 'RS256' }, 'privateKey', /holds no private key.*'publicKey'/],
  'a certificate as privateKey': [{ privateKey: certificate, algorithm: 'ES256' }, 'privateKey', /holds no private key/],
  'a public KeyObject as privateKey': [{ privateKey: rsa.publicKey, algorithm: 'RS256' }, 'privateKey', /is a public key; give it as 'publicKey'/],
  'a secret KeyObject as privateKey':
    [{ privateKey: createSecretKey(secretKey), algorithm: 'RS256' }, 'privateKey', /is a secret key; give it as 'secretKey'/],
  'a public JWK as privateKey': [{ privateKey: rsaPublicJwk, algorithm: 'RS256' }, 'privateKey', /public JWK/],
  'a secret JWK as privateKey': [{ privateKey: { kty: 'oct', k: 'AAAA' }, algorithm: 'RS256' }, 'privateKey', /is a secret; give it as 'secretKey'/],
  'a private key in PEM as publicKey': [{ publicKey: rsaPem.privateKey, algorithm: 'RS256' }, 'publicKey', /holds a private key.*'privateKey'/],
  'a private key behind a certificate as publicKey':
    [{ publicKey: certificate + ecPem.privateKey.toString(), algorithm: 'ES256' }, 'publicKey', /holds a private key/],
  'a private KeyObject as publicKey': [{ publicKey: rsa.privateKey, algorithm: 'RS256' }, 'publicKey', /is a private key; give it as 'privateKey'/],
  'a private JWK as publicKey': [{ publicKey: rsaJwk, algorithm: 'RS256' }, 'publicKey', /private JWK/],
  'a pair that does not belong together':
    [{ privateKey: rsa.privateKey, publicKey: otherRsa.publicKey, algorithm: 'RS256' }, 'publicKey', /does not belong to 'privateKey'/],

  'an encrypted key without a passphrase': [{ privateKey: encrypted, algorithm: 'RS256' }, 'privateKey', /is encrypted; give `\{ key, passphrase \}`/],
  'an encrypted key with a missing passphrase': [untyped({ privateKey: { key: encrypted }, algorithm: 'RS256' }), 'privateKey', /is encrypted/],
  'an encrypted key with an empty passphrase': [{ privateKey: { key: encrypted, passphrase: '' }, algorithm: 'RS256' }, 'privateKey', /is encrypted/],
  'an encrypted key with a wrong passphrase':
    [{ privateKey: { key: encrypted, passphrase: 'wrong' }, algorithm: 'RS256' }, 'privateKey', /passphrase is wrong/],

  'a path as key': [{ privateKey: './private.pem', algorithm: 'RS256' }, 'privateKey', /is not PEM/],
  'line breaks written out': [{ privateKey: rsaPem.privateKey.toString().replaceAll('\n', '\\n'), algorithm: 'RS256' }, 'privateKey', /line breaks/],
  'a damaged private key':
    [{ privateKey: '-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n', algorithm: 'RS256' }, 'privateKey', /cannot be read/],
  'a damaged public key': [{ publicKey: rsaPem.publicKey.toString().slice(0, 200), algorithm: 'RS256' }, 'publicKey', /cannot be read/],
  'a damaged JWK': [{ publicKey: { kty: 'EC', crv: 'P-256', x: 'AA', y: 'AA' }, algorithm: 'ES256' }, 'publicKey', /cannot be read/],
  'an OpenSSH private key':
    [{ privateKey: '-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n', algorithm: 'EdDSA' }, 'privateKey', /ssh-keygen -p -m PKCS8/],
  'a key that is a number': [untyped({ privateKey: 1, algorithm: 'RS256' }), 'privateKey', /takes PEM.*got number/],
  'a key that is null': [untyped({ publicKey: null, algorithm: 'RS256' }), 'publicKey', /got null/],
  'a JWK for encryption': [{ publicKey: { ...rsaPublicJwk, use: 'enc' }, algorithm: 'RS256' }, 'publicKey', /'use' is not 'sig'/],
  'a JWK for another algorithm': [{ privateKey: { ...rsaJwk, alg: 'PS256' }, algorithm: 'RS256' }, 'privateKey', /'alg' is not 'RS256'/],
  'an empty keyId': [{ secretKey, keyId: '' }, 'keyId', /non-empty string/],
  'a keyId that is a number': [untyped({ secretKey, keyId: 1 }), 'keyId', /non-empty string/],

  'keys beside secretKey': [{ secretKey, keys: [{ keyId: 'a', secretKey }] }, 'keys', /cannot be combined with 'secretKey'/],
  'keys beside privateKey': [{ privateKey: rsa.privateKey, keys: [{ keyId: 'a', secretKey }] }, 'keys', /cannot be combined with 'privateKey'/],
  'keys beside publicKey': [{ publicKey: rsa.publicKey, keys: [{ keyId: 'a', secretKey }] }, 'keys', /cannot be combined with 'publicKey'/],
  'keys beside keyId': [{ keyId: 'b', keys: [{ keyId: 'a', secretKey }] }, 'keys', /cannot be combined with 'keyId'/],
  'no key in keys': [{ keys: [] }, 'keys', /at least one key/],
  'keys that are no array': [untyped({ keys: { keyId: 'a', secretKey } }), 'keys', /takes an array/],
  'a key that is no object': [untyped({ keys: ['secret'] }), 'keys[0]', /takes an object/],
  'a key that is nothing': [untyped({ keys: [null] }), 'keys[0]', /takes an object/],
  'a key without a name': [named({ secretKey }), 'keys[0].keyId', /non-empty string/],
  'a key with a misspelt member': [named({ kid: 'a', secretKey }), 'keys[0].kid', /is unknown; use 'keyId'/],
  'two keys of one name': [named({ keyId: 'a', secretKey }, { keyId: 'a', secretKey: randomBytes(32) }), 'keys[1].keyId', /is the name of an earlier key/],
  'a named key without a key': [named({ keyId: 'a' }), 'keys[0].secretKey', /is missing/],
  'a named key with a secret and a private key':
    [named({ keyId: 'a', secretKey, privateKey: rsa.privateKey }), 'keys[0].secretKey', /cannot be combined/],
  'a named key with an unknown algorithm': [named({ keyId: 'a', secretKey, algorithm: 'none' }), 'keys[0].algorithm', /anyone could/],
  'a named private key without its algorithm':
    [named({ keyId: 'a', secretKey }, { keyId: 'b', privateKey: rsa.privateKey }), 'keys[1].algorithm', /takes a 'secretKey'/],
  'a named secret that is too short': [named({ keyId: 'a', secretKey: 'short' }), 'keys[0].secretKey', /5 bytes/],
  'a named secret with RS256': [named({ keyId: 'a', secretKey, algorithm: 'RS256' }), 'keys[0].secretKey', /does not fit/],
  'a key that only verifies before one that signs':
    [named({ keyId: 'a', publicKey: rsa.publicKey, algorithm: 'RS256' }, { keyId: 'b', secretKey }), 'keys', /put the key that signs first/],
  'decodeAlgorithms that leave a named key out':
    [{ keys: [{ keyId: 'a', secretKey }, { keyId: 'b', secretKey: randomBytes(64), algorithm: 'HS512' }], decodeAlgorithms: ['HS256'] }, 'decodeAlgorithms', /lacks 'HS512', the algorithm of keys\[1\]/],
  'decodeAlgorithms that no named key has': [{ keys: [{ keyId: 'a', secretKey }], decodeAlgorithms: ['HS256', 'HS512'] }, 'decodeAlgorithms', /'HS512', which none/]
}

// Anything from a key, in any of the encodings it is given in, of which twelve characters would be a leak.
const material = [
  ...[rsaPem, ecPem, weakPem].flatMap(pem => [pem.privateKey.toString(), pem.publicKey.toString()]).join('\n').split('\n'),
  ...encrypted.split('\n'), ...Object.values(rsaJwk), secretKey.toString('base64'), secretKey.toString('hex')
].filter((text): text is string => typeof text === 'string' && text.length > 40 && !text.startsWith('-----'))

for (const [mistake, [options, option, message]] of Object.entries(mistakes)) {
  t.test(`${mistake} stops start-up, naming the option and the remedy`, async t => {
    t.throws(() => loadKeys(options), { code: 'FST_JWT_BAD_OPTION', message })
    try {
      loadKeys(options)
    } catch (error) {
      const text = String((error as Error).message)
      t.ok(text.startsWith(`fastify-jwt-extended: option '${option}' `), text)
      t.notOk(material.some(line => text.includes(line.slice(0, 12))), 'the message holds nothing of a key')
    }
  })
}

t.test('HS256, HS384 and HS512 secrets of exactly 32, 48 and 64 bytes are long enough', async t => {
  for (const [algorithm, size] of [['HS256', 32], ['HS384', 48], ['HS512', 64]] as const) {
    t.equal(onlyKey({ algorithm, secretKey: randomBytes(size) }).algorithms[0], algorithm)
    // Bytes, not characters: the euro sign has three.
    t.doesNotThrow(() => loadKeys({ algorithm, secretKey: '€'.repeat(Math.ceil(size / 3)) }))
  }
})

t.test('secrets that begin as a key would are still secrets', async t => {
  const secrets = [
    Buffer.concat([Buffer.from([0x30]), randomBytes(47)]), `{${'x'.repeat(40)}`, `[1, 2, 3]${'x'.repeat(40)}`, `{"a": 1}${' '.repeat(40)}`
  ]
  for (const secret of secrets) t.doesNotThrow(() => loadKeys({ secretKey: secret }))
})

t.test('a Buffer changed after it was given changes no key', async t => {
  const secret = randomBytes(32)
  const keys = loadKeys({ secretKey: secret })
  const token = signed({ secretKey: secret })
  secret.fill(0)
  t.match(keys.verification[0]?.verify(token).payload, claims)
})

t.test('an array of secrets rotates: the first signs, all verify', async t => {
  const [first, second] = [randomBytes(32), randomBytes(32)]
  const keys = loadKeys({ secretKey: [first, second] })
  t.equal(keys.verification.length, 2)
  t.match(onlyKey({ secretKey: first }).verify(keys.signing?.sign(claims) ?? '').payload, claims)
  t.match(keys.verification[1]?.verify(signed({ secretKey: second })).payload, claims)
  t.equal(loadKeys({ secretKey: [first], keyId: 'one' }).signing?.keyId, 'one', 'and one in an array may have a name')
})

t.test('kid is in the header of a token when its key is named, and only then', async t => {
  t.same(decodeProtectedHeader(signed({ secretKey })), { alg: 'HS256', typ: 'JWT' })
  t.same(decodeProtectedHeader(signed({ secretKey, keyId: '2025-01' })), { alg: 'HS256', typ: 'JWT', kid: '2025-01' })
  t.same(decodeProtectedHeader(signed({ keys: [{ keyId: '__proto__', secretKey }] })).kid, '__proto__')
})

t.test('headers of one token are added to its own, and cannot replace alg, kid or crit', async t => {
  t.same(decodeProtectedHeader(signed({ secretKey, keyId: 'a' }, { typ: 'at+jwt', cty: 'x' })),
    { alg: 'HS256', typ: 'at+jwt', kid: 'a', cty: 'x' })
  for (const headers of [{ alg: 'none' }, { kid: 'other' }, { crit: ['b64'] }]) {
    for (const keyId of [undefined, 'a']) {
      t.throws(() => signed({ secretKey, keyId }, headers), new TypeError(`fastify-jwt-extended: the header parameter '${Object.keys(headers)[0]}' is set by this package`))
    }
  }
})

t.test('headers of one token are not those of the next', async t => {
  const { signing } = loadKeys({ secretKey })
  const headers: Record<string, unknown> = { tenant: 'a', list: ['x'] }
  const header = (given?: Record<string, unknown>) => decodeProtectedHeader(signing?.sign(claims, given) ?? '')
  t.match(header(headers), { tenant: 'a', list: ['x'] })
  headers.tenant = 'b'
  t.match(header(headers), { tenant: 'b' })
  t.match(header({ tenant: 'a', list: ['x'] }), { tenant: 'a', list: ['x'] })
  t.same(header(), { alg: 'HS256', typ: 'JWT' })
})

t.test('a public key is derived from the private one, and given beside it must belong to it', async t => {
  const derived = loadKeys({ privateKey: rsa.privateKey, algorithm: 'RS256' })
  const given = loadKeys({ privateKey: rsa.privateKey, publicKey: rsaPem.publicKey, algorithm: 'RS256' })
  t.same(derived.jwks, given.jwks)
})

t.test('a public key alone takes its algorithms from decodeAlgorithms', async t => {
  const key = onlyKey({ publicKey: rsa.publicKey, decodeAlgorithms: ['PS256', 'RS256'] })
  t.same(key.algorithms, ['PS256', 'RS256'])
  t.match(key.verify(signed({ privateKey: rsa.privateKey, algorithm: 'RS256' })).payload, claims)
  t.match(key.verify(signed({ privateKey: rsa.privateKey, algorithm: 'PS256' })).payload, claims)
})

t.test('a JWK of RFC 9864 names EdDSA by its curve', async t => {
  const jwk: JsonWebKey = { ...ed25519.privateKey.export({ format: 'jwk' }), alg: 'Ed25519', use: 'sig' }
  t.equal(loadKeys({ algorithm: 'EdDSA', privateKey: jwk }).signing?.algorithm, 'EdDSA')
})

t.test('keys may be of different algorithms: the first signs, each verifies its own', async t => {
  const keys = loadKeys({
    keys: [
      { keyId: 'new', algorithm: 'ES256', privateKey: ec.privateKey },
      { keyId: 'old', algorithm: 'RS256', publicKey: rsa.publicKey },
      { keyId: 'oldest', secretKey }
    ],
    decodeAlgorithms: ['ES256', 'RS256', 'HS256']
  })
  t.equal(keys.signing?.keyId, 'new')
  t.same(keys.verification.map(key => [key.keyId, key.algorithms]),
    [['new', ['ES256']], ['old', ['RS256']], ['oldest', ['HS256']]])
  t.same(keys.jwks.keys.map(key => [key.kid, key.alg, key.use]), [['new', 'ES256', 'sig'], ['old', 'RS256', 'sig']])
  t.match(keys.verification[1]?.verify(signed({ privateKey: rsa.privateKey, algorithm: 'RS256' })).payload, claims)
})

t.test('keys take the algorithm option as their default, and may all be for verifying only', async t => {
  const keys = loadKeys({ algorithm: 'RS256', keys: [{ keyId: 'a', publicKey: rsa.publicKey }, { keyId: 'b', publicKey: otherRsa.publicKey }] })
  t.equal(keys.signing, null)
  t.same(keys.verification.map(key => key.algorithms), [['RS256'], ['RS256']])
})

t.test('a JWK Set has public members only, from which jose verifies our tokens', async t => {
  const keys = loadKeys({
    keys: [
      { keyId: 'rsa', algorithm: 'PS256', privateKey: rsaJwk },
      { keyId: 'ec', algorithm: 'ES256', privateKey: ec.privateKey },
      { keyId: 'ed', algorithm: 'EdDSA', privateKey: ed25519.privateKey }
    ]
  })
  t.same(keys.jwks.keys.map(key => Object.keys(key).sort()), [
    ['alg', 'e', 'kid', 'kty', 'n', 'use'], ['alg', 'crv', 'kid', 'kty', 'use', 'x', 'y'], ['alg', 'crv', 'kid', 'kty', 'use', 'x']
  ])
  const set = createLocalJWKSet(JSON.parse(JSON.stringify(keys.jwks)))
  t.match((await jwtVerify(keys.signing?.sign(claims) ?? '', set)).payload, claims)
})

t.test('a key without a name is published under its thumbprint of RFC 7638', async t => {
  for (const [algorithm, { privateKey, publicKey }] of [['RS256', rsa], ['ES256', ec], ['EdDSA', ed25519]] as const) {
    const [jwk] = loadKeys({ algorithm, privateKey }).jwks.keys
    t.equal(jwk?.kid, await calculateJwkThumbprint(publicKey.export({ format: 'jwk' }) as { kty: string }))
  }
})

t.test('a key set cannot be changed', async t => {
  const keys = loadKeys({ privateKey: rsa.privateKey, algorithm: 'RS256' })
  for (const value of [keys, keys.signing, keys.verification, keys.verification[0], keys.verification[0]?.algorithms, keys.jwks, keys.jwks.keys, keys.jwks.keys[0]]) {
    t.ok(Object.isFrozen(value))
  }
  t.same(noKeys, { signing: null, verification: [], opaqueKeys: [], jwks: { keys: [] } })
})

t.test('no key verifies an algorithm outside its family, whatever alg says', async t => {
  const publicPem = rsaPem.publicKey.toString()
  const rs256 = onlyKey({ publicKey: publicPem, algorithm: 'RS256' })
  for (const secret of [publicPem, publicPem.trim(), rsa.publicKey.export({ format: 'der', type: 'spki' }), JSON.stringify(rsaPublicJwk), '']) {
    t.throws(() => rs256.verify(hmacToken({ alg: 'HS256' }, secret)), { code: 'FAST_JWT_INVALID_ALGORITHM' })
  }
  t.throws(() => rs256.verify(signed({ privateKey: rsa.privateKey, algorithm: 'RS512' })), { code: 'FAST_JWT_INVALID_ALGORITHM' })
  t.throws(() => rs256.verify(signed({ privateKey: rsa.privateKey, algorithm: 'PS256' })), { code: 'FAST_JWT_INVALID_ALGORITHM' })
  const hs256 = onlyKey({ secretKey })
  t.throws(() => hs256.verify(hmacToken({ alg: 'HS512' }, secretKey, 'sha512')), { code: 'FAST_JWT_INVALID_ALGORITHM' })
  t.throws(() => hs256.verify(signed({ privateKey: rsa.privateKey, algorithm: 'RS256' })), { code: 'FAST_JWT_INVALID_ALGORITHM' })
})

t.test('unsigned tokens and algorithms that are no names are refused', async t => {
  const key = onlyKey({ secretKey })
  for (const alg of ['none', 'None', 'NONE', '', null, undefined, 0, ['HS256'], { alg: 'HS256' }, '__proto__']) {
    t.throws(() => key.verify(`${segment({ alg })}.${segment(claims)}.`), { code: /^FAST_JWT_/ })
    t.throws(() => key.verify(hmacToken({ alg }, secretKey)), { code: 'FAST_JWT_INVALID_ALGORITHM' })
  }
  t.throws(() => key.verify(`${segment({ alg: 'HS256' })}.${segment(claims)}.`), { code: 'FAST_JWT_MISSING_SIGNATURE' })
})

t.test('crit in any form is refused, since no extension is understood', async t => {
  const key = onlyKey({ secretKey })
  for (const crit of [['exp'], ['b64'], [], ['alg'], 'exp', '', null, false, 0, {}]) {
    t.throws(() => key.verify(hmacToken({ alg: 'HS256', crit, exp: 1, b64: false }, secretKey)), { code: 'FAST_JWT_INVALID_CRIT_HEADER' })
  }
})

t.test('keys that a token brings along are ignored', async t => {
  const key = onlyKey({ publicKey: rsa.publicKey, algorithm: 'RS256' })
  const jwk = otherRsa.publicKey.export({ format: 'jwk' })
  const headers = { jwk, jku: 'http://127.0.0.1:1/jwks', x5u: 'http://127.0.0.1:1/cert', x5c: ['AAAA'] }
  t.throws(() => key.verify(signed({ privateKey: otherRsa.privateKey, algorithm: 'RS256' }, headers)), { code: 'FAST_JWT_INVALID_SIGNATURE' })
  t.match(key.verify(signed({ privateKey: rsa.privateKey, algorithm: 'RS256' }, headers)).payload, claims)
})

t.test('no claim is checked by a key: an expired token has a good signature', async t => {
  const { signing, verification } = loadKeys({ secretKey })
  const old = { sub: 'user123', iat: 1, nbf: 4_000_000_000, exp: 2 }
  t.match(verification[0]?.verify(signing?.sign(old) ?? '').payload, old)
})

t.test('of a foreign JWK Set only keys that can verify here are taken', async t => {
  const jwk = { ...rsaPublicJwk, kid: 'a', alg: 'RS256', use: 'sig' }
  const allowed = ['RS256', 'ES256', 'EdDSA'] as const
  t.match(verificationKeyFromJwk(jwk, allowed), { keyId: 'a', algorithms: ['RS256'] })
  t.match(verificationKeyFromJwk({ ...rsaPublicJwk, key_ops: ['verify'] }, ['RS256', 'PS256']),
    { keyId: undefined, algorithms: ['RS256', 'PS256'] })
  t.same(verificationKeyFromJwk({ ...ed25519.publicKey.export({ format: 'jwk' }), alg: 'Ed25519' }, allowed)?.algorithms, ['EdDSA'])
  const refused: Record<string, unknown> = {
    'a secret': { kty: 'oct', k: secretKey.toString('base64url'), kid: 'a', alg: 'HS256' },
    'a key for encryption': { ...jwk, use: 'enc' },
    'a key for other operations': { ...jwk, key_ops: ['encrypt'] },
    'operations that are no list': { ...jwk, key_ops: 'verify' },
    'an algorithm not allowed': { ...jwk, alg: 'RS512' },
    'the algorithm none': { ...jwk, alg: 'none' },
    'an algorithm of another key type': { ...jwk, alg: 'ES256' },
    'a curve without an algorithm': ecPair('secp256k1').publicKey.export({ format: 'jwk' }),
    'a weak key': weakRsa.publicKey.export({ format: 'jwk' }),
    'a point off the curve': { kty: 'EC', crv: 'P-256', x: 'AA', y: 'AA' },
    'a key that is incomplete': { kty: 'RSA', e: 'AQAB' },
    'a kid that is no string': { ...jwk, kid: 1 },
    'a kty that is none': { ...jwk, kty: '__proto__' },
    nothing: null,
    text: 'key'
  }
  for (const [what, value] of Object.entries(refused)) t.equal(verificationKeyFromJwk(value, allowed), null, what)
})
