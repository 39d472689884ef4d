import t from 'tap'
import type { Test } from 'tap'
import { startExample } from '../../helpers/example-process.ts'
import { noRedis, startRedis } from '../../helpers/redis-server.ts'

interface Answer { readonly status: number, readonly body: Record<string, unknown>, readonly cookies: Record<string, string> }

async function call (url: string, method: string, { token, cookies, body, headers = {} }: {
  token?: unknown, cookies?: Record<string, string>, body?: object, headers?: Record<string, string>
} = {}): Promise<Answer> {
  const response = await fetch(url, {
    method,
    headers: {
      ...headers,
      ...token === undefined ? {} : { authorization: `Bearer ${String(token)}` },
      ...cookies === undefined ? {} : { cookie: Object.entries(cookies).map(([name, value]) => `${name}=${value}`).join('; ') },
      ...body === undefined ? {} : { 'content-type': 'application/json' }
    },
    ...body === undefined ? {} : { body: JSON.stringify(body) }
  })
  return {
    status: response.status,
    body: await response.json() as Record<string, unknown>,
    cookies: Object.fromEntries(response.headers.getSetCookie().map(line => line.split(';', 1)[0]?.split('=') as [string, string]))
  }
}

async function login (url: string, username = 'ada', headers: Record<string, string> = {}): Promise<{ access: unknown, refresh: unknown }> {
  const { body } = await call(`${url}/login`, 'POST', { body: { username }, headers })
  return { access: body.access_token, refresh: body.refresh_token }
}

async function refused (t: Test, url: string, method: string, token: unknown, code = 'FST_JWT_REVOKED'): Promise<void> {
  const { status, body } = await call(url, method, { token })
  t.match({ status, code: body.code }, { status: 401, code })
}

t.test('logout-revocation: a logout with either token ends the session, and nothing else', async t => {
  const { url } = await startExample(t, 'logout-revocation')
  const [first, second, other] = [await login(url), await login(url), await login(url)]
  t.strictSame((await call(`${url}/protected`, 'GET', { token: first.access })).body, { user: 'ada' })
  const next = (await call(`${url}/refresh`, 'POST', { token: first.refresh })).body

  t.strictSame((await call(`${url}/logout`, 'POST', { token: first.access })).body, { logout: true })
  for (const token of [first.access, next.access_token]) await refused(t, `${url}/protected`, 'GET', token)
  for (const token of [first.refresh, next.refresh_token]) await refused(t, `${url}/refresh`, 'POST', token)
  t.equal((await call(`${url}/logout`, 'POST', { token: first.access })).status, 200, 'to log out twice is no error')

  t.equal((await call(`${url}/logout`, 'POST', { token: second.refresh })).status, 200)
  await refused(t, `${url}/protected`, 'GET', second.access)

  const apiToken = (await call(`${url}/api-token`, 'POST', { token: other.access })).body.api_token
  t.equal((await call(`${url}/protected`, 'GET', { token: apiToken })).status, 200)
  t.equal((await call(`${url}/logout`, 'POST', { token: apiToken })).status, 200)
  await refused(t, `${url}/protected`, 'GET', apiToken)
  t.equal((await call(`${url}/protected`, 'GET', { token: other.access })).status, 200, 'another login goes on')
})

