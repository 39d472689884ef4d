import { createSecretKey, randomBytes } from 'node:crypto'
import t from 'tap'
import { jwtVerify, SignJWT } from 'jose'
import type { Algorithm, KeySet, PrivateKey, PublicKey, Secret } from '../../../lib/types/keys.ts'
import { loadKeys } from '../../../lib/keys/local.ts'
import { ed448Pair, pairFor } from '../../helpers/keys/key-pairs.ts'
import type { KeyPair } from '../../helpers/keys/key-pairs.ts'
import { selfSignedCertificate } from '../../helpers/keys/self-signed-certificate.ts'

const claims = { sub: 'user123', iat: 1_700_000_000, exp: 4_000_000_000, role: 'admin' }
const passphrase = 'correct horse'

function sign (keys: KeySet): string {
  if (keys.signing === null) throw new Error('there is no key to sign with')
  return keys.signing.sign(claims)
}

function verify (keys: KeySet, token: string) {
  const [key] = keys.verification
  if (key === undefined) throw new Error('there is no key to verify with')
  return key.verify(token)
}

const hmac: Algorithm[] = ['HS256', 'HS384', 'HS512']
const asymmetric: Algorithm[] = [
  'RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA'
]

function privateForms ({ privateKey }: KeyPair): Record<string, PrivateKey> {
  const pkcs8 = privateKey.export({ format: 'pem', type: 'pkcs8' }) as string
  const encrypted = privateKey.export({ format: 'pem', type: 'pkcs8', cipher: 'aes-256-cbc', passphrase }) as string
  const type = privateKey.asymmetricKeyType
  const own = type === 'rsa' ? 'pkcs1' : type === 'ec' ? 'sec1' : null
  return {
    'PKCS#8 PEM': pkcs8,
    'PKCS#8 PEM in a Buffer': Buffer.from(pkcs8),
    'PKCS#8 PEM after other text': `Bag Attributes\n  friendlyName: test\n${pkcs8}`,
    'unencrypted PEM with a passphrase': { key: pkcs8, passphrase },
    'encrypted PEM': { key: encrypted, passphrase },
    'encrypted PEM, both in a Buffer': { key: Buffer.from(encrypted), passphrase: Buffer.from(passphrase) },
    ...(own === null
      ? {}
      : {
          [`${own} PEM`]: privateKey.export({ format: 'pem', type: own }) as string,
          [`encrypted ${own} PEM`]:
            { key: privateKey.export({ format: 'pem', type: own, cipher: 'aes-128-cbc', passphrase }) as string, passphrase }
        }),
    KeyObject: privateKey,
    JWK: privateKey.export({ format: 'jwk' })
  }
}

function publicForms ({ privateKey, publicKey }: KeyPair): Record<string, PublicKey> {
  const spki = publicKey.export({ format: 'pem', type: 'spki' }) as string
  return {
    'SPKI PEM': spki,
    'SPKI PEM in a Uint8Array': new TextEncoder().encode(spki),
    ...(publicKey.asymmetricKeyType === 'rsa'
      ? { 'PKCS#1 PEM': publicKey.export({ format: 'pem', type: 'pkcs1' }) as string }
      : {}),
    'X.509 certificate': selfSignedCertificate(privateKey, publicKey),
    KeyObject: publicKey,
    JWK: publicKey.export({ format: 'jwk' })
  }
}

for (const algorithm of hmac) {
  const bytes = randomBytes(64)
  const text = bytes.toString('base64')
  const forms: Record<string, [Secret, Uint8Array]> = {
    string: [text, Buffer.from(text)],
    Buffer: [bytes, bytes],
    Uint8Array: [new Uint8Array(bytes), bytes],
    KeyObject: [createSecretKey(bytes), bytes],
    JWK: [{ kty: 'oct', k: bytes.toString('base64url') }, bytes]
  }
  for (const [form, [secretKey, secret]] of Object.entries(forms)) {
    t.test(`${algorithm} with a ${form} as its secret signs for jose and verifies what jose signs`, async t => {
      const keys = loadKeys({ algorithm, secretKey })
      const token = sign(keys)
      t.match(verify(keys, token), { header: { alg: algorithm, typ: 'JWT' }, payload: claims })
      t.match((await jwtVerify(token, secret, { algorithms: [algorithm] })).payload, claims)
      const foreign = await new SignJWT(claims).setProtectedHeader({ alg: algorithm }).sign(secret)
      t.match(verify(keys, foreign).payload, claims)
      t.same(keys.jwks, { keys: [] }, 'and the secret is never published')
    })
  }
}

for (const algorithm of asymmetric) {
  const pair = pairFor(algorithm)
  const { privateKey: josePrivate, publicKey: josePublic } = pair

  for (const [form, privateKey] of Object.entries(privateForms(pair))) {
    t.test(`${algorithm} with its private key as ${form} signs for jose and verifies with the derived public key`, async t => {
      const keys = loadKeys({ algorithm, privateKey })
      const token = sign(keys)
      t.match(verify(keys, token), { header: { alg: algorithm, typ: 'JWT' }, payload: claims })
      t.match((await jwtVerify(token, josePublic, { algorithms: [algorithm] })).payload, claims)
    })
  }

  const foreign = new SignJWT(claims).setProtectedHeader({ alg: algorithm }).sign(josePrivate)

  for (const [form, publicKey] of Object.entries(publicForms(pair))) {
    t.test(`${algorithm} with its public key alone as ${form} verifies what jose signs, and signs nothing`, async t => {
      const keys = loadKeys({ algorithm, publicKey })
      t.match(verify(keys, await foreign), { header: { alg: algorithm }, payload: claims })
      t.equal(keys.signing, null)
      t.match(verify(loadKeys({ algorithm, privateKey: josePrivate, publicKey }), await foreign).payload, claims,
        'the same beside its private key')
    })
  }

  t.test(`${algorithm}: a token altered in any part, or signed by another key, is refused`, async t => {
    const keys = loadKeys({ algorithm, privateKey: josePrivate })
    const [header, payload, signature] = sign(keys).split('.') as [string, string, string]
    const other = Buffer.from(JSON.stringify({ ...claims, sub: 'admin' })).toString('base64url')
    const flipped = signature.startsWith('A') ? `B${signature.slice(1)}` : `A${signature.slice(1)}`
    for (const token of [`${header}.${other}.${signature}`, `${header}.${payload}.${flipped}`, `${header}.${payload}.`]) {
      t.throws(() => verify(keys, token))
    }
  })
}

for (const [form, privateKey] of Object.entries(privateForms(ed448Pair()))) {
  t.test(`EdDSA with an Ed448 key as ${form} signs and verifies (jose has no Ed448)`, async t => {
    const keys = loadKeys({ algorithm: 'EdDSA', privateKey })
    t.match(verify(keys, sign(keys)), { header: { alg: 'EdDSA' }, payload: claims })
    for (const publicKey of Object.values(publicForms(ed448Pair()))) {
      t.match(verify(loadKeys({ algorithm: 'EdDSA', publicKey }), sign(keys)).payload, claims)
    }
  })
}
