import { createHmac, randomBytes } from 'node:crypto'
import { ed25519Pair, ecPair, rsaPair } from '../keys/key-pairs.ts'
import { base64url, now, signatureOf, signed, signedJson, signRaw, soundClaims, soundHeader } from './configurations.ts'
import { expired, invalid, notYetValid, passes, wrongSignature } from './recording-app.ts'
import type { Configuration } from './configurations.ts'
import type { Verdict } from './recording-app.ts'

/** A token, and what is to be said of it; `null` where a configuration has no such attack. */
export interface HostileToken {
  readonly name: string
  readonly token: (configuration: Configuration) => string | null
  readonly verdict: Verdict | ((configuration: Configuration) => Verdict)
}

const malformed = invalid('malformed')
const isNamed = ({ kid }: Configuration): boolean => kid !== undefined
const isEcdsa = ({ algorithm }: Configuration): boolean => algorithm.startsWith('ES')

function parts (token: string): [header: string, payload: string, signature: string] {
  return token.split('.') as [string, string, string]
}

/** The same token with another signature. */
function resigned (configuration: Configuration, signature: string | Uint8Array): string {
  const [header, payload] = parts(signed(configuration))
  return `${header}.${payload}.${typeof signature === 'string' ? signature : base64url(signature)}`
}

function signatureBytes (token: string): Buffer {
  return Buffer.from(parts(token)[2], 'base64url')
}

/** A token with any header, signed with any key. */
function forged (header: unknown, sign: (input: string) => Uint8Array | string): string {
  const input = `${base64url(JSON.stringify(header))}.${base64url(JSON.stringify(soundClaims({ sub: 'admin' })))}`
  const signature = sign(input)
  return `${input}.${typeof signature === 'string' ? signature : base64url(signature)}`
}

const strangers = {
  rsa: rsaPair('stranger'), ec: ecPair('P-256', 'stranger'), ec521: ecPair('P-521', 'stranger'), hmac: randomBytes(64)
}

/** Signs with a key of the right kind that the attacker has made. */
function signAsStranger (algorithm: string, input: string): Buffer {
  if (algorithm.startsWith('HS')) return signatureOf(algorithm, strangers.hmac, input)
  if (algorithm === 'ES512') return signatureOf(algorithm, strangers.ec521.privateKey, input)
  if (algorithm.startsWith('ES')) return signatureOf(algorithm, strangers.ec.privateKey, input)
  // One Ed25519 key is as good as another for a forgery: this one belongs to nobody else here only by its curve's order.
  if (algorithm === 'EdDSA') return randomBytes(64)
  return signatureOf(algorithm, strangers.rsa.privateKey, input)
}

