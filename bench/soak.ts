/*
 * Ten minutes of everything at once, over a real socket: logins, rotations, log-outs, and valid, expired, revoked, reused,
 * cross-origin and hostile tokens. Each request is sent with the one verdict that is right for it; in the end
 * the counts have to be the same, exactly, the memory of the server flat, and no token in its log.
 *
 *   npm run soak                      ten minutes
 *   SOAK_SECONDS=60 npm run soak      one
 *   SOAK_FORMAT=opaque npm run soak   with opaque refresh tokens
 */
import { fork } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { Agent, request as send } from 'node:http'
import { setTimeout } from 'node:timers/promises'
import { createSigner } from 'fast-jwt'
import { createRandom, mutate } from '../test/helpers/security/mutations.ts'
import type { SessionTokens } from '../lib/index.ts'

const seconds = Number(process.env['SOAK_SECONDS'] ?? 600)
const seed = Number(process.env['SOAK_SEED'] ?? Date.now() % 1_000_000)
const clients = 16
const secret = randomBytes(48).toString('base64')
const random = createRandom(seed)
const agent = new Agent({ keepAlive: true, maxSockets: clients })

const server = fork(new URL('soak-server.ts', import.meta.url), {
  execArgv: ['--expose-gc', '--import', './scripts/typescript.js'],
  env: { ...process.env, SOAK_SECRET: secret },
  stdio: ['ignore', 'pipe', 'inherit', 'ipc']
})
const [{ port }] = await once(server, 'message') as [{ port: number }]

// Whatever begins as a JWT does, or is as long as an opaque token, or is the secret: none may be in the log.
const leaks: string[] = []
let logged = 0
let rest = ''
server.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
  const lines = (rest + chunk).split('\n')
  rest = lines.pop() ?? ''
  logged += lines.length
  for (const line of lines) {
    if (/eyJ[\w-]{8,}|[\w-]{107}/.test(line) || line.includes(secret)) leaks.push(line)
  }
})

interface Exchange { status: number, body: { code?: string } & Partial<SessionTokens> }

async function exchange (method: string, path: string, headers: Record<string, string> = {}, body?: unknown): Promise<Exchange> {
  const payload = body === undefined ? '' : JSON.stringify(body)
  return new Promise((resolve, reject) => {
    const outgoing = send({ port, host: '127.0.0.1', agent, method, path, headers: { ...headers, ...(payload === '' ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(payload) }) } }, answer => {
      let text = ''
      answer.setEncoding('utf8').on('data', (chunk: string) => { text += chunk }).on('end', () => {
        resolve({ status: answer.statusCode ?? 0, body: JSON.parse(text) as Exchange['body'] })
      })
    })
    outgoing.on('error', reject)
    outgoing.end(payload)
  })
}

/** Verdicts by what was sent: how often each was right, and how often it came. */
const expectedCounts = new Map<string, number>()
const receivedCounts = new Map<string, number>()
const surprises: string[] = []

function count (counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1)
}

/** Sends a request whose verdict is known: a code, or 200. `hostile` is any refusal with a 4xx. */
async function expect (kind: string, verdict: string, ...sent: Parameters<typeof exchange>): Promise<Exchange['body']> {
  const { status, body } = await exchange(...sent)
  const got = verdict === 'hostile' && status >= 400 && status < 500 ? 'hostile' : body.code ?? String(status)
  count(expectedCounts, `${kind}: ${verdict}`)
  count(receivedCounts, `${kind}: ${got}`)
  if (got !== verdict) surprises.push(`${kind}: ${JSON.stringify(sent)} gave ${status} ${JSON.stringify(body)}`)
  return body
}

const bearer = (token: string) => ({ authorization: `Bearer ${token}` })
const cookie = (token: string) => ({ cookie: `access_token_cookie=${token}` })
const sign = createSigner({ key: secret, algorithm: 'HS256' })
const now = () => Math.floor(Date.now() / 1000)

