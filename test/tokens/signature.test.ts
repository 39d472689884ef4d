import t from 'tap'
import { createErrors } from '../../lib/errors.ts'
import type { VerificationKey } from '../../lib/tokens/key-types.ts'
import { verifySignature } from '../../lib/tokens/signature.ts'

function failingKey (fault: Error): VerificationKey {
  return { keyId: undefined, algorithms: ['HS256'], verify () { throw fault } }
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
