import { spawnSync } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { request as httpsRequest } from 'node:https'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { readConfig } from '../../../examples/auth-system/config.ts'
import { passwordMatches, hashPassword } from '../../../examples/auth-system/passwords.ts'
import { plainEnvironment, startExample, temporaryFolder, withTypes } from '../../helpers/example-process.ts'
import { selfSignedCertificate } from '../../helpers/keys/self-signed-certificate.ts'
import { noRedis, startRedis } from '../../helpers/redis-server.ts'
import type { IncomingMessage } from 'node:http'
import type { Test } from 'tap'

const secret = { JWT_SECRET_KEY: 'a secret for the tests of the example, which wants more than the 64 characters it must have' }
const admin = { email: 'admin@example.com', password: 'correct horse battery staple' }
const alice = { email: 'alice@example.com', password: 'a long enough secret', name: 'Alice' }
const environment = { ...secret, ADMIN_EMAIL: ' Admin@Example.com ', ADMIN_PASSWORD: admin.password }

interface Answer { status: number, body: Record<string, unknown>, headers: Headers }

async function call (url: string, { method = 'GET', body, token, headers = {} }: { method?: string, body?: unknown, token?: unknown, headers?: Record<string, string> } = {}): Promise<Answer> {
  const response = await fetch(url, {
    method,
    headers: {
      ...headers,
      ...body === undefined ? {} : { 'content-type': 'application/json' },
      ...token === undefined ? {} : { authorization: `Bearer ${String(token)}` }
    },
    ...body === undefined ? {} : { body: JSON.stringify(body) }
  })
  return { status: response.status, body: await response.json() as Record<string, unknown>, headers: response.headers }
}
const post = (url: string, body?: unknown, token?: unknown, headers = {}) => call(url, { method: 'POST', body, token, headers })

