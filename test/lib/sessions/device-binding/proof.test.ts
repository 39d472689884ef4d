import { generateKeyPairSync } from 'node:crypto'
import t from 'tap'
import { createErrors } from '../../../../lib/errors.ts'
import { verifyRefresh, verifyRegistration } from '../../../../lib/sessions/device-binding/proof.ts'
import { Device, signJws } from '../../../helpers/device.ts'
import type { Members } from '../../../helpers/device.ts'

const errors = createErrors()
const url = 'https://app.example.test/device-binding/registration'
const announced = [{ challenge: 'the-challenge', authorization: 'the-authorization' }]
const good = { jti: 'the-challenge', authorization: 'the-authorization' }
const devices = [new Device('ES256'), new Device('RS256')]
const device = devices[0] as Device
const rsa = devices[1] as Device

/** The word of a refusal; `null` if the proof passes. */
function fault (check: () => unknown): string | null {
  try {
    check()
    return null
  } catch (error) {
    return /^Invalid device proof: (.+)$/.exec((error as Error).message)?.[1] ?? String(error)
  }
}

const registration = (text: string) => fault(() => verifyRegistration(text, { url, announced, errors }))
const refresh = (text: string, { algorithm, jwk }: Device = device) =>
  fault(() => verifyRefresh(text, { url, errors, algorithm, publicKey: verifyRegistration((devices.find(one => one.jwk === jwk) as Device).registration(good), { url, announced, errors }).publicKey }))

t.test('a registration gives the public key and no other member of the JWK', async t => {
  for (const one of devices) {
    const proof = one.registration(good, { jwk: { ...one.jwk, kid: 'a', use: 'sig', alg: one.algorithm } })
    t.same(verifyRegistration(proof, { url, announced, errors }), { algorithm: one.algorithm, publicKey: one.jwk })
  }
  t.equal(registration(device.registration({ ...good, aud: url })), null, 'an audience need not be there, and may')
  t.equal(fault(() => verifyRegistration(device.registration(good), { url, errors, announced: [{ challenge: 'b', authorization: 'b' }, ...announced] })), null, 'nor need the key that derived the challenge be the first')
})

