import { PassThrough } from 'node:stream'
import cors from '@fastify/cors'
import Fastify from 'fastify'
import t from 'tap'
import { createFetch } from '../../../lib/browser/fetch.ts'
import jwt, { freshJwtRequired, jwtRequired, refreshTokenRequired, role } from '../../../lib/index.ts'
import type { AddressInfo } from 'node:net'
import type { FastifyInstance } from 'fastify'
import type { Test } from 'tap'
import type { CreateFetchOptions, SessionFetch } from '../../../lib/browser/fetch.ts'
import type { JwtExtendedOptions } from '../../../lib/index.ts'
import { movableTime } from '../../helpers/clock.ts'

/** What came to a server. */
interface Received { method: string, url: string, headers: Record<string, string | string[] | undefined> }

interface TestServer {
  app: FastifyInstance
  origin: string
  received: Received[]
  refreshes (): number
  /** What goes wrong with a refresh: it is refused, never answered, or rotates and its answer is cut off. */
  fail (how: 'refused' | 'unanswered' | 'cut off' | 'not at all'): void
}

/** A site whose access tokens are over when the test says so. */
async function site (t: Test, options: JwtExtendedOptions = {}): Promise<TestServer> {
  const app = Fastify({ forceCloseConnections: true })
  t.teardown(() => app.close())
  const received: Received[] = []
  await app.register(cors, { origin: true, credentials: true })
  await app.register(jwt, { secretKey: 'a secret of the tests, of more than 32 bytes', tokenLocation: ['cookies', 'headers'], ...options })
  let failing = 'not at all'
  app.addHook('onRequest', async ({ url }, reply) => {
    if (url === '/refresh' && failing === 'refused') return reply.code(503).header('retry-after', '1').send('later')
    if (url === '/refresh' && failing === 'unanswered') await new Promise(() => {})
  })
  app.addHook('onSend', async ({ url }, reply) => { if (url === '/refresh' && failing === 'cut off') reply.raw.destroy() })
  app.addHook('onRequest', async ({ method, url, headers }) => { received.push({ method, url, headers }) })
  app.post('/sign-in', async (_request, reply) => {
    const { sessionId, accessToken, refreshToken } = await app.jwt.createSession('ada', { claims: { roles: ['admin'] } })
    app.jwt.setAccessCookies(reply, accessToken)
    app.jwt.setRefreshCookies(reply, refreshToken)
    return { sessionId, access_token: accessToken }
  })
  app.post('/refresh', { onRequest: refreshTokenRequired }, async (request, reply) => {
    const { accessToken, refreshToken } = await app.jwt.rotateSession(request)
    app.jwt.setAccessCookies(reply, accessToken)
    app.jwt.setRefreshCookies(reply, refreshToken)
    return { access_token: accessToken }
  })
  app.post('/refresh/silently', { onRequest: refreshTokenRequired }, async (request, reply) => {
    const { accessToken, refreshToken } = await app.jwt.rotateSession(request)
    app.jwt.setAccessCookies(reply, accessToken)
    app.jwt.setRefreshCookies(reply, refreshToken)
    return reply.code(204).send()
  })
  app.post('/sign-out', async (request, reply) => ({ ended: await app.jwt.clearSession(request, reply) }))
  app.get('/me', { onRequest: jwtRequired }, async request => ({ user: request.jwtIdentity }))
  app.get('/admin', { onRequest: [jwtRequired, role('admin')] }, async () => ({ admin: true }))
  app.get('/fresh', { onRequest: freshJwtRequired }, async () => ({}))
  app.get('/plain', async (_request, reply) => reply.code(401).send('no JSON'))
  app.post('/echo', { onRequest: jwtRequired }, async request => ({ got: request.body }))
  app.post('/endless', async (_request, reply) => {
    const ticks = new PassThrough()
    ticks.write('tick')
    return reply.send(ticks)
  })
  app.get('/elsewhere', { onRequest: jwtRequired }, async (request, reply) => reply.redirect((request.query as { to: string }).to))
  app.post('/elsewhere', { onRequest: jwtRequired }, async (request, reply) => reply.redirect((request.query as { to: string }).to, 307))
  app.addContentTypeParser('application/octet-stream', { parseAs: 'string' }, (_request, body, done) => { done(null, body) })
  await app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.server.address() as AddressInfo
  return {
    app,
    origin: `http://127.0.0.1:${port}`,
    received,
    refreshes: () => received.filter(({ url }) => url === '/refresh').length,
    fail (how) { failing = how }
  }
}

