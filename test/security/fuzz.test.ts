/*
 * Generated hostile inputs: 200,000 of them, or as many as FASTIFY_JWT_FUZZ says, as in
 *
 *   FASTIFY_JWT_FUZZ=1000000 npx tap --disable-coverage --timeout=1800 test/security/fuzz.test.ts
 *
 * which also checks that no answer took 50 ms. FASTIFY_JWT_FUZZ_SEED repeats a run. Nineteen in twenty go to the hooks
 * themselves, with a request of Fastify's own making whose headers, query and body are put in place of what came: so no
 * time goes into HTTP. The rest go through `inject`, and as bytes through a socket.
 */
import type { AddressInfo } from 'node:net'
import { setImmediate } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { FastifyInstance, FastifyReply, FastifyRequest, InjectOptions } from 'fastify'
import t from 'tap'
import { freshJwtRequired, jwtOptional, jwtRequired, refreshTokenRequired, verifyJwt } from '../../lib/index.ts'
import type { JwtExtendedOptions } from '../../lib/index.ts'
import { configurations, hmac } from './configurations.ts'
import { everyLocation, recordingApp } from './recording-app.ts'
import { createRandom, mutate, seedTokens } from './mutations.ts'
import { RawClient } from './raw-client.ts'

const flagged = process.env['FASTIFY_JWT_FUZZ'] !== undefined
const total = Number(process.env['FASTIFY_JWT_FUZZ'] ?? 200_000)
const seed = Number(process.env['FASTIFY_JWT_FUZZ_SEED'] ?? Date.now() % 1_000_000)
const socketShare = Math.floor(total * 0.02)
const injectShare = Math.floor(total * 0.03)
const hookShare = total - socketShare - injectShare
t.comment(`${total} inputs, seed ${seed}`)

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

/** Bytes of the heap that are in use. */
function heapUsed (): number {
  collectGarbage()
  return process.memoryUsage().heapUsed
}

/** The log line of a refusal, which leaves no room for anything of the sender's. */
const refusalLine = /^\{"level":20,"time":\d+,"pid":\d+,"hostname":"[^"]*","reqId":"[^"]*","code":"FST_JWT_[A-Z_]+","requestId":"[^"]*","method":"[A-Z]+","route":"[^"]*","msg":"JWT refused"\}$/

const hooks = [jwtRequired, freshJwtRequired, refreshTokenRequired, verifyJwt({ type: 'any' }), verifyJwt({ optional: 'strict' }), jwtOptional]

function optionsOf (name: string): JwtExtendedOptions {
  return { ...configurations.find(configuration => configuration.name === name)?.options, ...everyLocation }
}

/** How often each is taken: what costs a signature on a curve is taken less. */
const setups: ReadonlyArray<[name: string, share: number, options: JwtExtendedOptions]> = [
  ['HS256', 0.4, optionsOf('HS256')],
  ['rotating secrets', 0.1, optionsOf('rotating secrets')],
  ['double submit', 0.15, { ...optionsOf('HS256'), csrfProtection: ['double-submit', 'fetch-metadata'], csrfCheckForm: true }],
  ['opaque sessions', 0.15, { ...optionsOf('HS256'), refreshTokenFormat: 'opaque' }],
  ['key set', 0.1, optionsOf('key set')],
  ['RS256', 0.05, optionsOf('RS256')],
  ['ES256', 0.025, optionsOf('ES256')],
  ['EdDSA', 0.025, optionsOf('EdDSA')]
]

/** What a location makes of a text before it is a token at all. */
const read: Record<string, (text: string) => string> = {
  header: text => text.replace(/^[ \t]+/, '').replace(/[ \t]+$/, ''),
  cookie: text => { const value = text.split(';', 1)[0]?.trim() ?? ''; try { return decodeURIComponent(value) } catch { return value } },
  query: text => text,
  body: text => text
}

function place (request: FastifyRequest, where: string, text: string): void {
  const { headers } = request.raw
  delete headers.authorization
  delete headers.cookie
  request.query = {}
  request.body = {}
  request.cookies = null as never
  if (where === 'header') headers.authorization = `Bearer ${text}`
  else if (where === 'cookie') headers.cookie = `access_token_cookie=${text}; refresh_token_cookie=${text}`
  else if (where === 'query') request.query = { jwt: text }
  else request.body = { access_token: text, refresh_token: text }
}

/** The clock on the wall, which runs while others have the machine, and the time this process had of it; milliseconds. */
interface Moment { readonly wall: number, readonly cpu: number }
let slowest = { wall: 0, cpu: 0, input: '' }

function moment (): Moment {
  const { user, system } = process.cpuUsage()
  return { wall: performance.now(), cpu: (user + system) / 1000 }
}

