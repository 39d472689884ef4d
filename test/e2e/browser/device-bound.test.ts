import { setTimeout as delay } from 'node:timers/promises'
import Fastify from 'fastify'
import t from 'tap'
import jwt, { MemoryStore } from '../../../lib/index.ts'
import { addRoutes, bindingOptions } from '../../helpers/bound-app.ts'
import { deviceBindingFlags, startFullChromium, startWithProfile, withoutBrowser } from '../../helpers/browser/chromium.ts'
import { tlsOptions } from '../../helpers/browser/site.ts'
import { seeProfile, seeSignIn } from '../../helpers/browser/visitor.ts'
import { movableTime } from '../../helpers/clock.ts'
import { startExample } from '../../helpers/example-process.ts'
import type { AddressInfo } from 'node:net'
import type { FastifyInstance } from 'fastify'
import type { BrowserContext, Page } from 'playwright-core'
import type { Test } from 'tap'
import type { JwtExtendedOptions } from '../../../lib/index.ts'

t.setTimeout(300_000)

const cookie = 'access_token_cookie'

/** A request that came to a server, and how it was answered. */
interface Exchange { line: string, status: number, cookies: string[], skipped: string }

/** A server over HTTPS, under every host of this machine. */
interface Served { app: FastifyInstance, store: MemoryStore, exchanges: Exchange[], originOf (host: string): string, refreshes (): Exchange[] }

async function serve (t: Test, options: JwtExtendedOptions = {}): Promise<Served> {
  const app = Fastify({ https: tlsOptions }) as unknown as FastifyInstance
  const store = new MemoryStore()
  const exchanges: Exchange[] = []
  t.teardown(async () => {
    app.server.closeAllConnections()
    await app.close()
    store.close()
  })
  app.addHook('onResponse', async ({ method, url, headers, cookies }, { statusCode }) => {
    exchanges.push({ line: `${method} ${url}`, status: statusCode, cookies: Object.keys(cookies), skipped: String(headers['secure-session-skipped'] ?? '') })
  })
  app.addHook('onRequest', async (request, reply) => {
    if (limited && request.url.startsWith('/device-binding')) return reply.code(429).send({})
  })
  await app.register(jwt, { ...bindingOptions, store, ...options })
  addRoutes(app)
  app.get('/', async (_request, reply) => reply.type('text/html').send('<!doctype html><title>A site</title><link rel="icon" href="data:,">'))
  await app.listen({ port: 0, host: '127.0.0.1' })
  const { port } = app.server.address() as AddressInfo
  return {
    app,
    store,
    exchanges,
    originOf: host => `https://${host}:${port}`,
    refreshes: () => exchanges.filter(({ line }) => line === 'POST /device-binding/refresh')
  }
}

/** Whether the server has had enough of requests. */
let limited = false

/** What a page is answered: the status, and the body. */
interface Answer { status: number, body: { user?: string, bound?: boolean, code?: string, claims?: { sid: string } } }

async function ask (page: Page, method: string, url: string, body?: object): Promise<Answer> {
  const init = { method, ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }) }
  const answer = await page.evaluate(`fetch(${JSON.stringify(url)}, ${JSON.stringify(init)}).then(async response => ({ status: response.status, body: await response.json() }))`)
  return answer as Answer
}

/** Opens a page of a site. */
async function open (context: BrowserContext, origin: string): Promise<Page> {
  const page = await context.newPage()
  await page.goto(origin)
  return page
}

/** Signs in, and waits until the browser has bound the session and holds its cookie. */
async function signIn ({ exchanges }: Served, page: Page): Promise<void> {
  const before = exchanges.length
  await ask(page, 'POST', '/login')
  while (!exchanges.slice(before).some(({ line }) => line.endsWith('/registration'))) await delay(20)
  while ((await ask(page, 'GET', '/me')).body.bound !== true) await delay(20)
}

/** Stands for the end of the access cookie's life. */
async function expire (context: BrowserContext): Promise<void> {
  await context.clearCookies({ name: cookie })
}

