/*
 * Every order of locations, and what may stand in each of them. In CI every pair of locations, and some of all four;
 * FASTIFY_JWT_ORDERS=all tries all 24 orders with everything in each place, which takes minutes.
 */
import Fastify from 'fastify'
import type { FastifyInstance, InjectOptions } from 'fastify'
import t from 'tap'
import type { Test } from 'tap'
import jwt, { jwtOptional, jwtRequired, MemoryStore, refreshTokenRequired, verifyJwt } from '../../../lib/index.ts'
import type { JwtExtendedOptions, TokenLocation } from '../../../lib/index.ts'
import { bearer, secretKey } from '../../helpers/protected-app.ts'
import { forge } from '../../helpers/forge.ts'
import { createRandom } from '../../helpers/security/mutations.ts'

const places = ['headers', 'cookies', 'queryString', 'json'] as const
const states = ['absent', 'unrecognised', 'malformed', 'expired', 'revoked', 'other', 'expired other', 'good'] as const
type State = typeof states[number]
type Content = Partial<Record<TokenLocation, State>>
const modes = { required: jwtRequired, optional: jwtOptional, strict: verifyJwt({ optional: 'strict' }) }

const secondsLeft = 900
const now = Math.floor(Date.now() / 1000)
const token = (type: 'access' | 'refresh', exp: number, jti: string): string => forge({ sub: 'ada', type, fresh: false, exp, jti })
const tokens: Partial<Record<State, string>> = {
  expired: token('access', now - 60, 'expired'),
  revoked: token('access', now + secondsLeft, 'revoked'),
  other: token('refresh', now + secondsLeft, 'other'),
  'expired other': token('refresh', now - 60, 'expired-other'),
  good: token('access', now + secondsLeft, 'good')
}

/** Puts a state into each place, in the words of that place. */
function requestWith (content: Content): InjectOptions {
  const headers: Record<string, string> = {}
  const query: Record<string, string | string[]> = {}
  const payload: Record<string, unknown> = { note: 'a body' }
  for (const [place, state] of Object.entries(content) as Array<[TokenLocation, State]>) {
    const text = tokens[state]
    if (state === 'absent') continue
    if (place === 'headers') headers.authorization = text === undefined ? state === 'malformed' ? 'Bearer' : 'Basic YWRhOnB3' : `Bearer ${text}`
    if (place === 'cookies') headers.cookie = text === undefined ? state === 'malformed' ? 'access_token_cookie=a.b.c' : 'access_token_cookie=; theme=dark' : `access_token_cookie=${text}`
    if (place === 'queryString') query[state === 'unrecognised' ? 'token' : 'jwt'] = text ?? ['a', 'b']
    if (place === 'json') payload[state === 'unrecognised' ? 'token' : 'access_token'] = text ?? { a: 1 }
  }
  return { method: 'POST', headers, query, payload }
}

/** What the documents say: the first place with a token of the right type decides, and only the store can be out of order. */
function expected (order: readonly TokenLocation[], content: Content, mode: keyof typeof modes, storeUp: boolean): string {
  let refusal = 'FST_JWT_MISSING_TOKEN'
  for (const place of order) {
    const state = content[place] ?? 'absent'
    if (state === 'absent' || state === 'unrecognised') continue
    if ((state === 'good' || state === 'revoked') && !storeUp) return 'FST_JWT_STORE_UNAVAILABLE'
    if (state === 'good') return 'ada'
    if (state === 'other') {
      if (refusal === 'FST_JWT_MISSING_TOKEN') refusal = 'FST_JWT_ACCESS_REQUIRED'
      continue
    }
    if (state === 'expired other') {
      refusal = 'FST_JWT_EXPIRED'
      continue
    }
    if (state === 'malformed') refusal = place === 'cookies' ? 'FST_JWT_INVALID_TOKEN' : 'FST_JWT_BAD_REQUEST'
    else refusal = state === 'expired' ? 'FST_JWT_EXPIRED' : 'FST_JWT_REVOKED'
    break
  }
  if (mode === 'optional' || (mode === 'strict' && refusal === 'FST_JWT_MISSING_TOKEN')) return 'nobody'
  return refusal
}

