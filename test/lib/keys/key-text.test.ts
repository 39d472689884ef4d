import { createSecretKey } from 'node:crypto'
import Fastify from 'fastify'
import t from 'tap'
import jwt, { jwtRequired } from '../../../lib/index.ts'
import type { OptionsWithKeys } from '../../../lib/index.ts'
import { loadKeys } from '../../../lib/keys/local.ts'
import { ecPair, ed25519Pair, pemOf, rsaPair } from '../../helpers/keys/key-pairs.ts'
import { selfSignedCertificate } from '../../helpers/keys/self-signed-certificate.ts'
import { secretKey } from '../../helpers/protected-app.ts'

const certificate = selfSignedCertificate(ecPair().privateKey, ecPair().publicKey)
const claims = { sub: 'user123', exp: 4_000_000_000 }

const pairs = [
  { algorithm: 'ES256', pair: ecPair() },
  { algorithm: 'RS256', pair: rsaPair() },
  { algorithm: 'EdDSA', pair: ed25519Pair() }
] as const

const body = (pem: string): string => pem.replace(/-----[A-Z ]+-----/g, '').trim()

/** What shells, files of environment variables and dashboards do to a PEM text, and what it can be told from. */
const readable: Record<string, (pem: string) => string> = {
  'as it is': pem => pem,
  'no last line break': pem => pem.trimEnd(),
  'lines indented by spaces': pem => pem.replace(/^/gm, '    '),
  'lines indented by tabs': pem => pem.replace(/^/gm, '\t'),
  'only the first line not indented': pem => pem.replaceAll('\n', '\n      '),
  'spaces before BEGIN': pem => `   ${pem}`,
  'spaces at the ends of lines': pem => pem.replaceAll('\n', '  \n'),
  'line breaks around it': pem => `\n\n${pem}\n\n`,
  'empty lines in between': pem => pem.replaceAll('\n', '\n\n'),
  'a byte order mark': pem => `\ufeff${pem}`,
  'double quotes': pem => `"${pem}"`,
  'single quotes': pem => `'${pem.trimEnd()}'`,
  backticks: pem => `\`${pem}\``,
  'quotes and spaces': pem => `  " ${pem} "\n`,
  'carriage returns and line feeds': pem => pem.replaceAll('\n', '\r\n'),
  'carriage returns only': pem => pem.replaceAll('\n', '\r'),
  'line breaks turned into spaces': pem => pem.replaceAll('\n', ' '),
  'line breaks turned into spaces, in quotes': pem => `"${pem.replaceAll('\n', ' ')}"`,
  'line breaks lost': pem => pem.replaceAll('\n', ''),
  'line breaks lost in the key only': pem => pem.replace(body(pem), body(pem).replaceAll('\n', '')),
  'lines of another length': pem => pem.replace(body(pem), body(pem).replaceAll('\n', '').replace(/.{10}/g, '$&\n')),
  'text before it': pem => `subject=CN = api\n${pem}`,
  'a text after it': pem => `${pem}# the end\n`
}

for (const { algorithm, pair } of pairs) {
  const { privateKey, publicKey } = pemOf(pair)
  for (const [name, change] of Object.entries(readable)) {
    t.test(`${algorithm}, ${name}: the key is read`, async t => {
      for (const as of [(text: string) => text, (text: string) => Buffer.from(text)]) {
        const keys = loadKeys({ algorithm, privateKey: as(change(privateKey.toString())), publicKey: as(change(publicKey.toString())) })
        t.equal(keys.verification[0]?.verify(keys.signing?.sign(claims) ?? '').payload['sub'], 'user123')
      }
    })
  }
}

t.test('encrypted keys and certificates are read, however their lines were changed', async t => {
  const passphrase = 'correct horse battery staple'
  const { privateKey } = rsaPair()
  const encrypted = privateKey.export({ format: 'pem', type: 'pkcs8', cipher: 'aes-256-cbc', passphrase }).toString()
  const old = privateKey.export({ format: 'pem', type: 'pkcs1', cipher: 'aes-256-cbc', passphrase }).toString()
  for (const [name, change] of Object.entries(readable)) {
    t.doesNotThrow(() => loadKeys({ algorithm: 'RS256', privateKey: { key: change(encrypted), passphrase } }), name)
    t.doesNotThrow(() => loadKeys({ algorithm: 'ES256', publicKey: change(certificate) }), name)
    if (!name.startsWith('line breaks lost') && !name.startsWith('lines of another')) {
      t.doesNotThrow(() => loadKeys({ algorithm: 'RS256', privateKey: { key: change(old), passphrase } }), `old format, ${name}`)
    }
  }
  t.throws(() => loadKeys({ algorithm: 'RS256', privateKey: { key: old.replaceAll('\n', ''), passphrase } }),
    { code: 'FST_JWT_BAD_OPTION', message: /lost the line breaks between the headers/ })
  t.throws(() => loadKeys({ algorithm: 'RS256', privateKey: { key: encrypted, passphrase: `${passphrase}\n` } }),
    { code: 'FST_JWT_BAD_OPTION', message: /the passphrase is wrong \(white space stands around it\)/ })
})