/** What libraries made of a text that is no token (RFC 7515 §3.1, §5.2; RFC 4648 §3.2 to §3.5). */
const structure: HostileToken[] = [
  ...['a', '.', '..', '...', 'a.b', 'a.b.c', '{}', 'null', 'undefined', 'e30.e30.', '.e30.', '..e30'].map((token): HostileToken => ({
    name: `the text ${token}`, token: () => token, verdict: token === 'e30.e30.' ? invalid('algorithm') : malformed
  })),
  { name: 'four parts', token: c => `${signed(c)}.AAAA`, verdict: malformed },
  { name: 'five parts, as a JWE has', token: c => `${signed(c)}.AAAA.AAAA`, verdict: malformed },
  { name: 'five empty parts', token: () => '....', verdict: malformed },
  { name: 'a JWE header', token: () => `${base64url('{"alg":"dir","enc":"A256GCM"}')}..AAAA.AAAA.AAAA`, verdict: malformed },
  { name: 'flattened JSON serialisation', token: c => { const [h, p, s] = parts(signed(c)); return JSON.stringify({ protected: h, payload: p, signature: s }) }, verdict: malformed },
  { name: 'general JSON serialisation', token: c => { const [h, p, s] = parts(signed(c)); return JSON.stringify({ payload: p, signatures: [{ protected: h, signature: s }] }) }, verdict: malformed },
  { name: 'a detached payload', token: c => { const [h, , s] = parts(signed(c)); return `${h}..${s}` }, verdict: malformed },
  { name: 'a dot at the end', token: c => `${signed(c)}.`, verdict: malformed },
  { name: 'a dot at the start', token: c => `.${signed(c)}`, verdict: malformed },
  ...[0, 1].map((part): HostileToken => ({
    name: `padding on part ${part}`,
    token: c => { const list = parts(signed(c)); list[part] += '='; return list.join('.') },
    verdict: malformed
  })),
  { name: 'padding on the signature', token: c => `${signed(c)}=`, verdict: wrongSignature },
  { name: 'padding twice on the signature', token: c => `${signed(c)}==`, verdict: wrongSignature },
  ...['+', '/', ' ', '\n', '\t', '\r\n', '\0', '%', '"', '\\', '\u00a0', '\u2028', '\ufeff', '\u{1f600}', '\ud800'].map((text): HostileToken => ({
    name: `${JSON.stringify(text)} inside the header`, token: c => { const [h, p, s] = parts(signed(c)); return `${h.slice(0, 4)}${text}${h.slice(4)}.${p}.${s}` }, verdict: malformed
  })),
  ...['+', '/', ' ', '\n', '\0'].map((text): HostileToken => ({
    name: `${JSON.stringify(text)} after the signature`, token: c => `${signed(c)}${text}`, verdict: wrongSignature
  })),
  { name: 'a line break before the token', token: c => `\n${signed(c)}`, verdict: malformed },
  {
    name: 'the standard alphabet of base64 in the signature',
    token: c => {
      // Until one has a character that the two alphabets write differently.
      for (let jti = 0; ; jti++) {
        const [h, p, s] = parts(signed(c, { jti: String(jti) }))
        const standard = s.replaceAll('-', '+').replaceAll('_', '/')
        if (standard !== s) return `${h}.${p}.${standard}`
      }
    },
    verdict: wrongSignature
  },
  {
    name: 'a second spelling of the same signature',
    token: c => {
      const token = signed(c)
      const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
      // A signature of whole groups of three bytes has one spelling only.
      if (signatureBytes(token).length % 3 === 0) return null
      return token.slice(0, -1) + alphabet[alphabet.indexOf(token.at(-1) as string) + 1]
    },
    verdict: wrongSignature
  },
  { name: 'longer than maxTokenLength', token: c => signed(c, { filler: 'a'.repeat(9000) }), verdict: invalid('length') },
  { name: 'a thousand dots', token: () => '.'.repeat(1000), verdict: malformed },
  { name: 'a token in a token', token: c => { const t = signed(c); const [h, , s] = parts(t); return `${h}.${base64url(t)}.${s}` }, verdict: malformed }
]

/** RFC 8725 §2.1, §3.1, §3.2: the header must not choose how it is checked. */
const algorithms: HostileToken[] = [
  ...['none', 'None', 'NONE', 'nOnE', 'none ', '', 'hs256', 'HS256 ', 'HS1', 'RS1', 'HMD5', 'ES256K', 'A128KW', 'dir', 'RSA-OAEP', '__proto__', 'constructor'].flatMap((alg): HostileToken[] => [
    { name: `alg '${alg}' without a signature`, token: () => forged({ alg, typ: 'JWT' }, () => ''), verdict: invalid('algorithm') },
    { name: `alg '${alg}' with any signature`, token: () => forged({ alg, typ: 'JWT' }, () => randomBytes(32)), verdict: invalid('algorithm') },
    { name: `alg '${alg}' with a signature by the right key`, token: c => signed(c, {}, { alg }), verdict: invalid('algorithm') }
  ]),
  ...[undefined, null, true, 0, 256, [], ['HS256'], {}, { alg: 'HS256' }].map((alg): HostileToken => ({
    name: `alg ${JSON.stringify(alg)}`, token: c => signed(c, {}, { alg }), verdict: invalid('algorithm')
  })),
  ...['HS384', 'RS384', 'PS384', 'PS512', 'ES384'].map((alg): HostileToken => ({
    name: `alg ${alg}, which this key is not for`, token: c => signed(c, {}, { alg }), verdict: invalid('algorithm')
  })),
  { name: 'an empty key', token: c => c.algorithm.startsWith('HS') ? forged(soundHeader(c), i => signatureOf(c.algorithm, '', i)) : null, verdict: wrongSignature },
  ...['secret', 'your-256-bit-secret', 'undefined', 'null', '[object Object]'].map((guess): HostileToken => ({
    name: `HMAC with the key '${guess}'`,
    token: c => c.algorithm.startsWith('HS') ? forged(soundHeader(c), i => signatureOf(c.algorithm, guess, i)) : null,
    verdict: wrongSignature
  }))
]