t.test('a real browser binds sessions to a key of its own', withoutBrowser, async t => {
  const flags = deviceBindingFlags(tlsOptions.cert)
  const browser = await startFullChromium(t, flags)
  const served = await serve(t, { deviceBinding: { allowedRefreshInitiators: ['partner.test'] } })
  const { app, store, exchanges, refreshes } = served
  const origin = served.originOf('app.example.test')

  async function signedIn (t: Test, site = origin): Promise<{ context: BrowserContext, page: Page }> {
    const context = await browser.newContext()
    t.teardown(async () => { await context.close() })
    const page = await open(context, site)
    await signIn(served, page)
    exchanges.length = 0
    return { context, page }
  }

  await t.test('a login binds the session, and the request after its cookie has gone is held until there is another', async t => {
    const { context, page } = await signedIn(t)
    t.match(await app.jwt.listSessions('ada'), [{ bound: true }])
    t.match(await ask(page, 'GET', '/vault'), { status: 200 })
    await expire(context)
    exchanges.length = 0
    t.match(await ask(page, 'GET', '/me'), { status: 200, body: { user: 'ada', bound: true } })
    t.match(exchanges, [{ line: 'POST /device-binding/refresh', status: 200 }, { line: 'GET /me', status: 200 }])
    t.match((await context.cookies()).find(({ name }) => name === cookie), { httpOnly: true, secure: true, sameSite: 'Lax' })
  })

  await t.test('ten requests at once, from two tabs, cause one refresh', async t => {
    const { context, page } = await signedIn(t)
    const pages = [page, await open(context, origin)]
    await expire(context)
    exchanges.length = 0
    const answers = await Promise.all(Array.from({ length: 10 }, (_, index) => ask(pages[index % 2] as Page, 'GET', '/me')))
    t.same(answers.map(({ status }) => status), Array.from({ length: 10 }, () => 200))
    t.equal(refreshes().length, 1)
  })

  await t.test('cookies that were copied into a second browser end with the access cookie, and the owner goes on', async t => {
    const { context, page } = await signedIn(t)
    const second = await browser.newContext()
    t.teardown(async () => { await second.close() })
    await second.addCookies(await context.cookies())
    const thief = await open(second, origin)
    t.match(await ask(thief, 'GET', '/me'), { status: 200 }, 'they work at first')
    await expire(second)
    exchanges.length = 0
    t.match(await ask(thief, 'GET', '/me'), { status: 401, body: { code: 'FST_JWT_MISSING_TOKEN' } })
    t.match(await ask(thief, 'POST', '/refresh'), { status: 403, body: { code: 'FST_JWT_DEVICE_BOUND' } })
    t.equal(refreshes().length, 0, 'the second browser has no key')
    await expire(context)
    t.match(await ask(page, 'GET', '/me'), { status: 200, body: { user: 'ada' } })
  })

  await t.test('a request that needs a proof now is repeated by the browser itself', async t => {
    const { page } = await signedIn(t)
    movableTime(t).advance(11)
    t.match(await ask(page, 'POST', '/transfer?to=bob'), { status: 200, body: { user: 'ada' } })
    t.match(exchanges, [
      { line: 'POST /transfer?to=bob', status: 307 },
      { line: 'POST /device-binding/refresh', status: 200 },
      { line: 'POST /transfer?to=bob', status: 200 }
    ])
  })

  await t.test('the store is down, slow and back, and a rate limit is hit: the session in the browser survives', async t => {
    const { context, page } = await signedIn(t)
    const { getSession } = store
    t.teardown(() => {
      store.getSession = getSession
      limited = false
    })
    await expire(context)
    store.getSession = () => { throw new Error('down') }
    t.match(await ask(page, 'GET', '/me'), { status: 503, body: { code: 'FST_JWT_DEVICE_REFRESH_SKIPPED' } }, 'nobody is signed out')
    t.match(exchanges, [{ status: 503 }, { line: 'GET /me', skipped: /^server_error;session_identifier="/ }])

    store.getSession = getSession
    limited = true
    await ask(page, 'GET', '/me')
    limited = false
    t.match(refreshes().at(-1), { status: 503 })

    store.getSession = (async (id: string) => delay(500).then(() => Reflect.apply(getSession, store, [id]))) as unknown as typeof getSession
    t.match(await ask(page, 'GET', '/me'), { status: 200 }, 'the request waits for a slow store')
    store.getSession = getSession
    await expire(context)
    t.match(await ask(page, 'GET', '/me'), { status: 200, body: { bound: true } })
  })

  await t.test('after a logout the browser drops the session', async t => {
    const { page } = await signedIn(t)
    t.match(await ask(page, 'POST', '/logout'), { status: 200, body: { ended: true } })
    t.match(await ask(page, 'GET', '/me'), { status: 401 })
    t.match(refreshes(), [{ status: 401 }])
    t.match(await ask(page, 'GET', '/me'), { status: 401 })
    t.equal(refreshes().length, 1, 'it asks no more')
  })

  await t.test('a second login in one browser takes the place of the first', async t => {
    const { context, page } = await signedIn(t)
    const { claims: first } = (await ask(page, 'GET', '/me')).body
    await signIn(served, page)
    const { claims: second } = (await ask(page, 'GET', '/me')).body
    t.not(second?.sid, first?.sid)
    for (let round = 0; round < 2; round++) {
      await expire(context)
      t.match(await ask(page, 'GET', '/me'), { status: 200, body: { claims: { sid: second?.sid } } })
    }
  })

  await t.test('two sites of one registration have nothing to do with each other', async t => {
    const { context, page } = await signedIn(t)
    const other = await open(context, served.originOf('shop.test'))
    await signIn(served, other)
    await expire(context)
    exchanges.length = 0
    const [one, two] = [await ask(page, 'GET', '/me'), await ask(other, 'GET', '/me')]
    t.match([one, two], [{ status: 200 }, { status: 200 }])
    t.not(one.body.claims?.sid, two.body.claims?.sid)
    t.equal(refreshes().length, 2)
    await ask(other, 'POST', '/logout')
    await expire(context)
    t.match(await ask(page, 'GET', '/me'), { status: 200 })
    t.match(await ask(other, 'GET', '/me'), { status: 401 })
  })

  await t.test('a link on another site comes with a refresh only if that site may cause one, and needs no cookie for it', async t => {
    const { context } = await signedIn(t)
    for (const [host, status] of [['evil.test', 401], ['partner.test', 200]] as const) {
      await expire(context)
      const page = await open(context, served.originOf(host))
      exchanges.length = 0
      await Promise.all([page.waitForURL(`${origin}/me`), page.evaluate(`location.href = ${JSON.stringify(`${origin}/me`)}`)])
      t.match(exchanges.find(({ line }) => line === 'GET /me'), { status }, host)
      t.match(refreshes(), status === 200 ? [{ status: 200, cookies: [] }] : [])
      await page.close()
    }
  })

  await t.test('a login on the host of a site is bound for its sub-domains', async t => {
    const site = await serve(t, { cookieDomain: 'example.test', deviceBinding: { includeSite: true } })
    const context = await browser.newContext()
    t.teardown(async () => { await context.close() })
    await signIn(site, await open(context, site.originOf('example.test')))
    await expire(context)
    const page = await open(context, site.originOf('app.example.test'))
    t.match(await ask(page, 'GET', '/me'), { status: 200, body: { user: 'ada', bound: true } })
    t.match(site.refreshes(), [{ status: 200 }])
  })

  await t.test('a browser that is started again has its session still, and a new challenge; one that was not to be kept is gone', async t => {
    const folder = t.testdir()
    const plain = await serve(t, { deviceBinding: false })
    const sites = [true, false].map(persistent => ({ persistent, site: plain.originOf(`persistent-${persistent}.test`) }))
    let context = await startWithProfile(folder, flags)
    await signIn(served, await open(context, origin))
    for (const { persistent, site } of sites) {
      const page = await open(context, site)
      await ask(page, 'POST', '/login', { persistent })
      t.match(await ask(page, 'GET', '/me'), { status: 200 })
    }
    // Chromium writes cookies and sessions a little later.
    await context.close()
    context = await startWithProfile(folder, flags)
    t.teardown(async () => { await context.close() })
    for (const { persistent, site } of sites) {
      const page = await open(context, site)
      t.match(await ask(page, 'GET', '/me'), persistent ? { status: 200, body: { user: 'ada' } } : { status: 401, body: { code: 'FST_JWT_MISSING_TOKEN' } })
      t.equal((await ask(page, 'POST', '/refresh')).status, persistent ? 200 : 401)
    }
    await expire(context)
    exchanges.length = 0
    const page = await open(context, origin)
    t.match(await ask(page, 'GET', '/me'), { status: 200, body: { user: 'ada', bound: true } })
    t.match(refreshes(), [{ status: 403 }, { status: 200 }])
  })

  await t.test('the example site says which devices are bound, and goes on when the access cookie has gone', async t => {
    const folder = t.testdir({ 'key.pem': tlsOptions.key, 'cert.pem': tlsOptions.cert })
    const { url } = await startExample(t, 'browser-session/server', { TLS_KEY: `${folder}/key.pem`, TLS_CERT: `${folder}/cert.pem` })
    const context = await browser.newContext()
    t.teardown(async () => { await context.close() })
    const page = await context.newPage()
    await page.goto(`${url}/sign-up`)
    await page.getByLabel('Name').fill('ada')
    await page.getByLabel('Password').fill('correct horse battery staple')
    await page.getByRole('button', { name: 'Create account' }).click()
    await seeProfile(page, 'ada')
    // The page may have asked for its devices before the browser had registered.
    while (await page.getByText('Bound to this device').count() === 0) {
      await page.reload()
      await seeProfile(page, 'ada')
      await page.getByText('This device', { exact: true }).waitFor()
    }
    t.notOk(await page.getByRole('button', { name: 'Renew now' }).isVisible(), 'the browser itself does that')
    await context.clearCookies({ name: '__Host-access' })
    await page.reload()
    await seeProfile(page, 'ada')
    await page.getByRole('button', { name: 'Sign out', exact: true }).click()
    await seeSignIn(page)
    await page.reload()
    await seeSignIn(page)
  })

  await t.test('a session that no browser has bound goes on as ever', async t => {
    const context = await browser.newContext()
    t.teardown(async () => { await context.close() })
    const page = await open(context, origin)
    const tokens = await app.jwt.createSession('ada')
    await context.addCookies([cookie, 'refresh_token_cookie'].map((name, index) => ({ name, value: index === 0 ? tokens.accessToken : tokens.refreshToken, url: origin })))
    await expire(context)
    t.match(await ask(page, 'GET', '/me'), { status: 401 })
    t.match(await ask(page, 'POST', '/refresh'), { status: 200 })
    t.match(await ask(page, 'GET', '/me'), { status: 200, body: { bound: false } })
  })
})