/** What a browser adds to Node: cookies, a location, tabs that hear each other, and locks. */
class TestBrowser {
  readonly cookies = new Map<string, string>()
  /** Called before a request leaves, after the page has read its cookies. */
  beforeSending: (url: string, headers: Headers) => void | Promise<void> = () => {}

  constructor (t: Test, origin: string, { locks = true } = {}) {
    const plainFetch = globalThis.fetch
    const { cookies } = this
    const send = async (input: RequestInfo | URL, init: RequestInit = {}): Promise<Response> => {
      const request = input instanceof Request ? input : new Request(input, { ...init, body: null })
      const headers = new Headers(init.headers ?? request.headers)
      await this.beforeSending(request.url, headers)
      const credentials = init.credentials ?? request.credentials
      const withCookies = credentials === 'include' || (credentials === 'same-origin' && new URL(request.url).origin === origin)
      if (withCookies && cookies.size > 0) headers.set('cookie', [...cookies].map(([name, value]) => `${name}=${value}`).join('; '))
      const response = await plainFetch(input, { ...init, headers })
      for (const line of withCookies ? response.headers.getSetCookie() : []) {
        const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? []
        cookies.set(name, value)
      }
      return response
    }
    const channels: BroadcastChannel[] = []
    const queues = new Map<string, Promise<unknown>>()
    const globals = {
      fetch: send,
      location: { origin, href: `${origin}/` },
      document: { get cookie () { return [...cookies].filter(([name]) => name.startsWith('csrf')).map(([name, value]) => `${name}=${value}`).join('; ') } },
      BroadcastChannel: class extends BroadcastChannel {
        constructor (name: string) {
          super(name)
          channels.push(this)
        }
      },
      navigator: {
        locks: !locks
          ? undefined
          : {
              request (name: string, task: () => Promise<unknown>) {
                const result = (queues.get(name) ?? Promise.resolve()).then(task)
                queues.set(name, result.catch(() => {}))
                return result
              }
            }
      }
    }
    for (const [name, value] of Object.entries(globals)) {
      const before = Object.getOwnPropertyDescriptor(globalThis, name)
      Object.defineProperty(globalThis, name, { value, configurable: true, writable: true })
      t.teardown(() => {
        if (before === undefined) Reflect.deleteProperty(globalThis, name)
        else Object.defineProperty(globalThis, name, before)
      })
    }
    t.teardown(() => { for (const channel of channels) channel.close() })
  }

  /** What a browser does when the time of a cookie is up. */
  loseAccess (): void {
    for (const name of ['access_token_cookie', 'csrf_access_token']) this.cookies.delete(name)
  }
}

interface Tab { fetch: SessionFetch, events: string[] }

/** Some tabs of a browser. */
function openTabs (count: number, options: CreateFetchOptions): Tab[] {
  return Array.from({ length: count }, () => {
    const events: string[] = []
    const fetch = createFetch({ ...options, onSignedIn () { events.push('in') }, onSignedOut () { events.push('out') } })
    return { fetch, events }
  })
}

async function signedIn (t: Test, options: JwtExtendedOptions = {}, client: Partial<CreateFetchOptions> = {}, tabs = 1, locks = true) {
  const server = await site(t, options)
  const browser = new TestBrowser(t, server.origin, { locks })
  const opened = openTabs(tabs, { refresh: `${server.origin}/refresh`, ...client })
  const answer = await (await fetch(`${server.origin}/sign-in`, { method: 'POST' })).json() as { sessionId: string, access_token: string }
  return { ...server, browser, tabs: opened, tab: opened[0] as Tab, ...answer }
}