function measure (started: Moment, input: string): void {
  const ended = moment()
  const cpu = ended.cpu - started.cpu
  slowest = { wall: Math.max(slowest.wall, ended.wall - started.wall), cpu: Math.max(slowest.cpu, cpu), input: cpu > slowest.cpu ? input : slowest.input }
}

for (const [name, share, options] of setups) {
  t.test(`${name}: nothing that was generated passes a hook, and every refusal is a 4xx`, async t => {
    const random = createRandom(seed + name.length)
    const count = Math.floor(hookShare * share)
    const faults: string[] = []
    let taken = 0
    let growth = 0

    async function attack (app: FastifyInstance, request: FastifyRequest, reply: FastifyReply): Promise<void> {
      const tokens = seedTokens()
      if (options.refreshTokenFormat === 'opaque') tokens.push(...Array.from({ length: 50 }, () => opaqueTokens).flat())
      const sound = new Set(tokens.filter(token => app.jwt.verifyToken(token) || opaqueTokens.includes(token)))
      const places = Object.keys(read)
      let heap = 0
      while (taken < count) {
        const where = places[random(places.length)] as string
        const text = mutate(random, tokens)
        const known = read[where]?.(text) ?? ''
        if (known === '' || sound.has(known)) continue
        taken++
        const hook = hooks[random(hooks.length)] as typeof jwtRequired
        place(request, where, text)
        let outcome: unknown = 'nothing'
        const started = moment()
        hook.call(app, request, reply, error => { outcome = error })
        measure(started, text)
        const status = (outcome as { statusCode?: number } | undefined)?.statusCode ?? 200
        const passed = request.jwtIdentity !== null
        if (passed || (hook === jwtOptional ? outcome !== undefined : status < 400 || status >= 500)) {
          faults.push(`${where}: ${JSON.stringify(text)} gave ${String(status)}, ${String(outcome)}`)
        }
        if (taken % 1000 === 0) await setImmediate()
        if (taken === Math.floor(count / 3)) heap = heapUsed()
      }
      growth = heapUsed() - heap
    }

    let opaqueTokens: string[] = []
    const { app, takeLog } = await recordingApp(t, options, {}, app => {
      app.addHook('onRequest', async request => { request.raw.headers['content-type'] = 'application/json' })
      app.get('/held', async (request, reply) => { await attack(app, request, reply); return 'done' })
    })
    opaqueTokens = options.refreshTokenFormat === 'opaque' ? [(await app.jwt.createSession('user123')).refreshToken] : []
    // The log is looked at as it comes: in memory it would be most of the heap.
    const watch = setInterval(() => { inspect(takeLog()) }, 50)
    function inspect (log: string): void {
      for (const line of log.split('\n')) {
        if (line !== '' && !refusalLine.test(line) && !/"msg":"(incoming request|request completed|Session started)"/.test(line)) faults.push(`logged ${line}`)
      }
    }
    const answer = await app.inject('/held')
    clearInterval(watch)
    inspect(takeLog())

    t.equal(answer.body, 'done')
    t.equal(taken, count)
    t.strictSame(faults.slice(0, 5), [])
    t.ok(growth < 8e6, `the heap is flat: ${(growth / 1e6).toFixed(1)} MB over the last two thirds`)
    if (opaqueTokens.length > 0) t.equal((await app.jwt.listSessions('user123')).length, 1, 'no session was ended')
  })
}

t.test('nothing that was generated passes through inject', async t => {
  const random = createRandom(seed)
  const { app, takeLog } = await recordingApp(t, optionsOf('HS256'))
  const tokens = seedTokens()
  const sound = new Set(tokens.filter(token => app.jwt.verifyToken(token)))
  const faults: string[] = []
  const urls = ['/required', '/fresh', '/refresh', '/any', '/strict', '/rotate', '/early', '/nowhere']
  for (let sent = 0; sent < injectShare;) {
    const text = Buffer.from(mutate(random, tokens)).toString()
    const where = Object.keys(read)[random(4)] as string
    const known = read[where]?.(text) ?? ''
    if (known === '' || sound.has(known)) continue
    sent++
    const request: InjectOptions = { url: urls[random(urls.length)] as string, method: where === 'body' ? 'POST' : (['GET', 'POST', 'PUT', 'DELETE'] as const)[random(4)] as 'GET' }
    if (where === 'header') request.headers = { authorization: `Bearer ${text}` }
    if (where === 'cookie') request.headers = { cookie: `access_token_cookie=${text}; refresh_token_cookie=${text}` }
    if (where === 'query') request.query = { jwt: text }
    if (where === 'body') request.payload = { access_token: text, refresh_token: text }
    const started = moment()
    const { statusCode, body, headers } = await app.inject(request)
    measure(started, text)
    if (statusCode < 400 || statusCode >= 500) faults.push(`${where}: ${JSON.stringify(text)} gave ${statusCode} ${body}`)
    if (text.length > 20 && `${takeLog()}${body}${JSON.stringify(headers)}`.includes(text)) faults.push(`${where}: ${JSON.stringify(text)} leaked`)
  }
  t.strictSame(faults.slice(0, 5), [])
})