async function walk (t: Test, url: string): Promise<void> {
  t.same((await call(`${url}/health`)).body, { status: 'ok' })

  t.comment('register')
  const registered = await post(`${url}/auth/register`, { ...alice, email: ' Alice@Example.com ' })
  t.equal(registered.status, 201)
  t.same(registered.body, { message: 'Registration successful', email: alice.email })
  t.equal((await post(`${url}/auth/register`, alice)).status, 409)
  t.equal((await post(`${url}/auth/register`, { ...alice, password: 'short' })).status, 400)
  t.equal((await post(`${url}/auth/register`, { ...alice, email: 'no address' })).status, 400)
  t.equal((await post(`${url}/auth/register`, { ...alice, email: 'mallory@example.com', roles: ['admin'] })).status, 201)

  t.comment('log in')
  const unknown = await post(`${url}/auth/login`, { email: 'nobody@example.com', password: alice.password })
  const wrong = await post(`${url}/auth/login`, { email: alice.email, password: admin.password })
  t.equal(unknown.status, 401)
  t.same(unknown.body, { statusCode: 401, error: 'Unauthorized', message: 'Invalid credentials' })
  t.same(wrong, { ...unknown, headers: wrong.headers }, 'the same answer for a wrong password')
  const login = await post(`${url}/auth/login`, alice)
  t.equal(login.status, 200)
  t.match(login.body, { token_type: 'Bearer', expires_in: 900 })
  t.equal(login.headers.get('cache-control'), 'no-store')
  t.match(login.headers.get('strict-transport-security'), /max-age/)
  t.equal(String(login.body.refresh_token).split('.').length < 3, true, 'the refresh token is no JWT')

  t.comment('who am I')
  t.same((await call(`${url}/me`, { token: login.body.access_token })).body, { email: alice.email, name: 'Alice', roles: ['user'] })
  t.equal((await call(`${url}/me`)).body.code, 'FST_JWT_MISSING_TOKEN')
  t.equal((await call(`${url}/me`, { token: login.body.refresh_token })).status, 401)
  const second = await post(`${url}/auth/login`, alice, undefined, { 'user-agent': 'second device' })
  const sessions = (await call(`${url}/me/sessions`, { token: second.body.access_token })).body as unknown as { current: boolean, metadata: object }[]
  t.same(sessions.map(session => session.current), [true, false])
  t.match(sessions[0]?.metadata, { userAgent: 'second device', ip: '127.0.0.1' })
  t.equal((await post(`${url}/auth/login`, { email: 'mallory@example.com', password: alice.password })).status, 200)

  t.comment('refresh')
  const refreshed = await post(`${url}/auth/refresh`, { refresh_token: login.body.refresh_token })
  t.equal(refreshed.status, 200)
  t.not(refreshed.body.refresh_token, login.body.refresh_token)
  t.equal((await call(`${url}/me`, { token: refreshed.body.access_token })).status, 200)
  t.equal((await post(`${url}/auth/refresh`, { refresh_token: 'x' })).status, 401)
  t.equal((await post(`${url}/auth/refresh`, {})).status, 401)
  t.equal((await post(`${url}/auth/refresh`, { refresh_token: login.body.access_token })).body.code, 'FST_JWT_REFRESH_REQUIRED')

  t.comment('the admin area')
  const boss = (await post(`${url}/auth/login`, admin)).body
  t.equal((await call(`${url}/admin/dashboard`)).status, 401)
  const forbidden = await call(`${url}/admin/dashboard`, { token: refreshed.body.access_token })
  t.equal(forbidden.status, 403)
  t.equal(forbidden.body.message, 'Missing role: admin')
  t.same((await call(`${url}/admin/dashboard`, { token: boss.access_token })).body, { total_users: 3, active_sessions: 4 })
  t.equal((await post(`${url}/admin/promote`, { email: alice.email }, refreshed.body.access_token)).status, 403)
  t.equal((await post(`${url}/admin/promote`, { email: 'nobody@example.com' }, boss.access_token)).status, 404)
  const promoted = await post(`${url}/admin/promote`, { email: ' ALICE@example.com' }, boss.access_token)
  t.equal(promoted.body.message, 'alice@example.com promoted to admin')
  t.same([...promoted.body.roles as string[]].sort(), ['admin', 'user'])
  t.equal((await call(`${url}/admin/dashboard`, { token: refreshed.body.access_token })).status, 403, 'not in the token yet')
  const next = await post(`${url}/auth/refresh`, undefined, refreshed.body.refresh_token)
  t.equal((await call(`${url}/admin/dashboard`, { token: next.body.access_token })).status, 200, 'after a refresh it is')

  t.comment('log out')
  t.equal((await post(`${url}/auth/logout`)).status, 401)
  t.same((await post(`${url}/auth/logout`, undefined, next.body.access_token)).body, { message: 'Logged out successfully' })
  t.equal((await call(`${url}/me`, { token: next.body.access_token })).body.code, 'FST_JWT_REVOKED')
  t.equal((await post(`${url}/auth/refresh`, { refresh_token: next.body.refresh_token })).status, 401)
  t.equal((await call(`${url}/me`, { token: second.body.access_token })).status, 200, 'the other device stays')
  t.same((await post(`${url}/auth/logout-everywhere`, undefined, second.body.access_token)).body, { ended: 1 })
  t.equal((await call(`${url}/me`, { token: second.body.access_token })).status, 401)

  t.comment('too many logins for one account')
  const attempts = []
  for (let attempt = 0; attempt < 11; attempt++) attempts.push((await post(`${url}/auth/login`, { email: 'victim@example.com', password: 'x' })).status)
  t.same([...new Set(attempts)], [401, 429])
  const limited = await post(`${url}/auth/login`, { email: 'Victim@example.com', password: 'x' })
  t.equal(limited.status, 429)
  t.ok(Number(limited.headers.get('retry-after')) > 0)

  t.comment('nothing is open by oversight')
  t.equal((await call(`${url}/nowhere`)).status, 404)
}

t.test('the walk of its README, on an SQLite file, and over a restart', async t => {
  const onFile = { ...environment, DATA_FOLDER: await temporaryFolder(t) }
  const { url, output, stop } = await startExample(t, 'auth-system/server', onFile)
  await walk(t, url)
  t.notMatch(output(), /correct horse|a long enough secret|a secret for the tests/)
  const { access_token: token } = (await post(`${url}/auth/login`, alice)).body
  await stop()
  const again = await startExample(t, 'auth-system/server', onFile)
  t.match((await call(`${again.url}/me`, { token })).body, { email: alice.email, roles: ['admin', 'user'] }, 'still logged in')
})

