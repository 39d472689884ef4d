import t from 'tap'
import { startExample } from '../../helpers/example-process.ts'

/** The programs for the pages of Flask-JWT-Extended's guide, each over a real socket, as its reader would try it. */

interface Answer { status: number, body: Record<string, unknown>, cookies: Record<string, string>, cacheControl: string | null }

interface Sent { method?: string, body?: unknown, bearer?: unknown, cookie?: string, headers?: Record<string, string> }

async function call (url: string, { method, body, bearer, cookie, headers = {} }: Sent = {}): Promise<Answer> {
  const response = await fetch(url, {
    method: method ?? (body === undefined ? 'GET' : 'POST'),
    headers: {
      ...headers,
      ...body === undefined ? {} : { 'content-type': 'application/json' },
      ...bearer === undefined ? {} : { authorization: `Bearer ${String(bearer)}` },
      ...cookie === undefined ? {} : { cookie }
    },
    ...body === undefined ? {} : { body: JSON.stringify(body) }
  })
  const text = await response.text()
  return {
    status: response.status,
    body: text === '' ? {} : JSON.parse(text) as Record<string, unknown>,
    cookies: Object.fromEntries(response.headers.getSetCookie().map(line => line.split(';')[0]?.split('=') as [string, string])),
    cacheControl: response.headers.get('cache-control')
  }
}

const login = (url: string, body: unknown = { username: 'ada' }) => call(`${url}/login`, { body })

t.test('additional-claims', async t => {
  const { url } = await startExample(t, 'additional-claims')
  for (const [username, plan] of [['ada', 'paid'], ['bob', 'free'], ['somebody', 'free']]) {
    const { body, cacheControl } = await login(url, { username })
    t.equal(cacheControl, 'no-store')
    const answer = await call(`${url}/protected`, { bearer: body['access_token'] })
    t.strictSame(answer.body, { user: username, plan, theme: 'dark', region: 'north' })
  }
  t.equal((await call(`${url}/protected`)).status, 401)
})

t.test('user-loading', async t => {
  const { url } = await startExample(t, 'user-loading')
  const ada = (await login(url, { id: 1 })).body['access_token']
  const bob = (await login(url, { id: 2 })).body['access_token']
  const both = await Promise.all([call(`${url}/me`, { bearer: ada }), call(`${url}/me`, { bearer: bob })])
  t.strictSame(both.map(({ body }) => body), [{ id: 1, name: 'Ada' }, { id: 2, name: 'Bob' }])
  t.equal((await call(`${url}/me`, { method: 'DELETE', bearer: ada })).status, 204)
  const gone = await call(`${url}/me`, { bearer: ada })
  t.equal(gone.status, 401)
  t.equal(gone.body['code'], 'FST_JWT_USER_NOT_FOUND')
  t.equal((await login(url, { id: 1 })).status, 401)
  t.equal((await call(`${url}/me`, { bearer: bob })).status, 200)
})

t.test('optional-routes', async t => {
  const { url } = await startExample(t, 'optional-routes')
  const bearer = (await login(url)).body['access_token']
  t.strictSame((await call(`${url}/feed`)).body, { feed: 'public' })
  t.strictSame((await call(`${url}/feed`, { bearer })).body, { feed: 'personalized for ada' })
  t.strictSame((await call(`${url}/feed`, { bearer: 'nonsense' })).body, { feed: 'public' })
  t.strictSame((await call(`${url}/cart`)).body, { cart: 'of a visitor' })
  t.strictSame((await call(`${url}/cart`, { bearer })).body, { cart: 'ada' })
  const refused = await call(`${url}/cart`, { bearer: 'nonsense' })
  t.equal(refused.status, 401)
  t.equal(refused.body['code'], 'FST_JWT_INVALID_TOKEN')
})

t.test('freshness', async t => {
  const { url } = await startExample(t, 'freshness')
  const { access_token: fresh, refresh_token: refresh } = (await login(url)).body
  t.strictSame((await call(`${url}/email`, { method: 'PUT', bearer: fresh })).body, { email: 'changed' })
  const refreshed = (await call(`${url}/refresh`, { method: 'POST', bearer: refresh })).body['access_token']
  t.strictSame((await call(`${url}/profile`, { bearer: refreshed })).body, { user: 'ada' })
  const refused = await call(`${url}/email`, { method: 'PUT', bearer: refreshed })
  t.equal(refused.status, 401)
  t.equal(refused.body['code'], 'FST_JWT_FRESH_REQUIRED')
  t.equal((await call(`${url}/refresh`, { method: 'POST', bearer: fresh })).body['code'], 'FST_JWT_REFRESH_REQUIRED')
})

t.test('implicit-refresh', async t => {
  const { url } = await startExample(t, 'implicit-refresh')
  const first = (await login(url)).cookies['access_token_cookie'] ?? ''
  t.ok(first)
  const cookie = `access_token_cookie=${first}`
  t.same((await call(`${url}/protected`, { cookie })).cookies, {}, 'an hour is left: nothing to renew')
  t.equal((await call(`${url}/change-password`, { method: 'POST', cookie })).status, 200)
  const crossSite = { 'sec-fetch-site': 'cross-site' }
  t.equal((await call(`${url}/logout`, { method: 'POST', cookie, headers: crossSite })).status, 403)
  t.equal((await call(`${url}/login`, { body: { username: 'mallory' }, headers: crossSite })).status, 403)
  const logout = await call(`${url}/logout`, { method: 'POST', cookie })
  t.strictSame(logout.cookies, { access_token_cookie: '' })
})