/** Waits until the messages between tabs that were sent so far have arrived. */
async function messagesArrived (): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await new Promise(resolve => { setImmediate(resolve) })
}

const json = { 'content-type': 'application/json' }

t.test('when the browser has dropped the access cookie, the request is sent again after a refresh, with its body', async t => {
  const { tab, browser, origin, refreshes, received } = await signedIn(t)
  t.equal((await tab.fetch(`${origin}/me`)).status, 200)
  t.equal(refreshes(), 0)
  browser.loseAccess()
  const response = await tab.fetch(new URL(`${origin}/echo`), { method: 'POST', headers: json, body: '{"one":1}' })
  t.equal(response.status, 200)
  t.same(await response.json(), { got: { one: 1 } })
  t.equal(refreshes(), 1)
  t.match(received.at(-1), { url: '/echo', headers: { authorization: undefined, 'x-csrf-token': undefined } }, 'nothing is added that the app has no use for')
  t.same(tab.events, [])
})

t.test('a refresh that is answered without a body is as good', async t => {
  const { tab, browser, origin } = await signedIn(t)
  browser.loseAccess()
  const [silent] = openTabs(1, { refresh: `${origin}/refresh/silently` }) as [Tab]
  t.equal((await silent.fetch(`${origin}/me`)).status, 200)
  t.equal((await silent.fetch.refresh()).status, 204)
  t.equal((await tab.fetch(`${origin}/me`)).status, 200)
})

t.test('an access token that has expired in its cookie is refreshed, too', async t => {
  const { tab, browser, origin, refreshes, app } = await signedIn(t)
  browser.cookies.set('access_token_cookie', app.jwt.createAccessToken('ada', { expiresIn: -1 }))
  t.equal((await tab.fetch(`${origin}/me`)).status, 200)
  t.equal(refreshes(), 1)
})

t.test('a role that updateSession takes away at once is gone from the next request, and the user stays signed in', async t => {
  const { tab, origin, refreshes, app, sessionId } = await signedIn(t)
  t.equal((await tab.fetch(`${origin}/admin`)).status, 200)
  await app.jwt.updateSession(sessionId, { claims: { roles: [] }, now: true })
  t.equal((await tab.fetch(`${origin}/admin`)).status, 403)
  t.equal((await tab.fetch(`${origin}/me`)).status, 200)
  t.equal(refreshes(), 1)
  t.same(tab.events, [])
})

for (const locks of [true, false]) {
  t.test(`requests of a tab that find out together share one refresh, ${locks ? 'with' : 'without'} Web Locks`, async t => {
    const { tab, browser, origin, refreshes } = await signedIn(t, {}, {}, 1, locks)
    for (const round of [1, 2]) {
      browser.loseAccess()
      const responses = await Promise.all(Array.from({ length: 8 }, () => tab.fetch(`${origin}/me`)))
      t.same(responses.map(({ status }) => status), Array(8).fill(200))
      t.equal(refreshes(), round)
    }
  })
}

t.test('tabs that find out together share one refresh', async t => {
  const { tabs, browser, origin, refreshes } = await signedIn(t, {}, {}, 10)
  browser.loseAccess()
  const responses = await Promise.all(tabs.map(tab => tab.fetch(`${origin}/me`)))
  t.same(responses.map(({ status }) => status), Array(10).fill(200))
  t.equal(refreshes(), 1)
})

t.test('when the session has ended, the caller gets the 401 of its own request, and every tab is told once', async t => {
  const { tabs, tab, origin, app, sessionId } = await signedIn(t, {}, {}, 3)
  await app.jwt.revokeSession(sessionId)
  const responses = await Promise.all([tab.fetch(`${origin}/me`), tab.fetch(`${origin}/admin`)])
  t.same(responses.map(({ status, url }) => [status, new URL(url).pathname]), [[401, '/me'], [401, '/admin']])
  t.match(await responses[0]?.json(), { code: 'FST_JWT_REVOKED' })
  await messagesArrived()
  t.same(tabs.map(({ events }) => events), [['out'], ['out'], ['out']])
  t.equal((await tab.fetch.refresh()).status, 401)

  await (await fetch(`${origin}/sign-in`, { method: 'POST' })).text()
  tab.fetch.signedIn()
  await messagesArrived()
  t.same(tabs.map(({ events }) => events.at(-1)), ['in', 'in', 'in'])
  t.equal((await tab.fetch(`${origin}/me`)).status, 200)
  tab.fetch.signedOut()
  await messagesArrived()
  t.same(tabs.map(({ events }) => events.at(-1)), ['out', 'out', 'out'])
})