/** A store that denies one token, and can be out of order. */
class FailingStore extends MemoryStore {
  up = true
  override isDenied (jti: string | null): boolean {
    if (!this.up) throw new Error('out of order')
    return jti === 'revoked'
  }
}

async function appWith (t: Test, order: readonly TokenLocation[], store: FailingStore): Promise<FastifyInstance> {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(jwt, { secretKey, tokenLocation: order, store })
  for (const [mode, preHandler] of Object.entries(modes)) app.post(`/${mode}`, { preHandler }, async request => ({ identity: request.jwtIdentity ?? 'nobody' }))
  await app.ready()
  return app
}

async function verdict (app: FastifyInstance, request: InjectOptions): Promise<string> {
  const { code, identity } = (await app.inject(request)).json<{ code?: string, identity?: string }>()
  return code ?? String(identity)
}

function permutations<T> (list: readonly T[]): T[][] {
  return list.length < 2 ? [[...list]] : list.flatMap((one, index) => permutations([...list.slice(0, index), ...list.slice(index + 1)]).map(rest => [one, ...rest]))
}

/** States that decide, so that their place among the locations matters, by the documents. */
const deciding: readonly State[] = ['malformed', 'expired', 'revoked']

/** Tries one content under some orders: each as the documents say, and all alike unless something in it decides. */
async function tryOrders (t: Test, apps: ReadonlyMap<readonly TokenLocation[], FastifyInstance>, content: Content, store: FailingStore): Promise<number> {
  let wrong = 0
  for (const mode of Object.keys(modes) as Array<keyof typeof modes>) {
    for (store.up of [true, false]) {
      const verdicts = new Set<string>()
      for (const [order, app] of apps) {
        const got = await verdict(app, { ...requestWith(content), url: `/${mode}` })
        const wanted = expected(order, content, mode, store.up)
        verdicts.add(got)
        if (got === wanted) continue
        wrong++
        if (wrong < 5) t.equal(got, wanted, `${order.join(', ')}: ${JSON.stringify(content)} ${mode}, store ${store.up ? 'up' : 'down'}`)
      }
      const decides = Object.values(content).filter(state => deciding.includes(state)).length
      if (decides === 0 && verdicts.size > 1) t.fail(`${JSON.stringify(content)} ${mode}: ${[...verdicts].join(', ')}`)
    }
  }
  return wrong
}

t.test('every pair of locations, in both orders, with everything in each of them', async t => {
  const store = new FailingStore()
  let wrong = 0
  for (const [index, first] of places.entries()) {
    for (const second of places.slice(index + 1)) {
      const orders = permutations([first, second])
      const apps = new Map(await Promise.all(orders.map(async order => [order, await appWith(t, order, store)] as const)))
      for (const one of states) for (const two of states) wrong += await tryOrders(t, apps, { [first]: one, [second]: two }, store)
    }
  }
  t.equal(wrong, 0)
})

t.test('all four locations, in every order', async t => {
  const store = new FailingStore()
  const apps = new Map(await Promise.all(permutations(places).map(async order => [order, await appWith(t, order, store)] as const)))
  const random = createRandom(Date.now() % 1_000_000)
  const contents = process.env['FASTIFY_JWT_ORDERS'] === 'all'
    ? states.flatMap(headers => states.flatMap(cookies => states.flatMap(queryString => states.map(json => ({ headers, cookies, queryString, json })))))
    : Array.from({ length: 8 }, () => Object.fromEntries(places.map(place => [place, states[random(states.length)] as State])))
  let wrong = 0
  for (const content of contents) wrong += await tryOrders(t, apps, content, store)
  t.equal(wrong, 0)
})

