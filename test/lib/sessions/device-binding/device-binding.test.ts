import t from 'tap'
import { boundApp, bound, signedIn } from '../../../helpers/bound-app.ts'
import { Device } from '../../../helpers/device.ts'
import { movableTime } from '../../../helpers/session-app.ts'
import type { LightMyRequestResponse } from 'fastify'

/** `200`, or the code of the error. */
export const verdictOf = (response: LightMyRequestResponse): number | string => response.statusCode === 200 ? 200 : response.json<{ code?: string }>().code ?? response.statusCode

const cookie = 'access_token_cookie'

t.test('a login announces registration, and the browser binds the session', async t => {
  for (const device of [new Device('ES256'), new Device('RS256')]) {
    const app = await boundApp(t)
    const browser = await signedIn(app, device)
    t.match(browser.registration, { path: '/device-binding/registration', challenge: /^[\w-]{43}$/, authorization: /^[\w-]{43}$/ })
    t.equal((await browser.send('GET', '/me')).json().bound, false)
    const [before] = await app.jwt.listSessions('ada')
    t.equal(before?.bound, false)

    const response = await browser.register()
    t.equal(response.statusCode, 200)
    t.match(response.headers, { 'cache-control': 'no-store', 'content-type': /^application\/json/, 'secure-session-challenge': /^"[\w-]{43}";id="[\w-]{59}"$/ })
    t.match(response.json(), {
      session_identifier: new RegExp(`^${before?.id}-[\\w-]{22}$`),
      refresh_url: '/device-binding/refresh',
      scope: { include_site: false, scope_specification: [{ type: 'exclude', domain: '*', path: '/device-binding/registration' }] },
      credentials: [{ type: 'cookie', name: cookie, attributes: 'Path=/; HttpOnly; Secure; SameSite=Lax' }]
    })
    t.notOk('allowed_refresh_initiators' in response.json())
    t.match(await app.jwt.listSessions('ada'), [{ id: before?.id, bound: true }])
    const me = (await browser.send('GET', '/me')).json()
    t.match(me, { user: 'ada', bound: true, claims: { fresh: true, gen: 1 } }, 'the login stays fresh')
  }
})

t.test('the device gets new tokens by a proof, with cookies and without', async t => {
  const time = movableTime(t)
  const app = await boundApp(t)
  const browser = await bound(app)
  for (const cookies of [true, false]) {
    const before = browser.cookies.get(cookie)
    time.advance(901)
    browser.cookies.delete(cookie)
    if (!cookies) browser.cookies.clear()
    const response = await browser.refresh()
    t.equal(response.statusCode, 200)
    t.same(response.json(), browser.instructions, 'the same instructions')
    t.not(browser.cookies.get(cookie), before)
    t.match((await browser.send('GET', '/me')).json(), { user: 'ada', bound: true, claims: { fresh: false } })
  }
})