t.test('a refusal that no refresh mends is handed on at once', async t => {
  const { tab, origin, refreshes, browser } = await signedIn(t)
  await tab.fetch.refresh()
  t.equal((await tab.fetch(`${origin}/nothing-here`)).status, 404)
  t.match(await (await tab.fetch(`${origin}/fresh`)).json(), { code: 'FST_JWT_FRESH_REQUIRED' })
  t.match(await (await tab.fetch(`${origin}/plain`)).text(), 'no JSON')
  browser.cookies.set('access_token_cookie', 'nonsense')
  t.equal((await tab.fetch(`${origin}/me`)).status, 401, 'a forged or broken token')
  t.equal(refreshes(), 1)
})

t.test('a Request is sent again with its body, and its own method and headers', async t => {
  const { tab, browser, origin } = await signedIn(t)
  browser.loseAccess()
  const response = await tab.fetch(new Request(`${origin}/echo`, { method: 'POST', headers: json, body: '[1]' }))
  t.same(await response.json(), { got: [1] })
})

t.test('a stream cannot be sent again: the caller gets the 401, and the session goes on', async t => {
  const { tab, browser, origin, refreshes } = await signedIn(t)
  browser.loseAccess()
  const body = () => new Blob(['text']).stream()
  const init = { method: 'POST', headers: { 'content-type': 'application/octet-stream' }, duplex: 'half' }
  t.equal((await tab.fetch(`${origin}/echo`, { ...init, body: body() })).status, 401)
  t.equal(refreshes(), 1)
  t.same(await (await tab.fetch(`${origin}/echo`, { ...init, body: body() })).json(), { got: 'text' })
})

t.test('a response that never ends is handed on at once, and nothing of it is kept beside it', async t => {
  for (const client of [{}, { csrf: true }, { needsRefresh: () => false }]) {
    const { tab, origin, app, browser } = await signedIn(t, { csrfProtection: 'double-submit' }, client)
    const copies: Response[] = []
    const { clone } = Response.prototype
    t.intercept(Response.prototype, 'clone', { value (this: Response) { const copy = clone.call(this); copies.push(copy); return copy } })
    // Another tab refreshes meanwhile, which changes the CSRF cookie.
    browser.beforeSending = () => { browser.cookies.set('csrf_access_token', 'another') }
    const response = await tab.fetch(`${origin}/endless`, { method: 'POST' })
    t.equal(response.status, 200)
    const reader = response.body?.getReader()
    t.equal(Buffer.from((await reader?.read())?.value ?? []).toString(), 'tick')
    for (const copy of copies) t.strictSame(await copy.body?.getReader().read(), { value: undefined, done: true }, 'a copy is given up')
    await reader?.cancel()
    await app.close()
  }
})

t.test('a request that was aborted is not sent again, and the refresh it caused is for the others', async t => {
  const { tab, browser, origin, refreshes, received } = await signedIn(t)
  browser.loseAccess()
  const abort = new AbortController()
  browser.beforeSending = url => { if (url.endsWith('/refresh')) abort.abort() }
  const [aborted, other] = await Promise.allSettled([tab.fetch(`${origin}/me`, { signal: abort.signal }), tab.fetch(`${origin}/me`)])
  t.match(aborted, { status: 'rejected', reason: { name: 'AbortError' } })
  t.match(other, { status: 'fulfilled', value: { status: 200 } })
  t.equal(refreshes(), 1)
  t.equal(received.filter(({ url }) => url === '/me').length, 3, 'both once, and the other one once more')
})

