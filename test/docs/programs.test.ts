// What README and docs show as a whole program is started here as a reader would start it.
import { spawn } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { freePort, plainEnvironment } from '../helpers/example-process.ts'
import { betterSqlite } from '../helpers/sqlite.ts'
import type { Test } from 'tap'

const root = fileURLToPath(new URL('../../', import.meta.url))

/** The programs of a page, by the file name in their first line. */
function programsOf (page: string): Map<string, string> {
  const text = readFileSync(join(root, page), 'utf8')
  return new Map([...text.matchAll(/^```js\n\/\/ ([\w-]+\.mjs)\n([\s\S]*?)^```$/gm)].map(([, file, code]) => [file as string, code as string]))
}

// An empty folder with the packages that a page says to install.
const folder = t.testdir({ node_modules: { '@fastify': {} } })
symlinkSync(root, join(folder, 'node_modules', 'fastify-jwt-extended'), 'junction')
for (const name of ['fastify', '@fastify/cors', '@fastify/formbody', 'better-sqlite3']) symlinkSync(join(root, 'node_modules', name), join(folder, 'node_modules', name), 'junction')

interface Answer { status: number, body: any, cookies: string[], headers: Headers }

/** One running program of a page. */
interface Program {
  url: string
  call (method: string, path: string, request?: { body?: unknown, headers?: Record<string, string> }): Promise<Answer>
}

const secret = 'a secret for the programs of the pages, longer than 32 bytes'
const environment = { JWT_SECRET_KEY: secret, ADAS_PASSWORD: 'correct horse' }

/**
 * Starts a program on a free port in place of the one it names, and stops it when the test ends.
 *
 * @param others Programs that it calls, by the URL that stands in its code.
 */
async function start (t: Test, page: string, file: string, env: Record<string, string> = {}, others: Record<string, string> = {}): Promise<Program> {
  const code = programsOf(page).get(file)
  if (code === undefined) throw new Error(`${page} has no program ${file}`)
  const port = await freePort()
  const directory = join(folder, page.replace(/\W/g, '-'))
  mkdirSync(directory, { recursive: true })
  const here = Object.entries({ [`http://localhost:${/port: (\d+)/.exec(code)?.[1]}`]: `http://localhost:${port}`, ...others })
    .reduce((text, [from, to]) => text.replaceAll(from, to), code.replace(/port: \d+/, `port: ${port}`))
  writeFileSync(join(directory, file), here)
  const child = spawn(process.execPath, [file], { cwd: directory, env: plainEnvironment({ ...environment, ...env }), stdio: ['ignore', 'pipe', 'pipe'] })
  const exited = once(child, 'exit')
  t.teardown(async () => {
    child.kill()
    await exited
  })
  let output = ''
  await new Promise<void>((resolve, reject) => {
    const read = (chunk: Buffer) => {
      output += chunk.toString()
      if (output.includes('Server listening')) resolve()
    }
    child.stdout.on('data', read)
    child.stderr.on('data', read)
    child.on('exit', code => { reject(new Error(`${file} of ${page} ended with ${code}:\n${output}`)) })
  })
  const url = `http://localhost:${port}`
  return {
    url,
    async call (method, path, { body, headers = {} } = {}) {
      const response = await fetch(url + path, body === undefined
        ? { method, headers, redirect: 'manual' }
        : { method, redirect: 'manual', headers: { 'content-type': 'application/json', ...headers }, body: body instanceof URLSearchParams ? body : JSON.stringify(body) })
      const text = await response.text()
      return {
        status: response.status,
        body: response.headers.get('content-type')?.startsWith('application/json') === true ? JSON.parse(text) : text,
        cookies: response.headers.getSetCookie().map(cookie => cookie.slice(0, cookie.indexOf(';'))),
        headers: response.headers
      }
    }
  }
}

const bearer = (token: string) => ({ headers: { authorization: `Bearer ${token}` } })
const withCookies = (cookies: string[]) => ({ headers: { cookie: cookies.join('; ') } })
const ada = { name: 'ada', password: 'correct horse' }

t.test('README: log in, come back, refresh, log out', async t => {
  const { call } = await start(t, 'README.md', 'app.mjs')
  t.equal((await call('POST', '/login', { body: { name: 'ada', password: 'wrong' } })).status, 401)
  t.equal((await call('POST', '/login', { body: { name: 'ada' } })).status, 400)
  t.equal((await call('POST', '/login', { body: ada, headers: { 'sec-fetch-site': 'cross-site' } })).body.code, 'FST_JWT_CSRF')
  const login = await call('POST', '/login', { body: ada })
  t.strictSame(login.body, { loggedIn: true }, 'no token in the body')
  t.equal(login.cookies.length, 2)
  t.strictSame((await call('GET', '/me', withCookies(login.cookies))).body, { name: 'ada' })
  t.strictSame((await call('POST', '/password', withCookies(login.cookies))).body, { changed: true })
  const next = await call('POST', '/refresh', withCookies(login.cookies))
  t.equal((await call('POST', '/password', withCookies(next.cookies))).body.code, 'FST_JWT_FRESH_REQUIRED')
  const { headers } = withCookies(next.cookies)
  t.equal((await call('POST', '/logout', { headers: { ...headers, 'sec-fetch-site': 'cross-site' } })).status, 403)
  t.strictSame((await call('POST', '/logout', { headers })).body, { loggedOut: true })
  t.equal((await call('GET', '/me', { headers })).body.code, 'FST_JWT_REVOKED')
})