t.test('a registration is refused for each fault alone', async t => {
  const { publicKey: p384 } = generateKeyPairSync('ec', { namedCurve: 'P-384' })
  const weak = new Device('RS256', 1024)
  const other = new Device()
  const offCurve = { ...device.jwk, x: other.jwk['x'] }
  const header = (change: Members) => device.registration(good, change)
  const payload = (change: Members) => device.registration({ ...good, ...change })
  const [head, body, signature] = device.registration(good).split('.') as [string, string, string]
  const faults: Array<[string, string, string]> = [
    ['no typ', header({ typ: undefined }), 'typ'],
    ['the typ of an access token', header({ typ: 'at+jwt' }), 'typ'],
    ['a typ in another case', header({ typ: 'DBSC+JWT' }), 'typ'],
    ['a critical extension', header({ crit: ['b64'], b64: false }), 'crit'],
    ['no algorithm', header({ alg: undefined }), 'alg'],
    ['none', header({ alg: 'none' }), 'alg'],
    ['HS256', header({ alg: 'HS256' }), 'alg'],
    ['ES384', header({ alg: 'ES384' }), 'alg'],
    ['an algorithm in a list', header({ alg: ['ES256'] }), 'alg'],
    ['the algorithm of another type of key', header({ alg: 'RS256' }), 'jwk'],
    ['no key', header({ jwk: undefined }), 'jwk'],
    ['null for a key', header({ jwk: null }), 'jwk'],
    ['a text for a key', header({ jwk: 'key' }), 'jwk'],
    ['a key of another curve', header({ jwk: p384.export({ format: 'jwk' }) }), 'jwk'],
    ['another curve in the name only', header({ jwk: { ...device.jwk, crv: 'P-384' } }), 'jwk'],
    ['a point that is not on the curve', header({ jwk: offCurve }), 'jwk'],
    ['half a point', header({ jwk: { ...device.jwk, y: undefined } }), 'jwk'],
    ['a coordinate that is too short', header({ jwk: { ...device.jwk, y: 'AAAA' } }), 'jwk'],
    ['a coordinate in another spelling', header({ jwk: { ...device.jwk, y: `${device.jwk['y']}=` } }), 'jwk'],
    ['a private key', header({ jwk: device.keyPair.privateKey.export({ format: 'jwk' }) }), 'jwk'],
    ['a key for encryption', header({ jwk: { ...device.jwk, use: 'enc' } }), 'jwk'],
    ['a key for another algorithm', header({ jwk: { ...device.jwk, alg: 'ES384' } }), 'jwk'],
    ['an RSA key for ES256', rsa.registration(good, { alg: 'ES256' }), 'jwk'],
    ['an RSA key of another type', rsa.registration(good, { jwk: { ...rsa.jwk, kty: 'EC' } }), 'jwk'],
    ['an RSA key of 1,024 bits', weak.registration(good), 'jwk'],
    ['an RSA key of 5,120 bits', rsa.registration(good, { jwk: { ...rsa.jwk, n: Buffer.alloc(640, 0xff).toString('base64url') } }), 'jwk'],
    ['an RSA key with an exponent of 41 bits', rsa.registration(good, { jwk: { ...rsa.jwk, e: 'AQAAAAAB' } }), 'jwk'],
    ['one private member', rsa.registration(good, { jwk: { ...rsa.jwk, p: 'AQAB' } }), 'jwk'],
    ['a secret beside the key', header({ jwk: { ...device.jwk, k: 'AQAB' } }), 'jwk'],
    ['an RSA modulus in another spelling', rsa.registration(good, { jwk: { ...rsa.jwk, n: Buffer.concat([Buffer.of(0), Buffer.from(String(rsa.jwk['n']), 'base64url')]).toString('base64url') } }), 'jwk'],
    ['the exponent 1', rsa.registration(good, { jwk: { ...rsa.jwk, e: 'AQ' } }), 'jwk'],
    ['the key of somebody else', header({ jwk: other.jwk }), 'signature'],
    ['a signature of somebody else', signJws(other.keyPair.privateKey, { typ: 'dbsc+jwt', alg: 'ES256', jwk: device.jwk }, good), 'signature'],
    ['a signature that is cut off', `${head}.${body}.${signature.slice(0, -2)}`, 'signature'],
    ['an empty signature', `${head}.${body}.`, 'malformed'],
    ['a part too many', `${head}.${body}.${signature}.${signature}`, 'malformed'],
    ['a part too few', `${head}.${body}`, 'malformed'],
    ['padding', `${head}.${body}.${signature}==`, 'malformed'],
    ['a space before it', ` ${head}.${body}.${signature}`, 'malformed'],
    ['nothing', '', 'malformed'],
    ['claims that are no object', `${head}.${Buffer.from('[]').toString('base64url')}.${signature}`, 'malformed'],
    ['claims that are no UTF-8', `${head}.${Buffer.from([0x7b, 0xff, 0x7d]).toString('base64url')}.${signature}`, 'malformed'],
    ['claims that are no JSON', `${head}.${Buffer.from('{').toString('base64url')}.${signature}`, 'malformed'],
    ['more than a proof has', device.registration({ ...good, more: 'x'.repeat(4096) }), 'malformed'],
    ['no challenge', payload({ jti: undefined }), 'jti'],
    ['another challenge', payload({ jti: 'the-challengf' }), 'jti'],
    ['a longer challenge', payload({ jti: 'the-challenge ' }), 'jti'],
    ['a challenge in a list', payload({ jti: ['the-challenge'] }), 'jti'],
    ['no authorization', payload({ authorization: undefined }), 'authorization'],
    ['another authorization', payload({ authorization: 'the-authorizatiom' }), 'authorization'],
    ['another audience', payload({ aud: 'https://evil.test/device-binding/registration' }), 'aud'],
    ['another path', payload({ aud: 'https://app.example.test/' }), 'aud'],
    ['several audiences', payload({ aud: [url] }), 'aud']
  ]
  for (const [name, proof, word] of faults) t.equal(registration(proof), word, name)
})

t.test('challenge and authorization of two announcements do not mix', async t => {
  const two = [{ challenge: 'a', authorization: 'b' }, ...announced]
  t.equal(fault(() => verifyRegistration(device.registration({ jti: 'a', authorization: 'the-authorization' }), { url, errors, announced: two })), 'authorization')
})

t.test('a refresh gives the challenge that was signed', async t => {
  for (const one of devices) {
    t.equal(verifyRefresh(one.refresh({ jti: 'next' }), { url, errors, algorithm: one.algorithm, publicKey: verifyRegistration(one.registration(good), { url, announced, errors }).publicKey }), 'next')
  }
  t.equal(refresh(device.refresh({ jti: 'next', aud: url })), null)
})

t.test('a refresh is refused for each fault alone', async t => {
  const other = new Device()
  const faults: Array<[string, string, string]> = [
    ['no typ', device.refresh({ jti: 'next' }, { typ: undefined }), 'typ'],
    ['another algorithm than the registered one', rsa.refresh({ jti: 'next' }), 'alg'],
    ['none', device.refresh({ jti: 'next' }, { alg: 'none' }), 'alg'],
    ['a key in the proof, the registered one', device.refresh({ jti: 'next' }, { jwk: device.jwk }), 'jwk'],
    ['a key in the proof, of somebody else', other.registration({ jti: 'next' }), 'jwk'],
    ['a signature of somebody else', other.refresh({ jti: 'next' }), 'signature'],
    ['no challenge', device.refresh({}), 'jti'],
    ['a challenge that is a number', device.refresh({ jti: 1 }), 'jti'],
    ['another audience', device.refresh({ jti: 'next', aud: 'https://evil.test/' }), 'aud'],
    ['a critical extension', device.refresh({ jti: 'next' }, { crit: ['x'] }), 'crit'],
    ['a JWT of ours', 'eyJhbGciOiJIUzI1NiJ9.e30.AAAA', 'typ']
  ]
  for (const [name, proof, word] of faults) t.equal(refresh(proof), word, name)
})