t.test('a refresh that fails is answered to all who waited for it, and signs nobody out', async t => {
  const { tabs, tab, browser, origin, fail, refreshes } = await signedIn(t, {}, {}, 2)
  browser.loseAccess()
  fail('refused')
  const responses = await Promise.all([tab.fetch(`${origin}/me`), tab.fetch(`${origin}/me`)])
  t.same(responses.map(({ status, headers }) => [status, headers.get('retry-after')]), [[503, '1'], [503, '1']])
  t.same(await Promise.all(responses.map(response => response.text())), ['later', 'later'])
  fail('not at all')
  t.equal((await tab.fetch(`${origin}/me`)).status, 200)
  t.equal(refreshes(), 1)
  await messagesArrived()
  t.same(tabs.map(({ events }) => events), [[], []])
})

t.test('an answer that is cut off costs the request, and not the session, however late the next one is', async t => {
  const { tab, browser, origin, fail, refreshes } = await signedIn(t)
  const { advance } = movableTime(t)
  browser.loseAccess()
  fail('cut off')
  await t.rejects(Promise.all([tab.fetch(`${origin}/me`), tab.fetch(`${origin}/me`)]), TypeError)
  fail('not at all')
  advance(3600)
  t.equal((await tab.fetch(`${origin}/me`)).status, 200)
  t.equal(refreshes(), 2)
  t.same(tab.events, [])
})

t.test('a refresh that is never answered is given up, so that no tab holds up the others', async t => {
  // Long enough for the refresh that is answered, on a busy machine.
  const { tab, browser, origin, fail } = await signedIn(t, {}, { timeout: 1500 })
  browser.loseAccess()
  fail('unanswered')
  await t.rejects(tab.fetch(`${origin}/me`), { name: 'TimeoutError' })
  fail('not at all')
  t.equal((await tab.fetch(`${origin}/me`)).status, 200)
})

t.test('where every access token is refused, a request is sent twice, and again only if another tab has refreshed', async t => {
  const { tabs, tab, origin, refreshes, received } = await signedIn(t, { accessExpires: 1, leeway: 0, verifyClaims: () => true }, {
    needsRefresh: response => response.status === 401
  }, 2)
  const asked = () => received.filter(({ url }) => url === '/plain').length
  t.equal((await tab.fetch(`${origin}/plain`)).status, 401)
  t.equal(asked(), 2)
  t.equal(refreshes(), 1)
  const other = tabs[1] as Tab
  t.same((await Promise.all([tab.fetch(`${origin}/plain`), other.fetch(`${origin}/plain`)])).map(({ status }) => status), [401, 401])
  t.ok(asked() <= 2 + 2 * 3 && refreshes() <= 1 + 2, `${asked()} requests, ${refreshes()} refreshes`)
})

t.test('requests to other origins are left alone: no token, no CSRF header, no refresh', async t => {
  const other = await site(t)
  for (const client of [{ bearer: true }, { csrf: true }]) {
    const { tab, origin, access_token: token, browser, refreshes } = await signedIn(t, { csrfProtection: 'double-submit' }, client)
    tab.fetch.signedIn(token)
    other.received.length = 0
    t.equal((await tab.fetch(`${other.origin}/me`)).status, 401)
    t.equal((await tab.fetch(new Request(`${other.origin}/echo`, { method: 'POST' }))).status, 401)
    // The same host, another port: another origin.
    t.equal((await tab.fetch(`${origin.replace('127.0.0.1', 'localhost')}/me`).catch(() => ({ status: 401 }))).status, 401)
    browser.loseAccess()
    t.equal(refreshes(), 0)
    t.equal(other.received.length, 2)
    for (const { headers } of other.received) t.match(headers, { authorization: undefined, 'x-csrf-token': undefined, cookie: undefined })
  }
})