/** Every spelling of a public key that someone may have taken for an HMAC secret. */
function spellingsOf ({ publicKey }: Configuration): Array<[name: string, key: Buffer]> {
  if (publicKey === null) return []
  const spki = publicKey.export({ format: 'pem', type: 'spki' }).toString()
  const der = publicKey.export({ format: 'der', type: 'spki' })
  const texts: Array<[string, string | Buffer]> = [
    ['SPKI PEM', spki],
    ['SPKI PEM without its last line break', spki.trimEnd()],
    ['SPKI PEM with CRLF', spki.replaceAll('\n', '\r\n')],
    ['SPKI PEM on one line', spki.replaceAll('\n', '')],
    ['SPKI PEM with \\n written out', spki.replaceAll('\n', '\\n')],
    ['SPKI PEM after a blank line', `\n${spki}`],
    ['base64 of the PEM', Buffer.from(spki).toString('base64')],
    ['SPKI DER', der],
    ['base64 of the DER', der.toString('base64')],
    ['JWK', JSON.stringify(publicKey.export({ format: 'jwk' }))]
  ]
  if (publicKey.asymmetricKeyType === 'rsa') {
    const pkcs1 = publicKey.export({ format: 'pem', type: 'pkcs1' }).toString()
    texts.push(['PKCS#1 PEM', pkcs1], ['PKCS#1 PEM without its last line break', pkcs1.trimEnd()], ['PKCS#1 DER', publicKey.export({ format: 'der', type: 'pkcs1' })],
      ['the modulus', publicKey.export({ format: 'jwk' }).n as string])
  }
  return texts.map(([name, key]) => [name, Buffer.from(key)])
}

/** Algorithm confusion (CVE-2015-9235, CVE-2016-5431, CVE-2016-10555, CVE-2022-23541, CVE-2023-48223, CVE-2024-54150 …). */
const confusion: HostileToken[] = ['HS256', 'HS384', 'HS512'].flatMap(alg =>
  // RSA has the most spellings; a kind of key with fewer has no token for the rest.
  Array.from({ length: 14 }, (_, index): HostileToken => ({
    name: `${alg} with the public key as its secret, spelling ${index}`,
    token: c => {
      const spelling = spellingsOf(c)[index]
      return spelling === undefined ? null : forged({ alg, typ: 'JWT' }, i => signatureOf(alg, spelling[1], i))
    },
    // In a set that has a secret, too, that secret is tried, and is not the public key.
    verdict: c => isNamed(c) && alg === 'HS256' ? wrongSignature : invalid('algorithm')
  }))
).concat([
  { name: 'HS256 with the public key, under the name of that key', token: c => isNamed(c) ? forged({ alg: 'HS256', kid: c.kid }, i => signatureOf('HS256', (spellingsOf(c)[0] as [string, Buffer])[1], i)) : null, verdict: invalid('kid') },
  { name: 'HS256 with the public key, under the name of the secret', token: c => isNamed(c) ? forged({ alg: 'HS256', kid: 'hmac-1' }, i => signatureOf('HS256', (spellingsOf(c)[0] as [string, Buffer])[1], i)) : null, verdict: wrongSignature },
  { name: 'another algorithm under the name of a key', token: c => isNamed(c) ? forged({ alg: 'ES256', kid: 'rsa-1' }, i => signatureOf('ES256', strangers.ec.privateKey, i)) : null, verdict: invalid('kid') }
])

const orderOfP256 = Buffer.from('ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551', 'hex')

/** `s` replaced by `n - s`, which is as good a signature (malleability of ECDSA). */
function mirrored (signature: Buffer): Buffer {
  const s = BigInt(`0x${orderOfP256.toString('hex')}`) - BigInt(`0x${signature.toString('hex', 32)}`)
  return Buffer.concat([signature.subarray(0, 32), Buffer.from(s.toString(16).padStart(64, '0'), 'hex')])
}