t.test('README: without a password in the environment nobody gets in', async t => {
  const { call } = await start(t, 'README.md', 'app.mjs', { ADAS_PASSWORD: '' })
  for (const [password, status] of [['', 400], ['undefined', 401], ['correct horse', 401]] as const) {
    t.equal((await call('POST', '/login', { body: { name: 'ada', password } })).status, status)
  }
})

t.test('without a secret no program of a page starts', async t => {
  for (const page of ['README.md', 'docs/getting-started.md']) await t.rejects(start(t, page, 'app.mjs', { JWT_SECRET_KEY: '' }), /JWT_SECRET_KEY|secretKey/)
})

t.test('getting started: a token for a password, and a route for the token', async t => {
  const { call } = await start(t, 'docs/getting-started.md', 'app.mjs')
  t.equal((await call('POST', '/login', { body: { name: 'ada', password: 'wrong' } })).status, 401)
  const { body, headers } = await call('POST', '/login', { body: ada })
  t.equal(headers.get('cache-control'), 'no-store')
  t.strictSame((await call('GET', '/me', bearer(body.accessToken))).body, { name: 'ada' })
  t.equal((await call('GET', '/me')).body.code, 'FST_JWT_MISSING_TOKEN')
})

const onSqlite = { skip: betterSqlite.missing }

t.test('a way through, an API: roles, refresh, logout, and a restart that signs nobody out', onSqlite, async t => {
  const page = 'docs/guide-api.md'
  const passwords = { BOBS_PASSWORD: 'battery staple' }
  const first = await start(t, page, 'api.mjs', passwords)
  const login = async (name: string, password: string) => (await first.call('POST', '/login', { body: { name, password } })).body
  const admin = await login('ada', 'correct horse')
  const bob = await login('bob', 'battery staple')
  t.equal((await first.call('POST', '/login', { body: { name: 'bob', password: 'correct horse' } })).status, 401)
  t.strictSame((await first.call('GET', '/users', bearer(admin.accessToken))).body, { users: ['ada', 'bob'] })
  t.equal((await first.call('GET', '/users', bearer(bob.accessToken))).body.code, 'FST_JWT_FORBIDDEN')
  t.equal((await first.call('GET', '/me')).body.code, 'FST_JWT_MISSING_TOKEN', 'no route is open')

  const { call } = await start(t, page, 'api.mjs', passwords)
  t.strictSame((await call('GET', '/me', bearer(bob.accessToken))).body, { name: 'bob' }, 'another process knows the session')
  const next = (await call('POST', '/refresh', bearer(bob.refreshToken))).body
  t.strictSame((await call('POST', '/logout', bearer(next.accessToken))).body, { loggedOut: true })
  t.equal((await first.call('GET', '/me', bearer(bob.accessToken))).body.code, 'FST_JWT_REVOKED')
  t.equal((await call('POST', '/refresh', bearer(next.refreshToken))).body.code, 'FST_JWT_REVOKED')
})

t.test('a way through, a site: the form signs in, with and without "remember me", and out', onSqlite, async t => {
  const { call } = await start(t, 'docs/guide-site.md', 'site.mjs')
  const form = { 'content-type': 'application/x-www-form-urlencoded', 'sec-fetch-site': 'same-origin' }
  const signIn = (fields: Record<string, string>, headers = {}) => call('POST', '/sign-in', { body: new URLSearchParams(fields), headers: { ...form, ...headers } })
  const nobody = await call('GET', '/')
  t.strictSame([nobody.status, nobody.headers.get('location')], [303, '/sign-in'])
  t.match((await call('GET', '/sign-in')).body, '<form method="post">')
  t.equal((await signIn({ ...ada, password: 'wrong' })).status, 401)
  t.equal((await signIn(ada, { 'sec-fetch-site': 'cross-site' })).status, 403)

  const session = await signIn(ada)
  t.strictSame([session.status, session.headers.get('location')], [303, '/'])
  t.notMatch(session.headers.get('set-cookie'), /max-age/i, 'gone with the browser')
  t.match((await signIn({ ...ada, remember: 'on' })).headers.get('set-cookie'), /max-age/i)
  t.match((await call('GET', '/', withCookies(session.cookies))).body, 'Hello, ada.')
  t.match((await call('POST', '/account/delete', withCookies(session.cookies))).body, 'The account is gone.')
  // The access cookie has expired: what a browser sends is the refresh cookie alone.
  const later = withCookies(session.cookies.filter(cookie => cookie.startsWith('refresh_token_cookie=')))
  const again = await call('GET', '/', later)
  t.match(again.body, 'Hello, ada.')
  t.equal(again.cookies.length, 2)
  t.strictSame((await call('GET', '/', withCookies(again.cookies))).cookies, [], 'the new access cookie needs no refresh')
  t.equal((await call('POST', '/account/delete', withCookies(again.cookies))).headers.get('location'), '/sign-in', 'the password is asked for again')
  const { headers } = withCookies(again.cookies)
  t.equal((await call('POST', '/sign-out', { headers: { ...headers, 'sec-fetch-site': 'cross-site' } })).status, 403)
  t.equal((await call('POST', '/sign-out', { headers: { ...headers, 'sec-fetch-site': 'same-origin' } })).headers.get('location'), '/sign-in')
  t.equal((await call('GET', '/', { headers })).headers.get('location'), '/sign-in', 'the cookie is worth nothing any more')
})

