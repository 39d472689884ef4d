// What README and docs show as a whole program is started here as a reader would start it.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { freePort, plainEnvironment } from '../helpers/example-process.ts'
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
for (const name of ['fastify', '@fastify/cors', 'better-sqlite3']) symlinkSync(join(root, 'node_modules', name), join(folder, 'node_modules', name), 'junction')

interface Answer { status: number, body: any, cookies: string[], headers: Headers }

/** One running program of a page. */
interface Program {
  url: string
  call (method: string, path: string, request?: { body?: unknown, headers?: Record<string, string> }): Promise<Answer>
}

const secret = 'a secret for the programs of the pages, longer than 32 bytes'
const environment = { JWT_SECRET_KEY: secret, ADAS_PASSWORD: 'correct horse' }

/** Starts a program on a free port in place of the one it names, and stops it when the test ends. */
async function start (t: Test, page: string, file: string, env: Record<string, string> = {}): Promise<Program> {
  const code = programsOf(page).get(file)
  if (code === undefined) throw new Error(`${page} has no program ${file}`)
  const port = await freePort()
  const directory = join(folder, page.replace(/\W/g, '-'))
  mkdirSync(directory, { recursive: true })
  writeFileSync(join(directory, file), code.replace(/port: \d+/, `port: ${port}`))
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
  const url = `http://127.0.0.1:${port}`
  return {
    url,
    async call (method, path, { body, headers = {} } = {}) {
      const response = await fetch(url + path, body === undefined
        ? { method, headers }
        : { method, headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify(body) })
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