t.test('a body that was not read makes nobody of no one, whatever else the request holds', async t => {
  const options: Partial<JwtExtendedOptions> = { leeway: 0 }
  for (const [first, second] of [['headers', 'json'], ['json', 'headers']] as const) {
    const lines: string[] = []
    const app = Fastify({ logger: { level: 'error', stream: { write (line: string) { lines.push(line) } } } })
    t.teardown(() => app.close())
    await app.register(jwt, { secretKey, ...options, tokenLocation: [first, second] })
    app.register(async context => {
      context.addHook('onRequest', jwtOptional)
      context.post('/optional', async request => ({ identity: request.jwtIdentity }))
    })
    app.register(async context => {
      context.addHook('onRequest', refreshTokenRequired)
      context.post('/refresh', async request => ({ identity: request.jwtIdentity }))
    })
    const payload = { access_token: tokens.good, refresh_token: tokens.other }
    for (const state of ['other', 'expired other'] as const) {
      lines.length = 0
      const refused = await app.inject({ method: 'POST', url: '/optional', headers: bearer(String(tokens[state])), payload })
      t.equal(refused.statusCode, 401, `${first}: ${state}`)
      t.match(lines, [/not parsed in onRequest/])
    }
    t.equal((await app.inject({ method: 'POST', url: '/refresh', headers: bearer(String(tokens.good)), payload })).statusCode, 401)
    // A token that decides before the body is looked for says who it is: nobody.
    const expired = await app.inject({ method: 'POST', url: '/optional', headers: bearer(String(tokens.expired)), payload })
    t.equal(expired.statusCode, first === 'headers' ? 200 : 401)
    t.equal((await app.inject({ method: 'POST', url: '/optional', headers: bearer(String(tokens.good)), payload })).json().identity, 'ada')
  }
})

t.test('several cookies of one name: which of them comes first changes no verdict', async t => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(jwt, { secretKey, tokenLocation: ['cookies', 'headers'] })
  app.get('/', { preHandler: jwtRequired }, async request => ({ identity: request.jwtIdentity }))
  const values: Partial<Record<State, string>> = { ...tokens, malformed: 'a.b.c', unrecognised: '' }
  delete values.revoked
  for (const beside of [null, tokens.good]) {
    for (const [one, first] of Object.entries(values)) {
      for (const [two, second] of Object.entries(values)) {
        const verdicts = await Promise.all([[first, second], [second, first]].map(async pair => verdict(app, {
          url: '/', headers: { cookie: pair.map(value => `access_token_cookie=${value}`).join('; '), ...beside === null ? {} : bearer(String(beside)) }
        })))
        t.equal(verdicts[0], verdicts[1], `${one}, ${two}${beside === null ? '' : ', and a good token in the header'}`)
        // Only what is not meant for this hook leaves the next place to decide.
        const decides = [one, two].some(state => state === 'malformed' || state === 'expired')
        if (one !== 'good' && two !== 'good') t.equal(verdicts[0] === 'ada', beside !== null && !decides, `${one}, ${two}`)
        else t.equal(verdicts[0], 'ada')
      }
    }
  }
})

t.test('a reused refresh token ends its session, whichever of several cookies it is, unless another one is good', async t => {
  for (const others of [['expired'], ['malformed'], ['expired', 'malformed'], ['good']]) {
    for (const reusedFirst of [true, false]) {
      const app = Fastify()
      t.teardown(() => app.close())
      await app.register(jwt, { secretKey, tokenLocation: 'cookies', refreshReuseInterval: 0, refreshUntilUsed: false })
      app.get('/', { preHandler: refreshTokenRequired }, async request => app.jwt.rotateSession(request))
      const { refreshToken } = await app.jwt.createSession('ada')
      const current = (await app.inject({ url: '/', cookies: { refresh_token_cookie: refreshToken } })).json().refreshToken as string
      const values: Record<string, string> = { expired: token('refresh', now - 60, 'old'), malformed: 'a.b.c', good: current }
      const cookies = [refreshToken, ...others.map(name => values[name])]
      const cookie = (reusedFirst ? cookies : cookies.reverse()).map(value => `refresh_token_cookie=${value}`).join('; ')
      const response = await app.inject({ url: '/', headers: { cookie } })
      t.equal(response.json().code, others.includes('good') ? undefined : 'FST_JWT_REUSED', `${others.join()}, reused ${reusedFirst ? 'first' : 'last'}`)
      t.equal((await app.jwt.listSessions('ada')).length, others.includes('good') ? 1 : 0)
    }
  }
})
