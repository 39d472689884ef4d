import { toUSVString } from 'node:util'
import type { InjectOptions } from 'fastify'
import type { Test } from 'tap'
import { hmac, signed } from './configurations.ts'
import { hostileTokens } from './hostile-tokens.ts'
import { everyLocation, faultOf, invalid, passes, recordingApp } from './recording-app.ts'
import type { Configuration } from './configurations.ts'
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

/** The test that every hostile token gets its verdict from an app of one configuration, and leaks nothing. */
export function testHostileTokens (t: Test, configuration: Configuration): void {
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
      // What a front end sends if it has no token is named.
      const named = ['null', 'undefined'].includes(token) ? invalid(`the word '${token}' where a token belongs`) : told
      const verdict = typeof named === 'function' ? named(configuration) : named
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
