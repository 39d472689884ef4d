import { execFile, execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { startExample } from '../../helpers/example-process.ts'
import { parts, sign } from '../../helpers/forge.ts'

const secret = { JWT_SECRET_KEY: 'a secret for the examples, longer than the 32 bytes it must be' }
const account = { username: 'user123', password: 'correct horse battery staple' }

interface Answer { status: number, body: Record<string, unknown>, headers: Headers }

async function call (url: string, init: RequestInit = {}): Promise<Answer> {
  const response = await fetch(url, init)
  return { status: response.status, body: await response.json() as Record<string, unknown>, headers: response.headers }
}

const post = (body?: unknown, headers: Record<string, string> = {}): RequestInit => ({
  method: 'POST',
  ...body === undefined ? { headers } : { body: JSON.stringify(body), headers: { 'content-type': 'application/json', ...headers } }
})
const bearer = (token: unknown) => ({ authorization: `Bearer ${String(token)}` })

/** Each program once, without a secret in its environment: a start takes longer than all that is asked of it. */
delete process.env.JWT_SECRET_KEY
const [quickstart, auth, cookies] = await Promise.all([
  startExample(t, 'quickstart'), startExample(t, 'jwt-auth'), startExample(t, 'jwt-cookies')
])

t.test('a program without a secret says that it made one', async t => {
  for (const { output } of [quickstart, auth, cookies]) t.match(output(), /JWT_SECRET_KEY is not set/)
})

const refusal = (code: string, message: string) => ({ statusCode: 401, code, error: 'Unauthorized', message })

t.test('quickstart: a login and a protected route', async t => {
  const { url, output } = quickstart
  t.match(output(), `${url}/protected`, 'it prints what to try')
  const login = await call(`${url}/login`, post())
  t.equal(login.status, 200)
  const inside = await call(`${url}/protected`, { headers: bearer(login.body.access_token) })
  t.equal(inside.status, 200)
  t.strictSame(inside.body, { user: 'user123' })
  const outside = await call(`${url}/protected`)
  t.equal(outside.status, 401)
  t.strictSame(outside.body, refusal('FST_JWT_MISSING_TOKEN', 'Missing JWT token'))
  t.equal(outside.headers.get('www-authenticate'), 'Bearer')
})

t.test('a secret from the environment signs, and one that is too short stops the start', async t => {
  const { url, output } = await startExample(t, 'quickstart', secret)
  t.notMatch(output(), /JWT_SECRET_KEY/, 'there is nothing to complain about')
  const login = await call(`${url}/login`, post())
  const [header, payload, signature] = parts(String(login.body.access_token))
  t.equal(signature, sign(`${header}.${payload}`, secret.JWT_SECRET_KEY))
  await t.rejects(startExample(t, 'quickstart', { JWT_SECRET_KEY: 'too short' }), { message: /'secretKey'/ })
})

t.test('jwt-auth: login, refresh, and a route for fresh tokens only', async t => {
  const { url } = auth
  const login = await call(`${url}/login`, post(account))
  t.equal(login.status, 200)
  t.equal(login.headers.get('cache-control'), 'no-store')
  const { access_token: access, refresh_token: refresh } = login.body

  t.strictSame((await call(`${url}/protected`, { headers: bearer(access) })).body, { user: 'user123' })
  t.strictSame((await call(`${url}/feed`, { headers: bearer(access) })).body, { feed: 'personalized for user123' })
  t.strictSame((await call(`${url}/feed`)).body, { feed: 'public' })
  t.strictSame((await call(`${url}/change-password`, post(undefined, bearer(access)))).body, { status: 'password changed' })

  const wrongType = await call(`${url}/protected`, { headers: bearer(refresh) })
  t.equal(wrongType.status, 401)
  t.strictSame(wrongType.body, refusal('FST_JWT_ACCESS_REQUIRED', 'Access token required'))
  const notRefresh = await call(`${url}/refresh`, post(undefined, bearer(access)))
  t.equal(notRefresh.status, 401)
  t.strictSame(notRefresh.body, refusal('FST_JWT_REFRESH_REQUIRED', 'Refresh token required'))

  const refreshed = await call(`${url}/refresh`, post(undefined, bearer(refresh)))
  t.equal(refreshed.status, 200)
  t.equal(refreshed.headers.get('cache-control'), 'no-store')
  t.strictSame(Object.keys(refreshed.body), ['access_token'])
  const again = bearer(refreshed.body.access_token)
  t.strictSame((await call(`${url}/protected`, { headers: again })).body, { user: 'user123' })
  const stale = await call(`${url}/change-password`, post(undefined, again))
  t.equal(stale.status, 401)
  t.strictSame(stale.body, refusal('FST_JWT_FRESH_REQUIRED', 'Fresh token required'))
})

for (const [name, { url }] of [['jwt-auth', auth], ['jwt-cookies', cookies]] as const) {
  t.test(`${name}: an unknown user and a wrong password get the same answer`, async t => {
    const expected = { statusCode: 401, error: 'Unauthorized', message: 'Wrong username or password' }
    for (const attempt of [
      { ...account, password: 'wrong' }, { ...account, username: 'user789' }, { ...account, username: '__proto__' },
      { username: 'user456', password: account.password }, { username: '', password: '' }
    ]) {
      const answer = await call(`${url}/login`, post(attempt))
      t.equal(answer.status, 401, JSON.stringify(attempt))
      t.strictSame(answer.body, expected, JSON.stringify(attempt))
      t.strictSame(answer.headers.getSetCookie(), [])
    }
    t.equal((await call(`${url}/login`, post({ username: 'user456', password: 'a long walk on the beach' }))).status, 200)
    for (const body of [{}, { username: 'user123' }, { ...account, password: 'x'.repeat(201) }, []]) {
      t.equal((await call(`${url}/login`, post(body))).status, 400, 'no credentials at all')
    }
  })
}

t.test('jwt-cookies: login, refresh and logout, as a browser would', async t => {
  const { url } = cookies
  const login = await call(`${url}/login`, post(account, { 'sec-fetch-site': 'same-origin' }))
  t.equal(login.status, 200)
  t.strictSame(login.body, { login: true })
  t.equal(login.headers.get('cache-control'), 'no-store')
  const [access = '', refresh = ''] = login.headers.getSetCookie()
  t.match(access, /^access_token_cookie=[^;]+; Max-Age=(900|89\d); Path=\/; HttpOnly; SameSite=Lax$/)
  t.match(refresh, /^refresh_token_cookie=[^;]+; Max-Age=\d+; Path=\/refresh; HttpOnly; SameSite=Lax$/)
  const cookie = (line: string) => ({ cookie: line.split(';')[0] ?? '' })

  t.strictSame((await call(`${url}/protected`, { headers: cookie(access) })).body, { user: 'user123' })
  const refreshed = await call(`${url}/refresh`, post(undefined, { ...cookie(refresh), 'sec-fetch-site': 'same-origin' }))
  t.strictSame(refreshed.body, { refresh: true })
  const [renewed = ''] = refreshed.headers.getSetCookie()
  t.not(renewed.split(';')[0], access.split(';')[0], 'a new access token')
  t.strictSame((await call(`${url}/protected`, { headers: cookie(renewed) })).body, { user: 'user123' })

  for (const [path, init] of [
    ['/refresh', post(undefined, { ...cookie(refresh), 'sec-fetch-site': 'cross-site' })],
    ['/login', post(account, { 'sec-fetch-site': 'cross-site' })],
    ['/login', post(account, { origin: 'https://evil.example' })],
    ['/logout', post(undefined, { 'sec-fetch-site': 'cross-site' })]
  ] as const) {
    const answer = await call(url + path, init)
    t.equal(answer.status, 403, `${path} from another site`)
    t.equal(answer.body.code, 'FST_JWT_CSRF')
    t.strictSame(answer.headers.getSetCookie(), [])
  }

  const logout = await call(`${url}/logout`, post(undefined, cookie(renewed)))
  t.strictSame(logout.body, { logout: true })
  const cleared = logout.headers.getSetCookie().sort()
  t.equal(cleared.length, 2)
  t.match(cleared[0], /^access_token_cookie=; Max-Age=0; Path=\/; Expires=Thu, 01 Jan 1970 00:00:00 GMT; HttpOnly; SameSite=Lax$/)
  t.match(cleared[1], /^refresh_token_cookie=; Max-Age=0; Path=\/refresh; Expires=Thu, 01 Jan 1970 00:00:00 GMT; HttpOnly; SameSite=Lax$/)
})

function curlVersion (): string | false {
  try {
    return execFileSync('curl', ['--version'], { encoding: 'utf8' })
  } catch {
    return false
  }
}
const missing = curlVersion() === false && process.env.CI === undefined ? 'curl is not installed' : false

t.test('jwt-cookies by curl with a cookie jar, with the very lines it prints', { skip: missing }, async t => {
  const { url, output } = cookies
  const directory = t.testdir()
  const run = promisify(execFile)
  const lines = output().split('\n').filter(line => line.startsWith('  curl '))
  const steps = ['/login', '/protected', '/refresh', '/logout', '/protected']
  t.strictSame(lines.map(line => new URL(/http:\S+/.exec(line)?.[0] ?? '').pathname), steps)

  const jar = () => readFileSync(join(directory, 'jar'), 'utf8').split('\n')
    .filter(line => line !== '' && (!line.startsWith('#') || line.startsWith('#HttpOnly_')))
    .map(line => line.split('\t'))
  const answers: Array<[status: number, body: unknown]> = []
  const jars: string[][] = []
  let accessToken: string | undefined
  for (const line of lines) {
    const { stdout } = await run('sh', ['-c', line.replace('curl', "curl -s -w '\\n%{http_code}'")], { cwd: directory })
    const [body = '', status] = stdout.split('\n')
    answers.push([Number(status), JSON.parse(body)])
    jars.push(jar().map(fields => fields[5] ?? '').sort())
    if (line.includes('/login')) accessToken = jar().find(fields => fields[5] === 'access_token_cookie')?.[6]
    if (line.includes('/refresh')) {
      const renewed = jar().find(fields => fields[5] === 'access_token_cookie')?.[6]
      t.ok(renewed !== undefined && renewed !== accessToken, 'the jar holds the new access token')
    }
  }
  t.strictSame(answers, [
    [200, { login: true }],
    [200, { user: 'user123' }],
    [200, { refresh: true }],
    [200, { logout: true }],
    [401, refusal('FST_JWT_MISSING_TOKEN', 'Missing JWT token')]
  ])
  const both = ['access_token_cookie', 'refresh_token_cookie']
  t.strictSame(jars, [both, both, both, [], []], 'the jar is empty after logout')
  t.ok(url.startsWith('http://127.0.0.1:'))
})
