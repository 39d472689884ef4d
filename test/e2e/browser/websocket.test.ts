import t from 'tap'
import { randomBytes } from 'node:crypto'
import websocket from '@fastify/websocket'
import Fastify from 'fastify'
import jwt, { jwtRequired } from '../../../lib/index.ts'
import { startChromium, withoutBrowser } from '../../helpers/browser/chromium.ts'
import { tlsOptions } from '../../helpers/browser/site.ts'
import type { AddressInfo } from 'node:net'
import type { Page } from 'playwright-core'

/** What comes of opening a WebSocket from a page: the first message, or that it was refused. */
async function connect (page: Page, url: string): Promise<string> {
  return await page.evaluate(`new Promise(resolve => {
    const socket = new WebSocket(${JSON.stringify(url)})
    socket.onmessage = ({ data }) => { resolve(data); socket.close() }
    socket.onerror = () => resolve('refused')
  })`)
}

t.setTimeout(300_000)

t.test('A WebSocket that a page of another origin opens with its visitor’s cookie is refused', withoutBrowser, async t => {
  const app = Fastify({ https: tlsOptions })
  t.teardown(async () => { await app.close() })
  await app.register(websocket)
  await app.register(jwt, {
    secretKey: randomBytes(32),
    tokenLocation: 'cookies',
    cookieSecure: true,
    // The weakest setting: whatever refuses here, it is not the browser that kept the cookie back.
    cookieSamesite: 'None'
  })
  const upgrades: { origin: string | undefined, cookie: boolean }[] = []
  const refusals: unknown[] = []
  app.addHook('onRequest', async ({ url, headers }) => {
    if (url === '/socket') upgrades.push({ origin: headers.origin, cookie: headers.cookie?.includes('access_token_cookie') ?? false })
  })
  app.addHook('onError', async (_request, _reply, error) => { refusals.push(error.code) })
  app.get('/', async (_request, reply) => reply.type('text/html').send('<!doctype html><title>A page</title>'))
  app.get('/sign-in', async (_request, reply) => {
    app.jwt.setAccessCookies(reply, app.jwt.createAccessToken('ada'))
    return reply.type('text/html').send('<!doctype html><title>Signed in</title>')
  })
  app.get('/socket', { websocket: true, onRequest: jwtRequired }, (socket, request) => { socket.send(`hello ${request.jwtIdentity}`) })
  await app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.server.address() as AddressInfo

  const browser = await startChromium(t)
  const context = await browser.newContext({ ignoreHTTPSErrors: true })
  const page = await context.newPage()
  const socketUrl = `wss://app.example.test:${port}/socket`

  await page.goto(`https://app.example.test:${port}/`)
  t.equal(await connect(page, socketUrl), 'refused', 'from its own origin, without the cookie')
  t.same(refusals.splice(0), ['FST_JWT_MISSING_TOKEN'])

  await page.goto(`https://app.example.test:${port}/sign-in`)
  t.equal(await connect(page, socketUrl), 'hello ada', 'from its own origin, with it')
  t.equal(await page.evaluate('document.cookie'), '')

  for (const host of ['evil.test', 'evil.example.test']) {
    upgrades.length = 0
    await page.goto(`https://${host}:${port}/`)
    t.equal(await connect(page, socketUrl), 'refused', `from ${host}`)
    t.match(upgrades, [{ origin: `https://${host}:${port}` }])
    t.equal(upgrades.length, 1)
    // Some browsers keep cookies back from pages of other sites, whatever SameSite says; of a sub-domain, none does.
    const cameAlong = upgrades[0]?.cookie === true
    if (host === 'evil.example.test') t.ok(cameAlong, 'though the cookie came along')
    t.same(refusals.splice(0), [cameAlong ? 'FST_JWT_CSRF' : 'FST_JWT_MISSING_TOKEN'])
  }
  await context.close()
})