t.test('no bytes in header, cookie, query or body pass through a socket, or get more than a 4xx', async t => {
  const random = createRandom(seed + 1)
  const { app, takeLog } = await recordingApp(t, optionsOf('HS256'))
  await app.listen({ port: 0, host: '127.0.0.1' })
  const { port } = app.server.address() as AddressInfo
  const client = new RawClient(port)
  t.teardown(() => { client.close() })
  const tokens = seedTokens()
  const sound = tokens.filter(token => app.jwt.verifyToken(token))
  const faults: string[] = []
  const statuses = new Map<number, number>()
  const bytes = (): string => random(3) === 0
    ? Array.from({ length: random(200) }, () => String.fromCharCode(random(256))).join('')
    : Buffer.from(mutate(random, tokens)).toString('latin1')
  const templates: ReadonlyArray<(text: string) => string> = [
    text => `GET /required HTTP/1.1\r\nHost: app.example\r\nAuthorization: Bearer ${text}\r\n\r\n`,
    text => `GET /required HTTP/1.1\r\nHost: app.example\r\nAuthorization: ${text}\r\n\r\n`,
    text => `GET /required HTTP/1.1\r\nHost: app.example\r\nCookie: access_token_cookie=${text}\r\n\r\n`,
    text => `GET /required HTTP/1.1\r\nHost: app.example\r\nCookie: ${text}\r\n\r\n`,
    text => `GET /required?jwt=${text} HTTP/1.1\r\nHost: app.example\r\n\r\n`,
    text => `GET /required?${text} HTTP/1.1\r\nHost: app.example\r\n\r\n`,
    text => `GET /required HTTP/1.1\r\nHost: app.example\r\n${text}: ${text}\r\n\r\n`,
    text => `GET /required HTTP/1.1\r\nHost: ${text}\r\nOrigin: ${text}\r\nSec-Fetch-Site: ${text}\r\nX-CSRF-TOKEN: ${text}\r\nUpgrade: ${text}\r\n\r\n`,
    ...['application/json', 'application/x-www-form-urlencoded', 'text/plain', 'application/octet-stream'].flatMap(type => [
      (text: string) => `POST /required HTTP/1.1\r\nHost: app.example\r\nContent-Type: ${type}\r\nContent-Length: ${text.length}\r\n\r\n${text}`,
      (text: string) => { const body = `{"access_token":"${text}"}`; return `POST /required HTTP/1.1\r\nHost: app.example\r\nContent-Type: ${type}\r\nContent-Length: ${body.length}\r\n\r\n${body}` }
    ])
  ]
  for (let sent = 0; sent < socketShare; sent++) {
    const text = bytes()
    // A sound token that is in there whole may be read, and rightly.
    if (sound.some(token => text.includes(token))) continue
    const request = (templates[random(templates.length)] as (text: string) => string)(text)
    // With a line break inside, what follows it may be taken for a second request, and answered on the same connection.
    const one = /[\r\n]/.test(text) ? new RawClient(port) : client
    const started = moment()
    const answer = await one.send(request)
    measure(started, text)
    if (one !== client) one.close()
    const status = answer?.statusCode ?? 0
    statuses.set(status, (statuses.get(status) ?? 0) + 1)
    if (status < 400 || status >= 500) faults.push(`${JSON.stringify(request)} gave ${status} ${answer?.body}`)
    const shown = takeLog()
    const token = text.split('.').length === 3 && /^[\w.-]{60,}$/.test(text) ? text : undefined
    // Fastify logs the host, and the query: who puts a token there under another name has put it elsewhere.
    const placed = !/^GET \/required\?(?!jwt=)/.test(request) && request.includes('Host: app.example')
    if (token !== undefined && placed && `${shown}${answer?.body}`.includes(token)) faults.push(`${JSON.stringify(request)} leaked`)
  }
  t.strictSame(faults.slice(0, 5), [])
  t.comment(`answers by status: ${JSON.stringify(Object.fromEntries([...statuses].sort()))}`)
})

t.test('no answer takes long', async t => {
  t.comment(`slowest: ${slowest.cpu.toFixed(1)} ms of processor, ${slowest.wall.toFixed(1)} ms by the clock; ${JSON.stringify(slowest.input.slice(0, 100))}`)
  // A machine that is busy with other things makes anything slow: so this is checked when asked for.
  if (flagged) t.ok(slowest.cpu < 50)
})

t.test('and a sound token passes', async t => {
  const { app } = await recordingApp(t, hmac.options)
  t.equal((await app.inject({ url: '/required', headers: { authorization: `Bearer ${app.jwt.createAccessToken('user123')}` } })).statusCode, 200)
})