const ecdsa = (name: string, make: (c: Configuration) => Uint8Array | null, verdict: Verdict = wrongSignature): HostileToken => ({
  name: `ECDSA: ${name}`,
  token: c => { const signature = isEcdsa(c) ? make(c) : null; return signature === null ? null : resigned(c, signature) },
  verdict
})
const sizeOf = ({ algorithm }: Configuration): number => algorithm === 'ES256' ? 32 : 66

const signatures: HostileToken[] = [
  { name: 'an empty signature', token: c => resigned(c, ''), verdict: wrongSignature },
  { name: 'no signature and no dot', token: c => parts(signed(c)).slice(0, 2).join('.'), verdict: malformed },
  { name: 'a blank signature', token: c => resigned(c, ' '), verdict: wrongSignature },
  { name: 'one character of signature', token: c => resigned(c, 'A'), verdict: wrongSignature },
  { name: 'one byte of signature', token: c => resigned(c, Buffer.alloc(1)), verdict: wrongSignature },
  { name: 'a signature of zeros', token: c => resigned(c, Buffer.alloc(signatureBytes(signed(c)).length)), verdict: wrongSignature },
  { name: 'a signature of ones', token: c => resigned(c, Buffer.alloc(signatureBytes(signed(c)).length, 0xff)), verdict: wrongSignature },
  { name: 'a signature short of a byte', token: c => resigned(c, signatureBytes(signed(c)).subarray(1)), verdict: wrongSignature },
  { name: 'a signature short of its last byte', token: c => resigned(c, signatureBytes(signed(c)).subarray(0, -1)), verdict: wrongSignature },
  { name: 'a signature with a zero before it', token: c => resigned(c, Buffer.concat([Buffer.alloc(1), signatureBytes(signed(c))])), verdict: wrongSignature },
  { name: 'a signature with a zero after it', token: c => resigned(c, Buffer.concat([signatureBytes(signed(c)), Buffer.alloc(1)])), verdict: wrongSignature },
  { name: 'a signature twice', token: c => resigned(c, Buffer.concat([signatureBytes(signed(c)), signatureBytes(signed(c))])), verdict: wrongSignature },
  { name: 'the signature of another token', token: c => resigned(c, parts(signed(c, { sub: 'other' }))[2]), verdict: wrongSignature },
  { name: 'a signature of 6 kB', token: c => resigned(c, Buffer.alloc(4500)), verdict: wrongSignature },
  { name: 'a signature over the decoded text', token: c => { const [h, p] = parts(signed(c)); return `${h}.${p}.${base64url(c.sign(Buffer.from(p, 'base64url').toString()))}` }, verdict: wrongSignature },
  { name: 'a bare hash for a signature', token: c => resigned(c, createHmac('sha256', '').update(parts(signed(c)).slice(0, 2).join('.')).digest()), verdict: wrongSignature },
  { name: 'the key of a stranger', token: c => forged(soundHeader(c), i => signAsStranger(c.algorithm, i)), verdict: wrongSignature },
  ecdsa('r = s = 0 (CVE-2022-21449)', c => Buffer.alloc(2 * sizeOf(c))),
  ecdsa('r = 0', c => { const s = signatureBytes(signed(c)); s.fill(0, 0, sizeOf(c)); return s }),
  ecdsa('s = 0', c => { const s = signatureBytes(signed(c)); s.fill(0, sizeOf(c)); return s }),
  ecdsa('r = s = 1', c => { const s = Buffer.alloc(2 * sizeOf(c)); s[sizeOf(c) - 1] = 1; s[2 * sizeOf(c) - 1] = 1; return s }),
  ecdsa('r = s = n', c => c.algorithm === 'ES256' ? Buffer.concat([orderOfP256, orderOfP256]) : null),
  ecdsa('DER', c => Buffer.from(derOf(signatureBytes(signed(c))))),
  ecdsa('DER of zeros', () => Buffer.from('3006020100020100', 'hex')),
  {
    // Whoever holds a valid token can write it in this second way; it is the same token, with the same jti and end.
    name: 'ECDSA: the mirrored s, which is valid by the algorithm itself',
    token: c => {
      if (c.algorithm !== 'ES256') return null
      const token = signed(c)
      const [h, p] = parts(token)
      return `${h}.${p}.${base64url(mirrored(signatureBytes(token)))}`
    },
    verdict: passes
  },
  { name: 'EdDSA: S = 0 and R the identity', token: c => c.algorithm === 'EdDSA' ? resigned(c, Buffer.concat([Buffer.from([1]), Buffer.alloc(63)])) : null, verdict: wrongSignature },
  {
    name: 'EdDSA: S with the order of the group added (RFC 8032 §8.4)',
    token: c => {
      if (c.algorithm !== 'EdDSA') return null
      const token = signed(c)
      const bytes = signatureBytes(token)
      const order = 2n ** 252n + 27742317777372353535851937790883648493n
      const s = BigInt(`0x${Buffer.from(bytes.subarray(32)).reverse().toString('hex')}`) + order
      const [h, p] = parts(token)
      return `${h}.${p}.${base64url(Buffer.concat([bytes.subarray(0, 32), Buffer.from(s.toString(16).padStart(64, '0'), 'hex').reverse()]))}`
    },
    verdict: wrongSignature
  }
]