t.test('a text that can mean two things, or nothing, is named for what it is', async t => {
  const pem = pemOf(ecPair()).privateKey.toString()
  const cases: Record<string, [text: string, message: RegExp]> = {
    'line breaks written out': [pem.replaceAll('\n', '\\n'), /`\\n` as two characters in place of its line breaks; give value\.replaceAll\('\\\\n', '\\n'\)/],
    'line breaks written out, in quotes': [`"${pem.replaceAll('\n', '\\n')}"`, /`\\n` as two characters/],
    'carriage returns written out': [pem.replaceAll('\n', '\\r\\n'), /`\\n` as two characters/],
    'PEM in base64': [Buffer.from(pem).toString('base64'), /is PEM in base64; give Buffer\.from\(value, 'base64'\)/],
    'the base64 alone': [body(pem), /has lost its lines `-----BEGIN …-----`/],
    'all white space lost': [pem.replace(/\s/g, ''), /has lost the spaces in its `-----BEGIN …-----`/],
    'cut off': [pem.slice(0, 100), /has no `-----END …-----`, so it is cut off/],
    'the first line alone': ['-----BEGIN PRIVATE KEY-----', /has no `-----END …-----`/],
    'another END': [pem.replace('END PRIVATE', 'END PUBLIC'), /has no `-----END …-----`/],
    'base64url in it': [pem.replace(/\n.{20}/, '\n-_'), /stand characters that are not base64/],
    'an ellipsis in it': [pem.replace(/\n.{20}/, '\n…'), /stand characters that are not base64/],
    'a path': ['/run/secrets/key.pem', /is not PEM/],
    nothing: ['', /is not PEM/],
    'two quotes': ['""', /is not PEM/],
    'JSON that is cut off': ['{"kty":"EC","crv":', /begins as JSON, but cannot be parsed/],
    'JSON that is no key': ['{"type":"service_account"}', /is JSON, but not a JWK/],
    'a list': ['[]', /is JSON, but not a JWK/],
    'a JWK Set': [JSON.stringify({ keys: [ecPair().privateKey.export({ format: 'jwk' })] }), /of a JWK Set, give one key/]
  }
  for (const [name, [text, message]] of Object.entries(cases)) {
    for (const option of ['privateKey', 'publicKey'] as const) {
      const error = t.throws(() => loadKeys({ algorithm: 'ES256', [option]: text }), { code: 'FST_JWT_BAD_OPTION', message }, `${name} as ${option}`) as Error | false
      if (error !== false && text.length > 10) t.notOk(error.message.includes(text.slice(40, 60) || text), 'nothing of it is shown')
    }
  }
})

t.test('a key that has lost a character is damaged', async t => {
  const { privateKey, publicKey } = pemOf(ecPair())
  t.throws(() => loadKeys({ algorithm: 'ES256', privateKey: privateKey.toString().replace(/(\n.{10})./, '$1') }), { message: /cannot be read as a key/ })
  t.throws(() => loadKeys({ algorithm: 'ES256', publicKey: publicKey.toString().replace(/(\n.{10})./, '$1') }), { message: /cannot be read as a key/ })
})