t.test('a way through, a front end and an API: the page of the one origin may, others may not', async t => {
  const origin = 'http://localhost:5173'
  const { call } = await start(t, 'docs/guide-front-end-and-api.md', 'api.mjs', { FRONT_END: origin })
  const ofFrontEnd = { origin, 'sec-fetch-site': 'same-site' }
  const preflight = await call('OPTIONS', '/account', { headers: { ...ofFrontEnd, 'access-control-request-method': 'GET' } })
  t.equal(preflight.headers.get('access-control-allow-origin'), origin)
  t.equal(preflight.headers.get('access-control-allow-credentials'), 'true')
  t.equal((await call('POST', '/session/sign-in', { body: ada, headers: { origin: 'http://localhost:8080', 'sec-fetch-site': 'same-site' } })).body.code, 'FST_JWT_CSRF')
  const { cookies } = await call('POST', '/session/sign-in', { body: ada, headers: ofFrontEnd })
  const { headers: { cookie } } = withCookies(cookies)
  t.strictSame((await call('GET', '/account', { headers: { ...ofFrontEnd, cookie } })).body, { name: 'ada' })
  const next = withCookies((await call('POST', '/session/refresh', { headers: { ...ofFrontEnd, cookie } })).cookies).headers.cookie
  t.equal((await call('POST', '/session/sign-out', { headers: { cookie: next, origin: 'http://localhost:8080', 'sec-fetch-site': 'same-site' } })).status, 403)
  t.strictSame((await call('POST', '/session/sign-out', { headers: { ...ofFrontEnd, cookie: next } })).body, { signedOut: true })
})

t.test('a way through, a mobile app: opaque refresh tokens in the body, and a list of devices', onSqlite, async t => {
  const { call } = await start(t, 'docs/guide-mobile-app.md', 'server.mjs')
  const login = async (device: string) => (await call('POST', '/login', { body: { ...ada, device } })).body
  const phone = await login('phone')
  const tablet = await login('tablet')
  const refresh = (token: string) => call('POST', '/refresh', { body: { refresh_token: token } })
  t.equal(phone.refreshToken.split('.').length, 1, 'nothing to read')
  const next = (await refresh(tablet.refreshToken)).body
  t.not(next.refreshToken, tablet.refreshToken)
  t.strictSame((await refresh(tablet.refreshToken)).body.refreshToken, next.refreshToken, 'a lost answer is asked for again')

  const devices = (await call('GET', '/devices', bearer(phone.accessToken))).body as Array<{ id: string, metadata: { device: string }, thisOne: boolean }>
  t.strictSame(devices.map(({ metadata, thisOne }) => [metadata.device, thisOne]), [['tablet', false], ['phone', true]])
  const lost = `/devices/${devices[0]?.id}`
  t.equal((await call('DELETE', lost, bearer(next.accessToken))).body.code, 'FST_JWT_FRESH_REQUIRED')
  t.equal((await call('DELETE', '/devices/another', bearer(phone.accessToken))).status, 404)
  t.strictSame((await call('DELETE', lost, bearer(phone.accessToken))).body, { loggedOut: true })
  t.equal((await refresh(next.refreshToken)).status, 401)
  t.strictSame((await call('POST', '/logout', bearer(phone.accessToken))).body, { loggedOut: true })
  t.equal((await call('GET', '/devices', bearer(phone.accessToken))).body.code, 'FST_JWT_REVOKED')

  const six = []
  for (const device of ['1', '2', '3', '4', '5', '6']) six.push(await login(device))
  t.equal((await call('GET', '/devices', bearer(six[0].accessToken))).body.code, 'FST_JWT_REVOKED', 'the oldest of six')
  t.equal((await call('GET', '/devices', bearer(six[5].accessToken))).body.length, 5)
})

t.test('a way through, several services: one signs, another verifies by its public key', async t => {
  const page = 'docs/guide-several-services.md'
  const JWT_PRIVATE_KEY = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ type: 'pkcs8', format: 'pem' }) as string
  const login = await start(t, page, 'login.mjs', { JWT_PRIVATE_KEY })
  const { call } = await start(t, page, 'orders.mjs', {}, { 'http://localhost:3001': login.url })
  const { accessToken } = (await login.call('POST', '/login', { body: ada })).body
  t.strictSame((await call('GET', '/orders', bearer(accessToken))).body, { ordersOf: 'ada' })
  t.equal((await call('GET', '/orders')).body.code, 'FST_JWT_MISSING_TOKEN')
})
