import t from 'tap'
import type { TokenLocation } from '../../../lib/index.ts'
import { passes, protectedApp, refusals, refused } from '../../helpers/protected-app.ts'

const places = ['headers', 'cookies', 'queryString', 'json'] as const

/** A POST with these tokens in these places. */
function requestWith (tokens: Partial<Record<TokenLocation, string>>) {
  return {
    method: 'POST' as const,
    url: '/required',
    headers: tokens.headers === undefined ? {} : { authorization: `Bearer ${tokens.headers}` },
    ...tokens.cookies === undefined ? {} : { cookies: { access_token_cookie: tokens.cookies } },
    ...tokens.queryString === undefined ? {} : { query: { jwt: tokens.queryString } },
    payload: tokens.json === undefined ? {} : { access_token: tokens.json }
  }
}

for (const first of places) {
  for (const second of places.filter(place => place !== first)) {
    t.test(`${first} before ${second}: the first that holds a token decides`, async t => {
      const app = await protectedApp(t, { tokenLocation: [first, second] })
      const [one, two, expired] = [app.jwt.createAccessToken('first'), app.jwt.createAccessToken('second'), app.jwt.createAccessToken('first', { expiresIn: -1 })]
      await passes(t, app, requestWith({ [first]: one, [second]: two }), 'first', 'both')
      await passes(t, app, requestWith({ [first]: one }), 'first', 'the first alone')
      await passes(t, app, requestWith({ [second]: two }), 'second', 'the second alone')
      await refused(t, app, requestWith({ [first]: expired, [second]: two }), refusals.expired, 'a bad one in the first')
      await passes(t, app, requestWith({ [first]: one, [second]: expired }), 'first', 'a bad one in the second')
      await refused(t, app, requestWith({}), refusals.missing, 'neither')
      for (const other of places.filter(place => place !== first && place !== second)) {
        await refused(t, app, requestWith({ [other]: one }), refusals.missing, `${other}, which is no location`)
      }
    })
  }
}

t.test('jwtLocation tells which it was', async t => {
  const app = await protectedApp(t, { tokenLocation: places })
  for (const place of places) {
    const response = await app.inject(requestWith({ [place]: app.jwt.createAccessToken('user123') }))
    t.equal(response.json().location, place)
  }
})

t.test('something malformed in a place decides as well', async t => {
  const app = await protectedApp(t, { tokenLocation: places })
  const token = app.jwt.createAccessToken('user123')
  await refused(t, app, { ...requestWith({ cookies: token }), headers: { authorization: 'Bearer' } }, refusals.badRequest, 'the header')
  await refused(t, app, { ...requestWith({ json: token }), query: { jwt: [token, token] } }, refusals.badRequest, 'the query string')
  await passes(t, app, { ...requestWith({ cookies: token }), headers: { authorization: 'Basic dXNlcjpwYXNz' } }, 'user123', 'a header that holds something else does not')
})