function derOf (signature: Buffer): number[] {
  const integer = (bytes: Buffer): number[] => {
    let start = 0
    while (start < bytes.length - 1 && bytes[start] === 0) start++
    const body = [...((bytes[start] as number) >= 0x80 ? [0] : []), ...bytes.subarray(start)]
    return [2, body.length, ...body]
  }
  const half = signature.length / 2
  const body = [...integer(signature.subarray(0, half)), ...integer(signature.subarray(half))]
  return body.length < 0x80 ? [0x30, body.length, ...body] : [0x30, 0x81, body.length, ...body]
}

/** Headers that bring a key, or say where one is to be had (RFC 8725 §3.10; CVE-2018-0114 and its kind). */
const injections: HostileToken[] = [
  ...([
    ['jwk', (): unknown => strangers.rsa.publicKey.export({ format: 'jwk' })],
    ['jwk', (): unknown => ed25519Pair().publicKey.export({ format: 'jwk' })],
    ['jwk', (): unknown => ({ kty: 'oct', k: strangers.hmac.toString('base64url') })],
    ['jku', () => 'http://127.0.0.1:1/jwks.json'],
    ['x5u', () => 'http://127.0.0.1:1/certificate.pem'],
    ['x5c', () => ['MIIB']],
    ['x5t', () => 'AAAA'],
    ['x5t#S256', () => 'AAAA'],
    ['key', () => strangers.hmac.toString('base64')],
    ['cty', () => 'JWT'],
    ['zip', () => 'DEF'],
    ['enc', () => 'A256GCM'],
    ['__proto__', () => ({ alg: 'none' })]
  ] as const).flatMap(([name, value]): HostileToken[] => [
    { name: `${name} of the attacker's key`, token: c => forged(JSON.parse(JSON.stringify({ ...soundHeader(c), [name]: value() })), i => signAsStranger(c.algorithm, i)), verdict: wrongSignature },
    { name: `${name} in a sound token changes nothing`, token: c => signRaw(c, JSON.stringify(Object.fromEntries([...Object.entries(soundHeader(c)), [name, value()]])), JSON.stringify(soundClaims())), verdict: passes }
  ]),
  ...['../../../../../../dev/null', '/dev/null', "x' UNION SELECT 'key", "' OR 1=1 --", '| whoami', '$(id)', '__proto__', 'constructor', 'toString', 'hasOwnProperty', '', '0', ' rsa-1', 'RSA-1', 'rsa-1\0', 'rsa-1\n', 'http://127.0.0.1:1/', 'k'.repeat(1000), '\ud800'].flatMap((kid): HostileToken[] => [
    { name: `kid ${JSON.stringify(kid.slice(0, 30))}, an empty secret`, token: c => forged({ ...soundHeader(c), kid }, i => signatureOf('HS256', '', i)), verdict: c => isNamed(c) ? invalid('kid') : wrongSignature },
    // Keys without a name do not mind what a token calls them.
    { name: `kid ${JSON.stringify(kid.slice(0, 30))}, the right key`, token: c => signed(c, {}, { kid }), verdict: c => isNamed(c) ? invalid('kid') : passes }
  ]),
  ...[null, 0, true, [], ['rsa-1'], {}, { rsa: 1 }].map((kid): HostileToken => ({
    name: `kid ${JSON.stringify(kid)}`, token: c => signed(c, {}, { kid }), verdict: invalid('kid')
  })),
  { name: 'no kid where keys have names', token: c => signed(c, {}, { kid: undefined }), verdict: passes },
  { name: 'the name of another key of the same set', token: c => isNamed(c) ? signed(c, {}, { kid: 'ec-1' }) : null, verdict: invalid('kid') },
  ...([['exp'], ['b64'], ['urn:example:unknown'], ['alg'], ['b64', 'b64'], [], [1], [null], ['__proto__'], 'exp', '', null, false, 0, {}] as unknown[]).map((crit): HostileToken => ({
    name: `crit ${JSON.stringify(crit)} (RFC 7515 §4.1.11)`, token: c => signed(c, {}, { crit, b64: false, 'urn:example:unknown': 1 }), verdict: invalid('crit')
  })),
  { name: 'b64 false that is not critical is ignored, as RFC 7797 §6 has it', token: c => signed(c, {}, { b64: false }), verdict: passes },
  {
    name: 'b64 false with the claims unencoded (RFC 7797)',
    token: c => {
      const header = base64url(JSON.stringify(soundHeader(c, { b64: false })))
      const payload = JSON.stringify(soundClaims())
      return `${header}.${payload}.${base64url(c.sign(`${header}.${payload}`))}`
    },
    verdict: malformed
  },
  ...(['JWT', 'jwt', 'application/jwt', 'at+jwt', 'application/at+jwt', 'JOSE', 'anything', undefined] as const).map((typ): HostileToken => ({
    name: `typ ${typ}`, token: c => signed(c, {}, { typ }), verdict: passes
  })),
  ...(['logout+jwt', 'dpop+jwt', 'DPoP+JWT', 'application/secevent+jwt', 'x-at+jwt', null, 0, true, [], ['JWT'], {}] as unknown[]).map((typ): HostileToken => ({
    name: `typ ${JSON.stringify(typ)} (RFC 8725 §3.11)`, token: c => signed(c, {}, { typ }), verdict: invalid('typ')
  }))
]