t.test('a redirect to another origin takes neither token nor CSRF header there', async t => {
  const other = await site(t)
  const to = encodeURIComponent(`${other.origin}/echo`)
  const bearer = await signedIn(t, {}, { bearer: true })
  bearer.tab.fetch.signedIn(bearer.access_token)
  t.equal((await bearer.tab.fetch(`${bearer.origin}/elsewhere?to=${to}`)).status, 404)
  t.match(other.received, [{ url: '/echo', headers: { authorization: undefined } }])
  const csrf = await signedIn(t, { csrfProtection: 'double-submit' }, { csrf: true })
  await t.rejects(csrf.tab.fetch(`${csrf.origin}/elsewhere?to=${to}`, { method: 'POST' }), TypeError)
  t.equal(other.received.length, 1)
})

t.test('double submit: the value of the cookie goes with what changes something, and the refresh has its own', async t => {
  const { tab, browser, origin, received, refreshes } = await signedIn(t, { csrfProtection: 'double-submit' }, { csrf: true })
  const post = { method: 'POST', headers: json, body: '{}' }
  t.equal((await tab.fetch(`${origin}/echo`, post)).status, 200)
  t.equal((await tab.fetch(`${origin}/me`)).status, 200)
  t.equal(received.at(-1)?.headers['x-csrf-token'], undefined)
  browser.loseAccess()
  const refreshToken = browser.cookies.get('csrf_refresh_token')
  t.equal((await tab.fetch(`${origin}/echo`, post)).status, 200)
  t.equal(refreshes(), 1)
  t.equal(received.find(({ url }) => url === '/refresh')?.headers['x-csrf-token'], refreshToken)
  t.equal((await tab.fetch(`${origin}/echo`, { ...post, headers: { ...json, 'x-csrf-token': 'my own' } })).status, 403, 'a header of the caller stays')
})

t.test('double submit: who signs out when the access cookies have gone proves it by the refresh token', async t => {
  const { tab, browser, origin, refreshes } = await signedIn(t, { csrfProtection: 'double-submit' }, { csrf: true })
  browser.loseAccess()
  t.same(await (await tab.fetch(`${origin}/sign-out`, { method: 'POST' })).json(), { ended: true })
  t.equal(refreshes(), 0)
})

t.test('double submit: names are those of the server', async t => {
  const names = {
    accessCsrfCookieName: 'csrf-a', refreshCsrfCookieName: 'csrf-r', accessCsrfHeaderName: 'X-A', refreshCsrfHeaderName: 'X-R'
  }
  const { tab, browser, origin, refreshes } = await signedIn(t, { csrfProtection: 'double-submit', ...names }, { csrf: names })
  browser.cookies.delete('access_token_cookie')
  t.equal((await tab.fetch(`${origin}/echo`, { method: 'POST', headers: json, body: '{}' })).status, 200)
  t.equal(refreshes(), 1)
})

t.test('double submit: a CSRF cookie that another tab has replaced on the way is read again', async t => {
  const { tab, tabs, browser, origin, refreshes } = await signedIn(t, { csrfProtection: 'double-submit' }, { csrf: true }, 2)
  let raced = false
  browser.beforeSending = async url => {
    if (raced || !url.endsWith('/echo')) return
    raced = true
    await tabs[1]?.fetch.refresh()
  }
  t.equal((await tab.fetch(`${origin}/echo`, { method: 'POST', headers: json, body: '{}' })).status, 200)
  t.equal(refreshes(), 1)
  t.equal((await tab.fetch(`${origin}/echo`, { method: 'POST', headers: { ...json, 'x-csrf-token': 'wrong' }, body: '{}' })).status, 403)
})

t.test('in a worker, which has no document, requests carry no CSRF header', async t => {
  const { tab, origin } = await signedIn(t, { csrfProtection: 'double-submit' }, { csrf: true })
  Reflect.set(globalThis, 'document', undefined)
  t.match(await (await tab.fetch(`${origin}/echo`, { method: 'POST' })).json(), { code: 'FST_JWT_CSRF' })
})

