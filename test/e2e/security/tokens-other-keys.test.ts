import t from 'tap'
import { configurations, hmac, soundClaims, signedJson } from '../../helpers/security/configurations.ts'
import { hostileTokens } from '../../helpers/security/hostile-tokens.ts'
import { everyLocation, faultOf, invalid, passes, recordingApp } from '../../helpers/security/recording-app.ts'
import { testHostileTokens } from '../../helpers/security/testing-tokens.ts'

for (const configuration of configurations) {
  if (configuration !== hmac) testHostileTokens(t, configuration)
}

t.test('decodeKey: the verdict on every hostile token, and the callback sees what its types say', async t => {
  const { secretKey } = hmac.options
  const { send, leaked } = await recordingApp(t, {
    ...everyLocation,
    decodeAlgorithms: ['HS256'],
    // As an app would write it, trusting the types: anything but a string here would be a 500.
    decodeKey: ({ alg, kid }) => alg.startsWith('HS') && kid?.startsWith('nobody') !== true ? secretKey as string : null
  })
  const faults: string[] = []
  for (const { name, token: make, verdict: told } of hostileTokens) {
    const token = make(hmac)
    if (token === null) continue
    let verdict = typeof told === 'function' ? told(hmac) : told
    if (['null', 'undefined'].includes(token)) verdict = invalid(`the word '${token}' where a token belongs`)
    const { alg } = headerOf(token)
    // Found before anything is looked at: what can't be read at all, and what the callback has no key for.
    if (token.length < 8192 && token.split('.').length === 3 && /[^\w.-]/.test(token)) verdict = invalid('malformed')
    else if (token.split('.').length === 3 && typeof alg === 'string' && !alg.startsWith('HS')) verdict = invalid('key')
    const answer = await send({ url: '/required', method: 'POST', payload: { access_token: token } })
    const fault = faultOf(answer, verdict) ?? (leaked(answer, [token, ...hmac.secrets]) === undefined ? undefined : 'leaks')
    if (fault !== undefined) faults.push(`${name}: ${fault}`)
  }
  t.strictSame(faults, [])
})

/** The header of a token, unless it is none. */
function headerOf (token: string): { alg?: unknown } {
  try {
    return Object(JSON.parse(Buffer.from(token.split('.')[0] ?? '', 'base64url').toString())) as { alg?: unknown }
  } catch {
    return {}
  }
}

t.test('with maxTokenLength raised, deep and huge JSON is read without a fault', async t => {
  const { app, send } = await recordingApp(t, { ...hmac.options, ...everyLocation, maxTokenLength: 4_000_000 }, { bodyLimit: 8_000_000 })
  const body = JSON.stringify(soundClaims())
  const deep = 500_000
  const table: Record<string, string> = {
    'lists nested 500,000 deep': body.replace('{', `{"deep":${'['.repeat(deep)}${']'.repeat(deep)},`),
    'objects nested 100,000 deep': body.replace('{', `{"deep":${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)},`),
    '100,000 claims': body.replace('{', `{${Array.from({ length: 100_000 }, (_, i) => `"c${i}":${i}`).join()},`),
    'a claim of 2 MB': body.replace('{', `{"text":"${'a'.repeat(2_000_000)}",`),
    'a list of 500,000': body.replace('{', `{"list":[${'1,'.repeat(499_999)}1],`)
  }
  for (const [name, payload] of Object.entries(table)) {
    const token = signedJson(hmac, payload)
    t.equal(faultOf(await send({ url: '/required', method: 'POST', payload: { access_token: token } }), passes), undefined, name)
    t.equal(app.jwt.getIdentity(token), 'user123', `${name}, unverified`)
  }
  const unclosed = signedJson(hmac, body.replace('{', `{"deep":${'['.repeat(deep)},`))
  t.equal(faultOf(await send({ url: '/required', method: 'POST', payload: { access_token: unclosed } }), invalid('malformed')), undefined)
})
