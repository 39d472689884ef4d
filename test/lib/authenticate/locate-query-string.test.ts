import t from 'tap'
import { assertRefused, passes, protectedApp, refusals, refused } from '../../helpers/protected-app.ts'

const get = (url: string, query: Record<string, string | string[]>) => ({ url, query })

t.test('a token in the query string', async t => {
  const app = await protectedApp(t, { tokenLocation: 'queryString' })
  const access = app.jwt.createAccessToken('user123')
  const refresh = app.jwt.createRefreshToken('user123')
  await passes(t, app, get('/required', { jwt: access }), 'user123', 'an access token')
  await passes(t, app, get('/refresh', { jwt: refresh }), 'user123', 'a refresh token, by the same name')
  await passes(t, app, { method: 'POST', ...get('/required', { jwt: access }) }, 'user123', 'POST, which needs no CSRF token here')
  await refused(t, app, get('/required', { jwt: refresh }), refusals.accessRequired, 'a refresh token where an access token belongs')
  await refused(t, app, get('/refresh', { jwt: access }), refusals.refreshRequired, 'an access token where a refresh token belongs')
  t.equal((await app.inject(get('/required', { jwt: access }))).json().location, 'queryString')
})

t.test('query strings without a token, and with something else in its place', async t => {
  const app = await protectedApp(t, { tokenLocation: 'queryString' })
  const token = app.jwt.createAccessToken('user123')
  for (const [name, url, refusal] of [
    ['no query string', '/required', refusals.missing],
    ['another parameter', `/required?token=${token}`, refusals.missing],
    ['the name in other letters', `/required?JWT=${token}`, refusals.missing],
    ['an empty parameter', '/required?jwt=', refusals.missing],
    ['a parameter with no value', '/required?jwt', refusals.missing],
    ['the parameter twice', `/required?jwt=${token}&jwt=${token}`, refusals.badRequest],
    ['the parameter twice, once empty', `/required?jwt=${token}&jwt=`, refusals.badRequest],
    ['no token', '/required?jwt=nonsense', refusals.invalid],
    ['a token after a scheme nobody asked for', `/required?jwt=Bearer%20${token}`, refusals.invalid]
  ] as const) {
    await refused(t, app, { url }, refusal, name)
  }
})

t.test('the parameter and what stands before the token are options', async t => {
  const app = await protectedApp(t, { tokenLocation: 'queryString', queryStringName: 'access-token', queryStringValuePrefix: 'Bearer ' })
  const token = app.jwt.createAccessToken('user123')
  await passes(t, app, get('/required', { 'access-token': `Bearer ${token}` }), 'user123', 'with the prefix')
  await refused(t, app, get('/required', { 'access-token': token }), refusals.badRequest, 'without the prefix')
  await refused(t, app, get('/required', { 'access-token': `bearer ${token}` }), refusals.badRequest, 'a prefix in other letters')
  await refused(t, app, get('/required', { 'access-token': 'Bearer ' }), refusals.badRequest, 'nothing after the prefix')
  await refused(t, app, get('/required', { jwt: `Bearer ${token}` }), refusals.missing, 'the default name')
})

t.test('the answer to a malformed parameter does not hold what came', async t => {
  const app = await protectedApp(t, { tokenLocation: 'queryString', queryStringValuePrefix: 'Bearer ' })
  const token = app.jwt.createAccessToken('user123')
  for (const value of [token, [token, token]]) {
    const response = await app.inject(get('/required', { jwt: value }))
    assertRefused(t, response, refusals.badRequest, 'malformed')
    t.notMatch(JSON.stringify(response.headers) + response.body, token.slice(0, 20))
  }
})

t.test('a name of an object of every kind is a parameter like any other', async t => {
  const app = await protectedApp(t, { tokenLocation: 'queryString', queryStringName: 'toString' })
  await refused(t, app, { url: '/required' }, refusals.missing, 'not there')
  await passes(t, app, get('/required', { toString: app.jwt.createAccessToken('user123') }), 'user123', 'there')
})