const json = (name: string, payload: (c: Configuration) => string | Uint8Array, verdict: Verdict): HostileToken =>
  ({ name: `payload: ${name}`, token: c => signedJson(c, payload(c)), verdict })
const headerJson = (name: string, header: (c: Configuration) => string | Uint8Array, verdict: Verdict): HostileToken =>
  ({ name: `header: ${name}`, token: c => signRaw(c, header(c), JSON.stringify(soundClaims())), verdict })

const text = (changes: Record<string, unknown> = {}): string => JSON.stringify(soundClaims(changes))
const headerText = (c: Configuration): string => JSON.stringify(soundHeader(c))

/** Puts bytes where `@@` stands. */
function withBytes (template: string, ...bytes: number[]): Buffer {
  const [before = '', after = ''] = template.split('@@')
  return Buffer.concat([Buffer.from(before), Buffer.from(bytes), Buffer.from(after)])
}

const brokenUtf8: Array<[name: string, bytes: number[]]> = [
  ['a lone 0xFF', [0xff]],
  ['a lone continuation byte', [0x80]],
  ['an overlong slash', [0xc0, 0xaf]],
  ['an overlong NUL', [0xc0, 0x80]],
  ['half a surrogate pair (CESU-8)', [0xed, 0xa0, 0x80]],
  ['past U+10FFFF', [0xf4, 0x90, 0x80, 0x80]],
  ['a character cut short', [0xe2, 0x82]],
  ['Latin-1', [0xe9]]
]

