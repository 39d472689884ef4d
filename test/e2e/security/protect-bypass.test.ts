import Fastify from 'fastify'
import { connect } from 'node:net'
import t from 'tap'
import cookie from '@fastify/cookie'
import jwt from '../../../lib/index.ts'
import type { AddressInfo } from 'node:net'
import type { FastifyServerOptions } from 'fastify'

/** Sends a request line as it is: a client library would tidy the path up first. */
async function send (port: number, method: string, target: string, headers: Record<string, string> = {}): Promise<{ status: number, body: string }> {
  const socket = connect(port, '127.0.0.1')
  const lines = [`${method} ${target} HTTP/1.1`, 'Host: 127.0.0.1', 'Connection: close', ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`)]
  socket.write(`${lines.join('\r\n')}\r\n\r\n`)
  let answer = ''
  for await (const chunk of socket) answer += String(chunk)
  const [head = '', body = ''] = answer.split('\r\n\r\n')
  return { status: Number(head.split(' ')[1]), body }
}

/** Fastify takes it here, and does not type it yet. */
const semicolons: object = { useSemicolonDelimiter: true }

const routers: [string, NonNullable<FastifyServerOptions['routerOptions']>][] = [
  ['defaults', {}],
  ['caseSensitive: false', { caseSensitive: false }],
  ['ignoreTrailingSlash', { ignoreTrailingSlash: true }],
  ['ignoreDuplicateSlashes', { ignoreDuplicateSlashes: true }],
  ['useSemicolonDelimiter', semicolons],
  ['all of them', { caseSensitive: false, ignoreTrailingSlash: true, ignoreDuplicateSlashes: true, ...semicolons }]
]

const targets = [
  '/admin', '/ADMIN', '/admin/', '//admin', '/admin//', '///admin', '/./admin', '/admin/.', '/%61dmin', '/admin%2f', '/admin%00',
  '/login/../admin', '/login/%2e%2e/admin', '/login/%2E%2E%2Fadmin', '/login/..%2fadmin', '/login%2f..%2fadmin', '/login\\..\\admin',
  '/login/..;/admin', '/login;/admin', '/login;/../admin', '/;/admin', '/admin;/login', '/admin;login', '/admin?/login', '/admin?login', '/admin#/login',
  '/login//admin', '/login/admin', '//login/../admin', '/login/..//admin', '/login/./../admin', '/login%3f/../admin',
  '/public/../admin', '/public/%2e%2e/admin', '/public/..%2fadmin', '/public/..;/admin', '/public//../admin', '/public%2f..%2fadmin', '/PUBLIC/../admin',
  '/users/login', '/users/%2flogin', '/users/login?x=/login', '/users/..%2flogin', '/users/login/', '/users/LOGIN', '/users/login;x',
  '/files/login', '/files/public/x', '/files//public/x', '/files/../login', '/files/%2e%2e/public/x',
  'http://127.0.0.1/admin', 'http://login/admin', 'http://127.0.0.1/login/../admin', 'http://127.0.0.1//admin', '*', '/%2561dmin', '/admin%ff', '/adm%C4%B1n', '/admın'
]
const tricks: Record<string, string>[] = [
  {},
  { 'X-Original-URL': '/login', 'X-Rewrite-URL': '/login', 'X-Forwarded-Prefix': '/login', 'X-HTTP-Method-Override': 'OPTIONS' },
  { Upgrade: 'websocket', 'Sec-Fetch-Mode': 'navigate', Origin: 'http://127.0.0.1' },
  { Origin: 'http://evil.example', 'Access-Control-Request-Method': 'GET' },
  { Authorization: 'Bearer x' },
  { Authorization: 'Bearer' },
  { Cookie: 'access_token_cookie=x' }
]
const methods = ['GET', 'HEAD', 'OPTIONS', 'POST', 'get']

for (const [name, routerOptions] of routers) {
  t.test(`with ${name}, no spelling of a path reaches a protected handler without a token`, async t => {
    const reached: string[] = []
    const app = Fastify({ routerOptions })
    await app.register(cookie)
    await app.register(jwt, { secretKey: 'a secret of at least thirty-two bytes', protect: true, tokenLocation: ['headers', 'cookies'], skipPaths: ['/login', '/public/*'] })
    const secret = async (request: { raw: { url?: string | undefined, method?: string | undefined } }) => {
      reached.push(`${request.raw.method} ${request.raw.url}`)
      return 'the secret'
    }
    app.get('/login', async () => 'log in')
    app.get('/public/:file', async () => 'public')
    app.get('/admin', secret)
    app.post('/admin', secret)
    app.get('/users/:id', secret)
    app.get('/files/*', secret)
    app.get('/:any/admin', secret)
    app.options('/admin/options', secret)
    await app.listen({ port: 0, host: '127.0.0.1' })
    t.teardown(() => app.close())
    const { port } = app.server.address() as AddressInfo

    const token = app.jwt.createAccessToken('user')
    const known = await send(port, 'GET', '/admin', { Authorization: `Bearer ${token}` })
    t.match(known, { status: 200, body: /the secret/ }, 'with a token it is reached')
    t.equal(reached.length, 1)
    t.match(await send(port, 'GET', '/login'), { status: 200, body: /log in/ })
    t.match(await send(port, 'GET', '/public/a'), { status: 200, body: /public/ })

    for (const method of methods) {
      for (const target of targets) {
        const headers = method === 'GET' ? tricks : tricks.slice(0, 1)
        const answers = await Promise.all(headers.map(extra => send(port, method, target, extra)))
        const leaked = answers.filter(({ status, body }) => body.includes('the secret') || status >= 500)
        if (leaked.length > 0) t.fail(`${method} ${target}`, { leaked })
      }
    }
    t.same(reached.slice(1), [], 'no protected handler was reached')
  })
}

t.test('with caseSensitive: false the skip path itself opens its route in any case, and no other', async t => {
  const app = Fastify({ routerOptions: { caseSensitive: false } })
  await app.register(jwt, { secretKey: 'a secret of at least thirty-two bytes', protect: true, skipPaths: ['/login'] })
  app.get('/login', async () => 'log in')
  app.get('/Admin', async () => 'the secret')
  t.equal((await app.inject('/LOGIN')).statusCode, 200, 'it is the same route')
  t.equal((await app.inject('/admin')).statusCode, 401)
})
