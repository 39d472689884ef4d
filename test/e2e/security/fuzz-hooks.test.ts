import { setImmediate } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import t from 'tap'
import { freshJwtRequired, jwtOptional, jwtRequired, refreshTokenRequired, verifyJwt } from '../../../lib/index.ts'
import type { JwtExtendedOptions, JwtHook } from '../../../lib/index.ts'
import { hookShare, optionsOf, read, seed, Stopwatch } from '../../helpers/security/fuzzing.ts'
import { createRandom, mutate, seedTokens } from '../../helpers/security/mutations.ts'
import { recordingApp } from '../../helpers/security/recording-app.ts'

t.comment(`${hookShare} inputs, seed ${seed}`)

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

/** Bytes of the heap that are in use. */
function heapUsed (): number {
  collectGarbage()
  return process.memoryUsage().heapUsed
}

/** The log line of a refusal, which leaves no room for a token: a JWT has dots, and an opaque token is longer. */
const refusalLine = /^\{"level":20,"time":\d+,"pid":\d+,"hostname":"[^"]*","reqId":"[^"]*","code":"FST_JWT_[A-Z_]+","reason":"[A-Z][\w ,:']{1,80}","requestId":"[^"]*","method":"[A-Z]+","route":"[^"]*","msg":"JWT refused"\}$/

const hooks = [jwtRequired, freshJwtRequired, refreshTokenRequired, verifyJwt({ type: 'any' }), verifyJwt({ optional: 'strict' }), jwtOptional]

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
      const run = ({ where, text, hook }: { where: string, text: string, hook: JwtHook }): unknown => {
        let outcome: unknown = 'nothing'
        place(request, where, text)
        hook.call(app, request, reply, error => { outcome = error })
        return outcome
      }
      const stopwatch = new Stopwatch(run)
      let heap = 0
      while (taken < count) {
        const where = places[random(places.length)] as string
        const text = mutate(random, tokens)
        const known = read[where]?.(text) ?? ''
        if (known === '' || sound.has(known)) continue
        taken++
        const hook = hooks[random(hooks.length)] as JwtHook
        const started = performance.now()
        const outcome = run({ where, text, hook })
        stopwatch.add({ where, text, hook }, performance.now() - started)
        const status = (outcome as { statusCode?: number } | undefined)?.statusCode ?? 200
        const passed = request.jwtIdentity !== null
        if (passed || (hook === jwtOptional ? outcome !== undefined : status < 400 || status >= 500)) {
          faults.push(`${where}: ${JSON.stringify(text)} gave ${String(status)}, ${String(outcome)}`)
        }
        if (taken % 1000 === 0) await setImmediate()
        if (taken === Math.floor(count / 3)) heap = heapUsed()
      }
      growth = heapUsed() - heap
      await stopwatch.report(t)
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