/** Header and claims are UTF-8 JSON objects, all of them (RFC 7519 §7.2). */
const texts: HostileToken[] = [
  ...['', ' ', '[]', '[{}]', 'null', 'true', '1', '"text"', '{', '{}}', '{"sub":"a"} x', "{'sub':'a'}", '{sub:"a"}', '{"sub":"a",}', '{"sub":NaN}', '{"sub":undefined}', '{"exp":0x10}', '{"exp":01}', '{"sub":"\n"}', '// comment\n{}'].flatMap(value => [
    json(JSON.stringify(value), () => value, malformed),
    headerJson(JSON.stringify(value), () => value, malformed)
  ]),
  json('an empty object', () => '{}', invalid('sub')),
  headerJson('an empty object', () => '{}', invalid('algorithm')),
  json('a byte order mark', () => `\ufeff${text()}`, malformed),
  headerJson('a byte order mark', c => `\ufeff${headerText(c)}`, malformed),
  json('UTF-16', () => Buffer.from(text(), 'utf16le'), malformed),
  json('white space around, which JSON allows', () => ` \r\n\t${text()}\n `, passes),
  headerJson('white space around, which JSON allows', c => ` \r\n\t${headerText(c)}\n `, passes),
  ...brokenUtf8.flatMap(([name, bytes]) => [
    json(`${name} in sub`, () => withBytes(text({ sub: 'user@@123' }), ...bytes), malformed),
    json(`${name} in the name of a claim`, () => withBytes(text({ 'a@@': 1 }), ...bytes), malformed),
    json(`${name} deep in a claim`, () => withBytes(text({ a: [{ b: [['@@']] }] }), ...bytes), malformed),
    headerJson(`${name} in a parameter`, c => withBytes(JSON.stringify({ ...soundHeader(c), note: '@@' }), ...bytes), malformed)
  ]),
  json('U+FFFD itself, in good UTF-8', () => text({ note: 'a \ufffd b' }), passes),
  json('a lone surrogate, escaped', () => text().replace('"user123"', '"user123","note":"\\ud800"'), passes),
  json('characters past the basic plane', () => text({ note: '\u{1f600}' }), passes),
  // RFC 7519 §4: either refuse, or take the last. Everything here takes the last, the header's reader included.
  json('sub twice', () => text().replace('"sub":"user123"', '"sub":"admin","sub":"user123"'), passes),
  json('exp twice, the last one past', () => text().replace(/"exp":\d+/, all => `${all},"exp":1`), expired),
  json('exp twice, the last one to come', () => text().replace(/"exp":\d+/, all => `"exp":1,${all}`), passes),
  headerJson('alg twice, the last one right', c => headerText(c).replace('"alg"', '"alg":"none","alg"'), passes),
  headerJson('alg twice, the last one none', c => headerText(c).replace(/"alg":"\w+"/, all => `${all},"alg":"none"`), invalid('algorithm')),
  headerJson('alg twice, once escaped', c => headerText(c).replace(/"alg":"\w+"/, all => `${all},"\\u0061lg":"none"`), invalid('algorithm')),
  json('nested 2,500 deep', () => text().replace('{', `{"deep":${'['.repeat(2500)}${']'.repeat(2500)},`), passes),
  json('objects nested 900 deep', () => text().replace('{', `{"deep":${'{"a":'.repeat(900)}1${'}'.repeat(900)},`), passes),
  json('nested 5,000 deep and never closed', () => text().replace('{', `{"deep":${'['.repeat(5000)},`), malformed),
  headerJson('nested 2,500 deep', c => headerText(c).replace('{', `{"deep":${'['.repeat(2500)}${']'.repeat(2500)},`), passes),
  json('400 claims', () => text(Object.fromEntries(Array.from({ length: 400 }, (_, i) => [`c${i}`, i]))), passes),
  json('a number of 5,000 digits', () => text().replace('{', `{"big":${'9'.repeat(5000)},`), passes),
  ...['__proto__', 'constructor', 'prototype', 'toString', 'valueOf', 'hasOwnProperty', 'toJSON', 'then', '__defineGetter__'].flatMap(name => [
    json(`the claim ${name}, an object`, () => text().replace('{', `{"${name}":{"admin":true,"identity":"admin","sub":"admin","type":"refresh"},`), passes),
    json(`the claim ${name}, null`, () => text().replace('{', `{"${name}":null,`), passes),
    headerJson(`the parameter ${name}`, c => headerText(c).replace('{', `{"${name}":{"alg":"none","kid":"x"},`), passes)
  ]),
  json('sub only in the prototype', () => text({ sub: undefined }).replace('{', '{"__proto__":{"sub":"admin"},'), invalid('sub')),
  json('exp only in the prototype', () => text({ exp: undefined }).replace('{', '{"__proto__":{"exp":9999999999},'), invalid('exp')),
  json('identity as the token has it is not believed', () => text({ identity: 'admin' }), passes)
]

