import { mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { createServer } from 'node:https'
import { once } from 'node:events'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { gzipSync } from 'node:zlib'
import cors from '@fastify/cors'
import * as esbuild from 'esbuild'
import Fastify from 'fastify'
import t from 'tap'
import { build } from 'vite'
import jwt, { crossOriginProtection, jwtRequired, MemoryStore, refreshTokenRequired, role } from '../../../lib/index.ts'
import { startChromium, withoutBrowser } from '../../helpers/browser/chromium.ts'
import { tlsOptions } from '../../helpers/browser/site.ts'
import type { AddressInfo } from 'node:net'
import type { FastifyInstance } from 'fastify'
import type { Browser, Page } from 'playwright-core'
import type { Test } from 'tap'
import type { JwtExtendedOptions } from '../../../lib/index.ts'
import { movableTime } from '../../helpers/clock.ts'

const root = fileURLToPath(new URL('../../..', import.meta.url))
const shipped = join(root, 'dist/browser/fetch.js')

/** What the page is loaded with: the client as it ships, and bundled. */
const scripts = new Map([['/client.js', await readFile(shipped, 'utf8')]])

interface Received { url: string, method: string, headers: Record<string, unknown> }

interface TwoServers {
  origin: string
  /** A page of another origin on the same site, and what came there. */
  stranger: string
  received: Received[]
  apps: FastifyInstance[]
  /** Cuts the connection in the middle of the next answer to a refresh, which has rotated by then. */
  cutOffRefresh (): void
  /** How many refreshes have come. */
  refreshes (): number
}

/** Two servers with one store behind one name: each request comes to the other one than that before. */
async function twoServers (t: Test, options: JwtExtendedOptions = {}): Promise<TwoServers> {
  const store = new MemoryStore()
  t.teardown(() => { store.close() })
  const received: Received[] = []
  let cut = false
  const apps = [Fastify(), Fastify()]
  for (const app of apps) {
    await app.register(jwt, {
      secretKey: 'a secret of the tests, of more than 32 bytes', tokenLocation: ['headers', 'cookies'], refreshCookiePath: '/session', cookieSecure: true, store, ...options
    })
    app.addHook('onRequest', async ({ url, method, headers }) => { received.push({ url, method, headers }) })
    app.get('/', async (_request, reply) => reply.type('text/html').send('<!doctype html><title>A page</title>'))
    for (const [path, text] of scripts) app.get(path, async (_request, reply) => reply.type('text/javascript').send(text))
    app.post('/session/sign-in', async (_request, reply) => {
      const { sessionId, accessToken, refreshToken } = await app.jwt.createSession('ada', { claims: { roles: ['admin'] } })
      app.jwt.setAccessCookies(reply, accessToken)
      app.jwt.setRefreshCookies(reply, refreshToken)
      return { sessionId, access_token: accessToken }
    })
    app.post('/session/refresh', { onRequest: refreshTokenRequired }, async (request, reply) => {
      const { accessToken, refreshToken } = await app.jwt.rotateSession(request)
      if (cut) {
        cut = false
        request.raw.socket.write('HTTP/1.1 200 OK\r\nset-cookie: half')
        request.raw.socket.destroy()
        return reply.hijack()
      }
      app.jwt.setAccessCookies(reply, accessToken)
      app.jwt.setRefreshCookies(reply, refreshToken)
      return { access_token: accessToken }
    })
    app.get('/me', { onRequest: jwtRequired }, async request => ({ user: request.jwtIdentity }))
    app.get('/admin', { onRequest: [jwtRequired, role('admin')] }, async () => ({ admin: true }))
    app.post('/echo', { onRequest: jwtRequired }, async request => ({ got: request.body }))
    app.get('/elsewhere', { onRequest: jwtRequired }, async (request, reply) => reply.redirect((request.query as { to: string }).to))
    // For the stranger: every page of every origin may send every header, and read the answer.
    app.options('/steal', async (request, reply) => reply.headers({
      'access-control-allow-origin': '*', 'access-control-allow-headers': `authorization, ${String(request.headers['access-control-request-headers'])}`
    }).send())
    app.get('/steal', async (_request, reply) => reply.header('access-control-allow-origin', '*').send({}))
    await app.ready()
  }
  let turn = 0
  const server = createServer(tlsOptions, (request, response) => { apps[turn++ % 2]?.routing(request, response) })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(async () => {
    server.closeAllConnections()
    server.close()
    await Promise.all(apps.map(app => app.close()))
  })
  const { port } = server.address() as AddressInfo
  return {
    origin: `https://app.example.test:${port}`,
    stranger: `https://evil.example.test:${port}`,
    received,
    apps,
    cutOffRefresh () { cut = true },
    refreshes: () => received.filter(({ url }) => url === '/session/refresh').length
  }
}

/** Opens a page with `api`, the client, and `events`, what it was told. */
async function openPage (page: Page, origin: string, options = '{}', script = '/client.js'): Promise<void> {
  await page.goto(origin)
  await page.evaluate(`import(${JSON.stringify(script)}).then(({ createFetch }) => {
    window.events = []
    window.api = createFetch({ refresh: '/session/refresh', onSignedIn: () => events.push('in'), onSignedOut: () => events.push('out'), ...${options} })
  })`)
}

/** Sends a request from a page, and reads the answer as JSON. */
async function send (page: Page, path: string, init = '{}'): Promise<Record<string, unknown>> {
  return await page.evaluate(`api(${JSON.stringify(path)}, ${init}).then(async response => ({ status: response.status, ...await response.json() }), error => ({ error: error.name }))`)
}

async function newPage (t: Test, browser: Browser): Promise<Page> {
  const context = await browser.newContext({ ignoreHTTPSErrors: true })
  t.teardown(() => context.close())
  return await context.newPage()
}

const signIn = (page: Page) => page.evaluate<{ sessionId: string, access_token: string }>("fetch('/session/sign-in', { method: 'POST' }).then(response => response.json())")

t.setTimeout(300_000)

t.test('the client is at most 2 kB on the wire', async t => {
  t.ok(gzipSync(await readFile(shipped), { level: 9 }).length <= 2048)
})

t.test('the client in a browser', withoutBrowser, async t => {
  const temporary = await mkdtemp(join(tmpdir(), 'fastify-jwt-extended-'))
  t.teardown(() => rm(temporary, { recursive: true, force: true }))
  await writeFile(join(temporary, 'package.json'), '{ "type": "module" }')
  await writeFile(join(temporary, 'app.js'), "export { createFetch } from 'fastify-jwt-extended/browser'\n")
  await symlink(join(root, 'node_modules'), join(temporary, 'node_modules'), 'junction')
  const alias = { 'fastify-jwt-extended/browser': shipped }

  await t.test('bundles with esbuild and Vite, for the browser and for a server that renders pages', async t => {
    const bundled = await esbuild.build({
      entryPoints: [join(temporary, 'app.js')], alias, bundle: true, minify: true, format: 'esm', platform: 'browser', write: false, logLevel: 'silent'
    })
    scripts.set('/esbuild.js', bundled.outputFiles[0]?.text ?? '')
    for (const [path, ssr] of [['/vite.js', false], ['/vite-ssr.js', true]] as const) {
      const result = await build({
        root: temporary,
        configFile: false,
        logLevel: 'silent',
        resolve: { alias },
        ssr: { noExternal: true },
        build: {
          write: false,
          ssr: ssr ? join(temporary, 'app.js') : false,
          ...(ssr ? {} : { lib: { entry: join(temporary, 'app.js'), formats: ['es'] } })
        }
      })
      const [output] = Array.isArray(result) ? result : [result]
      const [chunk] = output !== undefined && 'output' in output ? output.output : []
      scripts.set(path, chunk !== undefined && 'code' in chunk ? chunk.code : '')
    }
    await esbuild.build({ entryPoints: [join(temporary, 'app.js')], alias, bundle: true, format: 'esm', platform: 'node', outfile: join(temporary, 'ssr.mjs'), logLevel: 'silent' })
    await writeFile(join(temporary, 'vite-ssr.mjs'), scripts.get('/vite-ssr.js') ?? '')
    scripts.delete('/vite-ssr.js')
    for (const file of ['ssr.mjs', 'vite-ssr.mjs']) {
      const { createFetch } = await import(pathToFileURL(join(temporary, file)).href) as { createFetch (options: object): unknown }
      t.type(createFetch({ refresh: '/session/refresh' }), 'function', `${file} needs no browser until it is used`)
    }
  })

  const browser = await startChromium(t)

  await t.test('it works as it ships, without a bundler, and bundled', async t => {
    const { origin, refreshes } = await twoServers(t)
    const page = await newPage(t, browser)
    let expected = 0
    for (const script of scripts.keys()) {
      await openPage(page, origin, '{}', script)
      await signIn(page)
      t.match(await send(page, '/me'), { status: 200, user: 'ada' }, script)
      await page.context().clearCookies({ name: 'access_token_cookie' })
      t.match(await send(page, '/echo', "{ method: 'POST', headers: { 'content-type': 'application/json' }, body: '[1]' }"), { status: 200, got: [1] })
      await page.context().clearCookies({ name: 'access_token_cookie' })
      t.match(await page.evaluate(`api(new Request('/echo', { method: 'POST', headers: { 'content-type': 'application/json' }, body: '[2]' }))
        .then(response => response.json())`), { got: [2] }, 'a Request is sent again with its body')
      expected += 2
      t.equal(refreshes(), expected)
    }
    t.equal(scripts.size, 3)
  })

  await t.test('the answer of a refresh is cut off after the server has rotated, and the next request, an hour later, goes on', async t => {
    const { origin, refreshes, cutOffRefresh } = await twoServers(t)
    const page = await newPage(t, browser)
    await openPage(page, origin)
    await signIn(page)
    await page.context().clearCookies({ name: 'access_token_cookie' })
    cutOffRefresh()
    t.same(await send(page, '/me'), { error: 'TypeError' })
    const { advance } = movableTime(t)
    advance(3600)
    t.match(await send(page, '/me'), { status: 200, user: 'ada' })
    t.equal(refreshes(), 2)
    t.same(await page.evaluate('events'), [])
  })

  await t.test('a role that is taken away at once is gone from the next request on every server, and the user notices nothing else', async t => {
    const { origin, refreshes, apps } = await twoServers(t)
    const page = await newPage(t, browser)
    await openPage(page, origin)
    const { sessionId } = await signIn(page)
    for (let server = 0; server < 2; server++) t.match(await send(page, '/admin'), { status: 200 })
    await apps[0]?.jwt.updateSession(sessionId, { claims: { roles: [] }, now: true })
    t.match(await send(page, '/admin'), { status: 403, code: 'FST_JWT_FORBIDDEN' })
    t.match(await send(page, '/admin'), { status: 403, code: 'FST_JWT_FORBIDDEN' }, 'and on the other server')
    t.match(await send(page, '/me'), { status: 200, user: 'ada' })
    t.equal(refreshes(), 1)
    t.same(await page.evaluate('events'), [])
  })

  await t.test('an ended session is told to every tab', async t => {
    const { origin, apps } = await twoServers(t)
    const page = await newPage(t, browser)
    const second = await page.context().newPage()
    await openPage(page, origin)
    await openPage(second, origin)
    const { sessionId } = await signIn(page)
    await page.evaluate('api.signedIn()')
    await second.waitForFunction('events.length === 1')
    await apps[0]?.jwt.revokeSession(sessionId)
    t.match(await send(page, '/me'), { status: 401, code: 'FST_JWT_REVOKED' })
    await second.waitForFunction('events.length === 2')
    t.same(await second.evaluate('events'), ['in', 'out'])
    t.same(await page.evaluate('events'), ['in', 'out'])
  })

  await t.test('double submit: the CSRF cookies are read, and sent to no other origin', async t => {
    const { origin, stranger, received, refreshes } = await twoServers(t, { csrfProtection: 'double-submit' })
    const page = await newPage(t, browser)
    await openPage(page, origin, '{ csrf: true }')
    await signIn(page)
    const post = "{ method: 'POST', headers: { 'content-type': 'application/json' }, body: '[1]' }"
    t.match(await send(page, '/echo', post), { status: 200 })
    await page.context().clearCookies({ name: /access/ })
    t.match(await send(page, '/echo', post), { status: 200 })
    t.equal(refreshes(), 1)
    t.match(await send(page, `${stranger}/steal`), { status: 200 })
    t.match(received.at(-1), { url: '/steal', headers: { 'x-csrf-token': undefined } })
  })

  await t.test('bearer: the token stays in memory, is shared by the tabs, and follows no redirect to another origin', async t => {
    const { origin, stranger, received, refreshes } = await twoServers(t, { tokenLocation: ['headers', 'cookies'], accessCookiePath: '/no-page' })
    const page = await newPage(t, browser)
    await openPage(page, origin, '{ bearer: true }')
    await signIn(page)
    t.match(await send(page, '/me'), { status: 200, user: 'ada' }, 'a page that has just been opened asks for a token')
    const second = await page.context().newPage()
    await openPage(second, origin, '{ bearer: true }')
    await page.evaluate('api.refresh().then(() => {})')
    await second.waitForFunction("api('/me').then(({ ok }) => ok)")
    t.equal(refreshes(), 2)
    t.match(received.at(-1)?.headers, { authorization: /^Bearer / })
    t.match(await send(page, `/elsewhere?to=${encodeURIComponent(`${stranger}/steal`)}`), { status: 200 })
    t.match(received.at(-1), { url: '/steal', method: 'GET', headers: { authorization: undefined } })
    t.match(await send(page, `${stranger}/steal`), { status: 200 })
    t.match(received.at(-1), { url: '/steal', method: 'GET', headers: { authorization: undefined } })
  })

  for (const [site, host, cookies, toStrangers] of [
    ['the same site', 'front.example.test', { cookieSamesite: 'Lax' }, 403],
    // Chromium takes no other cookies of another site here, and sends these to the API from pages of the front end's site only.
    ['another site', 'front.test', { cookieSamesite: 'None', cookiePartitioned: true }, 401]
  ] as const) {
    await t.test(`a front end and an API on ${site}: the page signs in, goes on, refreshes and signs out, and no other page does`, async t => {
      const pages = Fastify({ https: tlsOptions })
      pages.get('/', async (_request, reply) => reply.type('text/html').send('<!doctype html><title>A front end</title>'))
      pages.get('/client.js', async (_request, reply) => reply.type('text/javascript').send(scripts.get('/client.js')))
      await pages.listen({ port: 0 })
      t.teardown(() => pages.close())
      const originOf = (name: string, app: FastifyInstance) => `https://${name}:${(app.server.address() as AddressInfo).port}`
      const frontEnd = originOf(host, pages as unknown as FastifyInstance)

      const api = Fastify({ https: tlsOptions })
      t.teardown(() => api.close())
      let refreshes = 0
      await api.register(cors, { origin: [frontEnd], credentials: true, methods: ['GET', 'POST'] })
      await api.register(jwt, {
        secretKey: 'a secret of the tests, of more than 32 bytes', tokenLocation: 'cookies', refreshCookiePath: '/session', cookieSecure: true, trustedOrigins: [frontEnd], ...cookies
      })
      api.post('/session/sign-in', { onRequest: crossOriginProtection }, async (_request, reply) => {
        api.jwt.setSessionCookies(reply, await api.jwt.createSession('ada'))
        return { signedIn: true }
      })
      api.post('/session/refresh', { onRequest: refreshTokenRequired }, async (request, reply) => {
        refreshes++
        api.jwt.setSessionCookies(reply, await api.jwt.rotateSession(request))
        return {}
      })
      api.post('/session/sign-out', async (request, reply) => ({ signedOut: await api.jwt.clearSession(request, reply) }))
      api.get('/me', { onRequest: jwtRequired }, async request => ({ user: request.jwtIdentity }))
      api.post('/orders', { onRequest: jwtRequired }, async () => ({ ordered: true }))
      await api.listen({ port: 0 })
      const url = originOf('api.example.test', api as unknown as FastifyInstance)

      const page = await newPage(t, browser)
      await openPage(page, frontEnd, `{ refresh: '${url}/session/refresh' }`)
      const post = "{ method: 'POST' }"
      t.match(await send(page, `${url}/session/sign-in`, post), { status: 200, signedIn: true })
      t.match(await send(page, `${url}/me`), { status: 200, user: 'ada' })
      await page.context().clearCookies({ name: 'access_token_cookie' })
      t.match(await send(page, `${url}/orders`, post), { status: 200, ordered: true })
      t.equal(refreshes, 1)

      const stranger = await page.context().newPage()
      await stranger.goto(frontEnd.replace(host, 'evil.example.test'))
      const blocked = await stranger.evaluate(`fetch('${url}/me', { credentials: 'include' }).then(() => 'read', () => 'blocked')`)
      t.equal(blocked, 'blocked')
      const answer = stranger.waitForEvent('response', response => response.url() === `${url}/orders`)
      await stranger.evaluate(`fetch('${url}/orders', { method: 'POST', mode: 'no-cors', credentials: 'include' }).then(() => {})`)
      t.equal((await answer).status(), toStrangers)

      t.match(await send(page, `${url}/session/sign-out`, post), { status: 200, signedOut: true })
      t.same((await page.context().cookies()).filter(({ value }) => value !== ''), [])
    })
  }
})