/** A session that one client has to itself, so that what is right for it does not depend on others. */
async function live (name: string, until: number): Promise<void> {
  let tokens = await expect('log in', '200', 'POST', '/login', {}, { name }) as SessionTokens
  let fresh = true
  const since = Date.now()
  const sound = [tokens.accessToken, tokens.refreshToken]
  for (let step = random(25); step > 0 && Date.now() < until; step--) {
    // Well before the access token expires, which it does after 20 seconds.
    if (Date.now() - since > 10_000) break
    const { accessToken, refreshToken } = tokens
    switch (random(12)) {
      case 0: await expect('valid header', '200', 'GET', '/protected', bearer(accessToken)); break
      case 1: await expect('valid query', '200', 'GET', `/protected?jwt=${accessToken}`); break
      case 2: await expect('valid body', '200', 'POST', '/protected', {}, { access_token: accessToken }); break
      case 3: await expect('same-origin cookie', '200', 'POST', '/protected', { ...cookie(accessToken), 'sec-fetch-site': 'same-origin' }, {}); break
      case 4: await expect('cross-site cookie', 'FST_JWT_CSRF', 'POST', '/protected', { ...cookie(accessToken), 'sec-fetch-site': 'cross-site' }, {}); break
      case 5: await expect('fresh', fresh ? '200' : 'FST_JWT_FRESH_REQUIRED', 'GET', '/fresh', bearer(accessToken)); break
      case 6: await expect('missing', 'FST_JWT_MISSING_TOKEN', 'GET', '/protected'); break
      case 7: await expect('expired', 'FST_JWT_EXPIRED', 'GET', '/protected', bearer(sign({ sub: name, exp: now() - 1 - random(1000), iat: 1 }))); break
      case 8: await expect('access for refresh', 'FST_JWT_REFRESH_REQUIRED', 'POST', '/rotate', bearer(accessToken), {}); break
      case 9: {
        tokens = await expect('rotate', '200', 'POST', '/rotate', bearer(refreshToken), {}) as SessionTokens
        sound.push(tokens.accessToken, tokens.refreshToken)
        fresh = false
        break
      }
      default: {
        const text = Buffer.from(mutate(random, sound)).toString()
        if (sound.some(token => text.includes(token))) break
        if (random(2) === 0) await expect('hostile query', 'hostile', 'GET', `/protected?jwt=${encodeURIComponent(text)}`)
        else await expect('hostile body', 'hostile', 'POST', '/protected', {}, { access_token: text })
      }
    }
  }
  await end(tokens, sound)
}

/** One of the ways a session ends, and that it has. */
async function end ({ accessToken, refreshToken }: SessionTokens, sound: readonly string[]): Promise<void> {
  switch (random(4)) {
    case 0:
      await expect('log out', '200', 'POST', '/logout', bearer(accessToken), {})
      break
    case 1:
      await expect('rotate', '200', 'POST', '/rotate', bearer(refreshToken), {})
      await expect('reuse', 'FST_JWT_REUSED', 'POST', '/rotate', bearer(refreshToken), {})
      break
    case 2:
      await expect('revoke', '200', 'POST', '/revoke', bearer(accessToken), {})
      await expect('revoked access', 'FST_JWT_REVOKED', 'GET', '/protected', bearer(accessToken))
      return
    default:
      // Left alone: it expires.
      return
  }
  await expect('revoked access', 'FST_JWT_REVOKED', 'GET', '/protected', bearer(accessToken))
  for (const token of sound.filter((_, index) => index % 2 === 1)) {
    await expect('revoked refresh', 'FST_JWT_REVOKED', 'POST', '/rotate', bearer(token), {})
  }
}

const memory: { heapUsed: number, rss: number }[] = []
async function watch (until: number): Promise<void> {
  while (Date.now() < until) {
    await setTimeout(Math.min(5000, Math.max(seconds * 20, 200)))
    server.send('memory')
    const [sample] = await once(server, 'message') as [{ heapUsed: number, rss: number }]
    memory.push(sample)
    const total = [...receivedCounts.values()].reduce((sum, n) => sum + n, 0)
    process.stdout.write(`${Math.round((until - Date.now()) / 1000)} s left, ${total} requests, heap ${(sample.heapUsed / 1e6).toFixed(1)} MB, ${surprises.length} surprises\n`)
  }
}

const until = Date.now() + seconds * 1000
console.log(`${seconds} seconds, ${clients} clients, seed ${seed}`)
let sessions = 0
await Promise.all([watch(until), ...Array.from({ length: clients }, async (_, client) => {
  while (Date.now() < until) await live(`user-${client}-${sessions++ % 50}`, until)
})])
agent.destroy()
server.disconnect()
await once(server, 'exit')
// What it has written last may still be on its way.
await setTimeout(500)

const failures: string[] = []
console.log('\nverdict: sent, received')
for (const key of [...new Set([...expectedCounts.keys(), ...receivedCounts.keys()])].sort()) {
  const [expected = 0, received = 0] = [expectedCounts.get(key), receivedCounts.get(key)]
  console.log(`${key}: ${expected}, ${received}${expected === received ? '' : '  <- not the same'}`)
  if (expected !== received) failures.push(`${key}: ${expected} sent, ${received} received`)
}

// The second quarter against the last: what is kept for a revoked session is forgotten after 80 seconds, so before a
// plateau is reached there is nothing to compare.
const mean = (samples: typeof memory) => samples.reduce((sum, { heapUsed }) => sum + heapUsed, 0) / samples.length / 1e6
const quarter = Math.floor(memory.length / 4)
const [early, late] = [mean(memory.slice(quarter, 2 * quarter)), mean(memory.slice(-quarter))]
console.log(`\nheap: ${early.toFixed(1)} MB in the second quarter, ${late.toFixed(1)} MB in the last`)
if (seconds >= 480 && late > early * 1.1 + 2) failures.push('the heap has grown')
console.log(`${sessions} sessions; ${logged} lines of log, ${leaks.length} with a token or a secret in it`)
if (leaks.length > 0) failures.push(`leaked: ${leaks[0]}`)
for (const text of [...surprises.slice(0, 5), ...failures]) console.log(`FAILED ${text}`)
console.log(failures.length === 0 ? 'passed' : 'failed')
process.exitCode = failures.length === 0 ? 0 : 1
