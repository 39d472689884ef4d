import { generateKeyPairSync } from 'node:crypto'
import Fastify from 'fastify'
import t from 'tap'
import jwt from '../../../lib/index.ts'
import { createErrors } from '../../../lib/errors.ts'
import type { VerificationKey } from '../../../lib/types/keys.ts'
import { verifySignature } from '../../../lib/jwt/signature.ts'

function failingKey (fault: Error): VerificationKey {
  return {
    keyId: undefined,
    algorithms: ['HS256'],
    publicKey: null,
    verify () { throw fault }
  }
}

t.test('what goes wrong in checking a signature, and is no verdict on the token, stays what it is', async t => {
  const { stackTraceLimit } = Error
  for (const fault of [new RangeError('out of memory'), Object.assign(new Error('unsupported'), { code: 'ERR_OSSL_EVP_UNSUPPORTED' })]) {
    try {
      verifySignature('a.b.c', [failingKey(fault)], createErrors())
      t.fail('it throws')
    } catch (error) {
      t.equal(error, fault)
    }
  }
  t.equal(Error.stackTraceLimit, stackTraceLimit, 'and later errors have their stack')
})

t.test('a signature that is not even of its algorithm\'s form is invalid, as any other', async t => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(jwt, { algorithm: 'ES256', privateKey: generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey })
  const signed = app.jwt.createAccessToken('user123')
  for (const signature of ['AA', 'AAAA', 'A'.repeat(84), 'A'.repeat(86), '_'.repeat(88)]) {
    t.throws(() => app.jwt.decodeToken(signed.replace(/[^.]*$/, signature)), { code: 'FST_JWT_INVALID_SIGNATURE', statusCode: 401 }, signature)
  }
})

t.test('of several keys, one has to be of the algorithm that a token names', async t => {
  const secrets = ['a-secret-of-more-than-sixty-four-bytes-'.repeat(2), 'another-secret-of-more-than-sixty-four-bytes-'.repeat(2)] as const
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(jwt, { keys: secrets.map((secretKey, i) => ({ keyId: `key${i}`, secretKey })) })
  const other = Fastify()
  t.teardown(() => other.close())
  await other.register(jwt, { algorithm: 'HS512', keys: [{ keyId: 'key0', secretKey: secrets[0] }] })
  const error = { code: 'FST_JWT_INVALID_TOKEN', message: /algorithm/ }
  t.throws(() => app.jwt.decodeToken(other.jwt.createAccessToken('user123')), error)
})