t.test('rotation-cookies: refresh, two tabs, reuse and logout, as a browser would', async t => {
  const { url } = await startExample(t, 'rotation-cookies')
  const headers = { 'sec-fetch-site': 'same-origin' }
  const { cookies } = await call(`${url}/auth/login`, 'POST', { body: { username: 'ada' }, headers })
  t.match(cookies.refresh_token_cookie, /^[\w-]{107}$/)
  t.strictSame((await call(`${url}/protected`, 'GET', { cookies })).body, { user: 'ada' })

  const tabs = await Promise.all([1, 2].map(async () => call(`${url}/auth/refresh`, 'POST', { cookies, headers })))
  t.strictSame(tabs.map(({ body }) => body), [{ refresh: true }, { refresh: true }])
  const [one, two] = tabs.map(tab => tab.cookies)
  t.equal(one?.refresh_token_cookie, two?.refresh_token_cookie)
  t.not(one?.refresh_token_cookie, cookies.refresh_token_cookie)
  t.equal((await call(`${url}/auth/refresh`, 'POST', { cookies: one ?? {}, headers: { 'sec-fetch-site': 'cross-site' } })).body.code, 'FST_JWT_CSRF')
  const later = (await call(`${url}/auth/refresh`, 'POST', { cookies: one ?? {}, headers })).cookies
  t.equal((await call(`${url}/auth/refresh`, 'POST', { cookies, headers })).body.code, 'FST_JWT_REUSED')
  t.equal((await call(`${url}/protected`, 'GET', { cookies: later })).body.code, 'FST_JWT_REVOKED')

  const again = (await call(`${url}/auth/login`, 'POST', { body: { username: 'ada' }, headers })).cookies
  for (let times = 0; times < 2; times++) {
    const logout = await call(`${url}/auth/logout`, 'POST', { cookies: again, headers })
    t.strictSame([logout.body, logout.cookies], [{ logout: true }, { access_token_cookie: '', refresh_token_cookie: '' }])
  }
  t.equal((await call(`${url}/protected`, 'GET', { cookies: again })).body.code, 'FST_JWT_REVOKED')
})

t.test('device-list: where a user is logged in, log out one, log out all others', async t => {
  const { url } = await startExample(t, 'device-list')
  const [phone, laptop, tablet] = [
    await login(url, 'ada', { 'user-agent': 'phone' }), await login(url, 'ada', { 'user-agent': 'laptop' }), await login(url, 'ada', { 'user-agent': 'tablet' })
  ]
  const eve = await login(url, 'eve', { 'user-agent': 'x'.repeat(5000) })
  interface Device { id: string, current: boolean, metadata: { device: string, address: string }, createdAt: string }
  const list = async (token: unknown): Promise<Device[]> => (await call(`${url}/sessions`, 'GET', { token })).body as unknown as Device[]
  const devices = await list(laptop.access)
  t.strictSame(devices.map(({ metadata, current }) => [metadata.device, metadata.address, current]),
    [['tablet', '127.0.0.1', false], ['laptop', '127.0.0.1', true], ['phone', '127.0.0.1', false]])
  t.ok(devices.every(({ createdAt }) => !Number.isNaN(Date.parse(createdAt))))
  t.equal((await list(eve.access))[0]?.metadata.device.length, 200)

  const idOf = (name: string): string => devices.find(({ metadata }) => metadata.device === name)?.id ?? ''
  t.equal((await call(`${url}/sessions/${idOf('phone')}`, 'DELETE', { token: eve.access })).status, 404, "nobody ends another's session")
  t.equal((await call(`${url}/sessions/${idOf('phone')}`, 'DELETE', { token: laptop.access })).status, 200)
  t.equal((await call(`${url}/sessions/${idOf('phone')}`, 'DELETE', { token: laptop.access })).status, 404)
  await refused(t, `${url}/sessions`, 'GET', phone.access)
  t.strictSame((await call(`${url}/sessions`, 'DELETE', { token: laptop.access })).body, { ended: 1 })
  await refused(t, `${url}/sessions`, 'GET', tablet.access)
  t.strictSame((await list(laptop.access)).map(({ metadata }) => metadata.device), ['laptop'])
  t.equal((await list(eve.access)).length, 1)
})