t.test('the walk of its README, on Redis and in production', { skip: noRedis !== false && process.env.CI === undefined ? noRedis : false }, async t => {
  const redis = await startRedis(t)
  const production = { ...environment, NODE_ENV: 'production', TRUST_PROXY: '127.0.0.1', REDIS_URL: redis.url }
  const { url } = await startExample(t, 'auth-system/server', production)
  const plain = await call(`${url}/health`)
  t.equal(plain.status, 403)
  t.equal(plain.body.message, 'HTTPS required')
  t.equal((await call(`${url}/health`, { headers: { 'x-forwarded-proto': 'https' } })).status, 200)

  const { url: development } = await startExample(t, 'auth-system/server', { ...environment, REDIS_URL: redis.url })
  await walk(t, development)
  t.equal((await post(`${url}/auth/login`, alice, undefined, { 'x-forwarded-proto': 'https' })).status, 200, 'both processes know the account')
})

t.test('it ends TLS itself when it is given a certificate', async t => {
  const directory = t.testdir()
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  writeFileSync(join(directory, 'cert.pem'), selfSignedCertificate(privateKey, publicKey))
  writeFileSync(join(directory, 'key.pem'), privateKey.export({ format: 'pem', type: 'pkcs8' }))
  const { url } = await startExample(t, 'auth-system/server', { ...secret, TLS_CERT_FILE: join(directory, 'cert.pem'), TLS_KEY_FILE: join(directory, 'key.pem') })
  t.match(url, /^https:/)
  const request = httpsRequest(`${url}/health`, { rejectUnauthorized: false })
  request.end()
  const [response] = await once(request, 'response') as [IncomingMessage]
  response.resume()
  t.equal(response.statusCode, 200)
})

t.test('a mistake in the environment stops the start, with a remedy', async t => {
  const mistakes: [Record<string, string>, RegExp][] = [
    [{}, /JWT_SECRET_KEY is not set: make one with node -p "crypto\.randomBytes\(64\)/],
    [{ JWT_SECRET_KEY: '' }, /JWT_SECRET_KEY is not set/],
    [{ JWT_SECRET_KEY: 'your-secret-key-change-in-production' }, /JWT_SECRET_KEY is too short/],
    [{ ...secret, NODE_ENV: 'production', REDIS_URL: 'redis://127.0.0.1' }, /TLS_CERT_FILE and TLS_KEY_FILE, or TRUST_PROXY/],
    [{ ...secret, TLS_CERT_FILE: fileURLToPath(import.meta.url) }, /TLS_KEY_FILE is not set: it belongs to TLS_CERT_FILE/],
    [{ ...secret, ADMIN_EMAIL: admin.email }, /ADMIN_PASSWORD is not set/]
  ]
  for (const [env, message] of mistakes) t.throws(() => readConfig(env), { message })
  t.match(readConfig({ ...secret, HOST: '::1', PORT: '80' }), { host: '::1', port: 80, production: false, tls: null, trustProxy: false, redisUrl: null, admin: null })
  t.match(readConfig(secret), { host: '127.0.0.1', port: 3000 })
  const { status, stderr } = spawnSync(process.execPath, [...withTypes, 'examples/auth-system/server.ts'], {
    cwd: fileURLToPath(new URL('../../..', import.meta.url)), env: plainEnvironment({ JWT_SECRET_KEY: '' }), encoding: 'utf8'
  })
  t.not(status, 0)
  t.match(stderr, /JWT_SECRET_KEY is not set/)
})

t.test('a password is compared with a hash, whether the user is there or not', async t => {
  const hash = await hashPassword('secret')
  t.match(hash, /^\$argon2id\$v=19\$m=19456,t=2,p=1\$/)
  t.equal(await passwordMatches(hash, 'secret'), true)
  t.equal(await passwordMatches(hash, 'Secret'), false)
  t.equal(await passwordMatches(undefined, 'secret'), false)
})
