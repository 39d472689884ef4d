// A page that is rendered on one server, with what another server, the API, says to the visitor. The page server has no key and
// judges no token: it forwards the visitor's Cookie header to the API, and nothing else.
//
//   npm run build && node --import ./scripts/typescript.js examples/recipes/rendered-page.ts
import { randomBytes } from 'node:crypto'
import Fastify from 'fastify'
import jwt, { crossOriginProtection, jwtRequired, refreshTokenRequired } from 'fastify-jwt-extended'
import type { FastifyReply, FastifyRequest } from 'fastify'

const host = process.env.HOST ?? '127.0.0.1'

/* The page server */

const pages = Fastify()
let api = ''

/** The value of a Cookie header with new cookies in place of the old ones, as a browser would send it. */
function withNewCookies (cookie: string, setCookie: readonly string[]): string {
  const jar = new Map(cookie.split('; ').filter(pair => pair !== '').map(pair => [pair.slice(0, pair.indexOf('=')), pair] as const))
  for (const line of setCookie) jar.set(line.slice(0, line.indexOf('=')), line.slice(0, line.indexOf(';')))
  return [...jar.values()].join('; ')
}

/**
 * Asks the API on behalf of a visitor.
 *
 * The Cookie header is all that is forwarded. Host, Origin and Sec-Fetch-Site are about the request for the page, and would be
 * taken for the origin of this one; Authorization and X-Forwarded-* are whatever a visitor likes to send. Only for GET: what
 * changes something is sent by the page itself to the API, which checks where it comes from.
 */
async function askApi (request: FastifyRequest, reply: FastifyReply, path: string): Promise<Response> {
  const { cookie = '' } = request.headers
  const response = await fetch(api + path, { headers: { cookie } })
  if (response.status !== 401) return response
  // The access token is over. What the refresh sets must reach the browser: it is the only one that keeps cookies. If this
  // answer is lost on its way, the old refresh token is still good.
  const refresh = await fetch(`${api}/refresh`, { method: 'POST', headers: { cookie } })
  if (!refresh.ok) return response
  const setCookie = refresh.headers.getSetCookie()
  reply.header('set-cookie', setCookie)
  return await fetch(api + path, { headers: { cookie: withNewCookies(cookie, setCookie) } })
}

const escaped = (text: string): string => text.replace(/[&<>"']/g, character => `&#${character.charCodeAt(0)};`)

pages.get('/', async (request, reply) => {
  // Also an answer that sets cookies is personal.
  reply.header('cache-control', 'no-store').type('text/html; charset=utf-8')
  const response = await askApi(request, reply, '/me')
  if (response.status === 401) return '<!doctype html><title>Welcome</title><p>You are not signed in.'
  if (!response.ok) return reply.code(503).send('<!doctype html><title>Sorry</title><p>Try again in a moment.')
  const { name } = await response.json() as { name: string }
  return `<!doctype html><title>Your page</title><p>Hello, ${escaped(name)}.`
})

const pagesUrl = await pages.listen({ port: Number(process.env.PORT ?? 3000), host })

/* The API */

const server = Fastify()
await server.register(jwt, {
  // Without JWT_SECRET_KEY a random secret, and all logins end with this process.
  secretKey: process.env.JWT_SECRET_KEY ?? randomBytes(32),
  tokenLocation: 'cookies',
  accessExpires: process.env.ACCESS_EXPIRES ?? '15m',
  // Pages and API share a host, or a cookieDomain, so the page server gets the cookies, the refresh cookie included.
  refreshCookiePath: '/',
  // The scripts and forms of the pages.
  trustedOrigins: [pagesUrl]
})

server.post<{ Body: { username: string } }>('/login', { preHandler: crossOriginProtection }, async (request, reply) => {
  // This lets everybody in: check a password first, as examples/jwt-auth.ts does.
  server.jwt.setSessionCookies(reply, await server.jwt.createSession(request.body.username))
  return { login: true }
})
server.post('/refresh', { preHandler: refreshTokenRequired }, async (request, reply) => {
  server.jwt.setSessionCookies(reply, await server.jwt.rotateSession(request))
  return { refresh: true }
})
server.post('/logout', async (request, reply) => ({ logout: await server.jwt.clearSession(request, reply) }))
server.get('/me', { preHandler: jwtRequired }, async request => ({ name: request.jwtIdentity }))

api = await server.listen({ port: Number(process.env.API_PORT ?? 3001), host })
console.log(`Pages on ${pagesUrl} , API on ${api}

  curl -c jar -H 'Content-Type: application/json' -d '{"username":"ada"}' ${api}/login
  curl -b jar -c jar ${pagesUrl}/`)