t.test('implicit-refresh, in a hurry', async t => {
  const { url } = await startExample(t, 'implicit-refresh', { ACCESS_EXPIRES: '1h', IMPLICIT_REFRESH: '3599s' })
  const first = (await login(url)).cookies['access_token_cookie'] ?? ''
  let renewed: Answer
  // From the next second on there is less left than that.
  do renewed = await call(`${url}/protected`, { cookie: `access_token_cookie=${first}` })
  while (renewed.cookies['access_token_cookie'] === undefined)
  const second = renewed.cookies['access_token_cookie']
  t.not(second, first)
  t.strictSame(renewed.body, { user: 'ada' })
  const cookie = `access_token_cookie=${second}`
  t.equal((await call(`${url}/protected`, { cookie })).status, 200)
  t.equal((await call(`${url}/change-password`, { method: 'POST', cookie })).body['code'], 'FST_JWT_FRESH_REQUIRED')
  t.strictSame((await call(`${url}/logout`, { method: 'POST', cookie })).cookies, { access_token_cookie: '' })
})

t.test('denylist-callback', async t => {
  const { url } = await startExample(t, 'denylist-callback')
  const { access_token: access, refresh_token: refresh } = (await login(url)).body
  const other = (await login(url)).body['access_token']
  t.strictSame((await call(`${url}/protected`, { bearer: access })).body, { user: 'ada' })
  t.strictSame((await call(`${url}/logout`, { method: 'DELETE', bearer: access })).body, { message: 'access token revoked' })
  t.equal((await call(`${url}/protected`, { bearer: access })).body['code'], 'FST_JWT_REVOKED')
  t.equal((await call(`${url}/protected`, { bearer: other })).status, 200, 'another login goes on')
  t.equal((await call(`${url}/refresh`, { method: 'POST', bearer: refresh })).status, 200)
  t.strictSame((await call(`${url}/logout`, { method: 'DELETE', bearer: refresh })).body, { message: 'refresh token revoked' })
  t.equal((await call(`${url}/refresh`, { method: 'POST', bearer: refresh })).body['code'], 'FST_JWT_REVOKED')
  t.equal((await call(`${url}/logout`, { method: 'DELETE', bearer: refresh })).status, 401)
})

t.test('several-locations', async t => {
  const { url } = await startExample(t, 'several-locations')
  const { body, cookies } = await login(url)
  const bearer = body['access_token']
  const cookie = `access_token_cookie=${cookies['access_token_cookie']}`
  t.strictSame((await call(`${url}/protected`, { bearer })).body, { user: 'ada', found: 'headers' })
  t.strictSame((await call(`${url}/protected`, { cookie })).body, { user: 'ada', found: 'cookies' })
  t.strictSame((await call(`${url}/protected`, { body: { access_token: bearer } })).body, { user: 'ada', found: 'json' })
  t.strictSame((await call(`${url}/protected`, { body: { access_token: bearer }, cookie })).body, { user: 'ada', found: 'cookies' })
  t.equal((await call(`${url}/protected`, { cookie, method: 'POST', headers: { 'sec-fetch-site': 'cross-site' } })).status, 403)
  t.equal((await call(`${url}/protected?jwt=${String(bearer)}`)).status, 401, 'not in the query string')
  t.strictSame((await call(`${url}${String(body['download'])}`)).body, { report: 'of ada', found: 'queryString' })
  t.equal((await call(`${url}/report`, { cookie })).status, 401)
  t.equal((await call(`${url}/only-headers`, { cookie })).status, 401)
  t.strictSame((await call(`${url}/only-headers`, { bearer })).body, { user: 'ada' })
})

t.test('custom-hooks', async t => {
  const { url } = await startExample(t, 'custom-hooks')
  const administrator = (await login(url, { username: 'ada', administrator: true })).body['access_token']
  const user = (await login(url, { username: 'bob' })).body['access_token']
  t.strictSame((await call(`${url}/administration`, { bearer: administrator })).body, { administrator: 'ada' })
  t.match(await call(`${url}/administration`, { bearer: user }), { status: 403, body: { message: 'Administrators only' } })
  t.match(await call(`${url}/administration`), { status: 401, body: { code: 'FST_JWT_MISSING_TOKEN' } })
  t.strictSame((await call(`${url}/users/bob/letters`, { bearer: user })).body, { letters: [] })
  t.equal((await call(`${url}/users/ada/letters`, { bearer: user })).status, 404)
  t.equal((await call(`${url}/users/bob/letters`)).status, 401)
  t.strictSame((await call(`${url}/articles`)).body, { articles: ['published'] })
  t.strictSame((await call(`${url}/articles?drafts`, { bearer: user })).body, { articles: ['published', 'a draft of bob'] })
  t.equal((await call(`${url}/articles?drafts`)).status, 401)
})