t.test('several-servers: what one revokes, the other refuses', { skip: noRedis }, async t => {
  const redis = await startRedis(t)
  const env = { REDIS_URL: redis.url, JWT_SECRET_KEY: 'a secret for the examples, longer than the 32 bytes it must be' }
  const [one, two] = await Promise.all([1, 2].map(async () => startExample(t, 'several-servers', env)))
  const { access, refresh } = await login(one?.url ?? '')
  t.equal((await call(`${two?.url}/protected`, 'GET', { token: access })).body.user, 'ada')
  const next = (await call(`${two?.url}/refresh`, 'POST', { token: refresh })).body
  t.equal((await call(`${one?.url}/protected`, 'GET', { token: next.access_token })).status, 200)
  t.strictSame((await call(`${two?.url}/logout`, 'POST', { token: access })).body, { logout: true })
  for (const token of [access, next.access_token]) await refused(t, `${one?.url}/protected`, 'GET', token)
  await refused(t, `${one?.url}/refresh`, 'POST', next.refresh_token)
})

t.test('metrics: each event is counted', async t => {
  const { url } = await startExample(t, 'metrics')
  const session = (await call(`${url}/login`, 'POST', { body: { username: 'ada' } })).body
  await refused(t, `${url}/protected`, 'GET', 'none', 'FST_JWT_INVALID_TOKEN')
  const refresh = async (token: unknown): Promise<Answer> => call(`${url}/refresh`, 'POST', { token })
  const next = (await refresh(session.refreshToken)).body
  await refresh(session.refreshToken)
  await refresh(next.refreshToken)
  t.equal((await refresh(session.refreshToken)).body.code, 'FST_JWT_REUSED')
  t.strictSame((await (await fetch(`${url}/metrics`)).text()).trim().split('\n').sort(), [
    'jwt_refresh_reused_total 1',
    'jwt_refused_total{code="FST_JWT_INVALID_TOKEN"} 1',
    'jwt_refused_total{code="FST_JWT_REUSED"} 1',
    'jwt_sessions_revoked_total{cause="reused"} 1',
    'jwt_sessions_rotated_total{repeated="false"} 2',
    'jwt_sessions_rotated_total{repeated="true"} 1',
    'jwt_sessions_started_total 1'
  ])
})

t.test('log-in-as: staff act for a user, are seen to, and go back to their own login', async t => {
  const { url } = await startExample(t, 'log-in-as')
  const staff = (await call(`${url}/staff/login`, 'POST', { body: { username: 'sam' } })).cookies
  const user = (await call(`${url}/login`, 'POST', { body: { username: 'ada' } })).cookies
  t.strictSame((await call(`${url}/me`, 'GET', { cookies: user })).body, { user: 'ada', actor: null })

  t.equal((await call(`${url}/staff/log-in-as/ada`, 'POST', { cookies: user })).status, 401, 'a user is no staff')
  const moved = { staff_access: user.access_token_cookie as string }
  t.match(await call(`${url}/staff/log-in-as/ada`, 'POST', { cookies: moved }), { status: 401, body: { code: 'FST_JWT_INVALID_TOKEN' } })

  const acting = (await call(`${url}/staff/log-in-as/ada`, 'POST', { cookies: staff })).cookies
  t.strictSame((await call(`${url}/me`, 'GET', { cookies: acting })).body, { user: 'ada', actor: 'sam' })
  t.match(await call(`${url}/password`, 'POST', { cookies: acting }), { status: 401, body: { code: 'FST_JWT_FRESH_REQUIRED' } })
  t.match(await call(`${url}/orders`, 'POST', { cookies: acting }), { status: 403, body: { message: 'Not while acting for a user' } })
  t.equal((await call(`${url}/orders`, 'POST', { cookies: user })).status, 200)

  t.strictSame((await call(`${url}/logout`, 'POST', { cookies: acting })).body, { ended: true })
  t.equal((await call(`${url}/me`, 'GET', { cookies: acting })).status, 401)
  t.strictSame((await call(`${url}/staff/me`, 'GET', { cookies: staff })).body, { staff: 'sam' }, 'back at the own login')
  t.equal((await call(`${url}/me`, 'GET', { cookies: user })).status, 200, 'and the user was never logged out')
})
