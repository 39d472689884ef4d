import t from 'tap'
import { hmac, signed } from '../../helpers/security/configurations.ts'
import { faultOf, invalid, passes, recordingApp } from '../../helpers/security/recording-app.ts'
import { testHostileTokens } from '../../helpers/security/testing-tokens.ts'
import type { Verdict } from '../../helpers/security/recording-app.ts'

testHostileTokens(t, hmac)

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

t.test('an own typ that would be refused here cannot be written', async t => {
  const { app } = await recordingApp(t, hmac.options)
  for (const typ of ['logout+jwt', 'application/my+jwt', 1]) {
    t.throws(() => app.jwt.createAccessToken('user123', { headers: { typ } }), TypeError, String(typ))
  }
  const token = app.jwt.createAccessToken('user123', { headers: { typ: 'at+jwt' } })
  t.equal(app.jwt.verifyToken(token), true, 'at+jwt of RFC 9068 can')
})