t.test('bearer: the token of a sign-in or a refresh is kept in memory, by every tab', async t => {
  const options: JwtExtendedOptions = { tokenLocation: ['headers', 'cookies'], accessCookiePath: '/', refreshCookiePath: '/refresh' }
  const { tabs, tab, browser, origin, access_token: token, received, refreshes } = await signedIn(t, options, { bearer: true }, 2)
  browser.cookies.delete('access_token_cookie')
  const other = tabs[1] as Tab
  tab.fetch.signedIn(token)
  await messagesArrived()
  for (const { fetch } of tabs) t.equal((await fetch(`${origin}/me`)).status, 200)
  t.equal(received.at(-1)?.headers.authorization, `Bearer ${token}`)
  t.equal((await tab.fetch(`${origin}/me`, { headers: { authorization: 'Bearer x' } })).status, 401, 'a header of the caller stays')
  t.equal(refreshes(), 0)

  const [reopened] = openTabs(1, { refresh: `${origin}/refresh`, bearer: true }) as [Tab]
  t.equal((await reopened.fetch(`${origin}/me`)).status, 200)
  t.equal(refreshes(), 1, 'a page that was just opened asks for one')
  t.equal(received.find(({ url }) => url === '/refresh')?.headers.authorization, undefined)
  browser.cookies.delete('access_token_cookie')
  await messagesArrived()
  t.equal((await other.fetch(`${origin}/me`)).status, 200)
  t.not(received.at(-1)?.headers.authorization, `Bearer ${token}`, 'and shares it')

  other.fetch.signedOut()
  await messagesArrived()
  browser.cookies.clear()
  t.equal((await tab.fetch(`${origin}/me`)).status, 401)
  t.equal(received.filter(({ url }) => url === '/me').at(-1)?.headers.authorization, undefined, 'signed out, no tab has one')
})

t.test('bearer: an answer without the field fails, rather than going round', async t => {
  const { tab, origin, browser, refreshes } = await signedIn(t, {}, { bearer: 'accessToken' })
  browser.loseAccess()
  await t.rejects(tab.fetch(`${origin}/me`), { name: 'TypeError', message: /accessToken/ })
  t.equal(refreshes(), 1)
})

t.test('who signs in or out while a refresh is under way is not overtaken by its answer', async t => {
  const { tab, origin, browser, received } = await signedIn(t, {}, { bearer: true })
  browser.loseAccess()
  browser.beforeSending = url => { if (url.endsWith('/refresh')) tab.fetch.signedIn('of the new session') }
  await tab.fetch(`${origin}/me`)
  t.equal(received.at(-1)?.headers.authorization, 'Bearer of the new session')
  browser.beforeSending = url => { if (url.endsWith('/refresh')) throw tab.fetch.signedOut() ?? new TypeError('Failed to fetch') }
  tab.fetch.signedIn()
  browser.cookies.delete('access_token_cookie')
  t.equal((await tab.fetch(`${origin}/me`)).status, 401)
  t.same(tab.events, ['in', 'in', 'out'])
})

t.test('an API on another origin gets cookies, and origins that are listed are of the app', async t => {
  const { origin, browser, refreshes } = await signedIn(t)
  const other = await site(t)
  Reflect.set(globalThis, 'location', { origin: 'http://app.example.test' })
  browser.loseAccess()
  const [{ fetch }] = openTabs(1, { refresh: `${origin}/refresh`, origins: [origin, other.origin] }) as [Tab]
  t.equal((await fetch(`${origin}/me`)).status, 200)
  t.equal(refreshes(), 1)
  other.received.length = 0
  await fetch(`${other.origin}/me`, { credentials: 'omit' })
  t.equal(other.received[0]?.headers.cookie, undefined)
})

t.test('where there are no tabs, as on a server that renders pages, users do not hear of each other', async t => {
  const { origin, browser, refreshes } = await signedIn(t)
  Reflect.set(globalThis, 'location', undefined)
  const [one, two] = openTabs(2, { refresh: `${origin}/refresh`, bearer: true }) as [Tab, Tab]
  browser.loseAccess()
  one.fetch.signedIn('of one')
  await messagesArrived()
  t.same(two.events, [])
  t.equal((await two.fetch(`${origin}/me`)).status, 200)
  t.equal(refreshes(), 1)
})
