import { toUSVString } from 'node:util'
import t from 'tap'
import type { InjectOptions } from 'fastify'
import { configurations, hmac, signed, soundClaims, signedJson } from './configurations.ts'
import { hostileTokens } from './hostile-tokens.ts'
import { everyLocation, faultOf, invalid, passes, recordingApp } from './recording-app.ts'
import type { Verdict } from './recording-app.ts'

/** Whether a text can be written in UTF-8. */
function isWellFormed (text: string): boolean {
  return toUSVString(text) === text
}

/** The ways a token can be sent; `null` where that way can't carry it. */
const ways: Record<string, (token: string) => InjectOptions | null> = {
  header: token => /^[\x21-\x2b\x2d-\x7e]+$/.test(token) ? { headers: { authorization: `Bearer ${token}` } } : null,
  cookie: token => isWellFormed(token) ? { headers: { cookie: `access_token_cookie=${encodeURIComponent(token)}` } } : null,
  query: token => isWellFormed(token) ? { query: { jwt: token } } : null,
  body: token => ({ method: 'POST', payload: { access_token: token } })
}

for (const configuration of configurations) {
  // What differs between the ways is not the key: all of them under one is enough.
  const usedWays = configuration === hmac ? Object.entries(ways) : Object.entries(ways).filter(([way]) => way === 'body')
  t.test(`${configuration.name}: the verdict on every hostile token, sent in ${usedWays.map(([way]) => way).join(', ')}`, async t => {
    const { app, send, leaked } = await recordingApp(t, { ...configuration.options, ...everyLocation })
    const faults: string[] = []
    let sent = 0
    // Making a signature on this curve takes milliseconds, so there it is the signatures alone.
    const corpus = configuration.algorithm === 'ES512' ? hostileTokens.filter(({ name }) => /^ECDSA|signature/.test(name)) : hostileTokens
    for (const { name, token: make, verdict: told } of corpus) {
      const token = make(configuration)
      if (token === null) continue
      const verdict = typeof told === 'function' ? told(configuration) : told
      const judge = (where: string, fault: string | undefined) => { if (fault !== undefined) faults.push(`${name}, ${where}: ${fault}`) }
      for (const [way, carry] of usedWays) {
        const request = carry(token)
        if (request === null) continue
        const answer = await send({ url: '/required', ...request })
        sent++
        judge(way, faultOf(answer, verdict))
        const leak = leaked(answer, [token, token.split('.')[2] ?? '', ...configuration.secrets])
        judge(way, leak === undefined ? undefined : 'leaks')
      }
      if (app.jwt.verifyToken(token, { type: 'access' }) !== ('passes' in verdict)) judge('verifyToken', 'has another verdict')
      if (configuration !== hmac) continue
      const body = ways['body']?.(token) as InjectOptions
      const optional: Verdict = 'passes' in verdict ? verdict : { passes: null }
      judge('optional', faultOf(await send({ url: '/optional', ...body }), optional))
      judge('strict', faultOf(await send({ url: '/strict', ...body }), verdict))
      // Twice, since what was seen is remembered.
      judge('again', faultOf(await send({ url: '/required', ...body }), verdict))
      sent += 3
    }
    t.strictSame(faults, [])
    t.ok(sent > (configuration === hmac ? 2500 : configuration.algorithm === 'ES512' ? 60 : 450), `${sent} requests`)
    t.strictSame(Object.keys(Object.prototype), [], 'no prototype was touched')
    const token = signed(configuration)
    t.equal(faultOf(await send({ url: '/required', headers: { authorization: `Bearer ${token}` } }), passes), undefined, 'and a sound token passes still')
  })
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

t.test('issuer and audience of every type', async t => {
  const { send } = await recordingApp(t, { ...hmac.options, issuer: 'https://issuer.example', audience: ['app', 'api'] })
  const sound = { iss: 'https://issuer.example', aud: 'app' }
  const table: Array<[claims: Record<string, unknown>, verdict: Verdict]> = [
    [sound, passes],
    [{ ...sound, aud: ['other', 'api'] }, passes],
    [{ ...sound, aud: undefined }, invalid('audience')],
    [{ ...sound, iss: undefined }, invalid('issuer')],
    ...[null, '', 'App', 'app ', 0, true, {}, [], ['other'], [['app']], ['app', 5], ['app', null], { 0: 'app', length: 1 }].map((aud): [Record<string, unknown>, Verdict] =>
      [{ ...sound, aud }, invalid('audience')]),
    ...[null, '', 'https://issuer.example/', 'HTTPS://ISSUER.EXAMPLE', ['https://issuer.example'], 0, true, {}].map((iss): [Record<string, unknown>, Verdict] =>
      [{ ...sound, iss }, invalid('issuer')])
  ]
  for (const [claims, verdict] of table) {
    const answer = await send({ url: '/required', headers: { authorization: `Bearer ${signed(hmac, claims)}` } })
    t.equal(faultOf(answer, verdict), undefined, JSON.stringify(claims))
  }
})

t.test('freshness is what a token says, of the right kind, and in time', async t => {
  const { send } = await recordingApp(t, hmac.options)
  const soon = Date.now() / 1000 + 60
  const stale: Verdict = { code: 'FST_JWT_FRESH_REQUIRED' }
  const table: Array<[fresh: unknown, verdict: Verdict]> = [
    [true, passes], [soon, passes], [1e300, passes],
    [false, stale], [undefined, stale], [0, stale], [1, stale], [-1, stale], [soon - 61, stale],
    [null, invalid('fresh')], ['true', invalid('fresh')], [String(soon), invalid('fresh')], [[], invalid('fresh')], [{}, invalid('fresh')]
  ]
  for (const [fresh, verdict] of table) {
    const answer = await send({ url: '/fresh', headers: { authorization: `Bearer ${signed(hmac, { fresh })}` } })
    t.equal(faultOf(answer, verdict), undefined, JSON.stringify(fresh))
  }
})

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

t.test('an own typ that would be refused here cannot be written', async t => {
  const { app } = await recordingApp(t, hmac.options)
  for (const typ of ['logout+jwt', 'application/my+jwt', 1]) {
    t.throws(() => app.jwt.createAccessToken('user123', { headers: { typ } }), TypeError, String(typ))
  }
  const token = app.jwt.createAccessToken('user123', { headers: { typ: 'at+jwt' } })
  t.equal(app.jwt.verifyToken(token), true, 'at+jwt of RFC 9068 can')
})