t.test('a JWK is read from its JSON text', async t => {
  for (const { algorithm, pair } of pairs) {
    const [privateJwk, publicJwk] = [pair.privateKey, pair.publicKey].map(key => JSON.stringify(key.export({ format: 'jwk' }))) as [string, string]
    for (const change of [(text: string) => text, (text: string) => ` ${text}\n`, (text: string) => `'${text}'`, (text: string) => JSON.stringify(JSON.parse(text), null, 2)]) {
      const keys = loadKeys({ algorithm, privateKey: change(privateJwk), publicKey: Buffer.from(change(publicJwk)) })
      t.equal(keys.verification[0]?.verify(keys.signing?.sign(claims) ?? '').payload['sub'], 'user123')
    }
    const wrong: [options: object, message: RegExp][] = [
      [{ privateKey: publicJwk }, /is a public JWK/],
      [{ publicKey: privateJwk }, /is a private JWK/],
      [{ publicKey: JSON.stringify({ ...JSON.parse(publicJwk), use: 'enc' }) }, /'use' is not 'sig'/],
      [{ publicKey: JSON.stringify({ ...JSON.parse(publicJwk), alg: 'PS512' }) }, /'alg' is not/],
      [{ publicKey: JSON.stringify({ kty: 'oct', k: 'AAAA' }) }, /is a secret; give it as 'secretKey'/],
      [{ publicKey: JSON.stringify({ kty: 'EC' }) }, /cannot be read as a key/]
    ]
    for (const [options, message] of wrong) t.throws(() => loadKeys({ algorithm, ...options }), { code: 'FST_JWT_BAD_OPTION', message })
  }
  const secret = loadKeys({ secretKey: JSON.stringify({ kty: 'oct', k: Buffer.from(secretKey).toString('base64url') }) })
  t.equal(loadKeys({ secretKey }).verification[0]?.verify(secret.signing?.sign(claims) ?? '').payload['sub'], 'user123')
})

t.test('decodeKey may return the text of a JWK', async t => {
  const { privateKey, publicKey } = ecPair()
  const { signing } = loadKeys({ algorithm: 'ES256', privateKey })
  const texts = { valid: JSON.stringify(publicKey.export({ format: 'jwk' })), invalid: JSON.stringify(privateKey.export({ format: 'jwk' })) }
  for (const [name, decodeKey] of [['valid', () => texts.valid], ['invalid', () => texts.invalid], ['object', () => ({ publicKey: texts.valid })]] as const) {
    const app = Fastify()
    t.teardown(() => app.close())
    await app.register(jwt, { decodeKey })
    app.get('/', { preHandler: jwtRequired }, async () => 'in')
    const { statusCode } = await app.inject({ url: '/', headers: { authorization: `Bearer ${signing?.sign(claims)}` } })
    t.equal(statusCode, name === 'invalid' ? 500 : 200, name)
  }
})

t.test('a secret with white space at an end stops start-up', async t => {
  const ends = ['\n', '\r\n', ' ', '\t', '\n\n', '\u00a0', '\ufeff', '\u2028']
  const start = async (options: OptionsWithKeys): Promise<unknown> => {
    const app = Fastify()
    t.teardown(() => app.close())
    return app.register(jwt, options).ready()
  }
  for (const end of ends) {
    const shown = Array.from(end, character => `U+${character.charCodeAt(0).toString(16)}`).join(' ')
    for (const [secret, where] of [[`${secretKey}${end}`, 'ends in'], [`${end}${secretKey}`, 'begins with']] as const) {
      const expected = { code: 'FST_JWT_BAD_OPTION', message: new RegExp(`${where} a line break or other white space, .*value\\.trim\\(\\)`) }
      await t.rejects(start({ secretKey: secret }), expected, shown)
      await t.rejects(start({ secretKey: [secretKey, secret] }), { ...expected, message: /option 'secretKey\[1\]'/ })
      await t.rejects(start({ keys: [{ keyId: 'a', secretKey: secret }] }), { ...expected, message: /option 'keys\[0\]\.secretKey'/ })
      if (/^[\t-\r\x20]*$/.test(end)) await t.rejects(start({ secretKey: Buffer.from(secret) }), expected, `${shown}, in a Buffer`)
    }
  }
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(jwt, { secretKey })
  t.throws(() => app.jwt.rotateKeys([{ keyId: 'a', secretKey: `${secretKey}\n` }]), { code: 'FST_JWT_BAD_OPTION' })
})

t.test('a secret of random bytes may begin and end as it likes', async t => {
  const bytes = Buffer.alloc(32, 0xa5)
  bytes[0] = 0x20
  bytes[31] = 0x0a
  for (const secret of [bytes, createSecretKey(bytes), { kty: 'oct', k: bytes.toString('base64url') }, `x y${secretKey}\nz`]) {
    t.doesNotThrow(() => loadKeys({ secretKey: secret }))
  }
})