/** Claims as JSON, for what `JSON.stringify` can't write. */
const claim = (name: string, value: string, verdict: Verdict): HostileToken =>
  json(`${name} ${value.length > 40 ? `${value.slice(0, 40)}…` : value}`, () => text({ [name]: undefined }).replace('{', `{${JSON.stringify(name)}:${value},`), verdict)

const notNumbers = ['"9999999999"', '"1e10"', '""', 'null', 'true', 'false', '[]', '[9999999999]', '{}', '1e999', '-1e999', '"Infinity"', '"2099-01-01T00:00:00Z"']
const notStrings = ['null', 'true', 'false', '0', '1', '[]', '["a"]', '{}']

const claims: HostileToken[] = [
  ...['exp', 'nbf', 'iat', 'auth_time'].flatMap(name => notNumbers.map(value => claim(name, value, invalid(name)))),
  json('exp missing', () => text({ exp: undefined }), invalid('exp')),
  ...['0', '-0', '-1', '1', '-1e300', '1.5', '1e-300', String(Math.floor(Date.now() / 1000) - 1)].map(value => claim('exp', value, expired)),
  ...['1e300', '9007199254740993', '99999999999999999999', `${now() + 900}.5`, `${now() + 900}.0`, `${(now() + 900) / 1e9}e9`].map(value => claim('exp', value, passes)),
  ...['1e300', '99999999999999999999', String(now() + 900)].map(value => claim('nbf', value, notYetValid)),
  ...['0', '-1', '-1e300', '1.5'].map(value => claim('nbf', value, passes)),
  ...['0', '-1', '1e300', '1.5', String(now() + 900)].map(value => claim('iat', value, passes)),
  ...['', 'null', 'true', 'false', '[]', '["user123"]', '{}', '{"toString":"user123"}', '""', '1e999', '-1e999', '9007199254740993', '-9007199254740993', '1e21'].filter(value => value !== '').map(value => claim('sub', value, invalid('sub'))),
  claim('sub', '42', { passes: '42' }),
  claim('sub', '-0', { passes: '0' }),
  claim('sub', '1.5', { passes: '1.5' }),
  claim('sub', '"42"', { passes: '42' }),
  claim('sub', '" "', { passes: ' ' }),
  claim('sub', '"__proto__"', { passes: '__proto__' }),
  claim('sub', '"user123\\u0000"', { passes: 'user123\0' }),
  claim('sub', '"\\ud800"', { passes: '\ud800' }),
  ...['null', '"1"', 'true', '[]', '{}', '1e999'].map(value => claim('gen', value, invalid('gen'))),
  ...['null', 'true', '1', '[]', '["access"]', '{}', '""', '"Access"', '"access "', '"ACCESS"', '"banana"', '"__proto__"', '"any"', '"access,refresh"'].map(value => claim('type', value, invalid('type'))),
  claim('type', '"refresh"', { code: 'FST_JWT_ACCESS_REQUIRED' }),
  ...['null', '"true"', '"false"', '""', '"yes"', '[]', '[true]', '{}', '1e999', '-1e999'].map(value => claim('fresh', value, invalid('fresh'))),
  ...['jti', 'sid', 'csrf'].flatMap(name => notStrings.map(value => claim(name, value, invalid(name)))),
  ...notStrings.map(value => claim('iss', value, invalid('issuer'))),
  // RFC 7519 §4.1.3: who is not named refuses, and no audience is configured here.
  ...[...notStrings, '""', '"other"', '["other"]', '{"a":1}'].map(value => claim('aud', value, invalid('audience')))
]

export const hostileTokens: readonly HostileToken[] = [...structure, ...algorithms, ...confusion, ...signatures, ...injections, ...texts, ...claims]
