import { once } from 'node:events'
import Fastify from 'fastify'
import websocket from '@fastify/websocket'
import t from 'tap'
import { WebSocket } from 'ws'
import jwt, { jwtRequired, role } from '../../../lib/index.ts'
import type { AddressInfo } from 'node:net'
import type { ClientOptions } from 'ws'
import type { JwtExtendedOptions } from '../../../lib/index.ts'

async function listen (t: { teardown (stop: () => unknown): void }, options: JwtExtendedOptions = {}) {
  const app = Fastify()
  await app.register(websocket)
  await app.register(jwt, { secretKey: 'a secret of at least thirty-two bytes', tokenLocation: ['headers', 'cookies'], ...options })
  app.get('/live', { websocket: true, onRequest: options.protect === true ? [] : jwtRequired }, (socket, request) => {
    socket.on('message', message => { socket.send(`${request.jwtIdentity}: ${String(message)}`) })
  })
  app.get('/admin', { websocket: true, onRequest: [jwtRequired, role('admin')] }, socket => { socket.send('reached') })
  await app.listen({ port: 0, host: '127.0.0.1' })
  t.teardown(() => app.close())
  const { port } = app.server.address() as AddressInfo
  return { app, port, token: app.jwt.createAccessToken('ada') }
}

/** The status a WebSocket is refused with, or what it answers. */
async function talk (url: string, options: ClientOptions = {}): Promise<number | string> {
  const socket = new WebSocket(url, options)
  const refused = once(socket, 'unexpected-response').then(([, response]) => {
    socket.terminate()
    return (response as { statusCode: number }).statusCode
  })
  socket.on('error', () => {})
  const answered = once(socket, 'open').then(async () => {
    socket.send('hello')
    const [message] = await once(socket, 'message')
    socket.close()
    return String(message)
  })
  return await Promise.race([refused, answered])
}

for (const protect of [false, true]) {
  t.test(`a WebSocket route is protected ${protect ? 'by protect' : 'by a hook'}, over a real socket`, async t => {
    const { port, token } = await listen(t, { protect })
    const url = `ws://127.0.0.1:${port}/live`
    const cookie = `access_token_cookie=${token}`
    const own = `http://127.0.0.1:${port}`
    t.equal(await talk(url), 401)
    t.equal(await talk(url, { headers: { authorization: 'Bearer x' } }), 401)
    t.equal(await talk(url, { headers: { authorization: `Bearer ${token}` } }), 'ada: hello')
    t.equal(await talk(url, { headers: { cookie } }), 'ada: hello', 'a client that is no browser sends no origin')
    t.equal(await talk(url, { headers: { cookie, origin: own } }), 'ada: hello')
    t.equal(await talk(url, { headers: { cookie, origin: 'http://evil.example' } }), 403, 'cross-site WebSocket hijacking')
    t.equal(await talk(url, { headers: { cookie, origin: 'null' } }), 403)
    t.equal(await talk(url, { headers: { cookie, 'sec-fetch-site': 'cross-site', origin: own } }), 403)
    t.equal(await talk(url, { headers: { authorization: `Bearer ${token}`, origin: 'http://evil.example' } }), 'ada: hello', 'a page has no header it could not send')
    t.equal(await talk(`ws://127.0.0.1:${port}/admin`, { headers: { authorization: `Bearer ${token}` } }), 403)
  })
}

t.test('trusted origins may open a WebSocket with a cookie, double submit or not', async t => {
  const { port, token } = await listen(t, { csrfProtection: 'double-submit', trustedOrigins: ['https://app.example.com'] })
  const cookie = `access_token_cookie=${token}`
  t.equal(await talk(`ws://127.0.0.1:${port}/live`, { headers: { cookie, origin: 'https://app.example.com' } }), 'ada: hello')
  t.equal(await talk(`ws://127.0.0.1:${port}/live`, { headers: { cookie, origin: 'https://example.com' } }), 403)
})
